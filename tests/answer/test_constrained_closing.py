"""What a model leaves incomplete at the token limit is completed by us, if little is missing."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.constraints import build_all, verify
from adhere.records import Constraint, Instruction


@pytest.mark.weights
@pytest.mark.parametrize("limit", [24, 40, 64])
def test_keywords_and_a_closing_quotation_mark_come_in_spite_of_a_row_of_digits(limit: int, smollm2: object) -> None:
    wanted = (Constraint("quoted"), Constraint("keywords", {"keywords": ["python", "java"]}))
    instruction = Instruction.of("Write the dates 2022-01-01 2022-01-02 2022-01-03 and go on.", *wanted)
    model = adhere.load("smollm2", max_tokens=limit)
    response = asyncio.run(adhere.answer.Constrained(model).answer(instruction))
    assert all(score.passed for score in verify(response.text, build_all(wanted, "fixed")).strict), response.text


@pytest.mark.weights
def test_more_sentences_than_fit_are_left_from_the_start(smollm2: object) -> None:
    model = adhere.load("smollm2", max_tokens=32)
    instruction = Instruction.of("Write an essay.", Constraint("sentences", {"at_least": 50}))
    response = asyncio.run(adhere.answer.Constrained(model).answer(instruction))
    (step,) = [s for s in response.trace if s["step"] == "constrain"]
    assert step["compiled"] == []
    assert "50 sentences do not fit into 32 tokens" in step["left"][0]
