"""Reward models: a tiny real one through transformers, batches, attributes, and what cannot be read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adhere.errors import UsageError, WeightsError
from adhere.records import Instruction, Message, Response
from adhere.score.resolve import resolve
from adhere.score.rewards.model import Reward
from tiny_llama import byte_tokenizer

ASKED = Instruction.of("Name a colour.")
TEXTS = ("Blue.", "I would rather not.", "Red, or perhaps a greenish kind of yellow that nobody has named yet.", "x")


def save_tiny_reward_model(place: Path, outputs: int = 1, labels: dict[int, str] | None = None) -> Path:
    """A random Llama with a reward head. Its pad token is its end token, as in many published ones."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=264, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, eos_token_id=1, pad_token_id=1, num_labels=outputs, id2label=labels,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(place)
    tokenizer = byte_tokenizer(
        "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}{% endfor %}"
    )
    tokenizer.pad_token = "</s>"
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    pytest.importorskip("transformers")
    return save_tiny_reward_model(tmp_path_factory.mktemp("reward"))


def rewards(scorer: Any, texts=TEXTS, asked: Instruction = ASKED) -> list[float]:
    async def run() -> list[Any]:
        return await asyncio.gather(*(scorer.score(asked, Response(text)) for text in texts))

    return [score.value for score in asyncio.run(run())]


def test_the_reward_is_that_of_transformers_on_the_text_alone(folder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    texts = [f"<s>user: Name a colour.</s>assistant: {text}</s>" for text in TEXTS]
    expected = []
    for text in texts:
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        hidden = model.model(input_ids=ids).last_hidden_state[0, -1]
        expected.append(float(model.score(hidden)))
    assert rewards(Reward(str(folder))) == pytest.approx(expected, abs=1e-5)


def test_company_in_the_batch_changes_no_reward(folder):
    """Where pad is the end token, taking the last token that is not the pad would drop the end of every answer."""
    scorer = Reward(str(folder))
    together = rewards(scorer, TEXTS * 2)
    alone = [rewards(scorer, [text])[0] for text in TEXTS * 2]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len({round(value, 6) for value in alone}) == len(TEXTS)


def test_the_end_token_is_what_the_reward_is_read_at(folder):
    scorer = Reward(str(folder)).scorer
    (row,) = [scorer._row(ASKED.messages, "Blue.")]
    assert row.ids[-1] == scorer.tokenizer.eos_token_id == scorer.tokenizer.pad_token_id


def test_a_conversation_that_is_too_long_keeps_its_answer_and_says_so(folder):
    scorer = Reward(str(folder))
    long = Instruction("l", (Message("user", "word " * 200),))
    found = asyncio.run(scorer.score(long, Response("Blue.")))
    assert "cut at the front" in found.reason
    other = Instruction("m", (Message("user", "other " + "word " * 200),))
    assert rewards(scorer, ["Blue."], other) == pytest.approx([found.value], abs=1e-5)


def test_a_models_folder_stands_for_its_reward(folder):
    assert repr(resolve(str(folder))) == f"Reward({str(folder)!r})"
    assert rewards(resolve(f"reward('{folder}')")) == rewards(resolve(str(folder)))


def test_best_of_n_takes_what_the_reward_model_likes_best(folder, tmp_path):
    from adhere.answer.best_of_n import pick, score_all

    scores = asyncio.run(score_all(Reward(str(folder)), ASKED, [Response(t) for t in TEXTS]))
    values = [score.value for score in scores]
    assert pick(TEXTS, scores) == int(np.argmax(values))


def test_several_outputs_are_named_or_chosen(tmp_path):
    pytest.importorskip("transformers")
    names = dict(enumerate(("coherence", "helpfulness", "correctness", "complexity", "verbosity")))
    place = save_tiny_reward_model(tmp_path / "five", 5, names)
    helpful, coherent = rewards(Reward(str(place))), rewards(Reward(str(place), output=0))
    assert helpful == rewards(Reward(str(place), output=1)) != coherent
    good = rewards(Reward(str(place), goodness="70b"))
    columns = [rewards(Reward(str(place), output=n)) for n in range(5)]
    weights = (0.45, 0.65, 0.8, 0.55, -0.4)  # in the order of this model's outputs
    assert good == pytest.approx([sum(w * c[k] for w, c in zip(weights, columns, strict=True)) for k in range(4)])
    with pytest.raises(UsageError, match="has no output 7"):
        Reward(str(place), output=7)


def test_nine_unnamed_outputs_are_read_in_nemos_order(tmp_path):
    pytest.importorskip("transformers")
    place = str(save_tiny_reward_model(tmp_path / "nine", 9))
    assert rewards(Reward(place)) == rewards(Reward(place, output=4))
    assert "helpfulness" in asyncio.run(Reward(place).score(ASKED, Response("x"))).reason


def test_outputs_without_a_meaning_are_refused(tmp_path):
    pytest.importorskip("transformers")
    place = str(save_tiny_reward_model(tmp_path / "two", 2))
    with pytest.raises(UsageError, match=r"has 2 outputs: LABEL_0, LABEL_1\. Say which is the reward: output=0"):
        Reward(place)
    with pytest.raises(UsageError, match="does not rate the five attributes"):
        Reward(place, goodness="70b")


def test_a_reward_that_is_no_number_is_no_value(tmp_path, folder):
    import shutil

    from safetensors.torch import load_file, save_file

    place = tmp_path / "broken"
    shutil.copytree(folder, place)
    tensors = load_file(place / "model.safetensors")
    save_file(tensors | {"score.weight": tensors["score.weight"] * float("nan")}, place / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    found = asyncio.run(Reward(str(place)).score(ASKED, Response("x")))
    assert (found.value, found.passed, found.reason) == (None, None, "the reward is not a number")


def test_a_model_without_a_reward_head_is_refused(tmp_path, folder):
    import shutil

    place = tmp_path / "headless"
    shutil.copytree(folder, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(WeightsError, match="has no reward head"):
        Reward(str(place))
    (place / "config.json").write_text(json.dumps(config))
    (place / "model.safetensors").rename(place / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"no \.safetensors file"):
        Reward(str(place))


def test_a_head_that_was_never_saved_is_not_made_up(tmp_path, folder):
    import shutil

    from safetensors.torch import load_file, save_file

    place = tmp_path / "lacking"
    shutil.copytree(folder, place)
    tensors = load_file(place / "model.safetensors")
    del tensors["score.weight"]
    save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks weights, e\.g\. 'score\.weight'"):
        Reward(str(place))


def test_encoders_read_question_and_answer_as_a_pair(tmp_path):
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "name", "a", "colour", "blue", "red"]
    inner = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=1,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    PreTrainedTokenizerFast(
        tokenizer_object=inner, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(tmp_path)  # fmt: skip
    scorer = Reward(str(tmp_path))
    asked = Instruction.of("name a colour")
    texts = ["blue", "red red red red", "blue " * 60]
    together = rewards(scorer, texts, asked)
    assert together == pytest.approx([rewards(scorer, [t], asked)[0] for t in texts], abs=1e-4)
    assert together[0] != pytest.approx(together[1])
