"""What a row of a run knows about the run: its seed, which of several draws this is, and what it has cost so far.

The eval runner sets it around each row; `Model` reads it, so that a strategy need not hand seeds from call to call.

    with context.use(seed=7, sample=2):
        await model.answer(instruction)     # another draw than sample 1, and the same one in every run with seed 7

A strategy draws several answers from whatever it wraps, a model or another strategy, and counts what they cost:

    with context.metered() as spent:
        for index in range(8):
            with context.drawing(index, temperature=0.7):
                candidates.append(await inner.answer(instruction))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from adhere.engine.seeds import derive
from adhere.records import Usage

__all__ = ["RunContext", "Spent", "current", "drawing", "metered", "spend", "use"]

NOTHING: Mapping[str, Any] = MappingProxyType({})


class RunContext(NamedTuple):
    """The run's seed, the index of the draw, and the fields of `Sampling` that a strategy around the model changed."""

    seed: int = 0
    sample: int = 0
    overrides: Mapping[str, Any] = NOTHING


@dataclass
class Spent:
    """What the model calls of a block came to, answers from the cache included: the cost by design, not by luck."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def usage(self) -> Usage:
        """The tokens as a record."""
        return Usage(self.prompt_tokens, self.completion_tokens)


_OUTSIDE = RunContext()
_current: ContextVar[RunContext] = ContextVar("adhere_run", default=_OUTSIDE)
_meters: ContextVar[tuple[Spent, ...]] = ContextVar("adhere_meters", default=())


def current() -> RunContext:
    """The context of the row that is running; seed 0, sample 0 outside a run."""
    return _current.get()


@contextmanager
def use(*, seed: int = 0, sample: int = 0) -> Iterator[RunContext]:
    """Set the context for a block of code and everything that it awaits or starts."""
    with _set(RunContext(seed, sample)) as made:
        yield made


@contextmanager
def drawing(index: int = 0, **sampling: Any) -> Iterator[RunContext]:
    """The `index`-th independent draw within the current one.

    Draw 0 of draw 0 is the plain answer, which a run without the strategy has in its cache already.

    Args:
        index: Which draw; within one draw of the outer strategy each index gives another random stream.
        sampling: Fields of `Sampling` to change for every call below that brings no sampling of its own.
    """
    outer = _current.get()
    if index and outer.sample:
        sample = derive("draw", outer.sample, index)
    else:
        sample = index or outer.sample
    with _set(RunContext(outer.seed, sample, {**outer.overrides, **sampling} if sampling else outer.overrides)) as made:
        yield made


@contextmanager
def _set(made: RunContext) -> Iterator[RunContext]:
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


@contextmanager
def metered() -> Iterator[Spent]:
    """Count every model call of the block, and of the tasks that it starts. Meters nest: the outer one counts too."""
    spent = Spent()
    token = _meters.set((*_meters.get(), spent))
    try:
        yield spent
    finally:
        _meters.reset(token)


def spend(usage: Usage) -> None:
    """Tell the meters around this call what it took; `Model` does."""
    for meter in _meters.get():
        meter.calls += 1
        meter.prompt_tokens += usage.prompt_tokens
        meter.completion_tokens += usage.completion_tokens
