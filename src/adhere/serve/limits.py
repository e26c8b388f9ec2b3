"""What one client may take: requests a minute, bytes of a body."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

from adhere.serve.errors import ApiError, ClientLeft

__all__ = ["Rates", "read_body"]

MOST_CLIENTS = 10_000  # remembered; the one not seen for longest is forgotten first
BURST_SECONDS = 10.0  # what a client may save up: a minute's requests must not come all at once


class Rates:
    """A token bucket for each client: refilled steadily, holding `BURST_SECONDS` worth of requests, at least one."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client → (tokens, at which time)

    def take(self, client: str, per_minute: float, now: float | None = None) -> None:
        """Count one request.

        Raises:
            ApiError: 429 with `Retry-After`, if the client has used up its share.
        """
        now = time.monotonic() if now is None else now
        rate = per_minute / 60
        room = max(1.0, rate * BURST_SECONDS)
        tokens, since = self._buckets.get(client, (room, now))
        tokens = min(room, tokens + (now - since) * rate)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = (1 - tokens) / rate
            said = f"more than {per_minute:g} requests a minute; try again in {max(1, round(wait))} s"
            raise ApiError(429, said, code="rate_limit_exceeded", retry_after=wait)


async def read_body(scope: MutableMapping[str, Any], receive: Any, most: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 above `most` bytes, at once where the client says how many it has; 408 if it does not arrive.
        ClientLeft: if the connection closes before the end.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > most):
            raise _too_large(most)
    message = await receive()  # nearly always all of it, and nearly always there
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        return body
    try:
        async with asyncio.timeout(seconds):
            return await _rest(message, receive, most)
    except TimeoutError as error:
        raise ApiError(408, "the body did not arrive in time", headers={"connection": "close"}) from error


async def _rest(message: Any, receive: Any, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _too_large(most)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()


def _too_large(most: int) -> ApiError:
    said = f"the body is larger than {most:,} bytes"
    return ApiError(413, said, code="body_too_large", headers={"connection": "close"})
