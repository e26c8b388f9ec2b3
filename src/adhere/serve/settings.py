"""What an operator chooses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How the server behaves.

    Attributes:
        keys: File of hashed keys, see `keys.py`; None lets everybody in.
        max_body: Bytes that a request may have.
        max_tokens: Most tokens of one answer; more is refused. None: no limit for other servers' models, and
            `job.DEFAULT_TOKENS` for models run here.
        rate: Requests a minute of one key, or of one address where there are no keys; None: no limit.
        timeout: Seconds until an answer must be there; a stream that is passed on must bring something that often.
        log_prompts: Write what was asked and answered into the access log.
    """

    keys: Path | None = None
    max_body: int = 4 * 2**20
    max_tokens: int | None = None
    rate: float | None = None
    timeout: float = 300.0
    log_prompts: bool = False
