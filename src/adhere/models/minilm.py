"""all-MiniLM-L6-v2 in numpy: sentence vectors without torch and without an ONNX file.

The published wheel holds safetensors. Six BERT layers are sixty lines of numpy, measured as quick as torch (both wait
for the same matrix products) and equal to it to 2e-7, so a runtime of 50 MB buys nothing here. Sequences are packed end
to end instead of padded: only attention looks at one sequence at a time (at all of one length together), so a text's
vector does not depend on what else is in its batch, up to float rounding.

Reimers and Gurevych, "Sentence-BERT" (2019), section 3: mean pooling; then L2 normalisation, as the model card says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from adhere.errors import ModelError, WeightsError, missing_extra
from adhere.models.base import ModelInfo, Request
from adhere.records import Response, TokenLogprob

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MiniLM", "batches", "pooled", "weights_of"]

MAX_TOKENS = 256  # sentence_bert_config.json: longer texts are cut, as the reference does
MAX_CHARACTERS = 100_000  # of a text are read at all: far beyond 256 tokens, and a bound on the tokenizer's work
TOKENS_PER_BATCH = 4096  # packed; 4096 x 1536 floats are 25 MB


class MiniLM:
    """Sentence embeddings, as a `Backend` that can do nothing else.

    Args:
        path: Folder with `config.json`, `tokenizer.json` and `model.safetensors`.

    Raises:
        WeightsError: if a file is missing or not what it should be.
        DependencyError: without the extra `embed`.
    """

    concurrency = 4

    def __init__(self, path: str | Path) -> None:
        folder = Path(path)
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self._weights = _load(folder)
        self.dimensions = self._weights.hidden
        self.info = _info(folder)
        # One worker: numpy's products use all cores already, and memory stays bounded by one batch.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="minilm")

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32, shape (len(texts), 384), in the order of `texts`."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self.vectors, list(texts))

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """The same, without an event loop."""
        import numpy as np

        clean = [t[:MAX_CHARACTERS].encode("utf-8", "replace").decode() for t in texts]
        ids = [e.ids for e in self._tokenizer.encode_batch_fast(clean)]
        made = np.empty((len(ids), self.dimensions), np.float32)
        for batch in batches(ids):
            made[batch] = _forward(self._weights, [ids[i] for i in batch])
        return made

    def token_vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Each text's word pieces in context: unit vectors of the last layer, float32, shape (pieces, 384).

        Special tokens are left out. A text longer than the model reads is read in stretches, one after the other, so
        that nothing of it is lost; up to `MAX_CHARACTERS`.
        """
        import numpy as np

        stretches, owners = [], []
        for owner, text in enumerate(texts):
            clean = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()
            for encoded in _stretches(self._tokenizer.encode(clean)):
                stretches.append(encoded)
                owners.append(owner)
        made: list[list[np.ndarray]] = [[] for _ in texts]
        vectors: list[Any] = [None] * len(stretches)
        for batch in batches(stretches):
            states, lengths = hidden(self._weights, [stretches[i] for i in batch])
            states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
            for i, found in zip(batch, np.split(states, np.cumsum(lengths)[:-1]), strict=True):
                vectors[i] = found[1:-1]
        for owner, found in zip(owners, vectors, strict=True):
            made[owner].append(found)
        return [np.concatenate(parts) for parts in made]

    def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens of the texts are read, in all."""
        clean = [t[:MAX_CHARACTERS].encode("utf-8", "replace").decode() for t in texts]
        return sum(len(e.ids) for e in self._tokenizer.encode_batch_fast(clean))

    async def generate(self, request: Request) -> Response:
        """Refused: an embedding model writes nothing."""
        self.info.require(*sorted(request.needs()))
        raise ModelError("an embedding model cannot generate")

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Refused: an embedding model scores nothing."""
        self.info.require("logprobs")
        raise ModelError("an embedding model cannot score text")

    async def close(self) -> None:
        """Let the worker go."""
        self._worker.shutdown(wait=False)


class _Layer(NamedTuple):
    """One BERT layer; matrices as (in, out), ready to be multiplied from the right."""

    qkv: Any
    qkv_bias: Any
    out: Any
    out_bias: Any
    norm: tuple[Any, Any]
    up: Any
    up_bias: Any
    down: Any
    down_bias: Any
    last_norm: tuple[Any, Any]


class _Weights(NamedTuple):
    words: Any
    positions: Any
    norm: tuple[Any, Any]
    layers: tuple[_Layer, ...]
    heads: int
    hidden: int
    epsilon: float
    second: Any  # what a token of a pair's second text has in place of the first's segment vector, as a difference


def _tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise missing_extra("tokenizers", "embed", "embedding texts") from error
    if not path.is_file():
        raise WeightsError(f"{path} is missing", hint="Run: adhere models pull minilm")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _stretches(encoded: Any) -> list[list[int]]:
    """A text's ids in stretches of at most `MAX_TOKENS`, each between the special tokens."""
    return [encoded.ids, *(rest.ids for rest in encoded.overflowing)]


def _load(folder: Path) -> _Weights:
    """The weights, transposed once."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "embed", "embedding texts") from error
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes())
        return weights_of(load_file(folder / "model.safetensors"), config)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{folder} does not hold the MiniLM weights: {error!r}") from error
    except Exception as error:  # safetensors raises a class of its own that derives from Exception
        raise WeightsError(f"{folder / 'model.safetensors'} is damaged: {error}", hint="Fetch it again") from error


def weights_of(found: dict[str, Any], config: dict[str, Any]) -> _Weights:
    """What `pooled` computes with, from BERT's tensors under their usual names. Raises KeyError for a missing one."""
    import numpy as np

    layers = tuple(_layer(found, f"encoder.layer.{n}.") for n in range(config["num_hidden_layers"]))
    segments = found["embeddings.token_type_embeddings.weight"]
    return _Weights(
        found["embeddings.word_embeddings.weight"].astype(np.float32),
        # Every text alone is of segment 0, whose vector can be added to the positions once.
        (found["embeddings.position_embeddings.weight"] + segments[0]).astype(np.float32),
        _norm(found, "embeddings.LayerNorm"),
        layers,
        config["num_attention_heads"],
        config["hidden_size"],
        config["layer_norm_eps"],
        (segments[1] - segments[0]).astype(np.float32),
    )


def _layer(found: dict[str, Any], prefix: str) -> _Layer:
    import numpy as np

    def matrix(name: str) -> Any:
        return np.ascontiguousarray(found[f"{prefix}{name}.weight"].T, np.float32)

    def bias(name: str) -> Any:
        return found[f"{prefix}{name}.bias"].astype(np.float32)

    parts = [f"attention.self.{p}" for p in ("query", "key", "value")]
    return _Layer(
        np.concatenate([matrix(p) for p in parts], 1),
        np.concatenate([bias(p) for p in parts]),
        matrix("attention.output.dense"),
        bias("attention.output.dense"),
        _norm(found, f"{prefix}attention.output.LayerNorm"),
        matrix("intermediate.dense"),
        bias("intermediate.dense"),
        matrix("output.dense"),
        bias("output.dense"),
        _norm(found, f"{prefix}output.LayerNorm"),
    )


def _norm(found: dict[str, Any], name: str) -> tuple[Any, Any]:
    return found[f"{name}.weight"].astype("f4"), found[f"{name}.bias"].astype("f4")


def batches(ids: list[list[int]]) -> list[list[int]]:
    """Indices of texts by length, in batches of at most `TOKENS_PER_BATCH` tokens (or one text)."""
    batches: list[list[int]] = []
    size = TOKENS_PER_BATCH
    for index in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        if size + len(ids[index]) > TOKENS_PER_BATCH:
            batches.append([])
            size = 0
        batches[-1].append(index)
        size += len(ids[index])
    return batches


def _forward(weights: _Weights, ids: list[list[int]]) -> Any:
    """Unit vectors of token sequences that come sorted by length."""
    import numpy as np

    vectors = pooled(weights, ids)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def pooled(weights: _Weights, ids: list[list[int]], seconds: list[int] | None = None) -> Any:
    """The mean of the last layer over each token sequence, shape (sequences, 384); they come sorted by length.

    Args:
        weights: From `weights_of`.
        ids: Token ids with their special tokens.
        seconds: Where a pair's second text begins in each sequence; None where there are no pairs.
    """
    import numpy as np

    x, lengths = hidden(weights, ids, seconds)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.add.reduceat(x, starts, axis=0) / np.asarray(lengths, np.float32)[:, None]


def hidden(weights: _Weights, ids: list[list[int]], seconds: list[int] | None = None) -> tuple[Any, list[int]]:
    """The last layer at every token, shape (tokens of all sequences, 384), and each sequence's length.

    The arguments are those of `pooled`.
    """
    import numpy as np

    lengths = [len(sequence) for sequence in ids]
    flat = np.concatenate([np.asarray(sequence) for sequence in ids])
    where = np.concatenate([np.arange(n) for n in lengths])
    x = weights.words[flat] + weights.positions[where]
    if seconds is not None:
        x[where >= np.repeat(seconds, lengths)] += weights.second
    x = _normalise(x, weights.norm, weights.epsilon)
    runs = _runs(lengths)
    for layer in weights.layers:
        mixed = _attend(x @ layer.qkv + layer.qkv_bias, runs, weights.heads)
        x = _normalise(x + mixed @ layer.out + layer.out_bias, layer.norm, weights.epsilon)
        inner = _gelu(x @ layer.up + layer.up_bias)
        x = _normalise(x + inner @ layer.down + layer.down_bias, layer.last_norm, weights.epsilon)
    return x, lengths


def _runs(lengths: list[int]) -> list[tuple[int, int, int]]:
    """(first token, sequences, length) of each run of equally long sequences."""
    runs: list[tuple[int, int, int]] = []
    at = 0
    for length in sorted(set(lengths)):
        many = lengths.count(length)
        runs.append((at, many, length))
        at += many * length
    return runs


def _attend(qkv: Any, runs: list[tuple[int, int, int]], heads: int) -> Any:
    """Attention within each sequence. No mask: nothing is padded."""
    import numpy as np

    hidden = qkv.shape[1] // 3
    mixed = np.empty((len(qkv), hidden), np.float32)
    for start, many, length in runs:
        part = qkv[start : start + many * length].reshape(many, length, 3, heads, hidden // heads)
        q, k, v = part.transpose(2, 0, 3, 1, 4)  # each (sequence, head, token, dimension)
        scores = q @ k.swapaxes(2, 3) * np.float32((hidden // heads) ** -0.5)
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        mixed[start : start + many * length] = (scores @ v).swapaxes(1, 2).reshape(-1, hidden)
    return mixed


def _normalise(x: Any, norm: tuple[Any, Any], epsilon: float) -> Any:
    x -= x.mean(-1, keepdims=True)
    x /= ((x * x).mean(-1, keepdims=True) + epsilon) ** 0.5
    x *= norm[0]
    x += norm[1]
    return x


def _gelu(x: Any) -> Any:
    """The exact form with erf, which the model was trained with."""
    import numpy as np
    from scipy.special import erf

    gate = erf(x * np.float32(0.5**0.5))
    gate += 1
    gate *= x
    gate *= np.float32(0.5)
    return gate


def _info(folder: Path) -> ModelInfo:
    import numpy as np

    from adhere.models.fetch import sha256_file

    return ModelInfo(
        "minilm",
        "numpy",
        sha256_file(folder / "model.safetensors"),
        quantization="float32",
        engine_version=np.__version__,
        context=MAX_TOKENS,
        capabilities=("embed",),
    )
