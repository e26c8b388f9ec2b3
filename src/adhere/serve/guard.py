"""Around every request: its id, the key, the rate, the log line, the metrics, and errors as OpenAI's objects."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adhere.serve.access_log import log_call, log_error
from adhere.serve.errors import ApiError, ClientLeft, of
from adhere.serve.keys import KeyFile
from adhere.serve.limits import Rates
from adhere.serve.metrics import Metrics
from adhere.serve.settings import Settings

__all__ = ["Call", "Guard"]

OPEN = frozenset(("/healthz", "/openapi.json"))  # need no key and count for no rate
MOST_AT_ONCE = 2000  # requests; more would only wait, and hold their bodies in memory


@dataclass(slots=True)
class Call:
    """What is known of a request while it runs: for the log, the metrics and the reply's headers.

    Attributes:
        id: In the header `x-request-id`, in the log and in completion ids.
        began: By `time.perf_counter`.
        inside: Seconds spent in the model or the upstream; None where none was asked.
        verdicts: How many checks came out "true", "false" and "unknown".
        said: What was asked and answered, for the log; None where the log must not hold it.
    """

    id: str
    began: float
    endpoint: str = "other"
    status: int = 0
    key: str = ""
    model: str = ""
    stream: bool = False
    inside: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    error: str = ""
    said: dict[str, Any] | None = None

    def spent(self, seconds: float) -> None:
        """Add time in the model or the upstream."""
        self.inside = (self.inside or 0.0) + seconds

    def overhead_ms(self) -> str:
        """Milliseconds so far that were ours."""
        return f"{max(0.0, time.perf_counter() - self.began - (self.inside or 0.0)) * 1000:.2f}"


class Guard:
    """ASGI middleware; the innermost application finds the `Call` in `scope["adhere"]`."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.keys = KeyFile(settings.keys) if settings.keys is not None else None
        self.rates = Rates()
        self.running = 0
        metrics.running.set_function(lambda: self.running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = Call(os.urandom(12).hex(), time.perf_counter())
        if self.settings.log_prompts:
            call.said = {}
        scope["adhere"] = call
        scope["app"] = self  # with an "app" there, Starlette's routes raise instead of answering in plain text
        self.running += 1

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"].append((b"x-request-id", call.id.encode()))
                message["headers"].append((b"x-adhere-overhead-ms", call.overhead_ms().encode()))
            await send(message)

        try:
            self._admit(scope, call)
            await self.app(scope, receive, sending)
        except ClientLeft:
            call.status, call.error = 499, "client_left"
        except Exception as error:
            await self._refuse(call, error, sending)
        finally:
            self.running -= 1
            seconds = time.perf_counter() - call.began
            call.status = call.status or 499  # cancelled before it could answer
            self.metrics.count(call, seconds)
            log_call(call, scope["method"], scope["path"], seconds)

    def _admit(self, scope: Scope, call: Call) -> None:
        """Raises ApiError for a wrong key, a rate that is used up, or a full house."""
        if scope["path"] in OPEN:
            return
        rate = self.settings.rate
        client = scope["client"][0] if scope.get("client") else ""
        if self.keys is not None:
            header = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
            found = self.keys.find(header.decode("latin-1"))
            client = call.key = found.name
            rate = found.rate or rate
        if rate is not None:
            self.rates.take(client, rate)
        if self.running > MOST_AT_ONCE:
            raise ApiError(503, "too many requests at once", code="busy", retry_after=1)

    async def _refuse(self, call: Call, error: Exception, send: Send) -> None:
        """Answer with the error's object; where the answer has begun already, all that is left is to break it off."""
        said = of(error)
        call.error = said.code or str(said.status)
        if said.status == 500:
            log_error(call, error)
        if call.status:
            return
        body = said.body()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(k.encode(), v.encode()) for k, v in said.headers.items()]
        await send({"type": "http.response.start", "status": said.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
