"""Answers of a wanted length from a model tuned with meta length tokens (Ruler; Li et al. 2024, arXiv 2409.18943).

`adhere.train.ruler.fit` makes such a model; this strategy puts the token of the wanted length at the start of the
assistant's turn. Without a wanted length the model writes a token itself, and the trace tells which.

Differences: the authors stop at any further length token, which no text of the model shows here, so that none can be
written instead; and a length between the tokens goes to the nearest token, which the trace says. Not covered: models
that take no new tokens (GGUF files, endpoints), for which there is `LengthControl`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from adhere.answer.base import Strategy, Trace, base_model, draw, retold
from adhere.constraints.ruler import word_count
from adhere.engine import context
from adhere.errors import CapabilityError, UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["Ruler", "length_tokens", "nearest"]

_TOKEN = re.compile(r"\[MLT:(>?)(\d+)\]")
NEVER = -100.0  # natural-log odds
TOKENS_PER_WORD = 1.3  # of English: below this many tokens a target cannot be met


@register("ruler", paper="ruler")
class Ruler(Strategy):
    """About so many words, from a model that `adhere.train.ruler.fit` tuned.

    Args:
        model: What answers, around a model opened from the tuned folder.
        words: How many; None lets the model choose.
        strict: Refuse a number of words that has no token, instead of taking the nearest.
    """

    def __init__(self, model: Answerer, words: int | None = None, strict: bool = False) -> None:
        if words is not None and words < 1:
            raise UsageError(f"words must be at least 1, not {words}")
        self.model = model
        self.words = words
        self.strict = strict

    async def check(self) -> None:
        """Make sure that the model knows length tokens, and the wanted one where `strict`, before a run.

        Raises:
            CapabilityError, UsageError: saying what to do.
        """
        await super().check()
        self._token()

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call; the trace's step `length` holds the token, whose choice it was, and the words that came."""
        token = self._token()
        if token is None:
            response, chosen = await self._self_chosen(instruction)
            trace.add("length", asked=None, token=chosen, by="model", words=word_count(response.text))
            return response
        target = length_tokens(base_model(self))[token]
        if str(self.words) != target:
            trace.add("note", text=f"{self.words} words: the nearest length token is {token}")
        limit = context.current().overrides.get("max_tokens", self.sampling.max_tokens)
        if limit < TOKENS_PER_WORD * int(target.lstrip(">")):
            trace.add("note", text=f"max_tokens is {limit}: too few for {target} words")
        turns = (*instruction.messages, Message("assistant", token))
        response = await draw(self.model, retold(instruction, *turns), logit_bias=self._banned())
        trace.add("length", asked=self.words, token=token, by="user", words=word_count(response.text))
        return response

    async def _self_chosen(self, instruction: Instruction) -> tuple[Response, str | None]:
        """The answer, and the length token that the model began with, if it did."""
        wanted = context.current().overrides.get("top_logprobs", self.sampling.top_logprobs)
        # Special tokens are no part of the text; the log-probabilities name them.
        response = await draw(self.model, instruction, top_logprobs=wanted or 0)
        first = response.logprobs[0].token if response.logprobs else ""
        chosen = first if _TOKEN.fullmatch(first) else None
        return (msgspec.structs.replace(response, logprobs=None) if wanted is None else response), chosen

    def _token(self) -> str | None:
        """The token to force; None where the model shall choose."""
        known = length_tokens(base_model(self))
        if self.words is None:
            return None
        token = nearest(self.words, known)
        if self.strict and str(self.words) != known[token]:
            raise UsageError(
                f"no length token for {self.words} words",
                hint=f"There are: {', '.join(known.values())}; or strict=false",
            )
        return token

    def _banned(self) -> dict[str, float]:
        """Every length token, which the rest of the answer must not hold, and what strategies around this one set."""
        outer = context.current().overrides.get("logit_bias") or {}
        return {**outer, **dict.fromkeys(length_tokens(base_model(self)), NEVER)}


def nearest(words: int, known: dict[str, str]) -> str:
    """The token whose target is nearest; the shorter of two. `>800` counts as 800, and as reached above it."""

    def distance(token: str) -> tuple[int, int]:
        found = _TOKEN.fullmatch(token)
        assert found is not None, token
        number = int(found[2])
        return (0 if found[1] and words > number else abs(words - number)), number

    return min(known, key=distance)


def length_tokens(model: Model) -> dict[str, str]:
    """The length tokens of a model's tokenizer and their targets, shortest first.

    Raises:
        CapabilityError: if the model can have none, has none, or its tokenizer cuts one to pieces.
    """
    tokenizer: Any = getattr(model.backend, "tokenizer", None)
    if tokenizer is None:
        raise CapabilityError(
            f"'{model.name}' ({model.info.engine}) takes no new tokens, so that it cannot know length tokens",
            hint="Open the folder that adhere.train.ruler.fit wrote, or use length_control, which needs no tuning",
        )
    found = [m for m in map(_TOKEN.fullmatch, tokenizer.get_added_vocab()) if m is not None]
    if not found:
        raise CapabilityError(
            f"'{model.name}' has no length tokens",
            hint="Tune it with adhere.train.ruler.fit, or use length_control, which needs no tuning",
        )
    split = [m[0] for m in found if len(_ids(tokenizer, m[0])) != 1]
    if split:
        raise CapabilityError(
            f"the tokenizer of '{model.name}' cuts {split[0]} into {len(_ids(tokenizer, split[0]))} tokens",
            hint="The token was not added as a special one; tune with adhere.train.ruler.fit",
        )
    return {m[0]: m[1] + m[2] for m in sorted(found, key=lambda m: (int(m[2]), m[1]))}


def _ids(tokenizer: Any, text: str) -> Sequence[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
