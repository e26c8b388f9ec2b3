"""Which solved items to show: the same for all, drawn for each, or the nearest by BM25 over the words of the code."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar, get_args

from adhere.answer.code_words import code_words
from adhere.answer.select_examples import Selector
from adhere.engine.seeds import derive
from adhere.errors import UsageError, did_you_mean

__all__ = ["METHODS", "Method", "Shots"]

Method = Literal["fixed", "random", "bm25"]
METHODS: tuple[Method, ...] = get_args(Method)
T = TypeVar("T")


class Shots(Generic[T]):
    """Demonstrations out of a pool.

    An item never gets itself, nor one that is the same but for white space and punctuation. Of equally near ones the
    first in the pool wins.

    Args:
        pool: Solved items.
        method: "fixed", "random" or "bm25".
        k: How many.
        key: The text of an item by which it is found: its code.
        seed: Of the draws.
        nearest: Where the nearest of several stands: next to the question ("last", the default) or "first". The paper
            does not say; what stands next to the question pulls most.

    Raises:
        UsageError: for an empty pool, another method, or a negative k.
    """

    def __init__(
        self,
        pool: Sequence[T],
        method: Method,
        k: int,
        key: Callable[[T], str],
        seed: int = 0,
        nearest: Literal["last", "first"] = "last",
    ) -> None:
        if method not in METHODS:
            hint = did_you_mean(method, METHODS) or f"There are: {', '.join(METHODS)}"
            raise UsageError(f"unknown way to choose demonstrations '{method}'", hint=hint)
        if k < 0 or (k and not pool):
            raise UsageError(f"{k} demonstrations of a pool of {len(pool)}", hint="Give a pool, or ask for none")
        self.pool = list(pool)
        self.method: Method = method
        self.k = k
        self.key = key
        self.seed = seed
        self.nearest = nearest
        self._words = [code_words(key(item)) for item in pool]
        self._selector = Selector(self._words, "bm25" if method == "bm25" else "random")

    async def pick(self, text: str) -> list[T]:
        """At most k items for a question, in the order in which to show them.

        Args:
            text: What `key` gives for the question.
        """
        if not self.k:
            return []
        words = code_words(text)
        same = {at for at, other in enumerate(self._words) if other == words}
        if self.method == "fixed":
            order = list(range(len(self.pool)))
            random.Random(derive("shots", self.seed)).shuffle(order)
            return [self.pool[at] for at in order if at not in same][: self.k]
        found = await self._selector.pick(words, self.k, exclude=same, seed=self.seed)
        return [self.pool[at] for at in (found if self.nearest == "last" else reversed(found))]
