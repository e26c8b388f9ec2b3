"""Ratings from 1 to k: the weighted mean, comparing by distributions, references and reasons."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Response
from adhere.score.judges.pointwise import PointwiseJudge
from judging_models import judging

ASKED = Instruction.of("Name the capital of France.")


def rates(prompt: str) -> dict[str, float]:
    answer = prompt.split("[Answer]")[1].split("[End of the answer]")[0]
    return {"4": 0.6, "5": 0.3, "Well": 0.1} if "Paris" in answer else {"1": 0.5, "4": 0.5}


def rate(judge: PointwiseJudge, text: str, asked: Instruction = ASKED):
    return asyncio.run(judge.score(asked, Response(text)))


def test_the_rating_is_the_mean_by_probability_among_the_numbers():
    found = rate(PointwiseJudge(judging(rates)), "Paris")
    assert found.value == pytest.approx((4 * 0.6 + 5 * 0.3) / 0.9)
    assert found.passed is None


def test_two_answers_are_compared_by_their_distributions():
    judge = PointwiseJudge(judging(rates))
    found = asyncio.run(judge.compare(ASKED, "Lyon", "Paris"))
    # b is above a unless both are 4, which is half a win: 1 - 0.5 * (0.5 * 2/3)
    assert (found.verdict, found.probability_b) == ("b", pytest.approx(1 - 0.5 * 0.5 * 2 / 3))
    assert found.orders == ()
    assert asyncio.run(judge.compare(ASKED, "Paris", "Paris!")).verdict == "tie"


def test_no_number_is_no_verdict():
    judge = PointwiseJudge(judging(lambda prompt: {"Well": 1.0}))
    found = rate(judge, "Paris")
    assert (found.value, found.passed) == (None, None)
    assert found.reason.startswith("no verdict")
    assert asyncio.run(judge.compare(ASKED, "Lyon", "Paris")).verdict is None


def test_a_rating_by_one_word_is_that_rating():
    assert rate(PointwiseJudge(judging(rates, can=("json_schema",))), "Paris").value == 4.0
    assert rate(PointwiseJudge(judging(rates, can=(), prose="Rating: {verdict}")), "Paris").value == 4.0


def test_the_reference_is_shown_or_missed():
    model = judging(rates)
    asked = Instruction("x", ASKED.messages, references=("It is Paris.",))
    rate(PointwiseJudge(model, with_reference=True), "Paris", asked)
    assert "It is Paris." in model.backend.requests[0].messages[0].text
    with pytest.raises(DataError, match="has no reference"):
        rate(PointwiseJudge(model, with_reference=True), "Paris")


def test_reasons_come_first_and_become_the_reason():
    model = judging(rates, prose="It names the capital.")
    assert rate(PointwiseJudge(model, reasons=True), "Paris").reason == "It names the capital."
    assert [m.role for m in model.backend.requests[-1].messages] == ["user", "assistant", "user"]


def test_scales_that_the_first_token_cannot_tell_apart_are_refused():
    for k in (1, 10):
        with pytest.raises(UsageError, match="k is 2 to 9"):
            PointwiseJudge(judging(rates), k=k)
    with pytest.raises(UsageError, match="needs a model"):
        PointwiseJudge()


@pytest.mark.weights
def test_smollm2_rates_within_the_scale(smollm2):
    found = rate(PointwiseJudge(adhere.load(str(smollm2), store=None)), "The capital of France is Paris.")
    assert found.value is not None
    assert 1 < found.value < 5
