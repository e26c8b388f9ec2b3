"""Log-likelihood: read off what was generated, or computed exactly for what was not; both with the real model."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.answer.best_of_n import BestOfN
from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Sampling
from adhere.models.chat_text import chat_text
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, TokenLogprob
from adhere.score.likelihood import Likelihood
from adhere.score.resolve import resolve

ASKED = Instruction.of("Name a river.")
TOKENS = (TokenLogprob("The", -1.0), TokenLogprob(" Rhine", -2.0))


def scored(scorer: Likelihood, response: Response):
    return asyncio.run(scorer.score(ASKED, response))


def test_what_the_model_generated_is_read_not_computed() -> None:
    model = Model(Echo())  # which could compute nothing
    response = Response("The Rhine", model="echo", logprobs=TOKENS)
    assert scored(Likelihood(model), response).value == -1.5
    assert scored(Likelihood(model, average=False), response).value == -3.0
    assert scored(Likelihood(model), response).passed is None


def test_another_models_numbers_are_not_taken_for_this_ones() -> None:
    with pytest.raises(CapabilityError):
        scored(Likelihood(Model(Echo())), Response("The Rhine", model="other", logprobs=TOKENS))


def test_an_empty_answer_is_undecided() -> None:
    assert scored(Likelihood(Model(Echo())), Response("", model="echo", logprobs=())).value is None


def test_a_model_must_be_named_where_there_is_none() -> None:
    with pytest.raises(UsageError, match="likelihood needs a model"):
        resolve("likelihood")
    assert repr(resolve("likelihood(average=false)", Model(Echo()))) == "Likelihood('echo', average=False)"


@pytest.mark.weights
def test_the_exact_likelihood_equals_that_of_generation(smollm2) -> None:
    """Whatever the temperature: the numbers are the model's own, before it."""
    model = adhere.load("smollm2")
    other = Model(model.backend)
    drawings = [Sampling(temperature=t, max_tokens=12, top_logprobs=0) for t in (0.0, 0.5, 1.0)]

    async def both() -> list[tuple]:
        found = []
        for sampling in drawings:
            drawn = await model.generate(ASKED.messages, sampling)
            exact = await other.logprobs(chat_text(model, ASKED.messages), drawn.text)
            scorer = Likelihood(model, average=False)
            read = await scorer.score(ASKED, drawn)
            computed = await scorer.score(ASKED, Response(drawn.text, model=model.name))
            found.append((drawn, exact, read.value, computed.value))
        return found

    compared = 0
    for drawn, exact, read, computed in asyncio.run(both()):
        # Read again, a text may fall into other tokens than it was drawn in.
        if [t.token for t in drawn.logprobs] == [t.token for t in exact]:
            compared += 1
            # 8-bit activations differ between batches by some hundredths a token.
            assert read == pytest.approx(computed, rel=0.1)
    assert compared


@pytest.mark.weights
def test_the_conversation_reads_as_the_engine_reads_it(smollm2) -> None:
    model = adhere.load("smollm2", max_tokens=1)
    turns = (Message("system", "Be brief."), Message("user", "Hi"))
    text = chat_text(model, turns)
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    plain = Model(model.backend, sampling=model.sampling, chat=False)
    assert chat_text(plain, turns) == "Be brief.\nHi"

    async def prompts() -> list[int]:
        in_chat = await model.generate(turns)
        as_text = await plain.generate(text)
        return [in_chat.usage.prompt_tokens, as_text.usage.prompt_tokens]

    in_chat, as_text = asyncio.run(prompts())
    assert in_chat == as_text


@pytest.mark.weights
def test_best_of_n_by_likelihood_keeps_the_likeliest(smollm2) -> None:
    model = adhere.load("smollm2", max_tokens=8)
    response = asyncio.run(BestOfN(model, 3, "likelihood", temperature=1.5).answer(ASKED))
    values = [s["value"] for s in response.trace if s["step"] == "candidate"]
    chosen = next(s["index"] for s in response.trace if s["step"] == "choose")
    assert values[chosen] == max(values)
