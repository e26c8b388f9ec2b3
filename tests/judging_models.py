"""Backends for tests of judges: each sees the prompt and says what a rule makes of it, in the ways that it can."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from adhere.errors import ContextError
from adhere.models.base import Capability, ModelInfo, Request
from adhere.models.model import Model
from adhere.models.openai_wire import EndpointError
from adhere.records import Response, TokenLogprob

Rule = Callable[[str], dict[str, float]]  # the prompt → probabilities of first tokens


class Judging:
    """A backend that answers verdict questions by a rule.

    Args:
        rule: What it thinks.
        can: Its ways: "token_logprobs", "json_schema", "grammar"; prose it can always write.
        refuses: Ways that it claims and refuses with a 400.
        silent: Claims log-probabilities and leaves them out.
        prose: What it writes where no verdict is asked for; {verdict} is its likeliest label.
        context: Longest prompt that it takes, in characters.
    """

    concurrency = 4

    def __init__(
        self,
        rule: Rule,
        can: tuple[Capability, ...] = ("token_logprobs",),
        refuses: tuple[str, ...] = (),
        silent: bool = False,
        prose: str = "My verdict: {verdict}",
        context: int = 10**9,
    ) -> None:
        self.info = ModelInfo("judging", "openai", "0", capabilities=tuple(sorted({"chat", "complete", "seed", *can})))
        self.rule, self.refuses, self.silent, self.prose, self.context = rule, refuses, silent, prose, context
        self.requests: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        prompt = "\n\n".join(m.text for m in request.messages)
        if len(prompt) > self.context:
            raise ContextError("too long")
        way = self._way(request)
        if way in self.refuses:
            raise EndpointError(400, f"{way} is not supported")
        if way == "prose" and "{verdict}" not in self.prose:
            return Response(self.prose)
        thought = self.rule(prompt)
        likeliest = max(thought, key=thought.__getitem__)
        if way == "logprobs":
            top = tuple((token, math.log(p)) for token, p in thought.items() if p > 0)
            given = None if self.silent else (TokenLogprob(likeliest, 0.0, top),)
            return Response(likeliest, logprobs=given)
        if way == "json_schema":
            return Response(json.dumps({"verdict": likeliest}))
        if way == "grammar":
            return Response(likeliest)
        return Response(self.prose.format(verdict=likeliest))

    def _way(self, request: Request) -> str:
        s = request.sampling
        if s.top_logprobs is not None:
            return "logprobs"
        return "json_schema" if s.json_schema is not None else "grammar" if s.grammar is not None else "prose"

    async def logprobs(self, prompt: str, continuation: str) -> Any:
        raise NotImplementedError

    async def embed(self, texts: Any) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def judging(rule: Rule, **options: Any) -> Model:
    """A model around it, without a store."""
    return Model(Judging(rule, **options))


def prefers(good: str, sure: float = 0.9, first: float = 0.0) -> Rule:
    """A judge of pairs that likes the answer which holds `good`, and adds `first` to whatever stands first."""

    def rule(prompt: str) -> dict[str, float]:
        a = prompt.split("[Answer A]")[1].split("[Answer B]")[0]
        p = (sure if good in a else 1 - sure) + first
        p = min(max(p, 0.01), 0.99)
        return {"A": p, "B": 1 - p}

    return rule
