"""Intervals and tests for figures that are no plain rates: drop rates, win rates, spreads, judges' grades.

What was drawn at random is the cluster (a prompt, a pair, a task), so whole clusters are drawn again, and whole
clusters change sides in the test. Both are Monte Carlo with a fixed seed: equal rows give equal figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

from adhere.errors import UsageError
from adhere.score.statistics import ALPHA, Comparison, Rate, bootstrap_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["bootstrap_statistic", "compare_numbers"]

R = TypeVar("R")


def bootstrap_statistic(
    function: Callable[[Sequence[R]], float | None],
    rows: Sequence[R],
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 1_000,
    seed: int = 0,
) -> Rate:
    """Any function of the rows, with its 95 % percentile interval.

    Args:
        function: Of some of the rows, in order; None or NaN where they do not determine it. It is called `draws` times.
        rows: What it is computed of.
        clusters: The cluster of each row; None: each row is its own.
        draws: Number of resamples.
        seed: Of the resampling.

    Returns:
        The value with its interval, which is NaN where more than a tenth of the resamples do not determine the figure,
        or where there is one cluster only.

    Raises:
        UsageError: if `clusters` has another length.
    """
    import numpy as np

    names = list(range(len(rows))) if clusters is None else list(clusters)
    if len(names) != len(rows):
        raise UsageError(f"{len(rows)} rows but {len(names)} cluster names")
    groups: dict[Hashable, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name, []).append(index)
    members = list(groups.values())
    value = _number(function(rows)) if rows else math.nan
    low = high = math.nan
    if len(members) > 1 and value == value:
        rng = np.random.default_rng(seed)
        found = np.empty(draws)
        for draw in range(draws):
            chosen = rng.integers(0, len(members), size=len(members))
            found[draw] = _number(function([rows[i] for c in chosen for i in members[c]]))
        found = found[~np.isnan(found)]
        if len(found) >= 0.9 * draws:
            low, high = (float(x) for x in np.quantile(found, [ALPHA / 2, 1 - ALPHA / 2]))
    return Rate(value, low, high, len(rows), len(members))


def compare_numbers(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable], *, draws: int = 10_000, seed: int = 0
) -> Comparison:
    """Two runs' numbers row by row, b minus a: the mean difference, its interval, and a sign-flip test by cluster.

    Args:
        a: Numbers of the first run, one a row.
        b: Numbers of the second.
        clusters: The prompt of each row.
        draws: Of the bootstrap and of the test.
        seed: Of both.

    Raises:
        UsageError: if the lengths differ.
    """
    import numpy as np

    if not len(a) == len(b) == len(clusters):
        raise UsageError(f"cannot compare {len(a)} rows with {len(b)}")
    differences = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    found = bootstrap_mean(differences, clusters, draws=draws, seed=seed)
    ups, downs = int((differences > 0).sum()), int((differences < 0).sum())
    same = len(differences) - ups - downs
    test = "sign flips by prompt, Monte Carlo"
    counts = (same, downs, ups, 0)
    if found.clusters < 2:
        return Comparison(
            found.value, -math.inf, math.inf, 1.0, len(a), found.clusters, *counts, "none: a single prompt"
        )
    p = _sign_flips(differences, clusters, draws, seed)
    return Comparison(found.value, found.low, found.high, p, len(a), found.clusters, *counts, test)


def _sign_flips(differences: NDArray[np.float64], clusters: Sequence[Hashable], draws: int, seed: int) -> float:
    """The share of random sign patterns whose total is at least as far from 0 (with the one observed: Phipson 2010)."""
    import numpy as np

    index: dict[Hashable, int] = {}
    codes = [index.setdefault(name, len(index)) for name in clusters]
    totals = np.bincount(codes, weights=differences)
    totals = np.sort(totals[totals != 0])
    if not len(totals):
        return 1.0
    rng = np.random.default_rng(seed)
    observed = abs(float(totals.sum())) * (1 - 1e-12)
    block = max(1, (1 << 20) // len(totals))
    reached = done = 0
    while done < draws:
        count = min(block, draws - done)
        signs = rng.integers(0, 2, size=(count, len(totals)), dtype=np.int8) * 2 - 1
        reached += int((np.abs(signs @ totals) >= observed).sum())
        done += count
    return (reached + 1) / (draws + 1)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
