"""Honest numbers: every rate with its n and a 95% interval, every comparison paired and named as noise or more.

The unit that was drawn at random is the prompt. Several samples of a prompt, or several instructions in one, are not
independent, so wherever a prompt has more than one row the intervals and tests here are clustered by prompt: they take
an array `clusters` that names the prompt of each row. With one row a prompt they reduce to the textbook methods.

- `rate`: Wilson's score interval (Wilson 1927); clustered, the same formula with the effective sample size
  p(1-p)/SE^2 and a t quantile (Franco, Little, Louis & Slud 2019, "Comparative study of confidence intervals for
  proportions in complex sample surveys"), which stays within [0, 1] and sensible at 0% and 100%.
- `compare`: the exact sign-flip test by prompt, which with one row a prompt is the exact McNemar test; the interval is
  Bonett & Price's adjusted Wald ("Adjusted Wald confidence interval for a difference of binomial proportions based on
  paired data", 2012), clustered in the same manner.

What is not covered: sampling of *models* or of training seeds, and prompts chosen by design instead of drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from adhere.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Verdicts = ArrayLike | Sequence[float | None]

__all__ = [
    "Comparison",
    "Pairs",
    "Rate",
    "bootstrap_mean",
    "compare",
    "holm",
    "minimum_detectable",
    "pair",
    "rate",
]

ALPHA = 0.05  # all intervals are 95% intervals, all verdicts at the 5% level
Z = 1.959963984540054  # the normal quantile that belongs to it


class Rate(NamedTuple):
    """A mean with its 95% interval.

    Attributes:
        value: The estimate; NaN where there are no rows.
        low: Lower end of the interval.
        high: Upper end.
        n: Rows in the denominator.
        clusters: Prompts that the rows belong to; equal to `n` with one row a prompt.
        undecided: Rows without a verdict. `rate` counts them as not passed; `bootstrap_mean` leaves them out.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    undecided: int = 0

    def __str__(self) -> str:
        if not self.n:
            return "no rows"
        prompts = "" if self.clusters == self.n else f" from {self.clusters} prompts"
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}], n={self.n}{prompts}"


class Comparison(NamedTuple):
    """A paired comparison of two runs on the same rows; the difference is b minus a, so above 0 b is the better.

    Attributes:
        difference: Rate of b minus rate of a; NaN where there are no rows.
        low: Lower end of its 95% interval.
        high: Upper end.
        p_value: Two-sided, of the hypothesis that it makes no difference which run is called a; 1.0 without rows.
        n: Pairs of rows.
        clusters: Prompts that they belong to.
        both: Rows that passed in both runs; of shares, equal ones of at least a half.
        only_a: Rows that passed in a alone, or more often in a: lost.
        only_b: Rows that passed in b alone, or more often in b: gained.
        neither: Rows that passed in neither; of shares, equal ones below a half.
        test: How the p-value was found.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    clusters: int
    both: int
    only_a: int
    only_b: int
    neither: int
    test: str

    @property
    def more_than_noise(self) -> bool:
        """Whether both the test and the interval, which may differ by a hair, rule out no difference."""
        return self.p_value < ALPHA and (self.low > 0 or self.high < 0)

    @property
    def sentence(self) -> str:
        """The comparison in words, e.g. "b is 4.0 points higher than a [0.6, 7.4], p = 0.02: more than noise"."""
        if not self.n:
            return "nothing to compare: the runs share no rows"
        points, low, high = (100 * x for x in (self.difference, self.low, self.high))
        way = f"{abs(points):.1f} points {'higher' if points > 0 else 'lower'} than a" if points else "equal to a"
        p = f"p = {self.p_value:.2g}" if self.p_value >= 0.0001 else "p < 0.0001"
        verdict = "more than noise" if self.more_than_noise else "no detectable difference"
        return f"b is {way} [{low:+.1f}, {high:+.1f}], {p}: {verdict}"


class Pairs(NamedTuple):
    """Two runs side by side on the keys that they share, in the order of the first; what has no partner is counted."""

    keys: list[Any]
    a: list[float | None]
    b: list[float | None]
    without_b: int
    without_a: int


class _Groups(NamedTuple):
    """Rows summed by prompt."""

    totals: NDArray[np.float64]
    sizes: NDArray[np.float64]


def rate(successes: Verdicts, clusters: Iterable[Hashable] | None = None) -> Rate:
    """The share of rows that passed, with a 95% interval.

    Args:
        successes: 1/True for passed, 0/False for not, NaN/None for undecided, which stays in the denominator and is
            never counted as passed.
        clusters: The prompt of each row, where a prompt may have several rows. Order does not matter.

    Raises:
        UsageError: if a value is none of these, or `clusters` has another length.
    """
    values, undecided = _verdicts(successes)
    n = len(values)
    groups = _group(values, clusters)
    if n == 0:
        return Rate(math.nan, math.nan, math.nan, 0, 0, 0)
    prompts = len(groups.sizes)
    p = float(values.sum()) / n
    if prompts == n:
        return Rate(p, *_wilson(p, n, Z), n, prompts, undecided)
    if prompts == 1:  # nothing is known of how prompts differ
        return Rate(p, 0.0, 1.0, n, 1, undecided)
    low, high = _wilson(p, _effective_n(p, groups), _t_quantile(prompts - 1))
    return Rate(p, low, high, n, prompts, undecided)


def compare(a: Verdicts, b: Verdicts, clusters: Iterable[Hashable] | None = None) -> Comparison:
    """Compare two runs row by row: `a[i]` and `b[i]` are verdicts on the same thing (`pair` brings them together).

    The p-value is exact: if the runs were interchangeable, every prompt's difference could as well have had the other
    sign, and p is the share of all sign patterns that give a total at least as far from 0.

    Args:
        a: Verdicts of the first run, as for `rate`; or shares between 0 and 1, where a row stands for several samples.
        b: Verdicts of the second.
        clusters: The prompt of each row, where a prompt may have several (samples, instructions).

    Raises:
        UsageError: if the lengths differ or a value is not between 0 and 1.
    """
    first, _ = _verdicts(a, shares=True)
    second, _ = _verdicts(b, shares=True)
    if len(first) != len(second):
        raise UsageError(
            f"cannot compare {len(first)} rows with {len(second)}", hint="Bring them together with pair() first"
        )
    n = len(first)
    groups = _group(second - first, clusters)
    prompts = len(groups.sizes)
    equal, high = first == second, first >= 0.5
    counts = tuple(int(x.sum()) for x in (equal & high, first > second, first < second, equal & ~high))
    if n == 0:
        return Comparison(math.nan, math.nan, math.nan, 1.0, 0, 0, *counts, test="none")
    difference = float((second - first).mean())
    if prompts == 1 and n > 1:
        return Comparison(difference, -1.0, 1.0, 1.0, n, 1, *counts, test="none: a single prompt")
    low, high = _difference_interval(groups)
    totals = _whole(groups.totals)
    mcnemar = prompts == n and bool((abs(totals) <= 1).all())
    test = "exact McNemar" if mcnemar else "exact sign-flip by prompt"
    return Comparison(difference, low, high, _sign_flip_p(totals), n, prompts, *counts, test=test)


def pair(a: Mapping[Any, float | None], b: Mapping[Any, float | None]) -> Pairs:
    """Join two runs on their keys, e.g. (id, sample) or (id, sample, constraint position)."""
    keys = [key for key in a if key in b]
    return Pairs(keys, [a[k] for k in keys], [b[k] for k in keys], len(a) - len(keys), len(b) - len(keys))


def bootstrap_mean(
    values: ArrayLike, clusters: Iterable[Hashable] | None = None, *, draws: int = 10_000, seed: int = 0
) -> Rate:
    """The mean of any numbers (judges' grades, lengths) with a 95% percentile interval of the bootstrap by prompt.

    Args:
        values: Numbers; NaN/None are left out and counted as `undecided`.
        clusters: The prompt of each value, where a prompt may have several; whole prompts are drawn again.
        draws: Number of resamples.
        seed: Of the resampling. Equal rows give equal intervals, whatever their order.

    Raises:
        UsageError: if `clusters` has another length.
    """
    import numpy as np

    given = np.asarray(values, dtype=np.float64).ravel()
    keep = ~np.isnan(given)
    names = None if clusters is None else list(clusters)
    _same_length(given, names)
    present = None if names is None else [name for name, kept in zip(names, keep.tolist(), strict=True) if kept]
    groups = _group(given[keep], present)
    n, undecided = int(keep.sum()), int((~keep).sum())
    if n == 0:
        return Rate(math.nan, math.nan, math.nan, 0, 0, undecided)
    means = _resampled_means(groups, draws, seed)
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return Rate(float(given[keep].mean()), float(low), float(high), n, len(groups.sizes), undecided)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: those below alpha may be claimed together at a family-wise error of alpha."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def minimum_detectable(n: int, base: float, power: float = 0.8, *, correlation: float = 0.0) -> float:
    """The smallest true difference that a paired comparison of `n` prompts finds with probability `power` at 5%.

    By the normal approximation, in the direction of 50%, where a rate varies most. The default correlation of 0
    between the two runs' verdicts is the cautious one: runs of related models agree on many prompts and see more.

    Args:
        n: Prompts, one row each.
        base: The rate that is compared with, 0 to 1.
        power: Probability of finding it.
        correlation: Between the two runs' verdicts on the same prompt.

    Returns:
        A difference in (0, 1], or NaN where `n` prompts cannot show any.

    Raises:
        UsageError: if `base` or `power` is not a probability.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if not (0 <= base <= 1 and 0 < power < 1):
        raise UsageError(f"base={base} and power={power} must be probabilities")
    if n < 1:
        return math.nan
    start = base if base <= 0.5 else 1 - base  # by symmetry, upwards
    quantiles = Z + float(norm.ppf(power))

    def shortfall(d: float) -> float:
        before, after = start * (1 - start), (start + d) * (1 - start - d)
        variance = before + after - 2 * correlation * math.sqrt(before * max(after, 0.0))
        return d - quantiles * math.sqrt(max(variance, 0.0) / n) - 1 / n  # 1/n: the exact test moves in whole prompts

    top = 1 - start
    if shortfall(top) < 0:
        return math.nan
    return cast("float", brentq(shortfall, 0.0, top))


def _verdicts(given: Verdicts, *, shares: bool = False) -> tuple[NDArray[np.float64], int]:
    """Verdicts as 0.0 and 1.0 (or shares in between), undecided as 0.0, and how many were undecided."""
    import numpy as np

    values = np.asarray(given, dtype=np.float64).ravel()
    undecided = np.isnan(values)
    values = np.where(undecided, 0.0, values)
    if shares and not ((values >= 0) & (values <= 1)).all():
        raise UsageError("shares must lie between 0 and 1", hint="Use bootstrap_mean for other numbers")
    if not shares and not np.isin(values, (0.0, 1.0)).all():
        raise UsageError("verdicts must be 0, 1 or undecided", hint="Use bootstrap_mean for other numbers")
    return values, int(undecided.sum())


def _same_length(values: NDArray[np.float64], clusters: Sequence[Hashable] | None) -> None:
    if clusters is not None and len(clusters) != len(values):
        raise UsageError(f"{len(values)} rows but {len(clusters)} cluster names")


def _group(values: NDArray[np.float64], clusters: Iterable[Hashable] | None) -> _Groups:
    """Totals and sizes by prompt, in an order that does not depend on the rows' (nor on the names')."""
    import numpy as np

    if clusters is None:
        return _Groups(np.sort(values), np.ones(len(values)))
    names = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    _same_length(values, names)
    index: dict[Hashable, int] = {}
    codes = np.fromiter((index.setdefault(name, len(index)) for name in names), dtype=np.int64, count=len(names))
    totals = np.bincount(codes, weights=values, minlength=len(index)).astype(np.float64)  # ints where there are no rows
    sizes = np.bincount(codes, minlength=len(index)).astype(np.float64)
    order = np.lexsort((sizes, totals))
    return _Groups(totals[order], sizes[order])


def _wilson(p: float, n: float, quantile: float) -> tuple[float, float]:
    spread = quantile * quantile / n
    centre = (p + spread / 2) / (1 + spread)
    half = math.sqrt(spread * p * (1 - p) + spread * spread / 4) / (1 + spread)
    # At 0 and 1 the ends are exactly 0 and 1 on paper; rounding must not move the value out of its interval.
    return min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half))


def _effective_n(p: float, groups: _Groups) -> float:
    """How many independent rows would give the interval that the prompts give; never more than there are rows."""
    prompts, n = len(groups.sizes), float(groups.sizes.sum())
    if p in (0.0, 1.0):  # no spread to see: take the rows of a prompt as one
        return prompts
    residuals = groups.totals - p * groups.sizes
    variance = prompts / (prompts - 1) * float(residuals @ residuals) / n**2
    return min(n, p * (1 - p) / variance) if variance > 0 else n


def _difference_interval(groups: _Groups) -> tuple[float, float]:
    """Bonett and Price's interval: two imaginary prompts, one gained and one lost, join the sample.

    Clustered, they gain and lose as much as the prompts that moved did on average (root mean square), or everything
    where none moved, so that a small sample without a single flip does not look certain.
    """
    import numpy as np

    prompts, size = len(groups.sizes), float(groups.sizes.mean())
    moved = groups.totals[groups.totals != 0]
    flip = float(np.sqrt(np.mean(moved**2))) if len(moved) else size
    totals = np.concatenate((groups.totals, (flip, -flip)))
    sizes = np.concatenate((groups.sizes, (size, size)))
    n = float(sizes.sum())
    centre = float(totals.sum()) / n
    residuals = totals - centre * sizes
    variance = float(residuals @ residuals) / n**2
    if float(groups.sizes.max()) > 1:
        half = _t_quantile(prompts - 1) * math.sqrt(variance * prompts / (prompts - 1))
    else:
        half = Z * math.sqrt(variance)
    return max(-1.0, centre - half), min(1.0, centre + half)


def _whole(totals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Totals as multiples of their smallest common unit (shares of 4 samples: quarters); at worst, of 1/2520."""
    import numpy as np

    distinct = np.unique(totals)
    for unit in range(1, 2521):  # 2520 holds all shares of up to 10 samples; finer ones are rounded
        scaled = distinct * unit
        if np.abs(scaled - np.rint(scaled)).max() < 1e-6:
            break
    return np.rint(totals * unit).astype(np.int64)


def _sign_flip_p(totals: NDArray[np.int64]) -> float:
    """The share of sign patterns of `totals` whose sum is at least as far from 0 as the observed sum.

    The sum of independent +-d has the characteristic function prod cos(d t); its inverse Fourier transform gives the
    probability of every sum at once, without drawing.
    """
    import numpy as np

    observed = abs(int(totals.sum()))
    counts = Counter(np.abs(totals[totals != 0]).tolist())
    if observed == 0:
        return 1.0
    if set(counts) == {1}:  # McNemar's test, with full relative precision in the tail
        from scipy.stats import binom

        moved = counts[1]
        return min(1.0, 2 * float(binom.cdf((moved - observed) // 2, moved, 0.5)))
    reach = sum(d * count for d, count in counts.items())
    points = 2 * reach + 1
    angles = 2 * np.pi * np.arange(reach + 1) / points
    transform = np.ones(reach + 1)
    for d, count in counts.items():
        transform *= np.cos(d * angles) ** count
    chances = np.fft.irfft(transform, n=points)  # chances[s] for s >= 0; the distribution is symmetric
    return float(min(1.0, max(0.0, 2 * chances[observed : reach + 1].sum())))


def _resampled_means(groups: _Groups, draws: int, seed: int) -> NDArray[np.float64]:
    """Means of `draws` resamples of the prompts.

    Where few kinds of prompt exist (verdicts), how often each kind is drawn is multinomial, which is a hundred times
    quicker than drawing prompts; otherwise prompts are drawn in blocks that fit the processor's cache.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    prompts = len(groups.sizes)
    kinds, counts = np.unique(np.stack((groups.totals, groups.sizes)), axis=1, return_counts=True)
    if len(counts) <= 32:
        drawn = rng.multinomial(prompts, counts / prompts, size=draws)
        return (drawn @ kinds[0]) / (drawn @ kinds[1])
    equal = bool((groups.sizes == groups.sizes[0]).all())
    index_type = np.uint16 if prompts <= 1 << 16 else np.uint32
    block = max(1, (1 << 16) // prompts)
    means = np.empty(draws)
    for start in range(0, draws, block):
        count = min(block, draws - start)
        chosen = rng.integers(0, prompts, size=(count, prompts), dtype=index_type)
        totals = groups.totals.take(chosen).sum(axis=1)
        sizes = prompts * groups.sizes[0] if equal else groups.sizes.take(chosen).sum(axis=1)
        means[start : start + count] = totals / sizes
    return means


def _t_quantile(degrees: int) -> float:
    from scipy.special import stdtrit  # much cheaper to import than scipy.stats

    return float(stdtrit(degrees, 1 - ALPHA / 2))
