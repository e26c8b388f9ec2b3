"""GGUF models inside this process: llama.cpp's server engine through the `xllamacpp` binding.

Concurrent calls become one continuous batch: each call waits in its own thread, the engine decodes all of them
together. Settings and traps were measured (`docs/performance.md`); the ones that shape this module:

- `OMP_WAIT_POLICY` must be PASSIVE before the binding is loaded: threads that spin for long cost a factor of ten on a
  busy machine. They stay awake for 20,000 turns, under 0.1 ms, before they sleep: on two idle cores 1.4 times (16
  sequences) to 2.3 times (4) as fast as sleeping at once; where others come to both cores later, 0.7 to 0.8 times
  (`benchmarks/waiting_threads.py`). Threads are as many as cores were idle, so the first case is the usual one.
- The engine returns most errors as data. It drops a JSON schema that it cannot compile and writes freely; answers
  `max_tokens=0` with one token and an empty prompt with nothing; cuts an answer silently where the context ends; makes
  up a chat template where the file has none. All of these are errors here.
- Its default sampler chain (top-k 40, min-p 0.05, top-p before temperature) is replaced by exactly what `Sampling`
  says: temperature, then top-k, then top-p.
- It opens an HTTP port on loopback even when only used from Python: a random key locks it, and no page may read it.
- Only streaming calls can be stopped, so every call streams.

Not covered: images, tools, speculative decoding, GPU layers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from adhere.errors import ContextError, ModelError, UsageError, WeightsError
from adhere.models.base import Capability, ModelInfo, Piece, Request, Sampling
from adhere.models.fetch import sha256_file
from adhere.models.gather import Gatherer, Job
from adhere.models.gguf_tools import Gguf, read_header
from adhere.models.llama_capi import TESTED_VERSIONS, Scorer
from adhere.models.llama_wire import Answer, binding, check_schema, collect, payload_of, piece_of, raise_error
from adhere.models.machine import available_memory, pick_threads
from adhere.models.token_bias import biases
from adhere.records import Response, TokenLogprob

if TYPE_CHECKING:
    import numpy as np

if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE") == "PASSIVE":
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__all__ = ["LlamaCpp"]

T = TypeVar("T")

SLOTS = 16  # 32 cost twice the memory for 5% more speed
CONTEXT = 2048
MEMORY_SHARE = 4  # the key-value cache may take a quarter of the free memory
CONTEXT_STEP = 256  # the engine rounds contexts up to this


class LlamaCpp:
    """A GGUF file as a backend.

    The file is checked and hashed at once; the engine itself starts with the first call, so that a run answered from
    the store loads nothing.

    Args:
        path: The GGUF file.
        name: As the user named it; the file's name by default.
        slots: Sequences decoded together; fewer where memory is short.
        context: Tokens of prompt and answer that one sequence may have; the model's own limit at most.
        threads: None picks by the machine and its load. Results do not depend on it.
        adapter: A LoRA adapter as GGUF, applied at full scale.
        reuse_prefix: Do not compute again what a slot's last prompt has in common with the next one. Saves time with
            long shared prefixes (few-shot examples, growing conversations); the text may then depend on what came
            before.
        embed: Also serve `embed` (mean-pooled last layer), which a chat model does not need.

    Raises:
        WeightsError: if a file is missing, cut off or not GGUF.
        UsageError: if a number makes no sense.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str = "",
        slots: int | None = None,
        context: int | None = None,
        threads: int | None = None,
        adapter: str | Path | None = None,
        reuse_prefix: bool = False,
        embed: bool = False,
    ) -> None:
        for option, number in (("slots", slots), ("context", context), ("threads", threads)):
            if number is not None and number < 1:
                raise UsageError(f"{option} must be at least 1, not {number}")
        self.path = Path(path)
        self.adapter = Path(adapter) if adapter else None
        self.threads = threads
        self.reuse_prefix = reuse_prefix
        self.embedding = embed
        header = read_header(self.path)
        tokens = min(context or CONTEXT, header.context_length or context or CONTEXT)
        self.context = -(-tokens // CONTEXT_STEP) * CONTEXT_STEP
        self.concurrency = slots or _slots_that_fit(header, self.context)
        self.info = self._describe(header, name or self.path.name)
        self._lock = threading.Lock()
        self._prompt_turn = threading.Semaphore()
        self._engine: Any = None
        self._scorer: Scorer | None = None
        self._closed = False
        self._scores: Gatherer[tuple[str, str]] = Gatherer(self._score, "llama.cpp scores")
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="llamacpp")
        self._running: set[threading.Event] = set()

    def _describe(self, header: Gguf, name: str) -> ModelInfo:
        digest = sha256_file(self.path)
        settings: dict[str, Any] = {"reuse_prefix": True} if self.reuse_prefix else {}
        if self.adapter is not None:
            if read_header(self.adapter).metadata.get("general.type") != "adapter":
                raise WeightsError(f"{self.adapter} is not a LoRA adapter in GGUF form")
            settings["adapter"] = sha256_file(self.adapter)
        able: set[Capability] = {
            "complete",
            "grammar",
            "json_schema",
            "lora",
            "prompt_diversity",
            "seed",
            "stop",
            "token_logprobs",
            "top_k",
        }
        if header.chat_template:
            able.add("chat")
        if self.embedding:
            able.add("embed")
        if version("xllamacpp") in TESTED_VERSIONS:
            able.update(("logit_bias", "logprobs"))
        return ModelInfo(
            name=name,
            engine="llama.cpp",
            digest=digest,
            quantization=header.quantization,
            engine_version=f"xllamacpp {version('xllamacpp')}",
            context=self.context,
            capabilities=tuple(sorted(able)),
            settings=settings,
        )

    async def generate(self, request: Request) -> Response:
        """Answer one request; cancelling the task stops the engine at the next token.

        Raises:
            ModelError: prompt empty or too long, context exhausted, bad grammar or schema.
            CapabilityError: chat without a template, or images.
            UsageError: a sampling setting that makes no sense.
        """
        self.info.require(*request.needs())
        payload = payload_of(request, self.context)
        cancelled = threading.Event()
        try:
            return await self._in_pool(self._answer, payload, request, cancelled)
        finally:
            cancelled.set()

    async def stream(self, request: Request) -> AsyncGenerator[Piece | Response, None]:
        """Answer one request piece by piece, at last the whole response; closing the generator stops the engine.

        Raises:
            As `generate`; what is only found at the end (context exhausted, schema missed) after the last piece.
        """
        self.info.require(*request.needs())
        payload = payload_of(request, self.context)
        cancelled = threading.Event()
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(chunk: dict[str, Any]) -> None:
            piece = piece_of(chunk, request)
            if piece is not None:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        answer = asyncio.ensure_future(self._in_pool(self._answer, payload, request, cancelled, tell))
        answer.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await answer
        finally:
            cancelled.set()
            answer.cancel()

    async def _in_pool(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._closed:
            raise ModelError(f"model '{self.info.name}' is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _answer(
        self,
        payload: dict[str, Any],
        request: Request,
        cancelled: threading.Event,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> Response:
        """One streaming call, in a thread of the pool; `tell` hears of each chunk as it comes.

        Prompts go in one at a time, the next one when the one before has its first token: several at once would be cut
        into pieces of equal length, and a last piece of one token is summed in another order than it would be alone.
        """
        # Known to `close` from here on: it may come while the engine starts or the prompt waits for its turn.
        self._running.add(cancelled)
        chunks: list[dict[str, Any]] = []
        try:
            if "logit_bias" in request.needs():
                payload["logit_bias"] = self._biases(request.sampling)
            engine = self._start()
            call = engine.handle_chat_completions if request.chat else engine.handle_completions
            with contextlib.ExitStack() as turn:
                turn.enter_context(self._prompt_turn)

                def take(chunk: dict[str, Any]) -> bool:
                    turn.close()
                    chunks.append(chunk)
                    if tell is not None and not cancelled.is_set():
                        tell(chunk)
                    return cancelled.is_set()

                if not cancelled.is_set():
                    call(payload, take)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"llama.cpp refused: {str(error)[:500]}") from error
        finally:
            self._running.discard(cancelled)
        if cancelled.is_set():
            raise ModelError(f"model '{self.info.name}': the call was stopped")
        answer = collect(chunks, request.chat)
        self._check_length(answer, request.sampling)
        if request.sampling.json_schema is not None and answer.finish_reason == "stop":
            check_schema(answer.text, request.sampling.json_schema)
        logprobs = answer.logprobs if request.sampling.top_logprobs is not None else None
        return Response(answer.text, self.info.name, answer.finish_reason, answer.usage, logprobs)

    def _check_length(self, answer: Answer, sampling: Sampling) -> None:
        """Tell a context that ran out from the asked-for limit: the engine calls both `length`."""
        usage = answer.usage
        if answer.finish_reason == "length" and usage.completion_tokens < sampling.max_tokens:
            raise ContextError(
                f"the context of {self.context} tokens ran out after {usage.completion_tokens} of "
                f"{sampling.max_tokens} tokens (the prompt has {usage.prompt_tokens})",
                hint="Lower max_tokens, shorten the prompt, or open the model with a larger context",
            )

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Exact log-probability of each token of `continuation`; see `Scorer.score` for how the border is drawn.

        Raises:
            CapabilityError: with a version of the binding that was not tested for this.
            ModelError: if the two do not fit into the context, or the prompt is empty.
        """
        self.info.require("logprobs")
        if self._closed:
            raise ModelError(f"model '{self.info.name}' is closed")
        return await self._scores.submit((prompt, continuation))

    def _score(self, jobs: list[Job[tuple[str, str]]]) -> None:
        """Score what was asked at the same time, prompt by prompt: the scorer computes each prompt once."""
        scorer = self._open_scorer()
        for job in sorted(jobs, key=lambda job: job.payload[0]):
            try:
                job.settle(scorer.score(*job.payload))
            except ModelError as error:
                job.settle(error)

    def _open_scorer(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                threads = self.threads or pick_threads()
                self._scorer = Scorer(self.path, context=self.context, threads=threads, adapter=self.adapter)
        return self._scorer

    def _biases(self, sampling: Sampling) -> list[list[float]]:
        """Scores by token id: the engine would take strings too, and score every piece of one that is several tokens.

        Raises:
            UsageError: if a string is not one token.
        """
        scorer = self._open_scorer()
        return [[i, score] for i, score in biases(sampling, lambda t: scorer.tokenize(t, special=False)).items()]

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Mean-pooled, unit-length last-layer vectors; only where opened with `embed=True`.

        Raises:
            CapabilityError: if opened without `embed=True`.
            ModelError: if a text is empty or too long.
        """
        import numpy as np

        self.info.require("embed")
        found = await asyncio.gather(*(self._in_pool(self._embed_one, text) for text in texts))
        vectors = np.asarray(found, np.float32).reshape(len(texts), -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _embed_one(self, text: str) -> list[float]:
        if not text:
            raise ModelError("cannot embed an empty text")
        reply = self._start().handle_embeddings({"input": text, "model": ""})
        raise_error(reply)
        return reply["data"][0]["embedding"]

    async def close(self) -> None:
        """Stop running calls and free the engine's memory; later calls raise ModelError."""
        self._closed = True
        for cancelled in tuple(self._running):
            cancelled.set()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._scores.close)
        if self._scorer is not None:
            self._scorer.close()
        self._engine = self._scorer = None

    def _start(self) -> Any:
        with self._lock:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _open(self) -> Any:
        xllamacpp = binding()
        params = xllamacpp.CommonParams()
        params.model.path = str(self.path)
        params.n_parallel = self.concurrency
        params.n_ctx = self.context * self.concurrency  # the total over all slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads or pick_threads()
        params.verbosity = -1
        # Flash attention sums in an order that depends on the other sequences: with it half of all greedy answers
        # differ between alone and in a batch. It is no faster here.
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.fit_params = False  # no probing of memory
        params.cache_ram_mib = 0  # no 8 GiB prompt cache
        params.cache_prompt = self.reuse_prefix
        params.ui = False
        params.api_keys = [secrets.token_hex(16)]
        params.cors_origins = ""
        params.n_threads_http = 1
        params.endpoint_slots = False
        # The text as it was written: nothing taken out as "reasoning".
        params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
        if self.adapter is not None:
            lora = xllamacpp.CommonAdapterLoraInfo()
            lora.path, lora.scale = str(self.adapter), 1.0
            params.lora_adapters = [lora]
        if self.embedding:
            params.embedding = True
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        try:
            return xllamacpp.Server(params)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                f"llama.cpp cannot load {self.path} (context {self.context}, {self.concurrency} slots): {error}",
                hint="Its architecture may be newer than this llama.cpp, or memory too short: try fewer slots",
            ) from error


def _slots_that_fit(header: Gguf, context: int) -> int:
    """SLOTS, or as many as a share of the free memory holds."""
    each = max(1, header.cache_bytes_per_token() * context)
    return max(1, min(SLOTS, available_memory() // MEMORY_SHARE // each))
