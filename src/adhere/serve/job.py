"""What a request asks of a model of this process, or of a strategy: its fields understood, or refused."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from adhere.answer.injections import scan
from adhere.models.base import Request, Sampling
from adhere.models.hierarchy import render_documents
from adhere.models.model import Model
from adhere.records import Document, ImagePart, ImageUrl, Instruction, Message, Role, TextPart, to_builtins
from adhere.serve.constraints_body import Wishes
from adhere.serve.errors import ApiError
from adhere.serve.guard import Call
from adhere.serve.openai_schema import ChatRequest, CompletionRequest, Part, Turn
from adhere.serve.served import Served
from adhere.serve.settings import Settings

__all__ = ["DEFAULT_TOKENS", "Job", "messages_of", "model_sampling", "understand", "with_documents"]

DEFAULT_TOKENS = 1024  # most tokens of an answer, and what a request gets that names no limit
MOST_PROMPTS = 128  # in one request


def model_sampling() -> Sampling:
    """What a served model falls back to; each request sets its own."""
    return Sampling(temperature=1.0, max_tokens=DEFAULT_TOKENS)


class Job(NamedTuple):
    """A request, understood.

    Attributes:
        call: For counting.
        served: Who answers.
        chat: Chat or plain continuation.
        prompts: What to answer; several only for `/v1/completions`.
        sampling: Changes to the model's own.
        n: Answers to each prompt.
        seed: Given or drawn; all random choices derive from it.
        stop: Cut a strategy's answer here: within the strategy its own helpers' answers must not be cut.
        wishes: What answers are held against.
        flags: What looks like orders in the documents.
        ignored: Fields of the request that changed nothing.
        asked: The request itself.
    """

    call: Call
    served: Served
    chat: bool
    prompts: tuple[Instruction, ...]
    sampling: dict[str, Any]
    n: int
    seed: int
    stop: tuple[str, ...]
    wishes: Wishes
    flags: list[dict[str, Any]]
    ignored: tuple[str, ...]
    asked: ChatRequest | CompletionRequest

    @property
    def is_plain(self) -> bool:
        """Whether a model answers by itself, so that its tokens can be streamed and weighed."""
        return isinstance(self.served.answerer, Model)


def understand(
    call: Call,
    served: Served,
    asked: ChatRequest | CompletionRequest,
    wishes: Wishes,
    ignored: tuple[str, ...],
    settings: Settings,
) -> Job:
    """The job of a decoded request.

    Raises:
        ApiError: 400 for what this model cannot do.
        CapabilityError: likewise.
    """
    chat = isinstance(asked, ChatRequest)
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    stop = tuple(s for s in stop if s)
    sampling: dict[str, Any] = {
        "temperature": 1.0 if asked.temperature is None else asked.temperature,  # OpenAI's defaults
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "top_k": asked.top_k or 0,
        "max_tokens": _limit(asked.limit, settings),
    }
    flags: list[dict[str, Any]] = []
    if isinstance(asked, ChatRequest):
        documents, flags = with_documents(asked)
        instruction = Instruction(call.id, messages_of(asked.messages), wishes.constraints, documents)
        # A strategy gets the documents apart, so that it reads no wish out of them; the model renders them at last.
        apart = served.strategy and documents
        prompts: tuple[Instruction, ...] = (instruction if apart else render_documents(instruction),)
        sampling |= _form(asked)
    else:
        prompts = _plain_prompts(call, served, asked, wishes)
        if asked.logprobs is not None:
            sampling["top_logprobs"] = asked.logprobs
    seed = secrets.randbits(31) if asked.seed is None else asked.seed
    job = Job(call, served, chat, prompts, sampling, asked.n or 1, seed, stop, wishes, flags, ignored, asked)
    if not job.is_plain:
        _only_what_strategies_can(sampling)
        return job
    job.sampling["stop"] = stop
    model = served.model if chat else served.plain
    wanted = msgspec.structs.replace(model.sampling, **sampling)
    model.info.require(*Request(prompts[0].messages, wanted, chat).needs())
    return job


def _limit(asked: int | None, settings: Settings) -> int:
    most = settings.max_tokens or DEFAULT_TOKENS
    if asked is not None and asked > most:
        raise ApiError(400, f"max_tokens is at most {most} here, not {asked}", code="max_tokens", param="max_tokens")
    return most if asked is None else asked


def _form(asked: ChatRequest) -> dict[str, Any]:
    """The fields of `Sampling` that hold the form of the answer and the log-probabilities."""
    form: dict[str, Any] = {}
    wanted = asked.response_format
    if wanted is not None and wanted.type == "json_object":
        form["json_schema"] = {"type": "object"}
    elif wanted is not None and wanted.type == "json_schema":
        if wanted.json_schema is None:
            raise ApiError(400, "response_format has no json_schema", code="invalid_value", param="response_format")
        form["json_schema"] = wanted.json_schema.schema
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs: true", code="invalid_value", param="top_logprobs")
    if asked.logprobs:
        form["top_logprobs"] = asked.top_logprobs or 0
    return form


def _only_what_strategies_can(sampling: dict[str, Any]) -> None:
    for field, name in (("json_schema", "response_format"), ("top_logprobs", "logprobs")):
        if field in sampling:
            said = f"a strategy answers in several calls, which have no {name} of their own; ask the model without it"
            raise ApiError(400, said, code="unsupported_parameter", param=name)


def _plain_prompts(call: Call, served: Served, asked: CompletionRequest, wishes: Wishes) -> tuple[Instruction, ...]:
    if served.strategy:
        raise ApiError(400, "strategies answer chats: use /v1/chat/completions", code="unsupported_endpoint")
    if asked.documents:
        raise ApiError(400, "documents belong to chats", code="unsupported_parameter", param="documents")
    texts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    if not 0 < len(texts) <= MOST_PROMPTS or not all(isinstance(t, str) and t for t in texts):
        said = f"prompt must be 1 to {MOST_PROMPTS} texts, none of them empty; token ids are not supported"
        raise ApiError(400, said, code="unsupported_parameter", param="prompt")
    if asked.max_tokens == 0 or (asked.echo and asked.logprobs is not None):
        # Scoring begins after a prompt: the first token has no probability, and its neighbours' are not at hand here.
        said = "log-probabilities of the prompt are not given by models run here: score texts with adhere's Python API"
        raise ApiError(400, said, code="unsupported_parameter", param="echo")
    return tuple(Instruction(call.id, (Message("user", str(t)),), wishes.constraints) for t in texts)


# OpenAI's newer and older names beside the four that every chat template knows.
ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip


def messages_of(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The conversation as records.

    Raises:
        ApiError: 400 for tool calls and for content other than texts and images.
    """
    made = []
    for at, turn in enumerate(turns):
        if turn.tool_calls not in (msgspec.UNSET, msgspec.Raw(b"null")) or turn.function_call is not msgspec.UNSET:
            raise ApiError(400, "tool calls are not supported by this model", code="unsupported_parameter",
                           param=f"messages[{at}].tool_calls")  # fmt: skip
        if turn.content is None:
            raise ApiError(400, "a message has no content", code="invalid_value", param=f"messages[{at}].content")
        content = turn.content if isinstance(turn.content, str) else tuple(_part(p, at) for p in turn.content)
        made.append(Message(ROLES[turn.role], content, turn.name))
    return tuple(made)


def _part(part: Part, at: int) -> TextPart | ImagePart:
    if part.type == "text" and part.text is not None:
        return TextPart(part.text)
    url = (part.image_url or {}).get("url")
    if part.type == "image_url" and isinstance(url, str):
        if not url.startswith(("data:", "http://", "https://")):  # a path would be one of this machine's files
            raise ApiError(400, "an image is a data: URI or an http(s) address", code="invalid_value",
                           param=f"messages[{at}].content")  # fmt: skip
        return ImagePart(ImageUrl(url))
    raise ApiError(400, f"content of type '{part.type[:50]}' is not supported, or lacks its value",
                   code="unsupported_parameter", param=f"messages[{at}].content")  # fmt: skip


def with_documents(asked: ChatRequest) -> tuple[tuple[Document, ...], list[dict[str, Any]]]:
    """The documents as records, and what looks like orders in those that are not trusted."""
    documents = tuple(Document(d.text, title=d.title, trusted=d.trusted) for d in asked.documents or ())
    flags = [
        {"document": at, **to_builtins(flag)}
        for at, document in enumerate(documents)
        if not document.trusted
        for flag in scan(document)
    ]
    return documents, flags
