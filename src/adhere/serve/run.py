"""Running the application: the socket, the signals, the first word of the models."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp

from adhere.errors import AdhereError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.models.openai_http import OpenAIEndpoint
from adhere.serve.app import build_app
from adhere.serve.constraints_body import read
from adhere.serve.one_write import OneWrite
from adhere.serve.served import Catalog
from adhere.serve.settings import Settings

__all__ = ["bound", "configured", "serve", "warm_up"]

GRACE_SECONDS = 60  # after SIGTERM, for what has begun; then it is cut off


def bound(host: str, port: int) -> socket.socket:
    """A listening socket, so that a port that is taken is known before any model is loaded.

    Raises:
        UsageError: if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except (OSError, OverflowError) as error:
        made.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            hint="Choose another --port; 0 takes a free one",
        ) from error
    return made


async def warm_up(model: Model) -> None:
    """Load the model, so that its faults show now and the first client does not wait; ask a server whether it is there.

    Raises:
        AdhereError: if it cannot answer.
    """
    if isinstance(model.backend, OpenAIEndpoint):
        await model.check()
    elif "chat" in model.info.capabilities:
        await model.generate("Hi", Sampling(max_tokens=1))


def configured(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=OneWrite,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=1024,
    )


def serve(
    catalog: Catalog,
    models: Sequence[Model],
    settings: Settings,
    listening: socket.socket,
    *,
    ready: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what has begun (`GRACE_SECONDS`) and take nothing new.

    Args:
        catalog: What is served.
        models: What to load first.
        settings: How.
        listening: From `bound`.
        ready: Called when clients may come.
        warn: Told of a server behind a model that cannot be reached now, which may change.

    Raises:
        AdhereError: if a model of this process cannot be loaded.
    """
    app = build_app(catalog, settings)
    read(b'["no commas", "in English"]').verdicts("A river.")  # loads the checkers and the detector of languages
    gc.collect()
    gc.freeze()  # what is there now stays: no collection has to walk through it again
    config = configured(app)
    server = uvicorn.Server(config)

    async def main() -> None:
        for model in models:
            try:
                await warm_up(model)
            except AdhereError as error:
                if not isinstance(model.backend, OpenAIEndpoint):
                    raise
                warn(f"warning: {error}")
        running = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await running

    # When it has ended in good order, uvicorn raises the signal again that made it end: that must not kill us.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(main())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
