"""A thin HTTP/1.1 client: pooled connections, one POST at a time on each, bodies as they come.

Why not a library's: what a proxy adds to a call is mostly its client. One small POST to an instant server took 1.1 ms
with httpx2 and 0.27 ms with aiohttp, where a bare socket and this parser took 0.1 ms; with aiohttp the whole server
spent 60% more processor time on a call. The parsing is llhttp's, through httptools, which uvicorn uses for the other
direction. It does what one server asks of another: no redirects, cookies, proxies or compression.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

__all__ = ["BrokenOff", "Pool", "Reply", "Unreachable"]

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 20.0  # an idle connection older than this is not used again
MOST_IDLE = 256  # connections kept for one server
MOST_HEADERS = 64 * 1024  # bytes
AHEAD = 256 * 1024  # bytes of a body that may wait to be read before the server has to wait


class Unreachable(ConnectionError):
    """No connection could be made."""


class BrokenOff(ConnectionError):
    """The connection ended, or sent what is not HTTP, before the answer was whole."""


class Target(NamedTuple):
    """Where to: what connects, and the line and header that say so."""

    host: str
    port: int
    secure: bool
    head: bytes

    @property
    def server(self) -> tuple[str, int, bool]:
        """What a connection can be shared by."""
        return self.host, self.port, self.secure


@lru_cache(maxsize=256)
def target(url: str) -> Target:
    """An http(s) address, taken apart once."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    named = shown if parts.port is None else f"{shown}:{parts.port}"
    head = f"POST {parts.path or '/'} HTTP/1.1\r\nhost: {named}\r\n".encode()
    return Target(host, parts.port or (443 if secure else 80), secure, head)


class Connection(asyncio.Protocol):
    """One connection and, while it is in use, the answer that it reads."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self.idle_since = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self.whole = False
        self._begin()

    def _begin(self) -> None:
        """Forget the last answer."""
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.status = 0
        self.begun = self.complete = self.keeps = self.unasked = self._headers_done = False  # `begun`: bytes have come
        self.failed = ""
        self._size = 0
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self.paused = False

    def send(self, head: bytes, headers: Mapping[str, str], body: bytes, *, whole: bool) -> None:
        """Send a request. `whole`: nobody has to be woken for headers alone."""
        self._begin()
        self.whole = whole
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, lines.encode("latin-1"), len(body), body))

    async def wait_for_headers(self, seconds: float) -> None:
        """Until status and headers are there. Raises BrokenOff, TimeoutError."""
        while self.failed or not self._headers_done or self.status < 200:
            await self._wait(seconds)

    async def read(self, seconds: float) -> bytes:
        """The next piece of the body; b"" at its end. Raises BrokenOff, TimeoutError."""
        while self.failed or not self._chunks:
            if self.complete and not self.failed:
                return b""
            await self._wait(seconds)
        piece = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        if self.paused:
            self.paused = False
            if not self.closed:
                self.transport.resume_reading()
        return piece

    async def _wait(self, seconds: float) -> None:
        if self.failed or self.closed:
            raise BrokenOff(self.failed or "the connection was closed")
        waiter = self._waiter = self.loop.create_future()
        timer = self.loop.call_later(seconds, self._too_late, waiter)  # a third of what `asyncio.timeout` takes
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    @staticmethod
    def _too_late(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Of asyncio ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.begun = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP ({type(error).__name__})")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        if self._headers_done and not self.complete and not framed and exc is None:
            self.complete = True  # a body without a length ends with its connection
        self._wake()

    def _fail(self, why: str) -> None:
        self.failed = self.failed or why
        self.transport.abort()
        self._wake()

    # Of the parser ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:  # an answer that nobody asked for: this connection is not used again
            self.unasked = True
            self.transport.abort()
            return
        self._headers_done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.unasked:
            return
        self._size += len(name) + len(value)
        if self._size > MOST_HEADERS:
            self._fail("endless headers")
            return
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.unasked:
            return
        self.status = self.parser.get_status_code()
        self._headers_done = True
        if not self.whole:
            self._wake()

    def on_body(self, body: bytes) -> None:
        if self.unasked:
            return
        self._chunks.append(body)
        self._waiting += len(body)
        if self._waiting > AHEAD and not self.paused:
            self.paused = True
            self.transport.pause_reading()
        if self.paused or not self.whole:
            self._wake()

    def on_message_complete(self) -> None:
        if self.unasked:
            return
        if self.status < 200:  # "100 Continue" and its like: the answer is still to come
            self._headers_done, self.headers = False, {}
            return
        self.complete = True
        self.keeps = self.parser.should_keep_alive()
        self._wake()


class Reply:
    """An answer that is being read. `close` it in any case."""

    def __init__(self, pool: Pool, server: tuple[str, int, bool], connection: Connection) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._pool = pool
        self._server = server
        self._connection: Connection | None = connection

    async def read(self) -> bytes:
        """The next piece of the body; b"" at its end.

        Raises:
            BrokenOff: if the connection ends before the body does.
            TimeoutError: if nothing comes.
        """
        assert self._connection is not None
        return await self._connection.read(self._pool.seconds)

    def close(self) -> None:
        """Keep the connection for the next request if this answer is whole; otherwise drop it, and so the request."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.take_back(self._server, connection)


class Pool:
    """Connections to any number of servers, for one event loop.

    Args:
        seconds: How long to wait for anything to come.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, whole: bool = False) -> Reply:
        """Send a request and wait for status and headers; with `whole` for the body too, or as much as may wait.

        A connection that has been used before may have been closed just as we took it: then the request goes out once
        more on a new one, unless some of an answer has come.

        Raises:
            Unreachable, BrokenOff, TimeoutError.
        """
        where = target(url)
        used = self._pop(where.server)
        if used is not None:
            try:
                return await self._exchange(where, used, headers, body, whole)
            except BrokenOff:
                if used.begun:
                    raise
        return await self._exchange(where, await self._connect(where), headers, body, whole)

    async def _exchange(
        self, where: Target, connection: Connection, headers: Mapping[str, str], body: bytes, whole: bool
    ) -> Reply:
        try:
            connection.send(where.head, headers, body, whole=whole)
            await connection.wait_for_headers(self.seconds)
        except BaseException:
            connection.transport.abort()
            raise
        return Reply(self, where.server, connection)

    async def _connect(self, where: Target) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    Connection, where.host, where.port, ssl=self._trust if where.secure else None
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise Unreachable(str(error)) from error
        return connection

    @cached_property
    def _trust(self) -> Any:
        """Whose certificates are trusted: the same as everywhere in Adhere."""
        import httpx2

        return httpx2.create_ssl_context()

    def _pop(self, server: tuple[str, int, bool]) -> Connection | None:
        """A connection that can be used again."""
        idle = self._idle.get(server, [])
        while idle:
            connection = idle.pop()
            if not connection.closed and time.monotonic() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.transport.abort()
        return None

    def take_back(self, server: tuple[str, int, bool], connection: Connection) -> None:
        """Keep a connection whose answer is whole; drop any other."""
        idle = self._idle.setdefault(server, [])
        broken = connection.closed or connection.failed or connection.unasked or connection.paused
        if connection.complete and connection.keeps and not broken and len(idle) < MOST_IDLE:
            connection.idle_since = time.monotonic()
            idle.append(connection)
        else:
            connection.transport.abort()

    def close(self) -> None:
        """Drop all idle connections."""
        for idle in self._idle.values():
            while idle:
                idle.pop().transport.abort()
