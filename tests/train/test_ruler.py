"""Ruler's training on a tiny random Llama with a byte tokenizer: what it learns, what it saves, what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from adhere.answer.ruler import Ruler
from adhere.constraints.ruler import WordRange, word_count
from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.records import Example, Instruction, Response
from adhere.train.ruler import RULER9, Bucket, add_tokens, bucket_of, bucketed, fit

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from adhere.models.torch_backend import Torch  # noqa: E402
from adhere.train.lora import Settings  # noqa: E402
from tiny_llama import save_tiny_llama  # noqa: E402

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}{% if not (loop.last and m.role == 'assistant' and "
    "continue_final_message) %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
SHORT, LONG = Bucket("2", WordRange(1, 3)), Bucket("6", WordRange(5, 7))
TWO = (SHORT, LONG)


def example(prompt: str, answer: str) -> Example:
    return Example(Instruction.of(prompt), (Response(answer),))


ROWS = [example(f"say {who}", " ".join([who] * n)) for who in ("go", "no", "up", "so") for n in (2, 6)]


def tiny(place: Path, tied: bool) -> Path:
    sizes = {"vocab_size": 258, "hidden_size": 48, "intermediate_size": 96}
    return save_tiny_llama(place, 256, template=TEMPLATE, bos_token_id=0, tie_word_embeddings=tied, **sizes)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny"), request.param)


def opened(place: Path) -> Model:
    return Model(Torch(place, device="cpu", dtype="float32"), sampling=Sampling(max_tokens=48))


def test_a_tuned_model_writes_as_long_as_its_token_says(tmp_path: Path) -> None:
    # Untied: with one table for both a model this small needs much longer.
    untied = tiny(tmp_path / "untied", tied=False)
    fitted = fit(str(untied), ROWS, tmp_path / "tuned", TWO, epochs=200, lr=4e-3, batch=8, micro=8)
    assert fitted.rows == {"2": 4, "6": 4}
    assert fitted.losses[-1] < fitted.losses[0] / 10
    model = opened(fitted.folder)

    async def words(wanted: int | None) -> list[int]:
        strategy = Ruler(model, wanted)
        found = await asyncio.gather(*(strategy.answer(row.instruction) for row in ROWS[::2]))
        assert all("MLT" not in r.text for r in found)
        return [word_count(r.text) for r in found]

    short, long = asyncio.run(words(2)), asyncio.run(words(6))
    assert sum(long) - sum(short) >= 8  # 16 were the model perfect, 0 had it learnt nothing
    free = asyncio.run(Ruler(model).answer(ROWS[0].instruction))
    token = free.trace[0]["token"]
    assert token in ("[MLT:2]", "[MLT:6]")  # learnt, since the loss covers it


def test_the_control_knows_no_tokens_and_ruler_says_so(folder: Path, tmp_path: Path) -> None:
    fitted = fit(str(folder), ROWS, tmp_path / "vanilla", TWO, epochs=1, vanilla=True)
    model = opened(fitted.folder)
    assert len(model.backend.tokenizer) == 258  # type: ignore[attr-defined]
    with pytest.raises(CapabilityError, match="has no length tokens"):
        asyncio.run(Ruler(model, 2).answer(ROWS[0].instruction))


def test_an_adapter_trains_the_new_rows_and_leaves_the_old_ones_alone(folder: Path, tmp_path: Path) -> None:
    from adhere.train.lora import load

    before = load(str(folder))[1].get_input_embeddings().weight.detach().clone()
    lora = Settings(rank=4, alpha=8)
    fitted = fit(str(folder), ROWS, tmp_path / "lora", TWO, epochs=2, lr=1e-2, lora=lora, batch=4)
    tokenizer, model = load(str(fitted.folder))
    after = model.get_input_embeddings().weight
    assert after.shape[0] == 260
    assert torch.equal(after[:258], before)
    mean = before.mean(0)
    assert not torch.allclose(after[258], mean)
    assert not torch.allclose(after[258], after[259])
    assert (model.get_output_embeddings().weight is after) == model.config.tie_word_embeddings
    report = json.loads((fitted.folder / "ruler.json").read_text())
    assert report["rows"] == {"2": 4, "6": 4}
    assert tokenizer("[MLT:2]x", add_special_tokens=False)["input_ids"][0] == 258


def test_new_tokens_begin_at_the_mean_and_are_one_id_each(folder: Path) -> None:
    from adhere.train.lora import load

    tokenizer, model = load(str(folder))
    tied = model.config.tie_word_embeddings
    ids = add_tokens(tokenizer, model, [b.token for b in RULER9])
    table, output = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert ids == list(range(258, 267))
    assert torch.allclose(table[ids], table[:258].mean(0).expand(9, -1))
    assert torch.allclose(output[ids], output[:258].mean(0).expand(9, -1))
    assert (table is output) == tied
    table.data[260] += 1
    assert add_tokens(tokenizer, model, [b.token for b in RULER9]) == ids  # again: nothing is lost
    assert not torch.allclose(table[260], table[259])
    text = "<s>assistant\n[MLT:>800]Yes"
    assert 266 in tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_same_rows_give_the_same_model(folder: Path, tmp_path: Path) -> None:
    lora = Settings(rank=2, alpha=4)
    made = [fit(str(folder), ROWS, tmp_path / n, TWO, epochs=2, lr=1e-2, lora=lora, batch=4) for n in "ab"]
    assert made[0].losses == made[1].losses
    weights = [(m.folder / "model.safetensors").read_bytes() for m in made]
    assert weights[0] == weights[1]


# Buckets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "target"),
    [(5, None), (6, "10"), (15, "10"), (16, None), (25, None), (26, "30"), (35, "30"), (55, "50"), (75, None),
     (85, "80"), (135, None), (155, "150"), (296, "300"), (505, "500"), (700, "700"), (800, None), (801, ">800")],
)  # fmt: skip
def test_buckets_are_the_papers_open_below_and_closed_above(words: int, target: str | None) -> None:
    bucket = bucket_of("word " * words, RULER9)
    assert (bucket and bucket.target) == target


def test_words_are_counted_as_they_are_scored() -> None:
    assert bucket_of("don't 3.5 well-known", RULER9) == RULER9[0]  # six words by \w+, three by spaces


def test_rows_go_to_their_bucket_up_to_a_limit_and_others_are_dropped(folder: Path, tmp_path: Path) -> None:
    found = bucketed([*ROWS, example("x", "one two three four")], TWO, most=3)
    assert {t: len(rows) for t, rows in found.items()} == {"2": 3, "6": 3}
    rows = [*ROWS, example("x", "one two three four"), example("a long prompt " * 20, "two words")]
    fitted = fit(str(folder), rows, tmp_path / "dropped", TWO, epochs=1, max_length=100)
    assert fitted.dropped == {"no bucket": 1, "too long": 1}


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        ((SHORT, Bucket("3", WordRange(2, 5))), "the buckets 2 and 3 overlap"),
        ((Bucket("few", WordRange(0, 3)),), "'few'"),
    ],
)
def test_buckets_that_make_no_sense_are_refused(
    folder: Path, tmp_path: Path, buckets: tuple[Bucket, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        fit(str(folder), ROWS, tmp_path / "x", buckets)


def test_answers_of_other_lengths_are_refused_with_the_lengths_that_would_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of the 1 answers is in a bucket.*2: 2 to 3; 6: 6 to 7"):
        fit(str(folder), [example("x", "one two three four")], tmp_path / "x", TWO)


def test_a_model_that_cannot_chat_is_refused(folder: Path, tmp_path: Path) -> None:
    from adhere.train.lora import load

    loaded: tuple[Any, Any] = load(str(folder))
    loaded[0].chat_template = None
    with pytest.raises(UsageError, match="has no chat template"):
        fit("tiny", ROWS, tmp_path / "x", TWO, loaded=loaded)
