"""What is prepared once and used in many rows, apart from each of them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from adhere.engine import context

__all__ = ["Once", "apart"]

T = TypeVar("T")


async def apart(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work` under the run's seed alone.

    What is prepared once and shown in many rows must not depend on which row asked first: not on its draw, and its cost
    is not that row's.
    """
    seed = context.current().seed

    async def run() -> T:
        with context.use(seed=seed):
            return await work()

    return await asyncio.create_task(run(), context=contextvars.Context())


class Once(Generic[T]):
    """A value that the first who asks makes, `apart` from its row; others wait for it. An error is kept as well."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The value, or the error."""
        loop = asyncio.get_running_loop()
        # A task of another event loop that has not ended never will: that loop is gone.
        if self._task is None or (not self._task.done() and self._task.get_loop() is not loop):
            self._task = loop.create_task(apart(self._make))
        return self._task.result() if self._task.done() else await asyncio.shield(self._task)
