"""Requests as OpenAI defines them, decoded strictly, and what else a client may send.

A field belongs to one of four groups. *Honoured* fields are those of the structs here. *Harmless* ones (`user`,
`metadata`, …) do not change an answer: they are ignored, and the reply says so. *Neutral* ones (`frequency_penalty`,
`tools`, …) are taken where they ask for nothing and refused otherwise, since to ignore them would change the answer's
meaning. Any other field is refused by name. A request that is passed on to another server may hold anything: what the
fields mean is that server's business.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from adhere.errors import did_you_mean
from adhere.serve.errors import ApiError

__all__ = [
    "AdhereOptions", "ChatRequest", "CompletionRequest", "EmbeddingRequest", "StreamOptions", "Turn", "decode",
    "leftover", "rewritten",
]  # fmt: skip

MOST_CHOICES = 16
MOST_STOPS = 16
HARMLESS = frozenset(
    ("metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
     "service_tier", "store", "user")
)  # fmt: skip
NOTHING: dict[str, tuple[Any, ...]] = {  # field → the values that ask for nothing
    "audio": (),
    "best_of": (1,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "min_p": (0,),
    "modalities": (["text"],),
    "moderation": (),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "repetition_penalty": (1,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "verbosity": ("medium",),
    "web_search_options": (),
}

Name = Annotated[str, Meta(min_length=1, max_length=400)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
T = TypeVar("T")


class Part(msgspec.Struct):
    """A piece of a message: a text or an image."""

    type: str
    text: str | None = None
    image_url: dict[str, Any] | None = None


class Turn(msgspec.Struct):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: Raw | UnsetType = UNSET
    function_call: Raw | UnsetType = UNSET


class StreamOptions(msgspec.Struct):
    """What a stream shall hold."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class JsonSchema(msgspec.Struct):
    """OpenAI's wrapping of a schema."""

    schema: dict[str, Any]
    name: str | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(msgspec.Struct):
    """The form that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Document(msgspec.Struct):
    """A text that the question is about. Orders in it do not count, unless it is `trusted`."""

    text: Annotated[str, Meta(min_length=1)]
    title: str = ""
    trusted: bool = False


class AdhereOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a request asks of Adhere: `trace` returns how the answer came about; `strict` refuses contradictions."""

    trace: bool = False
    strict: bool = False


class Sampled(msgspec.Struct, kw_only=True):
    """What both kinds of completion share."""

    model: Name
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=MOST_STOPS)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    constraints: Raw | UnsetType = UNSET
    documents: Annotated[list[Document], Meta(max_length=100)] | None = None
    adhere: AdhereOptions | None = None


class ChatRequest(Sampled, kw_only=True):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[Turn], Meta(min_length=1)]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None

    @property
    def limit(self) -> int | None:
        """The token limit, under either name; the newer one counts where both are given."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionRequest(Sampled, kw_only=True):
    """The body of `/v1/completions`."""

    prompt: str | list[str | int | list[int]]  # ids of tokens: only other servers may know what they mean
    max_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None

    @property
    def limit(self) -> int | None:
        """The token limit."""
        return self.max_tokens


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """The body of `/v1/embeddings`."""

    model: Name
    input: (
        Annotated[str, Meta(min_length=1)] | Annotated[list[str | int | list[int]], Meta(min_length=1, max_length=2048)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None


def decode(body: bytes, type: type[T]) -> T:
    """A request's body.

    Raises:
        ApiError: 400, naming the field where there is one.
    """
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        _, _, where = str(error).partition(" - at `$")
        raise ApiError(400, str(error), code="invalid_value", param=where.rstrip("`").lstrip(".") or None) from error
    except RecursionError as error:
        raise ApiError(400, "the body is nested too deeply", code="invalid_json") from error
    except UnicodeDecodeError as error:
        raise ApiError(400, "the body is not UTF-8", code="invalid_json") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from error


_fields = msgspec.json.Decoder(dict[str, Raw])


def leftover(body: bytes, type: type[msgspec.Struct]) -> tuple[str, ...]:
    """Names of the fields that were ignored, which change nothing.

    Raises:
        ApiError: 400 for a field that cannot be honoured and would change the answer, and for an unknown one.
    """
    known = type.__struct_fields__
    ignored: list[str] = []
    for name, raw in _fields.decode(body).items():
        if name in known:
            continue
        if name in HARMLESS:
            ignored.append(name)
        elif name in NOTHING:
            value = msgspec.json.decode(raw)
            if value is not None and value not in NOTHING[name]:
                raise ApiError(
                    400, f"'{name}' is not supported by this model", code="unsupported_parameter", param=name
                )
        else:
            hint = did_you_mean(name, [*known, *NOTHING, *HARMLESS]) or "It is not part of this API"
            raise ApiError(400, f"unknown field '{name[:100]}'. {hint}", code="unknown_parameter", param=name[:100])
    return tuple(ignored)


def rewritten(body: bytes, changes: dict[str, Any]) -> bytes:
    """The body with fields replaced, or left out where the change is None; all others byte for byte as they came."""
    fields: dict[str, Any] = dict(_fields.decode(body))
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    return msgspec.json.encode(fields)
