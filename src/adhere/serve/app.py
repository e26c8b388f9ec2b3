"""The server as an ASGI application: the routes, and what each does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from adhere.models.minilm import MiniLM
from adhere.serve import local
from adhere.serve.constraints_body import Wishes, read
from adhere.serve.errors import ApiError
from adhere.serve.guard import Call, Guard
from adhere.serve.job import understand
from adhere.serve.limits import read_body
from adhere.serve.metrics import CONTENT_TYPE, Metrics
from adhere.serve.openai_schema import ChatRequest, CompletionRequest, EmbeddingRequest, decode, leftover, rewritten
from adhere.serve.openapi import document
from adhere.serve.relay import Passing
from adhere.serve.served import EMBEDDER, Catalog
from adhere.serve.settings import Settings
from adhere.serve.stream import EventStream, unless_gone
from adhere.serve.upstream import Upstream

__all__ = ["build_app"]

NO_WISHES = Wishes((), (), (), ())
JSON = (b"content-type", b"application/json")


def build_app(catalog: Catalog, settings: Settings) -> ASGIApp:
    """The application, ready for any ASGI server.

    Args:
        catalog: What is served; closed when the server ends.
        settings: How.

    Raises:
        DataError: if the file of keys cannot be read.
    """
    metrics = Metrics()
    return Guard(_Routes(catalog, settings, metrics), settings, metrics)


class _Routes:
    """What the handlers share."""

    def __init__(self, catalog: Catalog, settings: Settings, metrics: Metrics) -> None:
        self.catalog = catalog
        self.settings = settings
        self.metrics = metrics
        self.openapi = msgspec.json.encode(document(catalog, settings))
        self._upstream: Upstream | None = None
        self.answers = {
            "/v1/chat/completions": self.chat,
            "/v1/completions": self.completions,
            "/v1/embeddings": self.embeddings,
        }
        self.router = Router(
            [
                *(Route(path, answer, methods=["POST"]) for path, answer in self.answers.items()),
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.model),
                Route("/healthz", self.healthz),
                Route("/metrics", self.metrics_page),
                Route("/openapi.json", self.openapi_page),
            ],
            redirect_slashes=False,
            default=_not_found,
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Calls of models go straight to their handlers: Starlette's routing is a tenth of what a call takes here.
        answer = self.answers.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if answer is None:
            await self.router(scope, receive, send)
        else:
            await (await answer(Request(scope, receive)))(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        self._upstream = Upstream(self.settings.timeout)
        try:
            yield
        finally:
            self._upstream.close()
            await self.catalog.close()

    @property
    def upstream(self) -> Upstream:
        """The client for other servers; made here where the ASGI server runs no lifespan."""
        if self._upstream is None:
            self._upstream = Upstream(self.settings.timeout)
        return self._upstream

    # Answers ---------------------------------------------------------------------------------------------------------

    async def chat(self, request: Request) -> ASGIApp:
        """`POST /v1/chat/completions`."""
        return await self._complete(request, ChatRequest)

    async def completions(self, request: Request) -> ASGIApp:
        """`POST /v1/completions`."""
        return await self._complete(request, CompletionRequest)

    async def _complete(self, request: Request, kind: type[ChatRequest] | type[CompletionRequest]) -> ASGIApp:
        call = _call(request)
        body = await self._body(request)
        asked = decode(body, kind)
        served = self.catalog.find(asked.model)
        call.model, call.stream = served.name, bool(asked.stream)
        if call.said is not None:
            call.said["asked"] = msgspec.json.decode(body)
        wishes = NO_WISHES if asked.constraints is msgspec.UNSET else read(bytes(asked.constraints))
        if wishes.warnings and asked.adhere is not None and asked.adhere.strict:
            raise ApiError(400, wishes.warnings[0], code="contradiction", param="constraints")
        if asked.stream_options is not None and not asked.stream:
            raise ApiError(400, "stream_options needs stream: true", code="invalid_value", param="stream_options")
        seconds = self.settings.timeout
        if served.endpoint is not None:
            passing = Passing(self.upstream, call, served, asked, body, wishes, self.settings)
            if asked.stream:
                return EventStream(passing.stream(), seconds=None)
            return _Json(await unless_gone(request.receive, passing.reply(), seconds))
        job = understand(call, served, asked, wishes, leftover(body, kind), self.settings)
        if asked.stream:
            return EventStream(local.stream(job), seconds=seconds)
        reply = await unless_gone(request.receive, local.reply(job), seconds)
        return _Json(msgspec.json.encode(reply))

    async def embeddings(self, request: Request) -> ASGIApp:
        """`POST /v1/embeddings`: of the other server, of a model that can, or of all-MiniLM-L6-v2."""
        call = _call(request)
        body = await self._body(request)
        asked = decode(body, EmbeddingRequest)
        served = None if asked.model == EMBEDDER else self.catalog.find(asked.model)
        call.model = asked.model
        if served is not None and served.endpoint is not None:
            sent = body if asked.model == served.endpoint.model else rewritten(body, {"model": served.endpoint.model})
            work = self.upstream.post(served.endpoint, "/embeddings", sent, call)
            return _Json((await unless_gone(request.receive, work, self.settings.timeout))[0])
        leftover(body, EmbeddingRequest)
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        if not all(isinstance(t, str) and t for t in texts):
            raise ApiError(400, "input must be one text or several, none empty; token ids are not supported",
                           code="unsupported_parameter", param="input")  # fmt: skip
        work = self._embed(asked, [str(t) for t in texts], call)
        return _Json(await unless_gone(request.receive, work, self.settings.timeout))

    async def _embed(self, asked: EmbeddingRequest, texts: list[str], call: Call) -> bytes:
        if asked.model == EMBEDDER:
            model = await asyncio.to_thread(self.catalog.embedder)
        else:
            model = self.catalog.find(asked.model).model
        vectors = await model.embed(texts)
        if asked.dimensions not in (None, vectors.shape[1]):
            raise ApiError(400, f"this model's vectors have {vectors.shape[1]} dimensions",
                           code="unsupported_parameter", param="dimensions")  # fmt: skip
        if isinstance(model.backend, MiniLM):
            call.prompt_tokens = model.backend.count_tokens(texts)
        data = [
            {"object": "embedding", "index": at,
             "embedding": base64.b64encode(v.astype("<f4").tobytes()).decode()
             if asked.encoding_format == "base64" else v.tolist()}
            for at, v in enumerate(vectors)
        ]  # fmt: skip
        usage = {"prompt_tokens": call.prompt_tokens, "total_tokens": call.prompt_tokens}
        return msgspec.json.encode({"object": "list", "data": data, "model": asked.model, "usage": usage})

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self.settings.max_body, self.settings.timeout)

    # About the server ------------------------------------------------------------------------------------------------

    async def models(self, request: Request) -> ASGIApp:
        """`GET /v1/models`."""
        _call(request)
        return _Json(msgspec.json.encode({"object": "list", "data": self.catalog.entries()}))

    async def model(self, request: Request) -> ASGIApp:
        """`GET /v1/models/NAME`."""
        _call(request, "/v1/models/{name}")
        return _Json(msgspec.json.encode(self.catalog.entry(request.path_params["name"])))

    async def healthz(self, request: Request) -> ASGIApp:
        """`GET /healthz`: it runs. (Nothing is asked of the models: a probe must cost nothing.)"""
        _call(request)
        return _Json(b'{"status":"ok"}')

    async def metrics_page(self, request: Request) -> Response:
        """`GET /metrics`, for Prometheus."""
        _call(request)
        return Response(self.metrics.page(), headers={"content-type": CONTENT_TYPE})

    async def openapi_page(self, request: Request) -> ASGIApp:
        """`GET /openapi.json`."""
        _call(request)
        return _Json(self.openapi)


class _Json:
    """A reply in JSON: Starlette's `Response` without what has to be worked out."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [JSON, (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def _call(request: Request, endpoint: str = "") -> Call:
    """The request's `Call`, told which route it has taken."""
    call: Call = request.scope["adhere"]
    call.endpoint = endpoint or request.scope["path"]
    return call


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(404, f"there is nothing at {scope['path'][:200]}", code="not_found")
