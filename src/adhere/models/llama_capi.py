"""Exact log-probabilities of given text, through llama.cpp's C API in the binding's own library.

The server interface of the binding cannot score given tokens (it accepts `echo` and ignores it, upstream issue 27174),
but its library exports the whole of `llama.h`. Parameter structs there change every few weeks, so this module does not
describe them: it takes the defaults as a block of bytes, sets only the first number of the context's block (`n_ctx`,
which has been first from the beginning), and hands the block back. GUARD: it refuses unless the version is one that was
tested, the block starts with the known defaults, and the opened context reports the size that was asked for.

Not covered: several sequences at once, GPU layers.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adhere.errors import CapabilityError, ContextError, ModelError, WeightsError
from adhere.models.llama_wire import binding
from adhere.records import TokenLogprob

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TESTED_VERSIONS", "Scorer"]

TESTED_VERSIONS = ("2026.10.11549",)
# `llama_context_default_params()` begins with n_ctx, n_batch, n_ubatch.
_CONTEXT_DEFAULTS = struct.pack("<III", 512, 2048, 512)
# Logits of this many tokens are held at a time: 50 MB for a vocabulary of 49,152. Below n_ubatch, so that a text is
# always computed in the same pieces: the prompt's from its start, then the continuation's. If the next prompt is the
# same one, as with the options of a question, it stays in memory, which does not change its values. (What two prompts
# merely begin with does not: the engine's attention rounds by where in memory a token lies, which moved scores by 0.1.)
_PIECE = 256


class _Params(ctypes.Structure):
    """A parameter struct whose fields we do not name; larger than any of them, as the C calling conventions allow."""

    _fields_ = (("bytes", ctypes.c_char * 1024),)


class _Batch(ctypes.Structure):
    """`llama_batch`. A null `pos` lets the library count positions; a null `seq_id` means sequence 0."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.c_void_p),
        ("n_seq_id", ctypes.c_void_p),
        ("seq_id", ctypes.c_void_p),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class Scorer:
    """A model opened for scoring only; its calls take turns.

    Args:
        path: The GGUF file.
        context: Tokens that fit.
        threads: For decoding.
        adapter: A LoRA adapter as GGUF.

    Raises:
        CapabilityError: if the library is not one that was tested.
        WeightsError: if it cannot load the model or the adapter.
    """

    def __init__(self, path: Path, *, context: int, threads: int, adapter: Path | None = None) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._lib = lib = _library()
        params = lib.llama_context_default_params()
        blob = bytearray(params)
        if bytes(blob[:12]) != _CONTEXT_DEFAULTS:
            raise CapabilityError("this build of llama.cpp has another struct layout: it cannot score given text")
        struct.pack_into("<I", blob, 0, context)
        params = _Params.from_buffer(blob)
        # Its log would go to stderr. A Python callback would need the interpreter's lock in the engine's threads, so a
        # function of the library that only reads the clock stands in for one that says nothing.
        lib.llama_log_set(ctypes.cast(lib.llama_time_us, ctypes.c_void_p), None)
        self._model = lib.llama_model_load_from_file(bytes(path), lib.llama_model_default_params())
        if not self._model:
            raise WeightsError(f"llama.cpp cannot load {path}")
        self._context = lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise WeightsError(f"llama.cpp cannot open a context of {context} tokens for {path}")
        if lib.llama_n_ctx(self._context) != context or lib.llama_n_batch(self._context) < _PIECE:
            raise CapabilityError("this build of llama.cpp has another struct layout: it cannot score given text")
        lib.llama_set_n_threads(self._context, threads, threads)
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._held: list[int] = []  # the tokens in memory, all of prompts
        self._size = lib.llama_vocab_n_tokens(self._vocab)
        if adapter is not None:
            self._apply(adapter)

    def _apply(self, adapter: Path) -> None:
        lora = self._lib.llama_adapter_lora_init(self._model, bytes(adapter))
        if not lora:
            raise WeightsError(f"llama.cpp cannot load the adapter {adapter}")
        adapters, scales = (ctypes.c_void_p * 1)(lora), (ctypes.c_float * 1)(1.0)
        if self._lib.llama_set_adapters_lora(self._context, adapters, 1, scales):
            raise WeightsError(f"the adapter {adapter} does not fit this model")

    def score(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Natural-log probability of each token of `continuation` after `prompt`.

        The two are tokenised together, as the model would have read them, and split at the border; where a token would
        straddle it, each is tokenised by itself. (The transformers backend does the same.)

        Raises:
            ContextError: if they do not fit into the context.
            ModelError: if nothing stands before the first token.
        """
        before, whole = self.tokenize(prompt), self.tokenize(prompt + continuation)
        if whole[: len(before)] != before:
            whole = before + self.tokenize(continuation, special=False)
        after = whole[len(before) :]
        if not after:
            return ()
        if not before:
            raise ModelError("the first token after an empty prompt has no probability", hint="Give a prompt")
        if len(whole) > self.context:
            raise ContextError(f"{len(whole)} tokens do not fit into a context of {self.context}")
        with self._lock:
            values = self._decode(whole, len(before))
        return tuple(TokenLogprob(self._piece(t), float(v)) for t, v in zip(after, values, strict=True))

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Token ids; with `special` a beginning-of-text token is added where the model wants one."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 2  # a token has at least one byte, and one or two may be added
        tokens = (ctypes.c_int32 * room)()
        count = self._lib.llama_tokenize(self._vocab, raw, len(raw), tokens, room, special, True)
        if count < 0:
            raise ModelError(f"the text of {len(text)} characters could not be tokenised")
        return tokens[:count]

    def _decode(self, tokens: Sequence[int], first: int) -> list[float]:
        """Log-probabilities of tokens[first:]."""
        import numpy as np

        head, tail = list(tokens[: first - 1]), tokens[first - 1 :]
        if not self._holds(head):
            for start in range(0, len(head), _PIECE):
                self._compute(head[start : start + _PIECE], wanted=False)
        self._held = head
        values: list[float] = []

        # The logits at a position predict the next token: those from the last of the prompt on are wanted.
        for start in range(0, len(tail) - 1, _PIECE):
            piece = tail[start : min(start + _PIECE, len(tail) - 1)]
            self._compute(piece, wanted=True)
            for at in range(len(piece)):
                row = np.ctypeslib.as_array(self._lib.llama_get_logits_ith(self._context, at), (self._size,))
                values.append(_log_softmax_at(row, tail[start + at + 1]))
        return values

    def _holds(self, head: list[int]) -> bool:
        """Whether memory holds exactly this prompt, once the last continuation is forgotten; if not, it is empty."""
        lib, memory = self._lib, self._lib.llama_get_memory(self._context)
        same, self._held = bool(head) and head == self._held, []  # whatever fails from here on, nothing is known
        # A model with a sliding window may have dropped the beginning.
        if same and lib.llama_memory_seq_pos_min(memory, 0) == 0 and lib.llama_memory_seq_rm(memory, 0, len(head), -1):
            return True
        lib.llama_memory_clear(memory, True)
        return False

    def _compute(self, piece: Sequence[int], *, wanted: bool) -> None:
        ids, flags = (ctypes.c_int32 * len(piece))(*piece), (ctypes.c_int8 * len(piece))(*[wanted] * len(piece))
        if self._lib.llama_decode(self._context, _Batch(len(piece), ids, None, None, None, None, flags)):
            self._held = []
            raise ModelError("llama.cpp could not compute the text's probabilities")

    def _piece(self, token: int) -> str:
        room = ctypes.create_string_buffer(256)
        count = self._lib.llama_token_to_piece(self._vocab, token, room, len(room), 0, True)
        return room.raw[: max(0, count)].decode("utf-8", "replace")

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._lib.llama_free(self._context)
            self._lib.llama_model_free(self._model)


def _log_softmax_at(logits: np.ndarray, token: int) -> float:
    import numpy as np

    exact = logits.astype(np.float64)
    top = exact.max()
    return float(exact[token] - top - np.log(np.exp(exact - top).sum()))


def _library() -> Any:
    """The binding's library with the signatures of the functions used here."""
    package = binding()
    lib = ctypes.CDLL(package.xllamacpp.__file__)
    handle, number, flag, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool, ctypes.c_char_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "llama_model_default_params": (_Params, []),
        "llama_context_default_params": (_Params, []),
        "llama_model_load_from_file": (handle, [text, _Params]),
        "llama_init_from_model": (handle, [handle, _Params]),
        "llama_n_ctx": (ctypes.c_uint32, [handle]),
        "llama_n_batch": (ctypes.c_uint32, [handle]),
        "llama_set_n_threads": (None, [handle, number, number]),
        "llama_model_get_vocab": (handle, [handle]),
        "llama_vocab_n_tokens": (number, [handle]),
        "llama_tokenize": (number, [handle, text, number, ctypes.POINTER(number), number, flag, flag]),
        "llama_token_to_piece": (number, [handle, number, text, number, number, flag]),
        "llama_get_memory": (handle, [handle]),
        "llama_memory_clear": (None, [handle, flag]),
        "llama_memory_seq_rm": (flag, [handle, number, number, number]),
        "llama_memory_seq_pos_min": (number, [handle, number]),
        "llama_decode": (number, [handle, _Batch]),
        "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), [handle, number]),
        "llama_adapter_lora_init": (handle, [handle, text]),
        "llama_set_adapters_lora": (number, [handle, ctypes.POINTER(handle), ctypes.c_size_t, handle]),
        "llama_log_set": (None, [handle, handle]),
        "llama_time_us": (ctypes.c_int64, []),
        "llama_free": (None, [handle]),
        "llama_model_free": (None, [handle]),
    }
    try:
        for name, (result, arguments) in signatures.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise CapabilityError(f"this build of llama.cpp cannot score given text: {error}") from error
    return lib
