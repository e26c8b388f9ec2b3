"""The digit judge on models whose probabilities are known, and on SmolLM2."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adhere.errors import CapabilityError, DataError, UsageError
from adhere.models.base import ModelInfo, Request
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, Score, TokenLogprob
from adhere.score.judges.digit import DigitJudge, prompt_for

QUESTION = Instruction("q1", (Message("user", "What is 2 + 2?"),), references=("4",))
ANSWER = Response("The answer is 4.")


class Tables:
    """A backend that says what it was told: first tokens with their probabilities, and those of continuations."""

    concurrency = 8

    def __init__(self, first: dict[str, float], continuations: dict[str, Sequence[float]] | None = None) -> None:
        self.first, self.continuations = first, continuations
        able = ["chat", "complete", "token_logprobs"] + ["logprobs"] * (continuations is not None)
        self.info = ModelInfo("tables", "fake", "0", capabilities=tuple(able))  # type: ignore[arg-type]
        self.prompts: list[str] = []

    async def generate(self, request: Request) -> Response:
        self.prompts.append(request.messages[-1].text)
        top = tuple((token, math.log(p)) for token, p in self.first.items())
        return Response(top[0][0], logprobs=(TokenLogprob(*top[0], top=top),))

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        assert self.continuations is not None
        return tuple(TokenLogprob("x", math.log(p)) for p in self.continuations[continuation.strip()])

    async def embed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def judged(backend: Tables, chat: bool = True, question: Instruction = QUESTION, **options: Any) -> Score:
    judge = DigitJudge(Model(backend, chat=chat), **options)
    return asyncio.run(judge.score(question, ANSWER))


def test_the_grade_is_the_mean_of_the_digits_by_their_probability() -> None:
    found = judged(Tables({"9": 0.3, "The": 0.4, " 3": 0.1}))
    assert found.value == pytest.approx((9 * 0.3 + 3 * 0.1) / 0.4)
    assert found.passed is None
    assert "likeliest 9" in found.reason


def test_no_likely_digit_leaves_the_answer_unscored_and_shows_what_came_instead() -> None:
    found = judged(Tables({"Sure": 0.999, "7": 1e-9}))
    assert (found.value, found.passed) == (None, None)
    assert "'Sure'" in found.reason


def test_the_reference_is_in_view_only_where_asked_for() -> None:
    backend = Tables({"5": 1.0})
    judged(backend, with_reference=True)
    judged(backend)
    seen, unseen = backend.prompts
    assert "[Reference]\n4\n" in seen
    assert "eference" not in unseen


def test_a_row_without_a_reference_is_named() -> None:
    with pytest.raises(DataError, match="'q7'"):
        judged(Tables({"5": 1.0}), with_reference=True, question=Instruction.of("Hello?", id="q7"))


def test_digits_that_are_no_single_tokens_are_scored_as_continuations() -> None:
    pieces = {str(n): [0.5, 0.01] for n in range(10)} | {"8": [0.5, 0.11]}
    found = judged(Tables({" ": 0.97, "7": 0.01}, pieces), chat=False)
    assert found.value == pytest.approx((8 * 0.11 + 0.01 * sum(n for n in range(10) if n != 8)) / 0.2)


def test_an_unlikely_digit_that_is_a_single_token_counts_as_nothing() -> None:
    found = judged(Tables({"7": 0.01, "no": 0.9}, {str(n): [0.1] for n in range(10)}), chat=False)
    assert found.value == pytest.approx(7)


def test_grades_that_begin_alike_are_scored_whole() -> None:
    shares = {str(n): [0.01] for n in range(11)} | {"10": [0.01, 0.5], "1": [0.0001]}
    found = judged(Tables({"1": 1.0}, shares), chat=False, scale=(0, 10))
    mass = 0.01 * 9 + 0.005 + 0.0001
    assert found.value == pytest.approx((0.01 * sum(range(2, 10)) + 10 * 0.005 + 0.0001) / mass)
    with pytest.raises(CapabilityError, match="not single tokens"):
        judged(Tables({"1": 1.0}, shares), scale=(0, 10))


@pytest.mark.parametrize("scale", [(3, 3), (9, 0), (0,), (-1, 5), (0, 1000), (0, "9")])
def test_a_scale_that_is_none_is_refused(scale: Any) -> None:
    with pytest.raises(UsageError, match="scale"):
        DigitJudge(Model(Tables({"1": 1.0})), scale=scale)


def test_braces_in_an_answer_mean_nothing() -> None:
    prompt = prompt_for(QUESTION, "{reference} {question}", (0, 9), with_reference=False)
    assert "[Answer]\n{reference} {question}\n" in prompt
    assert prompt.endswith("### Response:\n")


@pytest.mark.weights
@pytest.mark.parametrize("chat", [True, False])
def test_smollm2_gives_grades_on_the_scale(smollm2: Path, chat: bool) -> None:
    import adhere

    async def main() -> list[Score]:
        judge = DigitJudge(adhere.load("smollm2", store=None, chat=chat), with_reference=True)
        answers = ("The answer is 4.", "Bananas grow on trees.", "4")
        return [await judge.score(QUESTION, Response(text)) for text in answers]

    found = asyncio.run(main())
    assert all(score.value is not None and 0 <= score.value <= 9 for score in found)
    assert len({score.value for score in found}) == 3
