"""Judges of pairs: both orders, no verdict, names; and SmolLM2 behind them."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.errors import ModelError, UnknownNameError, UsageError
from adhere.models.model import Model
from adhere.records import Document, Instruction, Response
from adhere.score.judges.base import ByScore, Order, PairJudge, Recorded, average, preference, resolve_judge
from adhere.score.judges.pairwise import PairwiseJudge
from adhere.score.judges.pointwise import PointwiseJudge
from adhere.score.texts.overlap import Overlap
from judging_models import Judging, judging, prefers

ASKED = Instruction.of("Name the capital of France.")
GOOD, BAD = "Paris", "Lyon"


def compare(judge: PairJudge, a: str = BAD, b: str = GOOD, instruction: Instruction = ASKED):
    return asyncio.run(judge.compare(instruction, a, b))


# Preferences ---------------------------------------------------------------------------------------------------------


def test_orders_that_disagree_are_averaged_and_the_disagreement_is_kept():
    found = preference([Order("a", 0.2), Order("b", 0.9)])
    assert (found.probability_b, found.verdict, found.flipped) == (pytest.approx(0.55), "b", True)
    assert preference([Order("a", 0.8), Order("b", 0.9)]).flipped is False


def test_an_order_without_verdict_leaves_none_and_is_no_tie():
    found = preference([Order("a", 0.9), Order("b", None, reason="it said maybe")])
    assert (found.probability_b, found.verdict, found.flipped, found.reason) == (None, None, None, "it said maybe")
    assert preference([]).verdict is None


def test_verdicts_without_degrees_that_flip_are_a_tie():
    assert preference([Order("a", 0.0), Order("b", 1.0)]).verdict == "tie"


def test_an_average_has_no_verdict_where_one_of_them_has_none():
    one, none = preference([Order("a", 0.6)]), preference([Order("a", None)])
    assert average([one, preference([Order("a", 0.9)])]).probability_b == pytest.approx(0.75)
    assert average([one, none]).verdict is None
    with pytest.raises(UsageError):
        average([])


# Asking a model -----------------------------------------------------------------------------------------------------


def test_a_taste_for_the_first_position_cancels_out_and_shows_in_the_orders():
    found = compare(PairwiseJudge(judging(prefers(GOOD, sure=0.6, first=0.3))))
    assert [o.probability_b for o in found.orders] == pytest.approx([0.3, 0.9])
    assert (found.verdict, found.probability_b, found.flipped) == ("b", pytest.approx(0.6), True)


def test_swapping_the_answers_swaps_the_verdict_exactly():
    judge = PairwiseJudge(judging(prefers(GOOD, sure=0.7, first=0.2)))
    assert compare(judge).probability_b == pytest.approx(1 - compare(judge, GOOD, BAD).probability_b)


def test_without_swapping_one_order_is_asked():
    model = judging(prefers(GOOD, sure=0.6, first=0.3))
    found = compare(PairwiseJudge(model, swap=False))
    assert (found.verdict, found.flipped, len(model.backend.requests)) == ("a", None, 1)


def test_equal_answers_are_a_tie_without_a_call():
    model = judging(prefers(GOOD))
    assert compare(PairwiseJudge(model), GOOD, GOOD).verdict == "tie"
    assert not model.backend.requests


def test_a_model_that_says_neither_letter_gives_no_verdict():
    found = compare(PairwiseJudge(judging(lambda prompt: {"Hm": 1.0})))
    assert (found.verdict, found.probability_b) == (None, None)
    assert "no label was likely" in found.reason


def test_reasons_are_written_first_and_the_verdict_is_read_after_them():
    model = judging(prefers(GOOD), prose="Answer B names the capital.")
    found = compare(PairwiseJudge(model, reasons=True), GOOD, BAD)
    assert (found.verdict, found.reason) == ("a", "Answer B names the capital.")
    written, read = model.backend.requests[0], model.backend.requests[-1]
    assert "Do not give a verdict yet" in written.messages[-1].text
    assert [m.role for m in read.messages] == ["user", "assistant", "user"]
    assert read.sampling.max_tokens == 1


def test_the_reference_is_shown_only_where_it_is_asked_for():
    asked = Instruction("x", ASKED.messages, references=("It is Paris.",))
    for shown in (True, False):
        model = judging(prefers(GOOD))
        compare(PairwiseJudge(model, with_reference=shown), instruction=asked)
        assert all(("It is Paris." in r.messages[0].text) is shown for r in model.backend.requests)


def test_the_documents_of_a_question_are_shown_to_the_judge():
    model = judging(prefers(GOOD))
    asked = Instruction("x", ASKED.messages, documents=(Document("France is governed from the Seine."),))
    compare(PairwiseJudge(model), instruction=asked)
    assert all("governed from the Seine" in r.messages[0].text for r in model.backend.requests)


def test_answers_that_do_not_fit_are_cut_and_it_is_told():
    model = judging(prefers(GOOD), context=3_000)
    found = compare(PairwiseJudge(model), BAD + " and so on" * 1_000, GOOD)
    assert found.verdict == "b"
    assert 200 <= found.details["cut_at"] < 3_000


def test_a_call_that_fails_is_an_error_and_no_verdict():
    def fail(prompt: str) -> dict[str, float]:
        raise ModelError("the endpoint is down")

    with pytest.raises(ModelError, match="down"):
        compare(PairwiseJudge(judging(fail)))


def test_as_a_scorer_it_compares_with_the_reference():
    judge = PairwiseJudge(judging(prefers(GOOD)))
    asked = Instruction("x", ASKED.messages, references=(BAD,))
    found = asyncio.run(judge.score(asked, Response(GOOD)))
    assert (found.name, found.value) == ("pairwise", pytest.approx(0.9))
    assert asyncio.run(judge.score(ASKED, Response(GOOD))).value is None


# Other judges, and names ----------------------------------------------------------------------------------------------


def test_any_scorer_is_a_judge_by_its_value():
    asked = Instruction("x", ASKED.messages, references=(GOOD,))
    judge = resolve_judge("overlap")
    assert isinstance(judge, ByScore)
    assert compare(judge, instruction=asked).verdict == "b"
    assert compare(judge, GOOD, GOOD, asked).verdict == "tie"
    assert compare(ByScore(Overlap())).verdict is None  # no reference, no score


def test_recorded_verdicts_are_read_in_both_orders():
    asked = Instruction("x", ASKED.messages, meta={"verdicts": {"me": ["2", "1"], "you": ["2", None], "one": "a"}})
    assert compare(Recorded("me"), instruction=asked).flipped is True
    assert compare(Recorded("you"), instruction=asked).verdict is None
    assert compare(resolve_judge("recorded(one)"), instruction=asked).verdict == "a"
    with pytest.raises(UsageError, match="Did you mean 'me'"):
        compare(Recorded("mee"), instruction=asked)


def test_a_spec_is_a_judge_a_scorer_or_a_model():
    model = Model(Judging(prefers(GOOD)))
    assert isinstance(resolve_judge("pairwise", model), PairwiseJudge)
    assert isinstance(resolve_judge("pointwise(k=7)", model), PointwiseJudge)
    assert isinstance(resolve_judge("echo"), PairwiseJudge)
    made = PairwiseJudge(model)
    assert resolve_judge(made) is made


def test_a_judge_that_is_not_there_or_lacks_its_model_is_one_clear_line():
    with pytest.raises(UnknownNameError, match=r"neither a judge nor a model\. Did you mean 'pairwise'"):
        resolve_judge("pairwisse")
    with pytest.raises(UsageError, match="pairwise needs a model"):
        resolve_judge("pairwise")
    with pytest.raises(UsageError, match="unknown argument 'reason'"):
        resolve_judge("pairwise(reason=true)", Model(Judging(prefers(GOOD))))


@pytest.mark.weights
def test_smollm2_has_a_verdict_in_both_orders_and_a_fair_mean(smollm2):
    judge = PairwiseJudge(adhere.load(str(smollm2), store=None))
    one, other = compare(judge, "Paris.", "I like trains."), compare(judge, "I like trains.", "Paris.")
    assert [o.way for o in one.orders] == ["logprobs", "logprobs"]
    assert one.probability_b == pytest.approx(1 - other.probability_b, abs=0.01)
