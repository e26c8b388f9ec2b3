"""Selective answering, with a model that echoes and scorers whose grades are known."""

from __future__ import annotations

import asyncio
import math

import pytest

import adhere
from adhere.answer import Selective, build
from adhere.answer.selective import calibrated
from adhere.errors import UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Response, Score


class Length:
    """Grades by the number of words; nothing for an empty text."""

    calibration = (1.0, 2.0, 3.0, 4.0)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        return Score("length", float(len(response.text.split())) if response.text else None)


class Even:
    """Right where the number of words is even."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        return Score("even", passed=len(response.text.split()) % 2 == 0)


def echo() -> Model:
    return Model(Echo())


def answered(strategy: Selective, text: str) -> Response:
    return asyncio.run(strategy.answer(Instruction.of(text)))


def test_a_good_answer_is_given_as_it_is() -> None:
    found = answered(Selective(echo(), Length(), threshold=3), "one two three")
    assert (found.text, found.finish_reason) == ("one two three", "stop")
    assert [step["step"] for step in found.trace] == ["candidate", "cost"]


def test_a_poor_answer_is_declined_and_the_text_says_so() -> None:
    found = answered(Selective(echo(), Length(), threshold=3), "one two")
    assert found.finish_reason == "declined"
    assert "graded 2.00, needed 3.00" in found.text
    assert "one two" not in found.text
    assert found.trace[0]["text"] == "one two"
    assert found.trace[1] == {"step": "decline", "value": 2.0, "threshold": 3}
    assert found.usage.completion_tokens == 2


def test_an_answer_that_cannot_be_graded_is_declined() -> None:
    found = answered(Selective(echo(), Length(), threshold=-5), "")
    assert found.finish_reason == "declined"
    assert "could not be graded" in found.text


def test_a_coverage_becomes_a_threshold_by_the_calibration_grades() -> None:
    strategy = Selective(echo(), Length(), coverage=0.5)
    assert answered(strategy, "one two three").finish_reason == "stop"
    assert answered(strategy, "one two").finish_reason == "declined"


@pytest.mark.parametrize("coverage", [0.0, 1.5, -1.0])
def test_a_coverage_that_is_none_is_refused(coverage: float) -> None:
    with pytest.raises(UsageError, match="coverage"):
        Selective(echo(), Length(), coverage=coverage)


def test_neither_or_both_of_threshold_and_coverage_are_refused() -> None:
    with pytest.raises(UsageError, match="either a threshold or a coverage"):
        Selective(echo(), Length())
    with pytest.raises(UsageError, match="either a threshold or a coverage"):
        Selective(echo(), Length(), threshold=1, coverage=0.5)


def test_a_coverage_needs_a_scorer_with_calibration_grades() -> None:
    with pytest.raises(UsageError, match="no calibration grades"):
        Selective(echo(), Even(), coverage=0.5)


def test_the_threshold_of_a_precision_is_found_on_graded_items() -> None:
    items = [Instruction.of(" ".join("w" * n)) for n in (1, 2, 3, 4, 4, 6)]
    found = asyncio.run(calibrated(echo(), Length(), items, Even(), precision=0.75))
    assert found.threshold.value == 2
    assert found.threshold.precision.value == pytest.approx(4 / 5)
    assert answered(found.strategy, "w").finish_reason == "declined"
    assert answered(found.strategy, "w w").finish_reason == "stop"


def test_a_precision_out_of_reach_declines_everything() -> None:
    items = [Instruction.of("w w w")] * 3
    found = asyncio.run(calibrated(echo(), Length(), items, Even(), precision=0.9))
    assert not found.threshold.reached
    assert found.strategy.lowest == math.inf
    assert found.curve.arbitrary
    assert answered(found.strategy, "w w w w").finish_reason == "declined"


def test_it_is_built_from_text_and_nests() -> None:
    strategy = build("selective(scorer=constraints, threshold=1)", adhere.load("echo", store=None))
    assert isinstance(strategy, Selective)
    assert answered(strategy, "Use no commas please").finish_reason == "stop"
    assert answered(strategy, "Use no commas, please").finish_reason == "declined"
