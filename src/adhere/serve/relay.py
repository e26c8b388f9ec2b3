"""How a request to another server's model is passed on, and what is added to its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from adhere.models.hierarchy import render_documents
from adhere.records import Instruction, to_builtins
from adhere.serve.constraints_body import Wishes
from adhere.serve.errors import ApiError
from adhere.serve.guard import Call
from adhere.serve.job import messages_of, with_documents
from adhere.serve.local import noted
from adhere.serve.openai_schema import ChatRequest, CompletionRequest, rewritten
from adhere.serve.served import Served
from adhere.serve.settings import Settings
from adhere.serve.stream import DONE, event
from adhere.serve.upstream import Answered, Upstream

__all__ = ["Passing"]

OURS = ("constraints", "documents", "adhere")
LIMITS = ("max_completion_tokens", "max_tokens")


class Passing:
    """One request on its way to another server and back.

    Args:
        upstream: The client.
        call: For counting.
        served: Whose server.
        asked: The request.
        body: The same as it came.
        wishes: What answers are held against.
        settings: For the token limit.

    Raises:
        ApiError: 400 for a limit that is exceeded, documents that cannot be placed, or an `echo` that streams.
    """

    def __init__(
        self,
        upstream: Upstream,
        call: Call,
        served: Served,
        asked: ChatRequest | CompletionRequest,
        body: bytes,
        wishes: Wishes,
        settings: Settings,
    ) -> None:
        assert served.endpoint is not None
        self.upstream = upstream
        self.call = call
        self.endpoint = served.endpoint
        self.asked = asked
        self.wishes = wishes
        self.flags: list[dict[str, Any]] = []
        self.path = "/chat/completions" if isinstance(asked, ChatRequest) else "/completions"
        changes: dict[str, Any] = {name: None for name in OURS if getattr(asked, name) not in (None, msgspec.UNSET)}
        if asked.model != self.endpoint.model:
            changes["model"] = self.endpoint.model
        if asked.documents:
            changes["messages"] = self._with_documents()
        if settings.max_tokens is not None:
            changes |= self._limited(settings.max_tokens)
        if isinstance(asked, CompletionRequest) and asked.echo and asked.stream:
            raise ApiError(400, "echo is not streamed: whether it is right shows only in the whole", param="echo")
        self.body = rewritten(body, changes) if changes else body

    async def reply(self) -> bytes:
        """The other server's answer; with verdicts in it where the request brought constraints."""
        raw, answer = await self.upstream.post(self.endpoint, self.path, self.body, self.call)
        if isinstance(self.asked, CompletionRequest) and self.asked.echo:
            _check_echo(answer, self.asked)
        texts = {choice.index: choice.said for choice in answer.choices or ()}
        if self.call.said is not None:
            self.call.said["answered"] = list(texts.values())
        if not self._adds:
            return raw
        return rewritten(raw, {"adhere": self._note(texts)})

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The other server's events, then one with the verdicts where the request brought constraints."""
        texts: dict[int, list[str]] = {}
        async for events in self.upstream.stream(self.endpoint, self.path, self.body, self.call, texts):
            yield events
        whole = {index: "".join(pieces) for index, pieces in sorted(texts.items())}
        if self.call.said is not None:
            self.call.said["answered"] = list(whole.values())
        if self._adds:
            kind = "chat.completion.chunk" if isinstance(self.asked, ChatRequest) else "text_completion"
            frame = {"id": f"adhere-{self.call.id}", "object": kind, "created": 0, "model": self.asked.model}
            note = self._note(whole or {0: ""})
            yield event(frame | {"choices": [], "adhere": note})
        yield DONE

    @property
    def _adds(self) -> bool:
        return bool(self.wishes.constraints or self.flags)

    def _note(self, texts: Mapping[int, str]) -> dict[str, Any]:
        verdicts = [v for index, text in sorted(texts.items()) for v in self.wishes.verdicts(text, index)]
        return noted(self.call, verdicts, self.wishes, self.flags)

    def _with_documents(self) -> list[Any]:
        """The messages with the documents in them."""
        if not isinstance(self.asked, ChatRequest):
            raise ApiError(400, "documents belong to chats", code="unsupported_parameter", param="documents")
        documents, self.flags = with_documents(self.asked)
        instruction = Instruction("", messages_of(self.asked.messages), documents=documents)
        return [to_builtins(m) for m in render_documents(instruction).messages]

    def _limited(self, most: int) -> dict[str, Any]:
        """The changes that keep the answer below the limit."""
        if self.asked.limit is not None and self.asked.limit > most:
            said = f"max_tokens is at most {most} here, not {self.asked.limit}"
            raise ApiError(400, said, code="max_tokens", param="max_tokens")
        # Said again even where it was given: a repeated field might mean one thing to us and another to them.
        named = "max_tokens" if self.path == "/completions" or self.asked.limit is None else _limit_name(self.asked)
        return dict.fromkeys(LIMITS) | {named: self.asked.limit if self.asked.limit is not None else most}


def _limit_name(asked: ChatRequest | CompletionRequest) -> str:
    newer = isinstance(asked, ChatRequest) and asked.max_completion_tokens is not None
    return "max_completion_tokens" if newer else "max_tokens"


class _Scored(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []


def _check_echo(answer: Answered, asked: CompletionRequest) -> None:
    """Make sure that the other server did echo: llama-server accepts `echo` and does something else, silently.

    Where log-probabilities were asked for, their tokens must spell the prompt; token ids cannot be compared with text:
    then there must be as many tokens, the first, which nothing stands before, without a log-probability. Otherwise the
    answer's text must begin with the prompt.

    Raises:
        ApiError: 400, if it did not.
    """
    prompts = asked.prompt if isinstance(asked.prompt, list) and not _is_ids(asked.prompt) else [asked.prompt]
    choices = answer.choices or []
    for choice in choices:
        prompt = prompts[min(choice.index // max(1, asked.n or 1), len(prompts) - 1)]
        if asked.logprobs is not None:
            right = _spells(choice.logprobs, prompt)
        else:
            right = not isinstance(prompt, str) or choice.said.startswith(prompt)
        if not right:
            said = "the upstream takes 'echo' and does not do it: it would give log-probabilities of other text"
            raise ApiError(400, said, code="unsupported_parameter", param="echo")


def _is_ids(prompt: list[Any]) -> bool:
    return bool(prompt) and isinstance(prompt[0], int)


def _spells(logprobs: msgspec.Raw | msgspec.UnsetType, prompt: Any) -> bool:
    try:
        found = msgspec.json.decode(b"{}" if logprobs is msgspec.UNSET else logprobs, type=_Scored)
    except msgspec.DecodeError:
        return False
    if not isinstance(prompt, str):
        return len(found.tokens) >= len(prompt) and found.token_logprobs[:1] == [None]
    text = "".join(found.tokens)
    # A beginning-of-text token may be spelt out before the text.
    return text.startswith(prompt) or "".join(found.tokens[1:]).startswith(prompt)
