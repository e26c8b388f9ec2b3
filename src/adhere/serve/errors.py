"""Every refusal as OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import math

import msgspec
from starlette.exceptions import HTTPException

from adhere.errors import AdhereError, ContextError, ModelError, StoreError, WeightsError
from adhere.models.openai_wire import EndpointError

__all__ = ["ApiError", "ClientLeft", "of"]

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 499: "client_left"}


class ApiError(Exception):
    """A refusal with its HTTP status.

    Args:
        status: From 400 on.
        message: For the client: what was wrong and what to do. Never holds a key or a traceback.
        code: A word that programs can act on.
        param: The field of the request that it is about.
        retry_after: Seconds to wait.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["retry-after"] = str(max(1, math.ceil(retry_after)))

    def body(self) -> bytes:
        """The error object as JSON."""
        kind = TYPES.get(self.status) or ("server_error" if self.status >= 500 else "invalid_request_error")
        said = self.message.encode("utf-8", "replace").decode()
        return msgspec.json.encode({"error": {"message": said, "type": kind, "param": self.param, "code": self.code}})


class ClientLeft(Exception):
    """The client has closed the connection: nobody is there to be answered."""


def of(error: Exception) -> ApiError:
    """What a client is told about an exception; of an unforeseen one, nothing but that it happened."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):  # of Starlette's routes: a method that a route does not take
        return ApiError(error.status_code, error.detail, headers=dict(error.headers or {}))
    if isinstance(error, TimeoutError):
        return ApiError(504, "the answer took too long", code="timeout")
    if isinstance(error, EndpointError):
        return _of_endpoint(error)
    if isinstance(error, ContextError):
        return ApiError(400, str(error), code="context_length_exceeded")  # OpenAI's word, which clients act on
    if isinstance(error, ModelError):
        if not error.retryable:  # the prompt is empty, the schema cannot be held, …
            return ApiError(400, str(error), code="model_refused")
        return ApiError(503, str(error), code="model_unavailable", retry_after=error.retry_after or 1)
    if isinstance(error, WeightsError | StoreError):
        return ApiError(503, "the model cannot be loaded; the server's log says why", code="model_unavailable")
    if isinstance(error, AdhereError):
        return ApiError(400, str(error), code="cannot_do")
    return ApiError(500, "an unforeseen error; the server's log says more", code="internal_error")


def _of_endpoint(error: EndpointError) -> ApiError:
    """An upstream's refusal of a call that a strategy made. Trouble with *our* key is not the client's fault."""
    if error.status == 429:
        return ApiError(429, "the upstream is overloaded", code="upstream_busy", retry_after=error.retry_after or 1)
    if error.status in (400, 413, 422):
        return ApiError(400, str(error), code="upstream_refused")
    if error.status in (401, 403):
        return ApiError(502, "the upstream refused this server's key", code="upstream_key")
    return ApiError(502, str(error), code="upstream_failed")
