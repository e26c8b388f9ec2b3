"""The OpenAI wire format: what a `Request` looks like as JSON, and what the server's JSON means.

Pure functions, no sockets: `openai_http` sends and receives. Servers differ in what they take beyond OpenAI's own
fields and in what they do by default, which is the table `FLAVOURS`; an unknown server gets OpenAI's fields alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from adhere.errors import CapabilityError, ModelError
from adhere.models.base import Capability, Request, Sampling
from adhere.records import ImagePart, Response, TokenLogprob, Usage, to_builtins

__all__ = [
    "COMMON",
    "FLAVOURS",
    "EndpointError",
    "Flavour",
    "body_of",
    "plain_text",
    "response_of",
    "retry_after_of",
    "scored_continuation",
    "server_message",
    "too_long",
]

# What every server that claims this format offers; the rest is in the flavours, or proved by a probe.
COMMON: tuple[Capability, ...] = ("chat", "complete", "json_schema", "seed", "stop", "token_logprobs")
LONGEST_REFUSAL = 10_000  # bytes of an error body that are searched for its kind
# OpenAI's code and llama-server's type; then the sentences of OpenAI, vLLM, SGLang, llama-server, Anthropic.
_TOO_LONG = re.compile(
    rb"context_length_exceeded|exceed_context_size|(?:maximum|max) (?:context|model) length"
    rb"|longer than the model's context|exceeds? the (?:model's |available )?(?:maximum )?context|prompt is too long",
    re.IGNORECASE,
)
MAX_MESSAGE = 300  # characters of a server's error text that go into ours


class EndpointError(ModelError):
    """An HTTP status other than 200."""

    def __init__(
        self, status: int, message: str, *, hint: str = "", retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable, retry_after=retry_after)
        self.status = status


class Flavour(NamedTuple):
    """What one kind of server takes beyond OpenAI's fields.

    Attributes:
        owned_by: How it names itself in `/models`.
        adds: Capabilities beyond the common ones.
        extras: The fields that carry them. Given a `Sampling`, returns fields of the request's body.
    """

    owned_by: str
    adds: tuple[Capability, ...]
    extras: Callable[[Sampling], dict[str, Any]]


def _presence(s: Sampling) -> dict[str, Any]:
    # OpenAI's definition, which vLLM keeps: of the tokens of the answer alone.
    return {"presence_penalty": -s.rules.diversity} if s.rules is not None and s.rules.diversity else {}


def _vllm(s: Sampling) -> dict[str, Any]:
    # vLLM fills absent fields from the model's generation_config.json: say what we mean, also when that is "off".
    extras: dict[str, Any] = {"top_k": s.top_k or -1} | _presence(s)
    if s.grammar is not None:
        extras["structured_outputs"] = {"grammar": s.grammar}
    return extras


def _llama_cpp(s: Sampling) -> dict[str, Any]:
    # llama-server samples with top_k 40 and min_p 0.05 unless told otherwise.
    extras: dict[str, Any] = {"top_k": s.top_k, "min_p": 0.0} | _presence(s)
    if "presence_penalty" in extras:
        extras["repeat_last_n"] = -1  # the prompt's tokens included
    if s.grammar is not None:
        extras["grammar"] = s.grammar
    return extras


FLAVOURS: dict[str, Flavour] = {
    "openai": Flavour("openai", ("diversity",), _presence),
    "vllm": Flavour("vllm", ("top_k", "grammar", "diversity"), _vllm),
    "llama.cpp": Flavour("llamacpp", ("top_k", "grammar", "prompt_diversity"), _llama_cpp),
}


def body_of(request: Request, model: str, flavour: Flavour, limit_field: str) -> dict[str, Any]:
    """The JSON body of a call to `/chat/completions`, or to `/completions` where `request.chat` is off.

    Args:
        request: What to ask.
        model: Name on the server.
        flavour: Kind of server.
        limit_field: `max_tokens`, or `max_completion_tokens` for servers that insist on it (chat only).
    """
    s = request.sampling
    body: dict[str, Any] = {"model": model, "temperature": s.temperature, "top_p": s.top_p}
    if request.chat:
        body["messages"] = [to_builtins(m) for m in request.messages]
        body[limit_field] = s.max_tokens
    else:
        body["prompt"] = plain_text(request)
        body["max_tokens"] = s.max_tokens
    if s.seed is not None:
        body["seed"] = s.seed
    if s.stop:
        body["stop"] = list(s.stop)
    if s.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": s.json_schema},
        }
    if s.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": s.top_logprobs} if request.chat else {"logprobs": s.top_logprobs}
    return body | flavour.extras(s)


def plain_text(request: Request) -> str:
    """The text that a request with `chat=False` wants continued.

    Raises:
        CapabilityError: if it holds an image, which plain text cannot carry.
    """
    if any(isinstance(part, ImagePart) for m in request.messages if isinstance(m.content, tuple) for part in m.content):
        raise CapabilityError("plain-text continuation cannot carry an image", hint="Ask with chat=True")
    return "\n".join(m.text for m in request.messages)


def response_of(answer: Any, request: Request) -> Response:
    """The `Response` in a server's answer. Reasoning that came apart from the answer goes to `trace`.

    Raises:
        ModelError: if the answer has not the shape of a completion, or holds none, in which case another may.
    """
    if isinstance(answer, dict) and answer.get("choices") == []:
        raise ModelError("the server's answer holds no choice", hint="It may next time", retryable=True)
    try:
        choice = answer["choices"][0]
        if request.chat:
            message = choice["message"]
            refusal = message.get("refusal")
            text = message.get("content") or refusal or ""
            reasoning = message.get("reasoning_content") or message.get("reasoning")
            logprobs = _chat_logprobs(choice)
        else:
            text, refusal, reasoning, logprobs = choice["text"], None, None, _logprobs(choice)
        if not isinstance(text, str):
            raise TypeError("the text is not a string")
        usage = answer.get("usage") or {}
        return Response(
            text,
            str(answer.get("model") or ""),
            "refusal" if refusal else str(choice.get("finish_reason") or "unknown"),
            Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)),
            logprobs if request.sampling.top_logprobs is not None else None,
            ({"step": "reasoning", "text": str(reasoning)},) if reasoning else (),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the server's answer is not a completion ({type(error).__name__}: {error}): {_clip(json.dumps(answer))}",
            hint="Is this an OpenAI-compatible endpoint?",
        ) from error


def _chat_logprobs(choice: dict[str, Any]) -> tuple[TokenLogprob, ...] | None:
    content = (choice.get("logprobs") or {}).get("content")
    if content is None:
        return None
    return tuple(
        TokenLogprob(
            t["token"],
            float(t["logprob"]),
            tuple((a["token"], float(a["logprob"])) for a in t.get("top_logprobs") or ()),
        )
        for t in content
    )


def _logprobs(choice: dict[str, Any]) -> tuple[TokenLogprob, ...] | None:
    """Of `/completions`: OpenAI's old form (vLLM), or the chat form that llama-server gives there too."""
    found = choice.get("logprobs")
    if not found:
        return None
    if "content" in found:
        return _chat_logprobs(choice)
    tops = found.get("top_logprobs") or [None] * len(found["tokens"])
    rows = zip(found["tokens"], found["token_logprobs"], tops, strict=True)
    return tuple(TokenLogprob(t, float(p), tuple((top or {}).items())) for t, p, top in rows if p is not None)


def scored_continuation(answer: Any, prompt: str, continuation: str) -> tuple[TokenLogprob, ...] | None:
    """The continuation's tokens in the answer to an `echo` request for `prompt + continuation`.

    None if the server did not echo: if its tokens do not spell the text, as with llama-server, which accepts
    `echo` and returns the log-probabilities of what it generated instead. Reading those would give chance.

    Raises:
        ModelError: if a token straddles the border between prompt and continuation, so that no exact figure exists.
    """
    try:
        found = answer["choices"][0]["logprobs"]
        tokens, values = list(found["tokens"]), list(found["token_logprobs"])
    except (KeyError, IndexError, TypeError):
        return None
    text = prompt + continuation
    if tokens and not "".join(tokens).startswith(text):  # a beginning-of-text token may be spelt out
        tokens, values = tokens[1:], values[1:]
    if len(tokens) != len(values) or not "".join(tokens).startswith(text):
        return None
    scored: list[TokenLogprob] = []
    at = 0
    for token, value in zip(tokens, values, strict=True):
        end = at + len(token)
        if at >= len(text):
            break
        if at < len(prompt) < end or at < len(text) < end:
            raise ModelError(
                f"a token of the server ({token!r}) straddles the border of the continuation",
                hint="Let the continuation start with the space or line break before its first word",
            )
        if at >= len(prompt):
            if value is None:
                return None
            scored.append(TokenLogprob(token, float(value)))
        at = end
    return tuple(scored) or None


def retry_after_of(value: str | None, now: float) -> float | None:
    """Seconds to wait by a `Retry-After` header (seconds, or an HTTP date), None where there is none or it is odd."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), 3600.0) if seconds == seconds else None  # NaN is unequal to itself


def server_message(body: bytes) -> str:
    """What an error body says, on one line: OpenAI's `{"error": {"message": …}}`, FastAPI's `detail`, or the text."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _clip(body.decode("utf-8", "replace"))
    for key in ("error", "message", "detail"):
        if isinstance(parsed, dict) and key in parsed:
            parsed = parsed[key]
    return _clip(parsed if isinstance(parsed, str) else json.dumps(parsed))


def too_long(status: int, body: bytes) -> bool:
    """Whether a refusal says that prompt and answer do not fit into the model's context, in some server's words."""
    return status in (400, 413, 422) and _TOO_LONG.search(body[:LONGEST_REFUSAL]) is not None


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE] + "…"
