"""LLMBar: judges under test, graded again from their traces."""

from __future__ import annotations

import json

import pytest

from adhere.bench.base import Options, get
from adhere.bench.run import Settings, evaluate
from adhere.errors import UsageError
from adhere.records import Instruction


def run(name: str, judge: str | None, limit: int | None = None):
    return evaluate(get(name), None, Settings(limit=limit), options=Options(judge=judge))


def test_gpt4s_recorded_verdicts_give_the_published_table(data_dir, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    found = run("llmbar", "recorded('GPT-4/Vanilla')").metrics
    table = {subset: round(100 * f["accuracy"]["value"], 2) for subset, f in found["by_subset"].items()}
    assert table == {"natural": 95.5, "neighbor": 78.73, "gptinst": 86.41, "gptout": 77.66, "manual": 80.43}
    assert found["accuracy"]["n"] == 419
    assert found["kappa"]["low"] < found["kappa"]["value"] < found["kappa"]["high"]


def test_the_first_pairs_are_of_all_subsets(data_dir, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    assert len({i.meta["subset"] for i in get("llmbar").instructions(5)}) == 5


def test_our_own_pairs_cannot_be_won_by_position_and_hardly_by_length():
    pairs = get("llmbar-synthetic").instructions()
    assert len(pairs) == 42
    assert 19 <= sum(i.meta["gold"] == "a" for i in pairs) <= 23
    longer = sum((len(i.meta["answers"][1]) > len(i.meta["answers"][0])) == (i.meta["gold"] == "b") for i in pairs)
    assert longer < 16


def test_a_judge_is_needed_and_said_before_anything_is_asked():
    with pytest.raises(UsageError, match="benchmark 'llmbar-synthetic' needs a judge"):
        run("llmbar-synthetic", None)
    with pytest.raises(UsageError, match="needs a model"):
        run("llmbar-synthetic", "pairwise", 2)


def test_a_verdict_that_is_none_is_wrong_and_counted_and_no_tie():
    found = run("llmbar-synthetic", "given_reference(by=bleu)", 6)  # these pairs have no references
    assert found.metrics["accuracy"]["value"] == 0
    assert found.metrics["no_verdict"]["value"] == 1
    assert found.manifest["counts"]["undecided"] == 6


@pytest.mark.weights
def test_smollm2_judges_a_few_pairs_in_both_orders(smollm2):
    found = run("llmbar-synthetic", f"pairwise(model='{smollm2}')", 2)
    assert found.metrics["no_verdict"]["value"] == 0
    assert found.metrics["order_accuracy"]["n"] == 4
    trace = json.loads(found.rows[0].trace)
    assert [order["first"] for order in trace[0]["orders"]] == ["a", "b"]


def test_instructions_show_what_was_asked():
    first = get("llmbar-synthetic").instructions(1)[0]
    assert isinstance(first, Instruction)
    assert first.prompt == "Name three primary colours of light."
