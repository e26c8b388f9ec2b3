"""The server's OpenAPI document, made from the structs that decode its requests, so that the two cannot part."""

from __future__ import annotations

from typing import Any

import msgspec

from adhere import __version__
from adhere.constraints import kinds
from adhere.serve.openai_schema import ChatRequest, CompletionRequest, EmbeddingRequest
from adhere.serve.served import EMBEDDER, Catalog
from adhere.serve.settings import Settings

__all__ = ["document"]

REF = "#/components/schemas/{name}"
FAILURES = {
    400: "The request cannot be read, or asks for what this model cannot do",
    401: "No key, or a wrong one",
    404: "No such model",
    405: "Another method is meant",
    408: "The body did not arrive in time",
    413: "The body is too large",
    429: "Too many requests; `Retry-After` says when to come back",
    500: "Unforeseen",
    502: "The upstream failed",
    503: "Busy; `Retry-After` says when to come back",
    504: "The answer took too long",
}
VERDICT = {
    "type": "object",
    "properties": {
        "constraint": {"type": "object", "properties": {"kind": {"type": "string"}, "args": {"type": "object"}}},
        "asked": {"type": "string", "description": "The words that asked for it"},
        "met": {"type": ["boolean", "null"], "description": "null: cannot be decided, which is not a pass"},
        "reason": {"type": "string"},
        "choice": {"type": "integer", "description": "Index of the choice that was checked"},
    },
    "required": ["constraint", "met", "reason", "choice"],
}
NOTE = {
    "type": "object",
    "description": "What Adhere found: whether the answer keeps the constraints, and how it came about.",
    "properties": {
        "passed": {"type": ["boolean", "null"]},
        "verdicts": {"type": "array", "items": VERDICT},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "flags": {"type": "array", "items": {"type": "object"}, "description": "Orders found in documents"},
        "trace": {"type": "array", "items": {"type": "object"}},
        "strategy": {"type": "string"},
        "ignored": {"type": "array", "items": {"type": "string"}},
    },
}
CONSTRAINTS = {
    "description": "Plain words ('no commas, at most 50 words'), objects of kind and args, or a list of both.",
    "anyOf": [{"type": "string"}, {"$ref": REF.format(name="Given")}, {"type": "null"},
              {"type": "array", "maxItems": 100,
               "items": {"anyOf": [{"type": "string"}, {"$ref": REF.format(name="Given")}]}}],
}  # fmt: skip
EVENT = {"type": "object", "properties": {"data": {"type": "string", "description": "A chunk as JSON, or [DONE]"}}}
TEXTS = {
    "anyOf": [{"type": "string", "minLength": 1},
              {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 128}],
}  # fmt: skip
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def document(catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """OpenAPI 3.1 of a server with these models."""
    schemas = _schemas(catalog)
    choices = {"type": "array", "items": {"type": "object"}}
    completion = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "object": {"type": "string"}, "model": {"type": "string"},
                       "choices": choices, "usage": {"type": "object"}, "adhere": NOTE},
        "required": ["choices"],
    }  # fmt: skip
    listed = {"type": "object", "properties": {"data": {"type": "array"}}, "required": ["data"]}
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "adhere serve",
            "version": __version__,
            "description": "OpenAI-compatible; see docs/serve.md",
        },
        "paths": {
            "/v1/chat/completions": {"post": _post("chat", "ChatRequest", completion, streams=True)},
            "/v1/completions": {"post": _post("complete", "CompletionRequest", completion, streams=True)},
            "/v1/embeddings": {"post": _post("embed", "EmbeddingRequest", listed)},
            "/v1/models": {"get": _get("models", listed)},
            "/v1/models/{name}": {"get": _get("model", {"type": "object", "required": ["id"]}, name=True)},
            "/healthz": {"get": _get("healthz", {"type": "object"})},
            "/openapi.json": {"get": _get("openapi", {"type": "object"})},
            "/metrics": {"get": _get("metrics", {"type": "string"}, media="text/plain")},
        },
        "components": {"schemas": schemas | {"Given": _given(), "Error": ERROR}},
    }
    if settings.keys is not None:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return made


def _schemas(catalog: Catalog) -> dict[str, Any]:
    """Of the requests. Fields that are not listed are refused, but where another server reads the request."""
    _, found = msgspec.json.schema_components(
        [ChatRequest, CompletionRequest, EmbeddingRequest], ref_template=REF, schema_hook=lambda _: {}
    )
    served = catalog.by_name.values()
    names = {
        "ChatRequest": [s.name for s in served],
        "CompletionRequest": [s.name for s in served if not s.strategy],
        "EmbeddingRequest": [s.name for s in served if s.endpoint or "embed" in s.model.info.capabilities] + [EMBEDDER],
    }
    for name, models in names.items():
        found[name]["properties"]["model"] = {"enum": list(dict.fromkeys(models))}
        if "constraints" in found[name]["properties"]:
            found[name]["properties"]["constraints"] = CONSTRAINTS
        found[name]["additionalProperties"] = False
    found["CompletionRequest"]["properties"]["prompt"] = TEXTS
    found["EmbeddingRequest"]["properties"]["input"] = TEXTS
    return found


def _given() -> dict[str, Any]:
    """A constraint as an object."""
    return {
        "type": "object",
        "properties": {"kind": {"enum": sorted(kinds())}, "args": {"type": "object"}},
        "required": ["kind"],
        "additionalProperties": False,
    }


def _post(name: str, body: str, reply: dict[str, Any], *, streams: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": reply}}
    if streams:
        content["text/event-stream"] = {"schema": EVENT}
    return {
        "operationId": name,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": REF.format(name=body)}}}},
        "responses": {"200": {"description": "Done", "content": content}} | _failures(),
    }


def _get(
    operation: str, reply: dict[str, Any], *, name: bool = False, media: str = "application/json"
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation,
        "responses": {"200": {"description": "Done", "content": {media: {"schema": reply}}}} | _failures(),
    }
    if name:
        made["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    return made


def _failures() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}
    return {str(status): {"description": said, "content": content} for status, said in FAILURES.items()}
