"""Answers from a model in this process, or from a strategy around any model, as OpenAI's replies and streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from adhere.engine import context
from adhere.records import Instruction, Response, TokenLogprob
from adhere.serve.constraints_body import Wishes
from adhere.serve.guard import Call
from adhere.serve.job import Job
from adhere.serve.openai_schema import CompletionRequest
from adhere.serve.served import fingerprint
from adhere.serve.stream import DONE, event

__all__ = ["noted", "reply", "stream"]

PIECE = 48  # characters of an answer that is there as a whole and is streamed all the same


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
