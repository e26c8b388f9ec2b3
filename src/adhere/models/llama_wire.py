"""What the llama.cpp engine reads and writes: a `Request` as its JSON, its stream of chunks as an answer."""

from __future__ import annotations

import importlib
import json
from typing import Any, NamedTuple

from adhere.errors import CapabilityError, ContextError, DataError, DependencyError, ModelError, UsageError
from adhere.models.base import NO_EYES, Piece, Request, Sampling
from adhere.records import ImagePart, TokenLogprob, Usage

__all__ = ["Answer", "binding", "check_schema", "collect", "payload_of", "piece_of", "raise_error"]

ROLES = ("system", "user", "assistant", "tool")
_RANDOM_SEED = 0xFFFFFFFF  # to llama.cpp this number means "any"


class Answer(NamedTuple):
    text: str
    finish_reason: str
    usage: Usage
    logprobs: tuple[TokenLogprob, ...]


def binding() -> Any:
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise DependencyError(
            f"running GGUF models needs the package 'xllamacpp', which cannot be loaded ({error})",
            hint="Install it with: pip install xllamacpp",
        ) from error


def payload_of(request: Request, context: int = 0) -> dict[str, Any]:
    """The engine's request. Every sampler that `Sampling` does not name is off.

    Args:
        request: What to ask; the scores on its tokens are not in here, since they need a tokenizer.
        context: Tokens that a sequence may have, over which diversity is penalised.
    """
    s = request.sampling
    if s.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {s.max_tokens}")
    if s.temperature < 0 or not 0 < s.top_p <= 1 or s.top_k < 0:
        raise UsageError(f"temperature {s.temperature}, top_p {s.top_p}, top_k {s.top_k}: out of range")
    payload: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": s.max_tokens,
        "temperature": s.temperature,
        "seed": (s.seed or 0) % _RANDOM_SEED,
        "samplers": ["temperature", "top_k", "top_p"] if s.temperature > 0 else ["temperature"],
        "top_k": s.top_k,
        "top_p": s.top_p,
        "stop": list(s.stop),
    }
    if s.rules is not None and s.rules.diversity:
        # The engine's sampler has seen the prompt, and subtracts the penalty once for every distinct token.
        payload |= {"presence_penalty": -s.rules.diversity, "repeat_last_n": context}
        payload["samplers"].insert(0, "penalties")
    if s.grammar is not None or s.json_schema is not None:
        payload["grammar"] = _grammar(s)
    if s.top_logprobs is not None:
        alternatives = max(1, s.top_logprobs)  # 0 would switch them off altogether
        payload |= {"logprobs": True, "top_logprobs": alternatives} if request.chat else {"logprobs": alternatives}
    for message in request.messages:
        if message.role not in ROLES:  # the engine would put it into the template, unnoticed
            raise DataError(f"'{message.role}' is not a role", hint=f"Roles are {', '.join(ROLES)}")
        if not isinstance(message.content, str) and any(isinstance(part, ImagePart) for part in message.content):
            raise CapabilityError("this engine sees no images", hint=NO_EYES)
    # A lone surrogate cannot reach the engine; it becomes "?", as in everything that is stored.
    texts = [m.text.encode("utf-8", "replace").decode() for m in request.messages]
    if request.chat:
        payload["messages"] = [{"role": m.role, "content": t} for m, t in zip(request.messages, texts, strict=True)]
    else:
        payload["prompt"] = "\n".join(texts)
    if not request.messages or payload.get("prompt") == "":
        raise ModelError("the prompt is empty")
    return payload


def _grammar(sampling: Sampling) -> str:
    """The grammar of a request; a JSON schema becomes one.

    Raises:
        UsageError: both at once, or not a JSON schema.
    """
    if sampling.json_schema is None:
        grammar = sampling.grammar or ""
        if grammar.lstrip().startswith("%"):  # another notation, whose mistakes the engine would ignore
            raise UsageError('a grammar must be GBNF, e.g. root ::= "yes" | "no"')
        return grammar
    if sampling.grammar is not None:
        raise UsageError("a request may have a grammar or a JSON schema, not both")
    _validator(sampling.json_schema)
    return binding().json_schema_to_grammar(sampling.json_schema)


def _validator(schema: dict[str, Any]) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise UsageError(f"not a JSON schema: {str(error).splitlines()[0]}") from error


def check_schema(text: str, schema: dict[str, Any]) -> None:
    """Raises ModelError where a finished answer misses its schema: the engine could not compile it and said nothing."""
    try:
        if _validator(schema).is_valid(json.loads(text)):
            return
    except (ValueError, RecursionError):
        pass
    raise ModelError("llama.cpp could not hold the answer to this JSON schema", hint="Simplify the schema")


def raise_error(reply: dict[str, Any]) -> None:
    if "error" not in reply:
        return
    error = reply["error"]
    if error.get("type") == "exceed_context_size_error":
        raise ContextError(
            f"the prompt has {error['n_prompt_tokens']} tokens, the context {error['n_ctx']}",
            hint="Shorten it, or open the model with a larger context",
        )
    raise ModelError(f"llama.cpp refused: {str(error.get('message', error))[:500]}")


def piece_of(chunk: dict[str, Any], request: Request) -> Piece | None:
    """The text that a chunk adds; None where it adds none, or is an error, which `collect` raises."""
    if "error" in chunk or not chunk["choices"]:
        return None
    choice = chunk["choices"][0]
    text = (choice["delta"].get("content") if request.chat else choice["text"]) or ""
    entries = (choice.get("logprobs") or {}).get("content", ()) if request.sampling.top_logprobs is not None else ()
    return Piece(text, tuple(_token(entry) for entry in entries)) if text or entries else None


def collect(chunks: list[dict[str, Any]], chat: bool) -> Answer:
    """Put a stream together. The last assistant message of the request (a prefill) is not part of it.

    The engine reports a character that takes several tokens (an emoji) as one, with its last token's log-probability.
    """
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    finish, usage = "", Usage()
    for chunk in chunks:
        raise_error(chunk)
        if "usage" in chunk:
            usage = Usage(chunk["usage"]["prompt_tokens"], chunk["usage"]["completion_tokens"])
        for choice in chunk["choices"]:
            texts.append((choice["delta"].get("content") if chat else choice["text"]) or "")
            finish = choice["finish_reason"] or finish
            logprobs += [_token(entry) for entry in (choice.get("logprobs") or {}).get("content", ())]
    if not finish:
        raise ModelError("llama.cpp ended the answer without a reason", retryable=True)
    return Answer("".join(texts), finish, usage, tuple(logprobs))


def _token(entry: dict[str, Any]) -> TokenLogprob:
    top = tuple((other["token"], other["logprob"]) for other in entry["top_logprobs"])
    return TokenLogprob(entry["token"], entry["logprob"], top)
