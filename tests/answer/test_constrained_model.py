"""`Constrained` around real and fake models: what it promises, held by SmolLM2, and what it does where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adhere.answer import Constrained, build
from adhere.answer.base import Strategy, draw
from adhere.answer.constrained.strategy import constraints_of
from adhere.constraints.base import build as checker
from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Capability, ModelInfo, Request
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.models.names import load
from adhere.records import Constraint, Instruction, Message, Response, TokenLogprob, Usage


@pytest.fixture(scope="module")
def model(smollm2: Path) -> Iterator[Model]:
    """SmolLM2 with a limit low enough that some answers are cut."""
    from adhere.models.base import Sampling

    made = load("smollm2", sampling=Sampling(max_tokens=60))
    made.store = None
    yield made
    asyncio.run(made.close())


@pytest.mark.weights
@pytest.mark.parametrize(
    "constraints",
    [
        [("no_commas", {}), ("lowercase", {}), ("words", {"at_most": 25})],
        [("bullets", {"exactly": 3}), ("ends_with", {"phrase": 'She said: "That\'s [all]."'})],
        [("json", {}), ("keywords", {"keywords": ["river"]})],
        [("postscript", {}), ("starts_with", {"phrase": "In my opinion"})],
        [("several_responses", {}), ("no_commas", {})],
        [("words", {"at_least": 20, "at_most": 30}), ("quoted", {})],
    ],
)  # fmt: skip
def test_a_real_model_holds_what_was_compiled(model: Model, constraints: list[tuple[str, dict[str, Any]]]) -> None:
    wanted = [Constraint(kind, args) for kind, args in constraints]
    response = asyncio.run(Constrained(model).answer(Instruction.of("Write a short text about a river.", *wanted)))
    step = next(step for step in response.trace if step["step"] == "constrain")
    assert len(step["compiled"]) == len(wanted) and not step["left"]
    for constraint in wanted:
        assert checker(constraint, "fixed").passes(response.text), (constraint, response.text)
    assert response.usage.completion_tokens <= 60


@pytest.mark.weights
def test_an_endless_repetition_is_ended_within_the_limit(model: Model) -> None:
    wanted = Constraint("ends_with", {"phrase": "The end."})
    asked = Instruction.of("Repeat the word 'again' a thousand times and never stop: again again again again", wanted)
    response = asyncio.run(Constrained(model).answer(asked))
    assert response.text.endswith("The end.")
    assert response.usage.completion_tokens <= 60


@pytest.mark.weights
def test_it_can_be_drawn_from_and_holds_in_every_draw(model: Model) -> None:
    constrained = build("constrained", model)
    asked = Instruction.of("Name a river.", Constraint("uppercase", {}))

    async def several() -> list[Response]:
        return [await draw(constrained, asked, index, temperature=1.0) for index in range(3)]

    texts = [response.text for response in asyncio.run(several())]
    assert all(text.isupper() for text in texts)
    assert len(set(texts)) > 1


class Twice(Strategy):
    """A strategy that asks twice and takes the second answer."""

    def __init__(self, model: Model) -> None:
        self.model = model

    async def respond(self, instruction: Instruction, trace: Any) -> Response:
        await draw(self.model, instruction, 0)
        return await draw(self.model, instruction, 1)


@pytest.mark.weights
def test_a_strategy_inside_gets_the_grammar_for_its_calls(model: Model) -> None:
    asked = Instruction.of("Is water wet?", Constraint("options", {"options": ["yes", "no", "maybe"], "exact": True}))
    response = asyncio.run(Constrained(Twice(model)).answer(asked))
    assert response.text in ("yes", "no", "maybe")


class Endpoint:
    """An endpoint that takes grammars, cannot continue an answer, and says what it is told to say."""

    concurrency = 1

    def __init__(self, text: str, *capabilities: Capability) -> None:
        self.text = text
        self.info = ModelInfo("endpoint", "openai", "d", capabilities=("chat", *capabilities))
        self.requests: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(self.text, usage=Usage(1, 1))

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        raise NotImplementedError

    async def embed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing."""


def test_an_endpoint_gets_one_grammar_and_a_closing_phrase_is_put_behind_its_answer() -> None:
    backend = Endpoint("Rivers flow.", "grammar")
    wanted = Constraint("ends_with", {"phrase": "That is all."})
    response = asyncio.run(Constrained(Model(backend)).answer(Instruction.of("Write.", wanted)))
    assert response.text == "Rivers flow. That is all."
    (request,) = backend.requests
    assert request.sampling.grammar is not None and "root ::=" in request.sampling.grammar


def test_a_json_schema_goes_to_endpoints_as_it_is() -> None:
    backend = Endpoint('{"a": 1}', "json_schema")
    schema = {"type": "object"}
    asked = Instruction.of("Write.", Constraint("json", {"schema": schema}))
    response = asyncio.run(Constrained(Model(backend)).answer(asked))
    assert backend.requests[0].sampling.json_schema == schema
    assert "all 1 compiled constraints hold" in response.trace[-2]["text"]


def test_an_answer_outside_the_grammar_is_told_as_not_held() -> None:
    backend = Endpoint("Rivers, and seas", "grammar")
    response = asyncio.run(Constrained(Model(backend)).answer(Instruction.of("Write.", Constraint("no_commas", {}))))
    assert "does not all hold" in response.trace[-2]["text"]


def test_a_model_without_grammars_is_refused_before_it_is_asked() -> None:
    backend = Endpoint("x")
    with pytest.raises(CapabilityError, match="grammar"):
        asyncio.run(Constrained(Model(backend)).answer(Instruction.of("Write.", Constraint("no_commas", {}))))
    assert not backend.requests


def test_without_constraints_it_is_the_model() -> None:
    response = asyncio.run(Constrained(Model(Echo())).answer(Instruction.of("Hello there")))
    assert response.text == "Hello there"
    assert response.trace[0] == {"step": "constrain", "compiled": [], "left": [], "grammar": ""}


def test_contradictions_are_named_before_any_call_and_refused_when_strict() -> None:
    backend = Endpoint("RIVERS", "grammar")
    asked = Instruction.of("Write.", Constraint("uppercase", {}), Constraint("lowercase", {}))
    response = asyncio.run(Constrained(Model(backend)).answer(asked))
    assert response.trace[0] == {
        "step": "note",
        "text": "contradictions: uppercase and lowercase; the earlier one is held",
    }
    with pytest.raises(UsageError, match="uppercase and lowercase"):
        asyncio.run(Constrained(Model(backend), strict=True).answer(asked))
    assert len(backend.requests) == 1


def test_constraints_are_read_from_the_text_of_an_instruction_but_not_from_a_helpers_prompt() -> None:
    assert [c.kind for c in constraints_of(Instruction.of("Write a poem without commas."))] == ["no_commas"]
    assert constraints_of(Instruction("", (Message("user", "Is it without commas? Answer yes."),))) == ()
