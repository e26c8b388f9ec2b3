"""What best-of-k would have given for every k up to n, from one set of n candidates an instruction.

Drawing 16 candidates once tells the expected result of best-of-1, 2, …, 16, so scorers can be compared at equal cost
without running anything again. The estimator is the usual unbiased one over all subsets of k out of n (as pass@k, Chen
et al. 2021, section 2.1): with the candidates sorted by score, the one at rank r (from 0) is the best of a random
k-subset with probability C(n-1-r, k-1) / C(n, k). Equal scores share their probability.

Three curves: `picked` by the scorer; `oracle`, the best there is among k; `random`, one of the k blindly, which costs
as much and uses none of it. Candidates must not have been left out by an early stop.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, groupby
from math import comb, isnan
from typing import Any, NamedTuple

from adhere.engine.seeds import derive
from adhere.errors import UsageError
from adhere.records import Instruction, Response
from adhere.score.statistics import Rate, bootstrap_mean

__all__ = ["Budget", "Candidates", "at_budget", "best_of_k", "lines", "ranked_best_of_k"]

SUBSETS = 32  # of each size that a comparing scorer is asked about


class Candidates(NamedTuple):
    """The candidates of one instruction.

    Attributes:
        scores: By the scorer, the higher the better; None where undecided.
        quality: The truth that is to be reported, e.g. whether it is right.
    """

    scores: Sequence[float | None]
    quality: Sequence[float]


class Budget(NamedTuple):
    """Means over instructions at a budget of `k` candidates, with 95% bootstrap intervals.

    Attributes:
        k: Candidates drawn for each instruction.
        picked: Quality of what the scorer picks.
        oracle: Quality of the best.
        random: Quality of one picked blindly.
        gain: `picked` minus `random`, paired by instruction.
    """

    k: int
    picked: Rate
    oracle: Rate
    random: Rate
    gain: Rate


def best_of_k(scores: Sequence[float | None], quality: Sequence[float], *, first_fixed: bool = False) -> list[float]:
    """Expected quality of the best-scored of k candidates, for k = 1 … n.

    Args:
        scores: The higher the better; None (undecided) below everything.
        quality: Of the same candidates.
        first_fixed: Candidate 0 is always among the k (the model's plain answer) and wins ties; the others are drawn.

    Raises:
        UsageError: if there are no candidates, or the lengths differ.
    """
    if len(scores) != len(quality) or not scores:
        raise UsageError(f"best-of-k of {len(scores)} scores and {len(quality)} qualities", hint="Give one each")
    keyed = [float("-inf") if s is None or isnan(s) else s for s in scores]
    pool = list(zip(keyed, quality, strict=True))
    first = pool.pop(0) if first_fixed else None
    groups = [
        [q for _, q in group]
        for value, group in groupby(sorted(pool, key=lambda p: p[0], reverse=True), key=lambda p: p[0])
        if first is None or value > first[0]
    ]
    curve = []
    for k in range(1, len(scores) + 1):
        drawn = k - len(scores) + len(pool)
        before, expected, rank = 1.0, 0.0, 0
        for group in groups:
            rank += len(group)
            after = comb(len(pool) - rank, drawn) / comb(len(pool), drawn)  # none of the `rank` best is drawn
            expected += (before - after) * sum(group) / len(group)
            before = after
        curve.append(expected + (before * first[1] if first else 0.0))
    return curve


async def ranked_best_of_k(
    scorer: Any, instruction: Instruction, responses: Sequence[Response], quality: Sequence[float], *, seed: int = 0
) -> list[float]:
    """`best_of_k` for a scorer that compares candidates (`rank`), whose scores depend on which others are there.

    Every subset of a size is ranked where there are at most 32, else 32 drawn ones.
    """
    curve = []
    for k in range(1, len(responses) + 1):
        rng = random.Random(derive("budget", seed, instruction.id, k))
        picked = []
        for subset in _subsets(len(responses), k, rng):
            scores = [s.value for s in await scorer.rank(instruction, [responses[i] for i in subset])]
            picked.append(best_of_k(scores, [quality[i] for i in subset])[-1])
        curve.append(sum(picked) / len(picked))
    return curve


def at_budget(
    rows: Sequence[Candidates], *, first_fixed: bool = False, curves: Sequence[Sequence[float]] | None = None
) -> list[Budget]:
    """The three curves over many instructions.

    Args:
        rows: All with the same number of candidates.
        first_fixed: As `best_of_k`.
        curves: The picked curve of each row where it is known already (`ranked_best_of_k`); the scores are not read
            then.

    Raises:
        UsageError: if rows have different numbers of candidates: an early stop, or failed calls.
    """
    sizes = {len(row.quality) for row in rows}
    if len(sizes) != 1:
        raise UsageError(
            f"instructions with {sorted(sizes)} candidates cannot be put on one curve" if sizes else "no candidates",
            hint="Draw all of them: early_stop=false",
        )
    picked = curves or [best_of_k(row.scores, row.quality, first_fixed=first_fixed) for row in rows]
    oracle = [best_of_k(row.quality, row.quality, first_fixed=first_fixed) for row in rows]
    blind = [_blind(row.quality, first_fixed) for row in rows]
    return [
        Budget(
            k + 1,
            bootstrap_mean([curve[k] for curve in picked]),
            bootstrap_mean([curve[k] for curve in oracle]),
            bootstrap_mean([curve[k] for curve in blind]),
            bootstrap_mean([p[k] - b[k] for p, b in zip(picked, blind, strict=True)]),
        )
        for k in range(sizes.pop())
    ]


def lines(budgets: Sequence[Budget]) -> list[str]:
    """The curves as a small table: k, then picked, oracle and random in percent, then the gain with its interval."""
    shown = [f"{'k':>3}  {'picked':>7}  {'oracle':>7}  {'random':>7}  gain over random"]
    for b in budgets:
        means = "  ".join(f"{100 * rate.value:7.1f}" for rate in (b.picked, b.oracle, b.random))
        gain, low, high = (100 * x for x in (b.gain.value, b.gain.low, b.gain.high))
        shown.append(f"{b.k:>3}  {means}  {gain:+.1f} [{low:+.1f}, {high:+.1f}]")
    return shown


def _blind(quality: Sequence[float], first_fixed: bool) -> list[float]:
    """Expected quality of one of k candidates picked blindly, for k = 1 … n."""
    n = len(quality)
    if not first_fixed:
        return [sum(quality) / n] * n
    others = sum(quality[1:]) / max(1, n - 1)
    return [(quality[0] + (k - 1) * others) / k for k in range(1, n + 1)]


def _subsets(n: int, k: int, rng: random.Random) -> list[tuple[int, ...]]:
    if comb(n, k) <= SUBSETS:
        return list(combinations(range(n), k))
    return [tuple(sorted(rng.sample(range(n), k))) for _ in range(SUBSETS)]
