"""`Model`: any backend with everything around it that no backend should care about.

It checks capabilities before any work, derives seeds, looks into the store, makes one call of many identical ones in
flight, retries with patience, cleans the text and keeps count. It is an Answerer, so every strategy takes one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import msgspec

from adhere.engine import context
from adhere.engine.limiter import Gate
from adhere.engine.patience import Patience
from adhere.engine.seeds import derive
from adhere.engine.store import Store
from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Backend, ModelInfo, Piece, Request, Sampling
from adhere.records import Instruction, Message, Response, TokenLogprob, Usage, encode
from adhere.roles import Answerer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Model", "ModelStats", "base_model"]

T = TypeVar("T")
KEY_VERSION = 1  # raise it when the same key would mean another answer


@dataclass
class ModelStats:
    """What a model has done since it was made. Tokens and seconds are of real calls; cached answers cost none.

    Attributes:
        calls: Calls of the backend that returned.
        cached: Answers taken from the store, or from an identical call that was in flight.
        failed: Calls that failed for good.
        retries: Attempts beyond the first.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
        seconds: Time in the backend, summed over calls, which run side by side.
    """

    calls: int = 0
    cached: int = 0
    failed: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class Model:
    """A backend as the rest of Adhere uses it.

        model = Model(backend, store=Store.default())
        response = await model.answer(instruction)
        text = model.ask("Name three rivers.")          # from a script or a notebook

    Answers are cached under a hash of who answers (weights, engine and its version, quantisation, settings), the
    request, the run's seed and the sample's index. A greedy request (temperature 0) has one answer, which all its
    samples share.

    Args:
        backend: What generates.
        sampling: For requests that bring none of their own.
        store: Where answers are kept; None keeps none.
        patience: How to retry; None takes the default, without a time-out for backends that run in this process.
        chat: Whether to apply the chat template.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        sampling: Sampling = Sampling(),  # noqa: B008  frozen
        store: Store | None = None,
        patience: Patience | None = None,
        chat: bool = True,
    ) -> None:
        self.backend = backend
        self.sampling = sampling
        self.store = store
        self.patience = patience or Patience(timeout=300.0 if backend.info.engine == "openai" else None)
        self.chat = chat
        self.stats = ModelStats()
        # Some fakes look at an instruction's id and references, which no model gets to see.
        self._answerer = backend if isinstance(backend, Answerer) else None
        self._gate = Gate(backend.concurrency)
        self._in_flight: dict[bytes, asyncio.Future[bytes]] = {}
        self._identity: tuple[ModelInfo, Any] | None = None

    def __repr__(self) -> str:
        return f"Model({self.backend!r}, sampling={self.sampling!r}, store={self.store!r}, chat={self.chat!r})"

    @property
    def info(self) -> ModelInfo:
        """Who answers."""
        return self.backend.info

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.backend.info.name

    @property
    def concurrency(self) -> int:
        """How many calls in flight the backend makes good use of."""
        return self.backend.concurrency

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the backend. The store may be shared and stays open."""
        await self.backend.close()

    async def check(self) -> None:
        """Make sure that the backend can be asked at all, before a run: an endpoint is reached, a key accepted.

        Raises:
            ModelError: saying in one line what is wrong.
        """
        check = getattr(self.backend, "check", None)
        if check is not None:
            await check()

    # Asking ----------------------------------------------------------------------------------------------------------

    async def answer(self, instruction: Instruction) -> Response:
        """Answer one instruction: the Answerer's verb. Its documents go into the messages here, each with its rank.

        That it happens here, and not earlier, keeps them apart from the request for every strategy around the model.

        Raises:
            CapabilityError: if the backend cannot do what the sampling asks.
            ModelError: if the call failed for good.
        """
        if self._answerer is not None:
            response = _named(_clean(await self._answerer.answer(instruction)), self.name)
            self._count(response)
            self.stats.calls += 1
            context.spend(response.usage)
            return response
        if instruction.documents:
            from adhere.models.hierarchy import render_documents

            instruction = render_documents(instruction)
        return await self.generate(instruction.messages)

    async def generate(
        self,
        messages: Sequence[Message] | str,
        sampling: Sampling | None = None,
        *,
        sample: int = 0,
        fresh: bool = False,
    ) -> Response:
        """One response to a conversation, or to a text, which becomes a user message.

        Args:
            messages: The conversation.
            sampling: Instead of the model's own and of what a strategy around it changed (`context.drawing`).
            sample: Which of several draws; ask with another index for another answer to the same request.
            fresh: Ask even if the store has it, and store the new answer in its place.

        Raises:
            CapabilityError, ModelError: as `answer`.
            StoreError: if the answer could not be stored.
        """
        turns = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        request, draw = self._request(turns, sampling or self._sampling_here(), sample)

        async def call() -> bytes:
            response = _clean(await self.backend.generate(request))
            self._count(response)
            return msgspec.msgpack.encode(response)

        key = self._key("generate", encode(Request(turns, draw[0], self.chat)), draw[1])
        response = _named(_responses.decode(await self._once(key, call, fresh=fresh)), self.name)
        context.spend(response.usage)
        return response

    @property
    def streams(self) -> bool:
        """Whether answers can come piece by piece, as they are written."""
        return hasattr(self.backend, "stream") and self._answerer is None

    def stream(
        self, messages: Sequence[Message], sampling: Sampling | None = None
    ) -> AsyncGenerator[Piece | Response, None]:
        """One response, piece by piece, at last whole. For somebody who waits: no store, and no second attempt.

        The context (seed, draw, changes to the sampling) is that of the call, not of the loop over the pieces.

        Raises:
            CapabilityError: if the backend cannot do what the sampling asks, or has no `stream`.
            ModelError: from the loop, if the call fails.
        """
        if not self.streams:
            raise CapabilityError(f"model '{self.name}' gives whole answers only", hint="Use generate")
        return self._streamed(self._request(tuple(messages), sampling or self._sampling_here(), 0)[0])

    async def _streamed(self, request: Request) -> AsyncGenerator[Piece | Response, None]:
        async with self._gate:
            began = perf_counter()
            source = self.backend.stream(request)  # pyrefly: ignore
            try:
                async for made in source:
                    if isinstance(made, Response):
                        made = _named(_clean(made), self.name)
                        self._count(made)
                        self.stats.calls += 1
                        context.spend(made.usage)
                    yield made
            finally:
                await source.aclose()
                self.stats.seconds += perf_counter() - began

    async def sample(self, instruction: Instruction, n: int, sampling: Sampling | None = None) -> list[Response]:
        """`n` responses to one instruction, drawn side by side. With temperature 0 they are all the same answer."""
        return await asyncio.gather(
            *(self.generate(instruction.messages, sampling, sample=index) for index in range(n))
        )

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Exact natural-log probability of each token of `continuation` after `prompt` (plain text, no template)."""
        self.info.require("logprobs")

        async def call() -> bytes:
            return msgspec.msgpack.encode(await self.backend.logprobs(prompt, continuation))

        found = _tokens.decode(await self._once(self._key("logprobs", encode([prompt, continuation])), call))
        context.spend(Usage(prompt_tokens=len(found)))  # what was read of the prompt is not known here
        return found

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors, one row a text, float32. Each text is cached by itself; the rest go in one call."""
        import numpy as np

        self.info.require("embed")
        keys = [self._key("embed", encode(text)) for text in texts]
        known = self.store.get_many(keys) if self.store is not None else {}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        self.stats.cached += len(keys) - len(missing)
        if missing:
            vectors = await self._call(lambda: self.backend.embed(list(missing.values())), keys[0])
            for key, vector in zip(missing, vectors, strict=True):
                known[key] = np.asarray(vector, dtype="<f4").tobytes()
            if self.store is not None:
                await asyncio.gather(*(self.store.put(key, known[key]) for key in missing))
        return np.array([np.frombuffer(known[key], dtype="<f4") for key in keys], dtype=np.float32)

    def ask(self, text: str, **changes: Any) -> str:
        """The answer's text, for synchronous callers, notebooks included. `changes` are fields of `Sampling`."""
        from adhere.engine.sync import call

        return call(self.generate(text, msgspec.structs.replace(self.sampling, **changes))).text

    # One call --------------------------------------------------------------------------------------------------------

    def _sampling_here(self) -> Sampling:
        """The model's sampling with what the strategies around this call have changed."""
        changes = context.current().overrides
        return msgspec.structs.replace(self.sampling, **changes) if changes else self.sampling

    def _request(
        self, messages: tuple[Message, ...], sampling: Sampling, sample: int
    ) -> tuple[Request, tuple[Sampling, list[int]]]:
        """The request to send, and what stands for its sampling in the key: (sampling, which draw of it).

        The key must not hold the derived seed but what it is derived from, so that a backend which takes no seeds still
        gives every sample an entry of its own, and a greedy request has one entry for all seeds and samples.
        """
        request = Request(messages, sampling, self.chat)
        self.info.require(*request.needs())
        run = context.current()
        if sampling.temperature == 0:
            if sampling.seed is not None:
                request = Request(messages, msgspec.structs.replace(sampling, seed=None), self.chat)
            return request, (request.sampling, [])
        if sampling.seed is not None:
            self.info.require("seed")
            if run.sample == sample == 0:
                return request, (sampling, [])
            seed = derive(sampling.seed, run.sample, sample)
            drawn = msgspec.structs.replace(sampling, seed=seed)
            return Request(messages, drawn, self.chat), (sampling, [run.sample, sample])
        draw = [run.sample, sample, run.seed]
        if "seed" not in self.info.capabilities:
            return request, (sampling, draw)
        seed = derive(run.seed, encode(request), run.sample, sample)
        drawn = msgspec.structs.replace(sampling, seed=seed)
        return Request(messages, drawn, self.chat), (sampling, draw)

    def _key(self, kind: str, *parts: Any) -> bytes:
        """SHA-256 over who answers and what is asked."""
        info = self.backend.info
        if self._identity is None or self._identity[0] is not info:
            who = [KEY_VERSION, info.digest, info.engine, info.engine_version, info.quantization, info.settings]
            self._identity = info, hashlib.sha256(encode(who))
        state = self._identity[1].copy()
        for part in (kind, *parts):
            body = part if isinstance(part, bytes) else encode(part)
            state.update(len(body).to_bytes(8, "big"))
            state.update(body)
        return state.digest()

    async def _once(self, key: bytes, call: Callable[[], Awaitable[bytes]], *, fresh: bool = False) -> bytes:
        """What stands under the key: from the store, from an identical call in flight, or from the backend."""
        loop = asyncio.get_running_loop()
        while True:
            if self.store is not None and not fresh and (stored := self.store.get(key)) is not None:
                self.stats.cached += 1
                return stored
            leader = self._in_flight.get(key)
            if leader is None or leader.get_loop() is not loop:
                break
            value = await _follow(leader)
            if value is not None:
                self.stats.cached += 1
                return value
        mine = self._in_flight[key] = loop.create_future()
        try:
            value = await self._call(call, key)
            if self.store is not None:
                value = await self.store.put(key, value, replace=fresh)
        except BaseException as error:
            if not mine.done():
                # A leader that was cancelled tells nothing about the call: its followers try for themselves.
                if isinstance(error, Exception):
                    mine.set_exception(error)
                    mine.exception()  # looked at, lest asyncio complains when nobody follows
                else:
                    mine.cancel()
            raise
        else:
            if not mine.done():
                mine.set_result(value)
            return value
        finally:
            if self._in_flight.get(key) is mine:
                del self._in_flight[key]

    def _count(self, response: Response) -> None:
        self.stats.prompt_tokens += response.usage.prompt_tokens
        self.stats.completion_tokens += response.usage.completion_tokens

    async def _call(self, call: Callable[[], Awaitable[T]], key: bytes) -> T:
        """Ask the backend, patiently."""
        attempts = 0

        async def attempt() -> T:
            nonlocal attempts
            attempts += 1
            async with self._gate:
                began = perf_counter()
                try:
                    return await call()
                finally:
                    self.stats.seconds += perf_counter() - began

        try:
            value = await self.patience.call(attempt, seed=int.from_bytes(key[:4], "big"))
        except Exception:
            self.stats.failed += 1
            raise
        finally:
            self.stats.retries += max(0, attempts - 1)
        self.stats.calls += 1
        return value


def base_model(answerer: Answerer) -> Model:
    """The innermost model, for what only a model can do: log-probabilities, labels, sampling of its own.

    Raises:
        UsageError: if there is none inside.
    """
    inner: Any = answerer
    while inner is not None and not isinstance(inner, Model):
        inner = getattr(inner, "model", None)
    if inner is None:
        raise UsageError(f"{answerer!r} has no model inside", hint="Wrap one that adhere.load returned")
    return inner


_responses = msgspec.msgpack.Decoder(Response)
_tokens = msgspec.msgpack.Decoder(tuple[TokenLogprob, ...])


async def _follow(leader: asyncio.Future[bytes]) -> bytes | None:
    """The leader's result; None if it was cancelled. Our own cancellation goes on as usual."""
    try:
        return await asyncio.shield(leader)
    except asyncio.CancelledError:
        if leader.cancelled() and not cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            return None
        raise


def _named(response: Response, name: str) -> Response:
    return response if response.model else msgspec.structs.replace(response, model=name)


def _clean(response: Response) -> Response:
    """The response without lone surrogates, which no file and no JSON can carry; each becomes "?"."""
    try:
        msgspec.msgpack.encode(response)
        return response
    except UnicodeEncodeError:
        return msgspec.convert(_scrub(msgspec.structs.asdict(response)), Response)


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_scrub(name): _scrub(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _scrub(msgspec.structs.asdict(value))
    return value
