"""Server-sent events, written and read, and the watch for clients that leave."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Iterator
from typing import Any, TypeVar, cast

import msgspec
from starlette.types import Receive, Scope, Send

from adhere.serve.errors import ApiError, ClientLeft, of

__all__ = ["DONE", "EventStream", "Events", "event", "unless_gone"]

T = TypeVar("T")
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 10.0
WATCH_AFTER = 0.05  # seconds: most answers of an instant server are there before anybody has to look
AHEAD = 64  # events that may wait for a slow reader before their producer waits too
LARGEST_EVENT = 4 * 2**20
_END = re.compile(rb"\r?\n\r?\n")


def event(body: Any) -> bytes:
    """One event that carries JSON."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


class Events:
    """Cuts a stream of bytes into events: `feed` gives the whole ones, each with its end; the rest waits.

    Raises:
        ApiError: 502, if an event grows beyond all bounds.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The events that this chunk completes."""
        data = self.rest + chunk if self.rest else chunk
        start = 0
        for end in _END.finditer(data, max(0, len(self.rest) - 3)):
            yield data[start : end.end()]
            start = end.end()
        self.rest = data[start:]
        if len(self.rest) > LARGEST_EVENT:
            raise ApiError(502, "the upstream sent an endless event", code="upstream_garbage")


async def unless_gone(receive: Receive, work: Awaitable[T], seconds: float | None) -> T:
    """The result of `work`, which is cancelled when the client leaves or the time is up.

    Raises:
        ClientLeft: if the client has left.
        TimeoutError: if the time is up.
    """
    async with _Watch(receive), asyncio.timeout(seconds):
        return await work


class _Watch:
    """A block that is cancelled when the client leaves, and raises ClientLeft then.

    The task that looks begins after `WATCH_AFTER`; a client that left before is noticed then.
    """

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.gone = False
        self.watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.timer = self.task.get_loop().call_later(WATCH_AFTER, self._begin)

    def _begin(self) -> None:
        self.watcher = self.task.get_loop().create_task(self._watch())

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.timer.cancel()
        if self.watcher is not None:
            self.watcher.cancel()
        if kind is asyncio.CancelledError and self.gone and self.task.uncancel() == 0:
            raise ClientLeft from None

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()


class EventStream:
    """An ASGI response that sends events as a producer yields them.

    Until the first event an error is an ordinary error answer; after that it is an event with the error object, which
    OpenAI's clients raise. While nothing comes, comments keep proxies and clients from giving up. When the client
    leaves, the producer is cancelled at whatever it awaits.

    Args:
        events: Whole events.
        seconds: For all of them; None leaves time-outs to the producer.
        headers: Of the answer.
    """

    def __init__(
        self, events: AsyncGenerator[bytes, None], *, seconds: float | None, headers: dict[str, str] | None = None
    ) -> None:
        self.events = events
        self.seconds = seconds
        self.headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        self.headers |= {"x-accel-buffering": "no"} | (headers or {})  # nginx would hold events back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(AHEAD)
        producer = asyncio.create_task(self._produce(queue))
        try:
            async with _Watch(receive):
                await self._send(queue, scope, send)
        finally:
            producer.cancel()
            await asyncio.wait([producer])

    async def _produce(self, queue: asyncio.Queue[bytes | Exception | None]) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                async for made in self.events:
                    await queue.put(made)
            await queue.put(None)
        except Exception as error:
            await queue.put(error)
        finally:
            await self.events.aclose()

    async def _send(self, queue: asyncio.Queue[bytes | Exception | None], scope: Scope, send: Send) -> None:
        begun = False
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    made = await queue.get()
            except TimeoutError:
                made = KEEP_ALIVE
            if not begun:
                if isinstance(made, Exception):
                    raise made
                headers = [(k.encode(), v.encode()) for k, v in self.headers.items()]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                begun = True
            if isinstance(made, Exception):
                refusal = of(made)
                scope["adhere"].error = refusal.code or str(refusal.status)
                if refusal.status == 500:
                    from adhere.serve.access_log import log_error

                    log_error(scope["adhere"], made)
                made = b"data: " + refusal.body() + b"\n\n"
                await send({"type": "http.response.body", "body": made, "more_body": False})
                return
            await send({"type": "http.response.body", "body": made or b"", "more_body": made is not None})
            if made is None:
                return
