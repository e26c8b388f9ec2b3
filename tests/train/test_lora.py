"""LoRA tuning on a tiny random Llama made here: what is trained on, in which order, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adhere.errors import DataError, UsageError
from adhere.records import Message
from adhere.train.lora import IGNORE, NextToken, Row, Settings, batches, chat_row, text_row, tune
from tiny_llama import byte_tokenizer, tiny_llama

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def tiny_model() -> Any:
    return tiny_llama(2048, loud=6)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer(TEMPLATE)


def rows_of(tokenizer: Any, n: int = 6) -> list[Row]:
    return [text_row(tokenizer, "say " + "very " * i, f"word{i}") for i in range(n)]


def gradients(tokenizer: Any, micro: int) -> list[Any]:
    from adhere.train.lora import _step, adapted

    model = adapted(tiny_model(), Settings(rank=4, dropout=0.0))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.constant_(weight, 0.01)  # at zero, the other half would have no gradient
    _step(model, rows_of(tokenizer), NextToken(), micro)
    return [p.grad for p in model.parameters() if p.requires_grad]


def test_only_the_answer_and_the_end_of_its_turn_are_trained_on(tokenizer: Any) -> None:
    row = chat_row(tokenizer, [Message("user", "Hello")], "Yes.")
    trained = [label for label in row.labels if label != IGNORE]
    assert tokenizer.decode(trained) == "Yes.</s>"
    assert tokenizer.decode(row.input_ids).endswith("assistant\nYes.</s>")
    assert [i for i, label in zip(row.input_ids, row.labels, strict=True) if label != IGNORE] == trained


def test_a_template_without_an_end_of_turn_is_refused(tokenizer: Any) -> None:
    other = byte_tokenizer(TEMPLATE)
    other.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(DataError, match="ends a turn"):
        chat_row(other, [Message("user", "Hello")], "Yes.")


def test_a_row_without_a_completion_is_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="no tokens"):
        text_row(tokenizer, "prompt", "", end=False)


def test_nothing_to_train_on_is_said_before_training(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="no rows"):
        tune("tiny", [], loaded=(tokenizer, tiny_model()))
    with pytest.raises(UsageError, match="none of the 1 rows"):
        tune("tiny", [Row((1, 2), (IGNORE, IGNORE))], loaded=(tokenizer, tiny_model()))


def test_every_row_comes_once_an_epoch_beside_rows_of_like_length() -> None:
    rows = [Row((0,) * n, (0,) * n) for n in range(1, 101)]
    order = list(batches(rows, NextToken().length, Settings(batch=8, epochs=2)))
    seen = [len(r.input_ids) for batch in order for r in batch]
    assert sorted(seen) == sorted([*range(1, 101)] * 2)
    assert all(max(map(NextToken().length, b)) - min(map(NextToken().length, b)) < 8 for b in order)
    assert seen[:100] != seen[100:]


def test_micro_batches_and_padding_do_not_change_the_gradient(tokenizer: Any) -> None:
    whole, cut = gradients(tokenizer, micro=6), gradients(tokenizer, micro=1)
    assert all((a - b).norm() < 1e-3 * a.norm() for a, b in zip(whole, cut, strict=True))


def test_the_loss_is_that_of_transformers(tokenizer: Any) -> None:
    model, row = tiny_model(), rows_of(tokenizer)[3]
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])).loss
        ours = NextToken().loss(model, [row]) / NextToken().weight(row)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_training_lowers_the_loss_and_changes_the_adapter_alone(tokenizer: Any) -> None:
    model = tiny_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    tuned = tune("tiny", rows_of(tokenizer), Settings(rank=8, learning_rate=2e-2, epochs=30, batch=6, dropout=0.0),
                 loaded=(tokenizer, model))  # fmt: skip
    assert tuned.losses[-1] < 0.7 * tuned.losses[0]
    after = tuned.model.get_base_model().state_dict()
    same = {k.replace(".base_layer", ""): v for k, v in after.items() if "lora_" not in k}
    assert set(same) == set(before)
    assert all(torch.equal(same[k], before[k]) for k in before)


def test_the_top_blocks_alone_can_be_adapted(tokenizer: Any) -> None:
    tuned = tune("tiny", rows_of(tokenizer), Settings(rank=4, top=1), loaded=(tokenizer, tiny_model()))
    assert {n.split(".layers.")[1][0] for n, p in tuned.model.named_parameters() if p.requires_grad} == {"1"}


def test_the_same_seed_gives_the_same_adapter_whatever_ran_before(tokenizer: Any) -> None:
    made = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        tuned = tune("tiny", rows_of(tokenizer), Settings(rank=4, batch=2), loaded=(tokenizer, tiny_model()))
        made.append({k: v for k, v in tuned.model.state_dict().items() if "lora_" in k})
    assert all(torch.equal(made[0][k], made[1][k]) for k in made[0])


def test_a_saved_adapter_is_read_by_the_torch_backend_and_names_no_folder_of_this_machine(
    tokenizer: Any, tmp_path: Path
) -> None:
    import asyncio

    from adhere.models.torch_backend import Torch

    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    settings = Settings(rank=8, learning_rate=2e-2, epochs=20, batch=6, dropout=0.0)
    tuned = tune(str(tmp_path / "base"), rows_of(tokenizer), settings)
    tuned.base = "smollm2"
    folder = tuned.save(tmp_path / "adapter")
    assert str(tmp_path) not in (folder / "adapter_config.json").read_text()
    found = asyncio.run(Torch(tmp_path / "base", adapter=folder, device="cpu").logprobs("say very ", "word1"))
    plain = asyncio.run(Torch(tmp_path / "base", device="cpu").logprobs("say very ", "word1"))
    assert sum(t.logprob for t in found) > sum(t.logprob for t in plain) + 1
