"""DeCRIM's RealInstruct reproduction, its reading of the figures: what the critic knew, whole requests, the verdict."""

from __future__ import annotations

from types import ModuleType

import pytest

from adhere.answer.decompose import Decomposition
from adhere.bench.reproduce import load
from adhere.records import Constraint, Instruction


@pytest.fixture(scope="module")
def arm() -> ModuleType:
    return load("decrim-realinstruct")


def test_a_gold_constraint_is_known_only_where_kind_and_arguments_were_read(arm: ModuleType) -> None:
    gold = Instruction.of("Write.", Constraint("words", {"at_most": 50}), Constraint("postscript"))
    read = Decomposition(
        (Constraint("words", {"at_most": 60}), Constraint("postscript", {"marker": "P.S."})), (), "rules"
    )
    assert arm._known([gold], [read]) == [False, True]


def test_a_request_is_met_where_all_its_constraints_are(arm: ModuleType) -> None:
    whole = arm._by_request(arm.parts.Arm([], [0, 0, 1], [True, False, True], [True, True, True]))
    assert (whole.prompts, whole.strict, whole.loose) == ([0, 1], [False, True], [True, True])


@pytest.mark.parametrize(
    ("plain", "control", "verdict"),
    [
        ((0.1, 0.2, 0.01), (0.05, 0.2, 0.01), "shown"),
        ((0.1, 0.2, 0.01), (0.05, 0.2, 0.2), "not shown"),  # the exact test disagrees
        ((-0.1, 0.2, 0.01), (0.05, 0.2, 0.01), "not shown"),  # no better than the plain answer
        ((0.1, 0.2, 0.01), (-0.2, -0.1, 0.01), "against"),
    ],
)
def test_the_claim_needs_both_the_interval_and_the_exact_test(arm: ModuleType, plain, control, verdict: str) -> None:
    named = [dict(zip(("low", "high", "p"), one, strict=True)) for one in (plain, control)]
    assert arm._holds(*named) == verdict
