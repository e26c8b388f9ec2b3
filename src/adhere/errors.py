"""Every error that Adhere raises on purpose, in one tree.

The rule: a message says what was wrong, where (file:line, row id, option), and what to do. The command line prints it
as one line and leaves with status 2; a library user catches `AdhereError`. A failed *row* is not an exception: it is a
`Failure` record (see `records.py`) made from the exception by `Failure.of`.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "AdhereError",
    "CapabilityError",
    "ContextError",
    "DataError",
    "DependencyError",
    "ModelError",
    "StoreError",
    "UnknownNameError",
    "UsageError",
    "WeightsError",
    "did_you_mean",
    "suggest",
]


class AdhereError(Exception):
    """Base of all deliberate errors.

    Args:
        message: What was wrong and where, in one sentence without a full stop at the end.
        hint: What to do about it, in one sentence.
        retryable: Whether the same call may work later (a time-out, a 429); the engine's patience reads it.
        retry_after: Seconds that the other side asked us to wait, where it did.
    """

    exit_status = 2

    def __init__(
        self, message: str, *, hint: str = "", retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retryable = retryable
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UsageError(AdhereError):
    """An option or argument that cannot be used."""


class DataError(AdhereError):
    """A file or row that cannot be read; the message starts with `file:line`."""


class UnknownNameError(AdhereError):
    """A model, benchmark, constraint or method that is not registered."""


class CapabilityError(AdhereError):
    """A backend was asked for what it cannot do. Raised before any work."""


class DependencyError(AdhereError):
    """An optional library is missing; the hint is the command that installs it."""


class WeightsError(AdhereError):
    """Model files that cannot be found, fetched, verified or read."""


class ModelError(AdhereError):
    """A model call failed. `retryable` says whether waiting may help."""


class ContextError(ModelError):
    """A prompt, or prompt and answer together, that do not fit into the model's context: a shorter one may."""


class StoreError(AdhereError):
    """The response store cannot be read or written (disk full, no permission)."""


def did_you_mean(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return "did you mean 'a' or 'b'?" for the names nearest to `name`, or "" if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=limit, cutoff=0.5)
    return f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is not among the known ones: the nearest, or all of them."""
    names = list(known)
    return did_you_mean(name, names) or f"There are: {', '.join(names)}"


def missing_extra(package: str, extra: str, purpose: str) -> DependencyError:
    """The error for an optional library that is not installed."""
    return DependencyError(
        f"{purpose} needs the package '{package}', which is not installed",
        hint=f"Install it with: pip install 'adhere[{extra}]'",
    )
