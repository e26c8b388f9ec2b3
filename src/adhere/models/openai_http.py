"""Any OpenAI-compatible endpoint over HTTP: vLLM, llama-server, Ollama, a vendor.

One pooled client with keep-alive and an adaptive limit on calls in flight. A call that fails becomes a `ModelError`
that says in one line what to do and whether waiting may help; the waiting itself is the engine's patience, not ours.
The key goes into the `Authorization` header and nowhere else: not into messages, digests or results.

Log-probabilities of a *given* continuation are offered only after a probe has shown that this server really returns
them (`echo` on `/completions`): llama-server accepts `echo` and silently ignores it, which would grade at chance level.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from adhere.errors import CapabilityError, ContextError, ModelError, UsageError, did_you_mean
from adhere.models.base import Capability, ModelInfo, Request
from adhere.models.openai_wire import (
    COMMON,
    FLAVOURS,
    EndpointError,
    body_of,
    response_of,
    retry_after_of,
    scored_continuation,
    server_message,
    too_long,
)
from adhere.records import Response, TokenLogprob

if TYPE_CHECKING:
    import httpx2
    import numpy as np

    from adhere.engine.limiter import AdaptiveLimiter

__all__ = ["KEY_VARIABLES", "OpenAIEndpoint"]

KEY_VARIABLES = ("ADHERE_API_KEY", "OPENAI_API_KEY")
MAX_BYTES = 32 * 1024 * 1024  # of one answer; 100,000 tokens with 20 alternatives each stay below
CONNECT_SECONDS = 10.0
RETRYABLE = {408, 409, 425, 429}  # and every 5xx but 501
EXAMPLE = "Give e.g. http://localhost:8000/v1"
PROBE = ("The capital of France is", " Paris.")


class OpenAIEndpoint:
    """A model behind an OpenAI-compatible address, as a `Backend`.

    Args:
        model: Its name on the server.
        base_url: Up to and including the version, e.g. `http://localhost:8000/v1`.
        api_key: Read from `ADHERE_API_KEY` or else `OPENAI_API_KEY` where not given; many local servers need none.
        timeout: Seconds that one call may take in all.
        max_concurrency: Ceiling of calls in flight; the limiter finds what the server bears below it.
        server: A key of `FLAVOURS`; where not given, `check` asks the server, and until then nothing is
            assumed beyond OpenAI's own fields.

    Attributes:
        info: Who answers; replaced when `check` has learnt more about the server.

    Raises:
        UsageError: if the address is not an http(s) URL, or carries a key.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 300.0,
        max_concurrency: int = 32,
        server: str | None = None,
    ) -> None:
        self.model = model
        self.base_url = _checked_address(base_url)
        self.timeout = timeout
        self.concurrency = max_concurrency
        self._key, self._key_variable = _key(api_key)
        self._flavour = FLAVOURS[server or "openai"]
        self._ask_flavour = server is None
        self._limit_field = "max_tokens"
        self._scores: bool | None = None  # whether it scores given tokens; None: not probed yet
        self._client: httpx2.AsyncClient | None = None
        self._limiter: AdaptiveLimiter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.info = self._described()

    def __repr__(self) -> str:
        return f"OpenAIEndpoint({self.model!r}, {self.base_url!r})"

    async def check(self, *, scoring: bool = False) -> None:
        """One call before a run: is the server there, does it take our key, does it have the model?

        Servers without `/models` pass. With `scoring` it also finds out whether the server returns log-probabilities
        of given text, and `info` says so afterwards.

        Raises:
            ModelError: in one line, with what to do.
            CapabilityError: if `scoring` is asked and the server cannot.
        """
        try:
            listed = await self._call("GET", "/models")
            entries = [m for m in listed["data"] if isinstance(m["id"], str)]
        except EndpointError as error:
            if error.status not in (404, 405, 501):
                raise
            entries = []
        except (KeyError, TypeError):
            entries = []
        names = [m["id"] for m in entries]
        if names and self.model not in names:
            raise self._no_such_model(names)
        if self._ask_flavour:
            owners = {str(m.get("owned_by")) for m in entries if m["id"] == self.model}
            self._flavour = next((f for f in FLAVOURS.values() if f.owned_by in owners), self._flavour)
            self.info = self._described()
        if scoring:
            await self._probe()

    async def models(self) -> list[str]:
        """Names that the server lists; none where it does not say."""
        try:
            return [str(m["id"]) for m in (await self._call("GET", "/models"))["data"]]
        except (ModelError, KeyError, TypeError):
            return []

    async def generate(self, request: Request) -> Response:
        """Answer one request. Raises ModelError; `retryable` and `retry_after` say whether and when to try again."""
        path = "/chat/completions" if request.chat else "/completions"
        try:
            answer = await self._call("POST", path, body_of(request, self.model, self._flavour, self._limit_field))
        except EndpointError as error:
            # OpenAI's newer models refuse `max_tokens` and name its successor. Asked once, remembered.
            if error.status != 400 or "max_completion_tokens" not in error.message or not request.chat:
                raise
            if self._limit_field == "max_tokens":
                self._limit_field = "max_completion_tokens"
            answer = await self._call("POST", path, body_of(request, self.model, self._flavour, self._limit_field))
        response = response_of(answer, request)
        return msgspec.structs.replace(response, model=response.model or self.model)

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Exact log-probability of each token of `continuation` after `prompt`, where the server can.

        Raises:
            CapabilityError: if the probe showed that it does not score given tokens.
            ModelError: if the call fails, or a token straddles the border of the two texts.
        """
        if not continuation:
            return ()
        await self._probe()
        scored = await self._score(prompt, continuation)
        if scored is None:
            raise ModelError(
                "the server did not return the log-probabilities of the given text", hint="Score with torch"
            )
        return scored

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Not offered: `minilm` embeds, on this machine."""
        self.info.require("embed")
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the sockets. The endpoint can be used again afterwards."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _described(self) -> ModelInfo:
        """Who answers, as far as is known: `check` and the probe learn more about the server."""
        able: list[Capability] = [*COMMON, *self._flavour.adds]
        if self._scores:
            able.append("logprobs")
        digest = hashlib.sha256(f"{self.base_url}\n{self.model}".encode()).hexdigest()
        return ModelInfo(self.model, "openai", digest, capabilities=tuple(sorted(able)))

    async def _probe(self) -> None:
        """Once: does `echo` give the log-probabilities of the text that we sent?"""
        if self._scores is None:
            try:
                self._scores = await self._score(*PROBE) is not None
            except EndpointError as error:
                if error.status not in (400, 404, 405, 422, 501):
                    raise
                self._scores = False
            self.info = self._described()
        if not self._scores:
            raise CapabilityError(
                f"the server at {self.base_url} does not return log-probabilities of given text",
                hint="Score with a model that runs here, e.g. --model torch:PATH",
            )

    async def _score(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...] | None:
        body = {"model": self.model, "prompt": prompt + continuation, "echo": True, "logprobs": 1, "temperature": 0.0}
        # Some servers refuse 0 new tokens, llama-server makes one anyway: one is asked for, and cut off again.
        return scored_continuation(
            await self._call("POST", "/completions", body | {"max_tokens": 1}), prompt, continuation
        )

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One HTTP exchange, inside the concurrency limit: the parsed JSON of a 200, a ModelError for anything else."""
        import httpx2

        client, limiter = self._connection()
        address = self.base_url + path
        # ASCII JSON: a lone surrogate is escaped, and left to the server to accept or refuse.
        content = None if body is None else json.dumps(body).encode()
        async with limiter:
            try:
                async with asyncio.timeout(self.timeout):
                    sent = client.build_request(method, address, content=content, headers=self.headers())
                    answer = await client.send(sent, stream=True)
                    try:
                        raw = await self._body(answer)
                    finally:
                        await answer.aclose()
            except (httpx2.TimeoutException, TimeoutError) as error:
                limiter.throttled()
                raise ModelError(
                    f"no answer from {self.base_url} within {_seconds(error, self.timeout)}",
                    hint="The server is overloaded or the time-out too short",
                    retryable=True,
                ) from error
            except httpx2.HTTPError as error:
                self._unreachable(error)
            if answer.status_code == 200:
                parsed = _parsed(raw, self.base_url)
                limiter.succeeded()
                return parsed
            wait = retry_after_of(answer.headers.get("retry-after"), time.time())
            if answer.status_code in (429, 503):
                limiter.throttled(wait)
        await self._refused(answer.status_code, raw, wait, path, answer.headers.get("location", ""))

    async def _body(self, answer: httpx2.Response) -> bytes:
        """The body, as long as it stays within bounds."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
            if size > MAX_BYTES:
                raise ModelError(f"the answer of {self.base_url} is larger than {MAX_BYTES // 2**20} MB")
            chunks.append(chunk)
        return b"".join(chunks)

    def _connection(self) -> tuple[httpx2.AsyncClient, AdaptiveLimiter]:
        """Client and limiter of the running event loop: sockets do not outlive the loop that opened them."""
        import httpx2

        from adhere.engine.limiter import AdaptiveLimiter

        loop = asyncio.get_running_loop()
        if self._client is None or self._limiter is None or self._loop is not loop:
            self._loop = loop
            self._limiter = AdaptiveLimiter(ceiling=self.concurrency)
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(self.timeout, connect=CONNECT_SECONDS, pool=None),
                limits=httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency),
                # Uncompressed, so that the bound on the body's size bounds memory too.
                headers={"accept-encoding": "identity", "user-agent": "adhere"},
            )
        return self._client, self._limiter

    def headers(self) -> dict[str, str]:
        """Of every request, the key included."""
        key = {"authorization": f"Bearer {self._key}"} if self._key else {}
        return {"content-type": "application/json", **key}

    def _unreachable(self, error: Exception) -> NoReturn:
        """Turn a transport error into one line."""
        import httpx2

        cause = self.redacted(str(error)) or type(error).__name__
        if isinstance(error, httpx2.ConnectError):
            said = cause.lower()
            if "certificate" in said or "ssl" in said:
                hint = f"The certificate is not trusted, or the server speaks plain http ({cause})"
                raise ModelError(f"no secure connection to {self.base_url}", hint=hint) from error
            if "name or service" in said or "name resolution" in said or "nodename" in said or "getaddrinfo" in said:
                blip = "temporary" in said
                raise ModelError(
                    f"cannot find the host of {self.base_url} ({cause})", hint="Check the address", retryable=blip
                ) from error
            secure = ", and does it speak https" if self.base_url.startswith("https") else ""
            raise ModelError(f"cannot reach {self.base_url}; is the server running{secure}?", retryable=True) from error
        if isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol):
            raise ModelError(f"cannot call {self.base_url}: {cause}") from error
        raise ModelError(f"the connection to {self.base_url} broke off ({cause})", retryable=True) from error

    async def _refused(self, status: int, raw: bytes, wait: float | None, path: str, location: str) -> NoReturn:
        """Turn a status other than 200 into one line."""
        said = self.redacted(server_message(raw)) or "no reason given"
        if status in (401, 403):
            where = f"The key came from {self._key_variable}" if self._key else f"Set {' or '.join(KEY_VARIABLES)}"
            raise EndpointError(status, f"{self.base_url} refused our key: {said}", hint=where)
        if status == 404 and path != "/models":
            names = await self.models()
            if names and self.model not in names:
                raise self._no_such_model(names)
            raise EndpointError(404, f"{self.base_url}{path}: 404, {said}", hint="Does the address end in /v1?")
        if 300 <= status < 400:
            to = self.redacted(location)
            raise EndpointError(status, f"{self.base_url} redirects to {to}", hint="Give that address instead")
        if too_long(status, raw):
            hint = "A shorter prompt may, or a lower max_tokens"
            raise ContextError(f"it does not fit into the context of {self.model}: {said}", hint=hint)
        # OpenAI answers 429 also when the account is empty, which no waiting mends.
        empty = b"insufficient_quota" in raw
        retryable = (status in RETRYABLE or (status >= 500 and status != 501)) and not empty
        raise EndpointError(status, f"{self.base_url} answered {status}: {said}", retryable=retryable, retry_after=wait)

    def _no_such_model(self, names: list[str]) -> EndpointError:
        shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        hint = did_you_mean(self.model, names)
        return EndpointError(404, f"{self.base_url} has no model '{self.model}'; it has: {shown}", hint=hint)

    def redacted(self, text: str) -> str:
        """The text without the key, should a server have quoted it."""
        return text.replace(self._key, "***") if self._key else text


def _checked_address(base_url: str) -> str:
    import httpx2

    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise UsageError(
            f"'{base_url}' is not an address: {error}", hint="Give e.g. http://localhost:8000/v1"
        ) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"'{base_url}' is not an http address", hint=EXAMPLE)
    if url.userinfo or url.query or url.fragment:
        raise UsageError(
            f"the address of {url.host} carries a key or a query", hint=f"Put the key into {KEY_VARIABLES[0]}"
        )
    return base_url.rstrip("/")


def _key(given: str | None) -> tuple[str, str]:
    """The key and where it came from."""
    found = next(((os.environ[v], v) for v in KEY_VARIABLES if os.environ.get(v)), ("", ""))
    key, origin = (given, "the api_key argument") if given is not None else found
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"the key from {origin} holds characters that no key has", hint="Copy it again")
    return key, origin


def _parsed(raw: bytes, base_url: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        # A proxy's error page, or a server that died while it wrote: another try may get a whole answer.
        raise ModelError(
            f"{base_url} answered 200 with something that is not JSON: {server_message(raw)[:80]!r}", retryable=True
        ) from error


def _seconds(error: BaseException, limit: float) -> str:
    import httpx2

    return f"{CONNECT_SECONDS if isinstance(error, httpx2.ConnectTimeout) else limit:g} s"
