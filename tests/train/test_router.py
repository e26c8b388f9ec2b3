"""Tuning the language model that routes, on a tiny Llama made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adhere.answer.routing.aptitude import Capability
from adhere.answer.routing.router import Outcome
from adhere.errors import DataError, UsageError
from adhere.records import Instruction
from adhere.train.lora import Settings
from adhere.train.router import GroupOfPrompts, YesOfGroup, train_llm_router
from tiny_llama import byte_tokenizer, tiny_llama

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

RECORDS = {"adder": Capability("adder", {"sums": 1.0, "rivers": 0.0}),
           "reader": Capability("reader", {"sums": 0.0, "rivers": 1.0})}  # fmt: skip
ITEMS = [Instruction.of(f"{kind} {n}", id=f"{kind}{n}") for kind in ("+", "~") for n in range(4)]
OUTCOMES = [Outcome(i.id, c, float((c == "adder") == i.id.startswith("+"))) for i in ITEMS for c in RECORDS]


def loaded(context: int = 2048) -> tuple[Any, Any]:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<s>{% endif %}"
    return byte_tokenizer(template), tiny_llama(context, loud=6)


def test_the_loss_is_the_groups_cross_entropy_with_the_solved_one_first() -> None:
    _, model = loaded()
    group = GroupOfPrompts(((5, 6, 7), (8, 9), (10, 11, 12, 13)))
    with torch.no_grad():
        last = [model(input_ids=torch.tensor([p])).logits[0, -1] for p in group.prompts]
        scores = torch.stack([x[40] - x[41] for x in last])
        expected = float(torch.logsumexp(scores, 0) - scores[0])
        found = float(YesOfGroup(40, 41).loss(model, [group]))
        twice = float(YesOfGroup(40, 41).loss(model, [group, group]))
    assert found == pytest.approx(expected, rel=1e-4)
    assert twice == pytest.approx(2 * expected, rel=1e-4)


def test_training_raises_yes_where_it_is_due_and_writes_the_adapter(tmp_path: Path) -> None:
    settings = Settings(rank=8, batch=4, micro=4, epochs=15, learning_rate=2e-2, dropout=0.0, clip=0.0)
    mine = [o for o in OUTCOMES if o.candidate == "adder"]
    tuned = train_llm_router("tiny", mine, ITEMS, RECORDS, tmp_path, settings, loaded=loaded())
    assert len(tuned.losses) == 15
    assert tuned.losses[-1] < 0.5 * tuned.losses[0]
    assert (tmp_path / "adapter_model.safetensors").is_file()


def test_a_record_that_does_not_fit_is_an_error_and_not_cut(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the model reads 64"):
        train_llm_router("tiny", OUTCOMES, ITEMS, RECORDS, tmp_path, loaded=loaded(64))


def test_outcomes_without_a_group_and_candidates_without_a_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="form a group"):
        train_llm_router("tiny", OUTCOMES[:2], ITEMS, RECORDS, tmp_path, loaded=loaded())
    with pytest.raises(UsageError, match="adhere route test adder"):
        train_llm_router("tiny", OUTCOMES, ITEMS, {}, tmp_path, loaded=loaded())
