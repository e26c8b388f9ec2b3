"""Where to spend a budget of scoring calls: every candidate in full, an upper-confidence bandit, or halving.

One call scores one candidate on one pair. Candidates see the pairs in the same order, so that two with equal counts
were scored on the same pairs. What is known is in the `Ledger`; an allocator buys until its calls are spent or there
is nothing left to buy.

Against the reference (APE's `evaluation/bandits.py`): candidates that were never scored come last, not first (there
their mean is 0, above every log-likelihood), and a candidate that was scored on less than half as many pairs as the
most scored one ranks behind those with more.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from adhere.errors import UnknownNameError, UsageError, suggest
from adhere.write.instructions.scoring import InstructionScorer
from adhere.write.instructions.tasks import Pair

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ALLOCATORS", "Allocator", "Ledger", "allocator_of", "full", "halving", "ucb"]

EXPLORATION = 1.0  # c of the confidence bound (repository, `bandits.py`)
MINI = 5  # pairs a candidate gets at a time, as in the repository's simple interface
SHARE = 1 / 3  # of the candidates that get them in a round, likewise


class Ledger:
    """What every candidate scored on every pair, and what it has cost.

    Args:
        pairs: To score on, in the order in which they are used.
        scorer: What a call is.
        budget: Calls in all; None is no limit.
    """

    def __init__(self, pairs: Sequence[Pair], scorer: InstructionScorer, budget: int | None = None) -> None:
        import numpy as np

        self.pairs = tuple(pairs)
        self.scorer = scorer
        self.budget = budget
        self.candidates: list[str] = []
        self.values = np.empty((0, len(self.pairs)))  # NaN where nothing was bought
        self.calls = 0
        self.failed = 0

    def add(self, candidates: Iterable[str]) -> None:
        """More candidates; those that are there already are left as they are."""
        import numpy as np

        new = [text for text in dict.fromkeys(candidates) if text not in set(self.candidates)]
        self.candidates += new
        self.values = np.vstack([self.values, np.full((len(new), len(self.pairs)), np.nan)])

    @property
    def left(self) -> float:
        """Calls that may still be made."""
        return math.inf if self.budget is None else self.budget - self.calls

    @property
    def counts(self) -> np.ndarray:
        """Pairs that each candidate was scored on."""
        import numpy as np

        return (~np.isnan(self.values)).sum(1)

    @property
    def means(self) -> np.ndarray:
        """Mean score of each candidate; NaN where it has none."""
        import numpy as np

        counts = self.counts
        sums = np.nansum(self.values, 1)
        return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)

    async def buy(self, candidates: Iterable[int], pairs: int) -> None:
        """Score candidates on their next `pairs` pairs each, as far as the budget and the pairs reach."""
        import numpy as np

        wanted = [
            (int(i), int(j)) for i in candidates for j in np.flatnonzero(np.isnan(self.values[int(i)]))[: max(0, pairs)]
        ]
        wanted = wanted if self.left == math.inf else wanted[: int(self.left)]
        self.calls += len(wanted)
        found = await asyncio.gather(*(self.scorer.score(self.candidates[i], self.pairs[j]) for i, j in wanted))
        for (i, j), value in zip(wanted, found, strict=True):
            self.failed += math.isnan(value)
            self.values[i, j] = self.scorer.worst if math.isnan(value) else value

    def ranking(self) -> list[int]:
        """Candidates, best first: well-scored ones by mean, then those with few pairs, then those with none."""
        counts, means = self.counts, self.means
        enough = counts.max(initial=0) / 2

        def key(i: int) -> tuple[int, float, int]:
            tier = 2 if not counts[i] else 1 if counts[i] <= enough and counts[i] < len(self.pairs) else 0
            return tier, -means[i] if counts[i] else 0.0, i

        return sorted(range(len(self.candidates)), key=key)


Allocator = Callable[[Ledger, float], Awaitable[None]]


async def full(ledger: Ledger, calls: float) -> None:
    """Every candidate on every pair; on as many pairs as `calls` allows.

    Raises:
        UsageError: if `calls` does not reach every candidate once.
    """
    new = [i for i, count in enumerate(ledger.counts) if count < len(ledger.pairs)]
    if not new:
        return
    each = len(ledger.pairs) if calls == math.inf else int(calls // len(new))
    if each < 1:
        raise UsageError(
            f"a budget of {int(calls)} calls does not reach each of {len(new)} candidates",
            hint=f"Give at least {len(new)}, fewer candidates, or the allocator 'ucb'",
        )
    await ledger.buy(new, each)


async def ucb(ledger: Ledger, calls: float) -> None:
    """Rounds in which the third of the candidates with the highest bound get five more pairs each.

    Where there are fewer than 20 pairs, a quarter of them: the first look at all candidates must not take everything.
    The bound is mean + c * sqrt(ln(all counts) / count), with c = 1; who has no pair yet comes first.
    """
    import numpy as np

    if calls == math.inf:
        await full(ledger, calls)
        return
    end = ledger.calls + calls
    width = max(1, round(SHARE * len(ledger.candidates)))
    mini = max(1, min(MINI, len(ledger.pairs) // 4))
    while ledger.calls < end:
        counts = ledger.counts
        spread = np.sqrt(math.log(max(1, counts.sum())) / np.maximum(counts, 1))
        bound = np.where(counts > 0, np.nan_to_num(ledger.means) + EXPLORATION * spread, np.inf)
        bound[counts == len(ledger.pairs)] = -np.inf  # nothing more to learn
        chosen = [i for i in np.argsort(-bound, kind="stable")[:width] if bound[i] > -np.inf]
        if not chosen:
            return
        room = int(end - ledger.calls)
        await ledger.buy(chosen[: max(1, room // mini)], min(mini, room))


async def halving(ledger: Ledger, calls: float) -> None:
    """Successive halving (Karnin et al. 2013): equal shares a round, of which the better half goes on."""
    import numpy as np

    if calls == math.inf:
        await full(ledger, calls)
        return
    alive = np.arange(len(ledger.candidates))
    rounds = max(1, math.ceil(math.log2(max(1, len(alive)))))
    end = ledger.calls + calls
    for number in range(rounds):
        share = int((end - ledger.calls) // (rounds - number))
        target = int(ledger.counts[alive].min()) + max(1, share // len(alive))
        by_need: dict[int, list[int]] = {}
        for i in alive[: int(end - ledger.calls)]:
            by_need.setdefault(min(target, len(ledger.pairs)) - int(ledger.counts[i]), []).append(int(i))
        for need, group in by_need.items():
            await ledger.buy(group, need)
        order = np.argsort(-np.nan_to_num(ledger.means[alive], nan=-np.inf), kind="stable")
        alive = alive[order[: max(1, len(alive) // 2)]]


ALLOCATORS: dict[str, Allocator] = {"full": full, "ucb": ucb, "halving": halving}


def allocator_of(name: str | Allocator) -> Allocator:
    """The allocator of a name; an allocator is itself.

    Raises:
        UnknownNameError: with the nearest names.
    """
    if not isinstance(name, str):
        return name
    if name not in ALLOCATORS:
        raise UnknownNameError(f"unknown allocator '{name}'", hint=suggest(name, ALLOCATORS))
    return ALLOCATORS[name]
