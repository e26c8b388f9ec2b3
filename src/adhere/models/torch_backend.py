"""Models through torch and transformers: exact log-probabilities, LoRA, a GPU where there is one.

Loads a Hugging Face folder (safetensors only, never code from the folder) or, through `hf_export`, a GGUF file. Calls
made at the same time run as one batch on one thread; see `torch_decode` for what that does and does not change.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from adhere.errors import CapabilityError, ContextError, ModelError, UsageError, WeightsError, missing_extra
from adhere.models import hf_export, machine
from adhere.models.base import Capability, ModelInfo, Request
from adhere.models.fetch import Notify, sha256_file
from adhere.models.gather import Gatherer, Job
from adhere.models.torch_decode import Row, decode, empty_cache
from adhere.models.torch_prompt import Grammars, ids_of, sane, stop_tokens, text_decoder, token_namer
from adhere.models.torch_rules import Biases
from adhere.models.torch_score import ToScore, log_probabilities, shared_batches
from adhere.records import Response, TokenLogprob, Usage

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Torch"]

BATCH = {"cpu": 16, "cuda": 128}  # rows at once; beyond 16 a CPU gains nothing (research/inference.md, section 2)
SCORED_FLOATS = 64 * 2**20  # logits held at once when scoring: 256 MB
CACHE_SHARE = 0.4  # of the free memory that one batch's keys and values may take


class _Ask(NamedTuple):
    """A request to be answered, tokenised."""

    request: Request
    prompt: list[int]


class Torch:
    """A causal language model in this process, as a `Backend`.

    Args:
        path: A Hugging Face folder, a GGUF file, or a packaged model's name.
        dtype: "float32", "bfloat16", "float16"; "auto" is float32 on a CPU and bfloat16 on a GPU.
        device: "cpu", "cuda"; "auto" takes the GPU where there is one.
        adapter: Folder of a PEFT adapter (safetensors), merged into the weights on loading.
        name: As the user named the model; the path's last part where not given.
        notify: Told before anything that takes more than a second.

    Raises:
        WeightsError: if the folder is not a model, or holds pickles instead of safetensors.
        DependencyError: without the extra `train`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dtype: str = "auto",
        device: str = "auto",
        adapter: str | Path | None = None,
        name: str = "",
        notify: Notify | None = None,
    ) -> None:
        # Threads that spin while they wait cost ten times the speed on a busy machine. Before torch's first import.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            import torch
            import transformers
        except ImportError as error:
            raise missing_extra("torch", "train", "the torch backend") from error
        folder = Path(path)
        if not folder.is_dir():
            folder = hf_export.ensure(path, notify)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto":
            dtype = "float32" if device == "cpu" else "bfloat16"
        if device == "cpu":
            torch.set_num_threads(machine.pick_threads())
        self.tokenizer, self.model = _load(folder, getattr(torch, dtype), device, adapter)
        self._ends = stop_tokens(self.tokenizer, self.model)
        self._pad = (
            self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else min(self._ends, default=0)
        )
        self._grammars = Grammars(self.tokenizer, self.model.config.vocab_size, self._ends)
        self._biases = Biases(self.tokenizer, self.model.config.vocab_size, self._ends, self.model.device)
        self._batch = BATCH["cpu" if device == "cpu" else "cuda"]
        # Enough waiting requests to fill the next batch, sorted by length, while one runs.
        self.concurrency = 2 * self._batch
        self.info = ModelInfo(
            name or Path(path).name,
            "torch",
            _digest(folder, adapter),
            quantization=dtype,
            engine_version=f"torch {torch.__version__}, transformers {transformers.__version__}",
            context=int(getattr(self.model.config, "max_position_embeddings", 0) or 0),
            capabilities=_capabilities(self.tokenizer),
            settings={} if device == "cpu" else {"device": device},
        )
        self._gatherer: Gatherer[_Ask | ToScore] = Gatherer(self._work, f"torch {self.info.name}")

    async def generate(self, request: Request) -> Response:
        """Answer one request, in a batch with those made at the same time.

        Raises:
            CapabilityError: for a chat without a template, an image, or a grammar that cannot be used.
            ModelError: if the prompt does not fit into the context.
        """
        self.info.require(*sorted(request.needs()))
        prompt = ids_of(self.tokenizer, request)
        if self.info.context and len(prompt) >= self.info.context:
            raise ContextError(f"the prompt has {len(prompt)} tokens; the model's context holds {self.info.context}")
        if request.sampling.max_tokens < 1:
            return Response("", self.info.name, "length", Usage(len(prompt), 0))
        return await self._gatherer.submit(_Ask(request, prompt))

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Exact log-probability of each token of `continuation` after `prompt`.

        The two are tokenised together, as the model would have read them, and split at the border; where a token would
        straddle it, each is tokenised by itself.

        Raises:
            ModelError: if they do not fit into the context, or the prompt is empty and the model has no token that
                begins a text.
        """
        before, after = self._split(prompt, continuation)
        if not after:
            return ()
        if not before:
            raise ModelError("the first token after an empty prompt has no probability", hint="Give a prompt")
        if self.info.context and len(before) + len(after) > self.info.context:
            raise ContextError(f"{len(before) + len(after)} tokens do not fit into a context of {self.info.context}")
        return await self._gatherer.submit(ToScore(before, after))

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Refused: `minilm` embeds."""
        self.info.require("embed")
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Finish what runs, end the thread, free the weights."""
        self._gatherer.close()
        self.model = self.tokenizer = None

    def _split(self, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        prompt, continuation = sane(prompt), sane(continuation)
        before = self.tokenizer(prompt)["input_ids"]
        whole = self.tokenizer(prompt + continuation)["input_ids"]
        if whole[: len(before)] == before:
            return before, whole[len(before) :]
        return before, self.tokenizer(continuation, add_special_tokens=False)["input_ids"]

    # On the worker thread ---------------------------------------------------------------------------------------------

    def _work(self, jobs: list[Job[_Ask | ToScore]]) -> None:
        asks = [(job, job.payload) for job in jobs if isinstance(job.payload, _Ask)]
        scores = [(job, job.payload) for job in jobs if isinstance(job.payload, ToScore)]
        asks.sort(key=lambda pair: (pair[1].request.sampling.max_tokens, len(pair[1].prompt)))
        for batch in self._batches(asks, lambda a: len(a.prompt) + a.request.sampling.max_tokens):
            self._answer(batch)
        alike, alone = shared_batches(scores, self._batch)
        alone.sort(key=lambda pair: len(pair[1].prompt) + len(pair[1].continuation))
        for group in (*alike, alone):
            for batch in self._batches(group, lambda s: len(s.prompt) + len(s.continuation)):
                self._score(batch)

    def _batches(self, pairs: list[Any], length: Callable[[Any], int]) -> list[list[Any]]:
        """Consecutive pairs in batches whose keys and values fit into memory."""
        room = _cache_tokens(self.model)
        batches: list[list[Any]] = []
        longest = 0
        for pair in pairs:
            longest = max(longest, length(pair[1]))
            full = not batches or len(batches[-1]) >= self._batch or (len(batches[-1]) + 1) * longest > room
            if full:
                batches.append([])
                longest = length(pair[1])
            batches[-1].append(pair)
        return batches

    def _answer(self, batch: list[tuple[Job[Any], _Ask]]) -> None:
        rows: list[Row] = []
        for job, ask in batch:
            s = ask.request.sampling
            if self.info.context:
                s = msgspec.structs.replace(s, max_tokens=min(s.max_tokens, self.info.context - len(ask.prompt)))
            text_of = text_decoder(self.tokenizer, ask.prompt)
            try:
                matcher = self._grammars.matcher(s)
                bias = self._biases.row(s, ask.prompt, text_of)
            except (CapabilityError, UsageError) as error:
                job.settle(error)
                continue
            rows.append(Row(ask.prompt, s, text_of, job, matcher, bias, token_namer(self.tokenizer, text_of)))
        if rows:
            decode(self.model, rows, self._ends, self._pad, lambda row: row.job.settle(self._response(row)))

    def _response(self, row: Row) -> Response:
        text, logprobs = row.text_of(row.tokens), row.logprobs[: len(row.tokens)]
        if row.cut is not None:
            text = text[: row.cut]
            # Keep the tokens that the text before the stop string needs.
            kept = next((n for n in range(len(row.tokens) + 1) if len(row.text_of(row.tokens[:n])) >= row.cut), 0)
            logprobs = logprobs[:kept]
        return Response(
            text,
            self.info.name,
            row.finish,
            Usage(len(row.prompt), len(row.tokens)),
            tuple(logprobs) if row.sampling.top_logprobs is not None else None,
        )

    def _score(self, batch: list[tuple[Job[Any], ToScore]]) -> None:
        """Score in pieces whose logits fit: only those of the continuations are computed."""
        while batch:
            kept = max(len(s.continuation) for _, s in batch) + 1
            size = max(1, SCORED_FLOATS // (kept * self.model.config.vocab_size))
            piece, batch = batch[:size], batch[size:]
            found = log_probabilities(self.model, [s for _, s in piece], self._pad, empty_cache)
            for (job, wanted), values in zip(piece, found, strict=True):
                texts = [self.tokenizer.decode([t]) for t in wanted.continuation]
                job.settle(tuple(TokenLogprob(t, v) for t, v in zip(texts, values, strict=True)))


def _load(folder: Path, dtype: Any, device: str, adapter: str | Path | None) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not any(folder.glob("*.safetensors")):
        raise WeightsError(
            f"{folder} holds no .safetensors file", hint="Other formats can run code on loading and are not read"
        )
    try:
        with hf_export.quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
            if adapter is not None:
                model = _with_adapter(model, Path(adapter))
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise WeightsError(f"cannot load {folder}: {' '.join(str(error).split())[:300]}") from error
    return tokenizer, model.to(device).eval()


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (adapter / file).is_file():
            raise WeightsError(f"{adapter} is not a LoRA adapter: it has no {file}")
    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


def _digest(folder: Path, adapter: str | Path | None) -> str:
    """SHA-256 over every file that decides what the model says: weights, configuration, tokenizer, template."""
    state = hashlib.sha256()
    for place in (folder, *([Path(adapter)] if adapter is not None else [])):
        files = sorted(f for f in place.iterdir() if f.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt"))
        state.update(json.dumps([(f.name, sha256_file(f)) for f in files]).encode())
    return state.hexdigest()


def _capabilities(tokenizer: Any) -> tuple[Capability, ...]:
    import importlib.util

    able: list[Capability] = [
        "complete",
        "diversity",
        "logit_bias",
        "logprobs",
        "lora",
        "prompt_diversity",
        "rules",
        "seed",
        "stop",
        "token_logprobs",
        "top_k",
    ]
    if tokenizer.chat_template:
        able.append("chat")
    if importlib.util.find_spec("llguidance") and tokenizer.is_fast:
        able.extend(("grammar", "json_schema"))
    return tuple(sorted(able))


def _cache_tokens(model: Any) -> int:
    """Tokens whose keys and values fit into the share of the free memory that is ours."""
    import torch

    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    a_token = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    free = torch.cuda.mem_get_info()[0] if model.device.type == "cuda" else machine.available_memory()
    return max(1, int(CACHE_SHARE * free / a_token))
