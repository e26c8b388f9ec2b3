"""The strategy `ruler`: which token is forced, what is told, and what is refused with advice."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from adhere.answer import build
from adhere.answer.ruler import Ruler, length_tokens, nearest
from adhere.errors import CapabilityError, UsageError
from adhere.models.base import ModelInfo, Request, Sampling
from adhere.models.model import Model
from adhere.records import Instruction, Response, TokenLogprob

KNOWN = {"[MLT:10]": "10", "[MLT:30]": "30", "[MLT:150]": "150", "[MLT:>800]": ">800"}


class Tokenizer:
    """What the strategy asks of a tokenizer."""

    def __init__(self, added: list[str], split: bool = False) -> None:
        self.added = added
        self.split = split

    def get_added_vocab(self) -> dict[str, int]:
        return {token: n for n, token in enumerate([*self.added, "<|im_end|>"])}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [1, 2, 3] if self.split else [1]}


class Tuned:
    """A backend that writes down what it was asked."""

    concurrency = 4
    info = ModelInfo("tuned", "fake", "0", capabilities=("chat", "logit_bias", "token_logprobs"))

    def __init__(self, tokenizer: Tokenizer | None, first: str = "[MLT:30]") -> None:
        self.tokenizer = tokenizer
        self.first = first
        self.asked: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.asked.append(request)
        logprobs = (TokenLogprob(self.first, -0.1), TokenLogprob("Yes", -0.2))
        return Response("Yes it is.", logprobs=logprobs if request.sampling.top_logprobs is not None else None)

    async def close(self) -> None:
        self.tokenizer = None


def asked(words: int | None, strict: bool = False, **sampling: Any) -> tuple[Tuned, Response]:
    backend = Tuned(Tokenizer(list(KNOWN)))
    model = Model(backend, sampling=Sampling(**sampling))  # type: ignore[arg-type]
    response = asyncio.run(Ruler(model, words, strict).answer(Instruction.of("Is it?")))
    return backend, response


@pytest.mark.parametrize(
    ("words", "token"),
    [(10, "[MLT:10]"), (1, "[MLT:10]"), (20, "[MLT:10]"), (21, "[MLT:30]"), (90, "[MLT:30]"), (91, "[MLT:150]"),
     (500, "[MLT:>800]"), (800, "[MLT:>800]"), (9000, "[MLT:>800]")],
)  # fmt: skip
def test_the_nearest_token_is_taken_the_shorter_of_two(words: int, token: str) -> None:
    assert nearest(words, KNOWN) == token


def test_the_token_opens_the_assistants_turn_and_no_other_one_may_follow() -> None:
    backend, response = asked(30)
    (request,) = backend.asked
    assert [(m.role, m.text) for m in request.messages] == [("user", "Is it?"), ("assistant", "[MLT:30]")]
    assert request.sampling.logit_bias == dict.fromkeys(KNOWN, -100.0)
    assert response.trace[0] == {"step": "length", "asked": 30, "token": "[MLT:30]", "by": "user", "words": 3}


def test_a_length_between_the_tokens_is_told_or_refused() -> None:
    _, response = asked(40)
    assert response.trace[0] == {"step": "note", "text": "40 words: the nearest length token is [MLT:30]"}
    with pytest.raises(UsageError, match=r"no length token for 40 words. There are: 10, 30, 150, >800"):
        asked(40, strict=True)


def test_a_limit_below_what_the_target_needs_is_told() -> None:
    _, response = asked(150, max_tokens=128)
    assert response.trace[0] == {"step": "note", "text": "max_tokens is 128: too few for 150 words"}
    _, response = asked(30, max_tokens=128)
    assert [step["step"] for step in response.trace] == ["length", "cost"]


def test_without_a_number_the_models_own_choice_is_read_off_its_first_token() -> None:
    backend, response = asked(None)
    assert [m.role for m in backend.asked[0].messages] == ["user"]
    assert response.trace[0] == {"step": "length", "asked": None, "token": "[MLT:30]", "by": "model", "words": 3}
    assert response.logprobs is None  # nobody asked for them
    model = Model(Tuned(Tokenizer(list(KNOWN)), first="Well"))  # type: ignore[arg-type]
    assert asyncio.run(Ruler(model).answer(Instruction.of("Is it?"))).trace[0]["token"] is None


def test_a_log_probability_that_was_asked_for_is_kept() -> None:
    _, response = asked(None, top_logprobs=0)
    assert response.logprobs is not None


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        (None, "takes no new tokens.*length_control"),
        (Tokenizer([]), "has no length tokens.*adhere.train.ruler.fit"),
        (Tokenizer(list(KNOWN), split=True), r"cuts \[MLT:10\] into 3 tokens"),
    ],
)
def test_models_without_length_tokens_are_refused_with_advice(tokenizer: Tokenizer | None, said: str) -> None:
    backend = Tuned(tokenizer)
    for strategy in (Ruler(Model(backend), 30), Ruler(Model(backend))):  # type: ignore[arg-type]
        with pytest.raises(CapabilityError, match=said):
            asyncio.run(strategy.check())
        with pytest.raises(CapabilityError, match=said):
            asyncio.run(strategy.answer(Instruction.of("Is it?")))
    assert not backend.asked


@pytest.mark.weights
def test_a_gguf_model_is_refused(smollm2: Any) -> None:
    from adhere.models.llamacpp import LlamaCpp

    model = Model(LlamaCpp(smollm2, name="smollm2", slots=1))
    with pytest.raises(CapabilityError, match=r"'smollm2' \(llama.cpp\) takes no new tokens"):
        asyncio.run(Ruler(model, 30).check())
    asyncio.run(model.close())


def test_it_is_built_from_text_and_says_how() -> None:
    model = Model(Tuned(Tokenizer(list(KNOWN))))  # type: ignore[arg-type]
    assert repr(build("ruler(words=30)", model)) == "Ruler('tuned', words=30)"
    assert list(length_tokens(model).values()) == ["10", "30", "150", ">800"]
    with pytest.raises(UsageError, match="at least 1"):
        build("ruler(words=0)", model)


def test_a_ban_that_was_set_around_it_stays() -> None:
    from adhere.engine import context

    backend = Tuned(Tokenizer(list(KNOWN)))
    with context.drawing(logit_bias={"no": -5.0}):
        asyncio.run(Ruler(Model(backend), 30).answer(Instruction.of("Is it?")))  # type: ignore[arg-type]
    assert msgspec.structs.asdict(backend.asked[0].sampling)["logit_bias"]["no"] == -5.0
