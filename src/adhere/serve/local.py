"""Answers from a model in this process, or from a strategy around any model, as OpenAI's replies and streams."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

import msgspec

from adhere.answer.injections import scan
from adhere.engine import context
from adhere.models.base import Request, Sampling
from adhere.models.hierarchy import render_documents
from adhere.models.model import Model
from adhere.records import (
    Document,
    ImagePart,
    ImageUrl,
    Instruction,
    Message,
    Response,
    TextPart,
    TokenLogprob,
    to_builtins,
)
from adhere.serve.constraints_body import Wishes
from adhere.serve.errors import ApiError
from adhere.serve.guard import Call
from adhere.serve.openai_schema import ChatRequest, CompletionRequest, Part, Turn
from adhere.serve.served import Served, fingerprint
from adhere.serve.settings import Settings
from adhere.serve.stream import DONE, event

__all__ = ["Job", "messages_of", "reply", "stream", "with_documents"]

DEFAULT_TOKENS = 1024  # most tokens of an answer, and what a request gets that names no limit
MOST_PROMPTS = 128  # in one request
PIECE = 48  # characters of an answer that is there as a whole and is streamed all the same


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


# Understanding -------------------------------------------------------------------------------------------------------


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
        role = {"developer": "system", "function": "tool"}.get(turn.role, turn.role)
        if turn.content is None:
            raise ApiError(400, "a message has no content", code="invalid_value", param=f"messages[{at}].content")
        content = turn.content if isinstance(turn.content, str) else tuple(_part(p, at) for p in turn.content)
        made.append(Message(role, content, turn.name))  # type: ignore[arg-type]
    return tuple(made)


def _part(part: Part, at: int) -> TextPart | ImagePart:
    if part.type == "text" and part.text is not None:
        return TextPart(part.text)
    url = (part.image_url or {}).get("url")
    if part.type == "image_url" and isinstance(url, str):
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


# Answering -----------------------------------------------------------------------------------------------------------


async def reply(job: Job) -> dict[str, Any]:
    """The whole reply."""
    began = time.perf_counter()
    answers = await asyncio.gather(
        *(_answer(job, instruction, index) for instruction in job.prompts for index in range(job.n))
    )
    job.call.spent(time.perf_counter() - began)
    _count(job, answers)
    choices = [_choice(job, at, answer) for at, answer in enumerate(answers)]
    body = _frame(job, "text_completion" if not job.chat else "chat.completion")
    body |= {"choices": choices, "usage": _usage(job)}
    return body | {"adhere": await asyncio.to_thread(_note, job, answers) if _is_long(answers) else _note(job, answers)}


async def _answer(job: Job, instruction: Instruction, index: int) -> Response:
    with context.use(seed=job.seed), context.drawing(index, **job.sampling):
        if not job.is_plain:
            return _cut(await job.served.answerer.answer(instruction), job.stop)
        return await (job.served.model if job.chat else job.served.plain).answer(instruction)


def _cut(response: Response, stop: tuple[str, ...]) -> Response:
    """The answer up to the first stop string."""
    ends = [at for s in stop if (at := response.text.find(s)) >= 0]
    return msgspec.structs.replace(response, text=response.text[: min(ends)]) if ends else response


async def stream(job: Job) -> AsyncGenerator[bytes, None]:
    """The reply as events: tokens as they come where the model can, else the whole answer in pieces."""
    kind = "chat.completion.chunk" if job.chat else "text_completion"
    frame = _frame(job, kind)
    asked_usage = job.asked.stream_options is not None and bool(job.asked.stream_options.include_usage)
    blank = {"usage": None} if asked_usage else {}
    answers: list[Response | None] = [None] * (len(job.prompts) * job.n)
    async for at, made in _merged(job):
        if isinstance(made, Response):
            answers[at] = made
            yield event(frame | {"choices": [_delta(job, at, "", _finish(made))]} | blank)
        else:
            text, logprobs, first = made
            yield event(frame | {"choices": [_delta(job, at, text, None, logprobs, first=first)]} | blank)
    whole = [a for a in answers if a is not None]
    _count(job, whole)
    if job.wishes.constraints or job.asked.adhere is not None or job.flags or job.ignored:
        yield event(frame | {"choices": []} | blank | {"adhere": _note(job, whole)})
    if asked_usage:
        yield event(frame | {"choices": [], "usage": _usage(job)})
    yield DONE


Piece = tuple[str, tuple[TokenLogprob, ...], bool]


async def _merged(job: Job) -> AsyncGenerator[tuple[int, Piece | Response], None]:
    """The pieces of all answers, each with the number of its answer, as they come; each ends with its Response."""
    queue: asyncio.Queue[tuple[int, Piece | Response | Exception]] = asyncio.Queue()
    jobs = [(i, index) for i in job.prompts for index in range(job.n)]

    async def one(at: int, instruction: Instruction, index: int) -> None:
        began = time.perf_counter()
        try:
            first = True
            async for made in _pieces(job, instruction, index):
                await queue.put((at, made if isinstance(made, Response) else (*made, first)))
                first = False
        except Exception as error:
            await queue.put((at, error))
        finally:
            if at == 0:
                job.call.spent(time.perf_counter() - began)

    tasks = [asyncio.create_task(one(at, *task)) for at, task in enumerate(jobs)]
    try:
        left = len(tasks)
        while left:
            at, made = await queue.get()
            if isinstance(made, Exception):
                raise made
            left -= isinstance(made, Response)
            yield at, made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pieces(
    job: Job, instruction: Instruction, index: int
) -> AsyncGenerator[tuple[str, tuple[TokenLogprob, ...]] | Response, None]:
    model = job.served.model if job.chat else job.served.plain
    echo = isinstance(job.asked, CompletionRequest) and job.asked.echo
    if echo:
        yield instruction.messages[0].text, ()
    if job.is_plain and model.streams:
        with context.use(seed=job.seed), context.drawing(index, **job.sampling):
            source = model.stream(instruction.messages)
        async for made in source:
            yield made if isinstance(made, Response) else (made.text, made.logprobs)
        return
    whole = await _answer(job, instruction, index)
    for start in range(0, len(whole.text), PIECE):
        yield whole.text[start : start + PIECE], whole.logprobs or () if start == 0 else ()
    yield whole


# Writing -------------------------------------------------------------------------------------------------------------


def _frame(job: Job, kind: str) -> dict[str, Any]:
    prefix = "chatcmpl" if job.chat else "cmpl"
    return {
        "id": f"{prefix}-{job.call.id}",
        "object": kind,
        "created": int(time.time()),
        "model": job.served.name,
        "system_fingerprint": fingerprint(job.served),
    }


def _finish(response: Response) -> str:
    return response.finish_reason if response.finish_reason in ("stop", "length") else "stop"


def _choice(job: Job, at: int, response: Response) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": at, "finish_reason": _finish(response), "logprobs": None}
    if response.logprobs is not None:
        choice["logprobs"] = _logprobs(job, response.logprobs)
    if job.chat:
        return choice | {"message": {"role": "assistant", "content": response.text, "refusal": None}}
    echo = isinstance(job.asked, CompletionRequest) and job.asked.echo
    return choice | {"text": (job.prompts[at // job.n].messages[0].text if echo else "") + response.text}


def _delta(
    job: Job,
    at: int,
    text: str,
    finish: str | None,
    logprobs: tuple[TokenLogprob, ...] = (),
    *,
    first: bool = False,
) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": at, "finish_reason": finish, "logprobs": None}
    if logprobs:
        choice["logprobs"] = _logprobs(job, logprobs)
    if not job.chat:
        return choice | {"text": text}
    if finish is not None:
        return choice | {"delta": {}}
    return choice | {"delta": {"role": "assistant", "content": text} if first else {"content": text}}


def _logprobs(job: Job, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """OpenAI's two forms: of chats, and of plain completions."""
    most = job.sampling["top_logprobs"]
    if job.chat:
        content = [_token(t.token, t.logprob) | {"top_logprobs": [_token(*o) for o in t.top[:most]]} for t in tokens]
        return {"content": content, "refusal": None}
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token.token)
    return {
        "tokens": [t.token for t in tokens],
        "token_logprobs": [t.logprob for t in tokens],
        "top_logprobs": [dict(t.top[:most]) for t in tokens],
        "text_offset": offsets,
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def _count(job: Job, answers: Sequence[Response]) -> None:
    """Keep what the log and the metrics want. A plain model reads one prompt once, however many answers it gives."""
    call = job.call
    if call.said is not None:
        call.said["answered"] = [a.text for a in answers]
    once = job.n if job.is_plain else 1
    call.prompt_tokens = sum(a.usage.prompt_tokens for a in answers) // once
    call.completion_tokens = sum(a.usage.completion_tokens for a in answers)


def _usage(job: Job) -> dict[str, Any]:
    read, written = job.call.prompt_tokens, job.call.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _is_long(answers: Sequence[Response]) -> bool:
    return sum(len(a.text) for a in answers) > 20_000  # checks of so much text would hold other clients up


def _note(job: Job, answers: Sequence[Response]) -> dict[str, Any]:
    """The `adhere` object of the reply."""
    verdicts = [v for at, a in enumerate(answers) for v in job.wishes.verdicts(a.text, at)]
    note = noted(job.call, verdicts, job.wishes, job.flags)
    if job.served.strategy:
        note["strategy"] = job.served.strategy
    if job.ignored:
        note["ignored"] = list(job.ignored)
    if job.asked.adhere is not None and job.asked.adhere.trace:
        note["trace"] = [{**step, "choice": at} for at, a in enumerate(answers) for step in a.trace]
    return note


def noted(call: Call, verdicts: list[dict[str, Any]], wishes: Wishes, flags: list[dict[str, Any]]) -> dict[str, Any]:
    """What both ways of answering put into the `adhere` object; the verdicts are counted for the metrics."""
    met = [v["met"] for v in verdicts]
    for value in met:
        name = "unknown" if value is None else "true" if value else "false"
        call.verdicts[name] = call.verdicts.get(name, 0) + 1
    note: dict[str, Any] = {}
    if verdicts:
        note["passed"] = False if False in met else None if None in met else True
        note["verdicts"] = verdicts
    if wishes.warnings:
        note["warnings"] = list(wishes.warnings)
    if flags:
        note["flags"] = flags
    return note


def model_sampling() -> Sampling:
    """What a served model falls back to; each request sets its own."""
    return Sampling(temperature=1.0, max_tokens=DEFAULT_TOKENS)
