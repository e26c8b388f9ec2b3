"""Checklists: a program where one can check, a judge where none can, undecided where nobody does."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.errors import ModelError, UnknownNameError, UsageError
from adhere.records import Constraint, Instruction, Response
from adhere.score.judges.checklist import Checklist, resolve_checklist
from judging_models import judging

NO_COMMAS = Constraint("no_commas")
FRIENDLY, FUNNY = Constraint("told", {"text": "it is friendly"}), Constraint("told", {"text": "it is funny"})


def opinion(prompt: str) -> dict[str, float]:
    return {"Yes": 0.8, "No": 0.2} if "[Requirement]\nit is friendly" in prompt else {"Yes": 0.1, "No": 0.6}


def score(checklist: Checklist, text: str, *constraints: Constraint):
    return asyncio.run(checklist.score(Instruction.of("Say hello.", *constraints), Response(text)))


def test_programs_check_what_they_can_and_the_judge_decides_the_rest():
    model = judging(opinion)
    found = score(Checklist(model), "Hello there", FRIENDLY, NO_COMMAS, FUNNY)
    assert [(p.name, p.passed) for p in found.parts] == [("told", True), ("no_commas", True), ("told", False)]
    assert (found.value, found.passed) == (pytest.approx(2 / 3), False)
    assert len(model.backend.requests) == 2


def test_a_verdict_counts_as_one_or_none_and_the_probability_is_told():
    part = score(Checklist(judging(opinion)), "Hello", FRIENDLY).parts[0]
    assert (part.value, part.reason) == (1.0, "'it is friendly': P(Yes) = 0.80")


def test_without_a_judge_what_only_one_could_decide_is_undecided():
    found = score(Checklist(), "Hello", FRIENDLY, NO_COMMAS)
    assert [p.passed for p in found.parts] == [None, True]
    assert found.parts[0].reason == "'it is friendly': no program can check this; a judge can"
    assert (found.passed, found.value) == (None, 0.5)


def test_a_judge_that_fails_or_says_neither_leaves_its_constraint_undecided():
    def fail(prompt: str) -> dict[str, float]:
        raise ModelError("down")

    for rule in (fail, lambda prompt: {"Hm": 1.0}):
        found = score(Checklist(judging(rule)), "Hello", FRIENDLY, NO_COMMAS)
        assert [p.passed for p in found.parts] == [None, True]
        assert found.parts[0].reason


def test_reasons_come_before_the_verdict():
    model = judging(opinion, prose="It says hello warmly.")
    part = score(Checklist(model, reasons=True), "Hello", FRIENDLY).parts[0]
    assert part.reason.startswith("'it is friendly': It says hello warmly.")
    assert "Do not give a verdict yet" in model.backend.requests[0].messages[0].text


def test_no_constraints_are_undecided_and_no_answer_fails_without_asking():
    model = judging(opinion)
    assert score(Checklist(model), "Hello").passed is None
    assert score(Checklist(model), " ", FRIENDLY).parts[0].passed is False
    assert not model.backend.requests


def test_the_judge_option_names_a_model_or_a_checklist():
    assert resolve_checklist(None).model is None
    assert resolve_checklist("echo").model.name == "echo"
    assert resolve_checklist("checklist(model=echo, reasons=true)").reasons is True
    model = judging(opinion)
    assert resolve_checklist("self", model).model is model
    with pytest.raises(UsageError, match="does not judge single constraints"):
        resolve_checklist("pairwise")
    with pytest.raises(UnknownNameError):
        resolve_checklist("smolm2")


@pytest.mark.weights
def test_smollm2_decides_what_no_program_can(smollm2):
    found = score(Checklist(adhere.load(str(smollm2), store=None)), "Hello, my friend!", FRIENDLY, NO_COMMAS)
    assert found.parts[0].passed in (True, False)
    assert found.parts[1].passed is False
