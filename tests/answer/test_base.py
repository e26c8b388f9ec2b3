"""Strategies: nesting, cost, texts."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.answer.base import Strategy, base_model, draw
from adhere.errors import UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Response, Usage


class Twice(Strategy):
    def __init__(self, model, times: int = 2, note: str = "") -> None:
        self.model = model
        self.times = times
        self.note = note

    async def respond(self, instruction, trace):
        for index in range(self.times):
            last = await draw(self.model, instruction, index)
            trace.add("draft", text=last.text)
        return last


def test_a_strategy_reports_the_cost_and_the_way_of_its_answer():
    response = asyncio.run(Twice(Model(Echo()), 3).answer(Instruction.of("a b")))
    assert response.usage == Usage(6, 6)
    assert [s["step"] for s in response.trace] == ["draft"] * 3 + ["cost"]
    assert response.trace[-1] == {"step": "cost", "calls": 3, "prompt_tokens": 6, "completion_tokens": 6}


def test_nested_strategies_count_everything():
    nested = Twice(Twice(Model(Echo()), 3))
    response = asyncio.run(nested.answer(Instruction.of("a")))
    assert response.trace[-1]["calls"] == 6
    assert nested.info.name == "echo"
    assert repr(nested) == "Twice(Twice('echo', times=3))"


def test_base_model_needs_a_model():
    class Bare:
        async def answer(self, instruction):
            return Response("x")

    with pytest.raises(UsageError, match="no model inside"):
        base_model(Twice(Bare()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("decrimm", "position 1: there is no strategy 'decrimm'. Did you mean 'decrim'"),
        ("best_of_n(best_of(n=2))", "best_of"),
        ("best_of_n(m=2)", "position 11: unknown argument 'm'"),
        ("best_of_n(n=four)", "position 11: n='four' is not int"),
        ("best_of_n(scorer=constrants)", "constraints"),
    ],
)
def test_a_wrong_strategy_names_position_and_suggestion(text, said):
    with pytest.raises(adhere.errors.AdhereError) as caught:
        adhere.answer.build(text, Model(Echo()))
    assert said in str(caught.value)


def test_plain_is_the_model_itself():
    model = Model(Echo())
    assert adhere.answer.build("plain", model) is model
