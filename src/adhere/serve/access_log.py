"""One JSON line a request, on stderr: who, what, how long; what was said only where the operator asks for it."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from adhere.serve.guard import Call

__all__ = ["log_call", "log_error"]


def log_call(call: Call, method: str, path: str, seconds: float) -> None:
    """A request has ended."""
    line: dict[str, Any] = {
        "time": round(time.time(), 3),
        "id": call.id,
        "method": method,
        "path": path,
        "status": call.status,
        "ms": round(seconds * 1000, 2),
    }
    if call.inside is not None:
        line["model_ms"] = round(call.inside * 1000, 2)
    for name in ("key", "model", "stream", "prompt_tokens", "completion_tokens", "error", "said"):
        value = getattr(call, name)
        if value:
            line[name] = value
    if call.verdicts:
        line["verdicts"] = call.verdicts
    _write(line)


def log_error(call: Call, error: BaseException) -> None:
    """An unforeseen error, with its traceback: frames only, since the message may quote what the client sent."""
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    _write({"time": round(time.time(), 3), "id": call.id, "unforeseen": type(error).__name__, "frames": frames})


def _write(line: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads the log any more: no reason to stop answering
        sys.stderr.write(msgspec.json.encode(line, enc_hook=str).decode() + "\n")
