"""A running server for tests: the real application under the real uvicorn, on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from adhere.models.model import Model
from adhere.models.names import load
from adhere.serve import Settings, build_app
from adhere.serve.job import model_sampling
from adhere.serve.run import bound, configured
from adhere.serve.served import gather

__all__ = ["ask", "running"]


@contextmanager
def running(
    *models: str | Model, strategies: Sequence[str] = (), prompt: Path | None = None, **settings: Any
) -> Iterator[str]:
    """Serve models, by name or ready-made, and give the address, which ends in /v1."""
    made = [load(m, store=None, sampling=model_sampling()) if isinstance(m, str) else m for m in models]
    app = build_app(gather(made, strategies, prompt), Settings(**settings))
    socket = bound("127.0.0.1", 0)
    server = uvicorn.Server(configured(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(30)


def ask(text: str, model: str = "echo", **fields: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
