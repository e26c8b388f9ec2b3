"""Judges for tests: each sees the prompt and says what a rule makes of it, in the ways that it can.

`judging` is a model in this process, `hosted` what a server behind HTTP answers (`misbehaving.Misbehaving.answer`).
"""

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


def hosted(
    rule: Rule,
    refuses: tuple[str, ...] = (),
    silent: bool = False,
    prose: str = "My verdict: {verdict}",
    context: int = 10**9,
    cut: tuple[str, ...] = (),
) -> Callable[[dict[str, Any]], Any]:
    """The answers of a chat server that judges by a rule: JSON, or (status, JSON) where it refuses.

    Args:
        rule, prose, context: As `Judging`'s.
        refuses: Ways that it refuses with a 400: "logprobs", "json_schema", "prose".
        silent: It takes `logprobs` and answers null.
        cut: Ways whose answers the token limit cuts in half.
    """

    def answer(body: dict[str, Any]) -> Any:
        way = "logprobs" if body.get("logprobs") else "json_schema" if "response_format" in body else "prose"
        prompt = "\n\n".join(m["content"] for m in body["messages"])
        if len(prompt) > context:
            said = {"message": "This model's maximum context length is 99 tokens", "code": "context_length_exceeded"}
            return 400, {"error": said}
        if way in refuses:
            return 400, {"error": {"message": f"{way} is not supported"}}
        thought = rule(prompt)
        verdict = max(thought, key=thought.__getitem__)
        texts = {"logprobs": verdict, "json_schema": json.dumps({"verdict": verdict})}
        text = texts.get(way) or prose.format(verdict=verdict)
        text = text[: len(text) // 2] if way in cut else text
        choice = {"message": {"content": text}, "finish_reason": "length" if way in cut else "stop", "logprobs": None}
        if way == "logprobs" and not silent:
            top = [{"token": token, "logprob": math.log(p)} for token, p in thought.items() if p > 0]
            choice["logprobs"] = {"content": [{"token": verdict, "logprob": 0.0, "top_logprobs": top}]}
        return {"model": body["model"], "choices": [choice], "usage": {}}

    return answer
