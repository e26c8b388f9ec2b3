"""Requests passed on to another OpenAI-compatible server: bytes in, bytes out, looked at on the way.

A model of another server that no strategy surrounds answers for itself: the request goes on byte for byte (but for
`model`, where the server knows it under another name, and our own fields), and so does the answer once it has been
found to be one. Streams pass event by event. What the other server does wrong becomes OpenAI's error object, an event
of it where the stream has begun; an answer that stops half way is never passed off as a whole one.

"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from msgspec import UNSET, Raw, UnsetType

from adhere.models.openai_http import OpenAIEndpoint
from adhere.models.openai_wire import retry_after_of, server_message
from adhere.serve.errors import ApiError
from adhere.serve.guard import Call
from adhere.serve.http_client import BrokenOff, Pool, Reply, Unreachable
from adhere.serve.stream import Events

__all__ = ["Answered", "Upstream"]

LARGEST = 32 * 2**20  # bytes of one answer
# Uncompressed, so that the bound on an answer's size bounds memory too.
OURS = {"accept-encoding": "identity", "user-agent": "adhere"}


class Said(msgspec.Struct):
    """The text of a choice, whole or as a delta."""

    content: str | None = None


class Choice(msgspec.Struct):
    """What is looked at in a choice."""

    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    text: str | None = None
    logprobs: Raw | UnsetType = UNSET

    @property
    def said(self) -> str:
        """Its text."""
        carrier = self.message or self.delta
        return self.text or (carrier.content if carrier is not None else None) or ""


class Tokens(msgspec.Struct):
    """Usage."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Answered(msgspec.Struct):
    """What is looked at in an answer or an event."""

    choices: list[Choice] | None = None
    usage: Tokens | None = None
    error: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET  # of embeddings


class Refusal(msgspec.Struct):
    """OpenAI's error object, as far as another server keeps to it."""

    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


_answers = msgspec.json.Decoder(Answered)


class Upstream:
    """One pooled client for all other servers.

    Args:
        timeout: Seconds in which something must come, and come again.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.pool = Pool(timeout)

    def close(self) -> None:
        """Close the sockets."""
        self.pool.close()

    async def post(self, endpoint: OpenAIEndpoint, path: str, body: bytes, call: Call) -> tuple[bytes, Answered]:
        """The answer of the other server, as it came and as far as it is looked at.

        Raises:
            ApiError: what it refused, or in which way it failed.
        """
        began = time.perf_counter()
        try:
            async with self._asked(endpoint, path, body, whole=True) as response:
                raw = await _read(response)
        finally:
            call.spent(time.perf_counter() - began)
        try:
            answer = _answers.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _garbage(endpoint) from error
        if not answer.choices and answer.data is UNSET:
            raise _garbage(endpoint)
        if answer.usage is not None:
            call.prompt_tokens, call.completion_tokens = answer.usage.prompt_tokens, answer.usage.completion_tokens
        return raw, answer

    async def stream(
        self, endpoint: OpenAIEndpoint, path: str, body: bytes, call: Call, texts: dict[int, list[str]]
    ) -> AsyncGenerator[bytes, None]:
        """The other server's events, whole ones only, without the last, which says that all is done.

        Args:
            endpoint: Whom to ask.
            path: Below its address.
            body: The request.
            call: For counting.
            texts: Gets the text of each choice, in pieces.

        Raises:
            ApiError: what it refused, or in which way it failed, also half way.
        """
        began = time.perf_counter()
        async with self._asked(endpoint, path, body) as response:
            call.spent(time.perf_counter() - began)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise ApiError(502, "the upstream did not stream", code="upstream_garbage")
            events = Events()
            while True:
                began = time.perf_counter()
                chunk = await response.read()
                call.spent(time.perf_counter() - began)
                if not chunk:
                    raise ApiError(502, "the upstream's answer broke off half way", code="upstream_broke_off")
                whole = b""
                for one in events.feed(chunk):
                    if one.startswith((b"data: [DONE]", b"data:[DONE]")):
                        if whole:
                            yield whole
                        await _finished(response)
                        return
                    try:
                        _look_at(one, endpoint, call, texts)
                    except ApiError:
                        if whole:
                            yield whole  # what came before it in the same chunk is sound
                        raise
                    whole += one
                if whole:
                    yield whole

    @asynccontextmanager
    async def _asked(
        self, endpoint: OpenAIEndpoint, path: str, body: bytes, *, whole: bool = False
    ) -> AsyncIterator[Reply]:
        """A response of status 200; any other end is an ApiError. Leaving the block frees or closes the connection."""
        response: Reply | None = None
        try:
            response = await self.pool.post(endpoint.base_url + path, endpoint.headers() | OURS, body, whole=whole)
            if response.status != 200:
                raise _refused(response, await _read(response), endpoint)
            yield response
        except TimeoutError as error:
            raise ApiError(504, f"the upstream said nothing for {self.timeout:g} s", code="upstream_timeout") from error
        except Unreachable as error:
            raise ApiError(502, "the upstream cannot be reached", code="upstream_unreachable") from error
        except BrokenOff as error:
            raise ApiError(502, "the upstream's answer broke off half way", code="upstream_broke_off") from error
        finally:
            if response is not None:
                response.close()


async def _finished(response: Reply) -> None:
    """Take the end of the body too, which nearly always is there: the connection can be used again then."""
    with suppress(TimeoutError, BrokenOff):
        async with asyncio.timeout(0.05):
            await response.read()


async def _read(response: Reply) -> bytes:
    """The body, within bounds."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.read():
        size += len(chunk)
        if size > LARGEST:
            raise ApiError(502, f"the upstream's answer is larger than {LARGEST // 2**20} MiB", code="upstream_garbage")
        chunks.append(chunk)
    return b"".join(chunks)


def _look_at(one: bytes, endpoint: OpenAIEndpoint, call: Call, texts: dict[int, list[str]]) -> None:
    """Check that an event is one, and keep what is counted.

    Raises:
        ApiError: for garbage, and for an error that the other server met after it had begun.
    """
    for line in one.splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            found = _answers.decode(line[5:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _garbage(endpoint) from error
        if found.error is not UNSET and found.error != Raw(b"null"):
            raise ApiError(502, f"the upstream failed: {_quoted(line[5:], endpoint)}", code="upstream_failed")
        if found.usage is not None:
            call.prompt_tokens, call.completion_tokens = found.usage.prompt_tokens, found.usage.completion_tokens
        for choice in found.choices or ():
            if choice.said:
                texts.setdefault(choice.index, []).append(choice.said)


def _garbage(endpoint: OpenAIEndpoint) -> ApiError:
    return ApiError(502, "the upstream's answer is not a completion", code="upstream_garbage")


def _refused(response: Reply, raw: bytes, endpoint: OpenAIEndpoint) -> ApiError:
    """The other server's refusal as ours: its status where the client can act on it, 502 otherwise."""
    status = response.status
    said = _quoted(raw, endpoint)
    if status == 429:
        wait = retry_after_of(response.headers.get("retry-after"), time.time())
        return ApiError(429, f"the upstream is busy: {said}", code="upstream_busy", retry_after=wait or 1)
    if status in (401, 403):
        return ApiError(502, "the upstream refused this server's key", code="upstream_key")
    if status in (400, 404, 409, 413, 415, 422):
        refusal = _refusal(raw)
        code = "upstream_refused" if refusal.code is None else str(refusal.code)
        return ApiError(status, said or "the upstream refused", code=code, param=refusal.param)
    if status == 503:
        wait = retry_after_of(response.headers.get("retry-after"), time.time())
        return ApiError(503, f"the upstream is not available: {said}", code="upstream_busy", retry_after=wait or 1)
    return ApiError(504 if status == 504 else 502, f"the upstream answered {status}: {said}", code="upstream_failed")


def _refusal(raw: bytes) -> Refusal:
    try:
        return msgspec.json.decode(raw, type=dict[str, Refusal])["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return Refusal()


def _quoted(raw: bytes, endpoint: OpenAIEndpoint) -> str:
    """What its error says, on one line, without our key."""
    return endpoint.redacted(server_message(raw))
