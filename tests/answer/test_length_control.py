"""The strategy `length_control`: by rules where the engine has them, by cutting and continuing elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.answer import build
from adhere.answer.length_control import ROUNDS, LengthControl, trimmed
from adhere.constraints.ruler import word_count
from adhere.engine import context
from adhere.errors import UsageError
from adhere.models.base import Capability, ModelInfo, Request, Rules
from adhere.models.model import Model
from adhere.records import Instruction, Response

THREE = "One two three. Four five six seven. Eight nine."


class Engine:
    """A backend that writes prepared answers, one after the other, and what it was asked."""

    concurrency = 4

    def __init__(self, *answers: str, capabilities: tuple[Capability, ...] = ("chat",)) -> None:
        self.info = ModelInfo("some", "fake", "0", capabilities=capabilities)
        self.answers = list(answers)
        self.asked: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


def answer(engine: Engine, words: int, told: bool = True) -> Response:
    strategy = LengthControl(Model(engine), words, told=told)  # type: ignore[arg-type]
    return asyncio.run(strategy.answer(Instruction.of("Count.")))


def test_an_engine_with_rules_gets_them_in_one_call_with_room_to_end() -> None:
    engine = Engine("Fine.", capabilities=("chat", "rules"))
    answer(engine, 50)
    (request,) = engine.asked
    assert request.sampling.rules == Rules(words=(43, 57))
    assert request.sampling.max_tokens >= 100
    assert request.messages[0].text == "Count.\nThe response should have a word count of 50 words."


def test_rules_around_it_are_kept() -> None:
    engine = Engine("Fine.", capabilities=("chat", "rules", "diversity"))
    with context.drawing(rules=Rules(diversity=-1.5)):
        answer(engine, 50, told=False)
    assert engine.asked[0].sampling.rules == Rules(diversity=-1.5, words=(43, 57))
    assert engine.asked[0].messages[0].text == "Count."


def test_a_long_answer_is_cut_at_the_sentence_end_nearest_to_the_target() -> None:
    engine = Engine("One two three. Four five six seven. Eight nine ten eleven twelve.")
    assert answer(engine, 8).text == "One two three. Four five six seven."
    assert len(engine.asked) == 1


def test_a_short_answer_is_continued_until_it_is_long_enough() -> None:
    engine = Engine("One two three.", "Four five six seven.", "Never asked.")
    response = answer(engine, 7)
    assert response.text == "One two three. Four five six seven."
    assert [m.role for m in engine.asked[1].messages] == ["user", "assistant", "user"]
    assert engine.asked[1].messages[1].text == "One two three."
    assert "about 4 more words" in engine.asked[1].messages[2].text
    assert [s["step"] for s in response.trace] == ["draft", "draft", "length", "cost"]
    assert response.trace[2] == {"step": "length", "asked": 7, "by": "budget", "words": 7}


def test_a_model_that_has_nothing_more_to_say_is_not_asked_for_ever() -> None:
    engine = Engine("One two three.", "")
    assert answer(engine, 70).text == "One two three."
    assert len(engine.asked) == 2
    stubborn = Engine("Yes.")
    assert answer(stubborn, 70).text == "Yes. Yes. Yes. Yes."
    assert len(stubborn.asked) == ROUNDS


@pytest.mark.parametrize(
    ("words", "most", "expected"),
    [
        (3, 4, "One two three."),
        (5, 7, "One two three."),  # 3 is nearer to 5 than 7 by nothing: the first
        (6, 8, "One two three. Four five six seven."),
        (9, 12, THREE),
        (2, 2, "One two"),  # no sentence ends in time
    ],
)
def test_where_a_text_is_cut(words: int, most: int, expected: str) -> None:
    assert trimmed(THREE, words, most) == expected


def test_a_sentence_that_the_token_limit_cut_off_is_left_out_where_another_ends() -> None:
    assert trimmed("One two three. Four five six and", 6, 8) == "One two three."
    assert trimmed("One two three four", 6, 8) == "One two three four"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab .!?\n1", max_size=120), st.integers(1, 20), st.integers(0, 5))
def test_a_cut_text_is_a_beginning_and_never_too_long(text: str, words: int, more: int) -> None:
    found = trimmed(text, words, words + more)
    assert text.strip().startswith(found)
    assert word_count(found) <= words + more


def test_it_is_built_from_text_and_refuses_nonsense() -> None:
    model = Model(Engine("Fine."))  # type: ignore[arg-type]
    built = build("length_control(words=10, slack=0.2)", model)
    assert isinstance(built, LengthControl)
    assert built.bounds == (8, 12)
    assert LengthControl(model, 1).bounds == (1, 1)
    for text in ("length_control(words=0)", "length_control(words=5, slack=1)"):
        with pytest.raises(UsageError):
            build(text, model)


@pytest.mark.weights
def test_the_real_model_keeps_to_a_length_through_llama_cpp(smollm2: Path) -> None:
    from adhere.models.llamacpp import LlamaCpp

    model = Model(LlamaCpp(smollm2, name="smollm2", slots=2, context=512))
    instruction = Instruction.of("Tell me about rivers.")
    found = [asyncio.run(LengthControl(model, n, told=False).answer(instruction)) for n in (20, 40)]
    assert all(word_count(r.text) <= 1.15 * n for r, n in zip(found, (20, 40), strict=True))
    assert all(r.text.rstrip().endswith((".", "!", "?")) for r in found)
    asyncio.run(model.close())
