"""How good it is to answer only where a score says so: risk against coverage, the area under it, thresholds.

Answering the best-scored share of all items (the coverage) has a risk: the mean loss of what is answered. A score that
knows what is right has low risk at low coverage; one that knows nothing has the same risk everywhere.

- Curve and AURC: El-Yaniv & Wiener 2010, "On the foundations of noise-free selective classification"; Geifman, Uziel &
  El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep classifiers", section 2 (AURC is the mean risk over the n
  coverages k/n, excess AURC is what it is above the best possible order's).
- Tied scores have no order: within a tie the loss is spread evenly, which is its mean over all orders of the tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from adhere.errors import UsageError
from adhere.score.statistics import Rate, rate

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Curve", "Threshold", "risk_coverage", "threshold_for_coverage", "threshold_for_precision"]


class Curve(NamedTuple):
    """Risk at every coverage.

    Attributes:
        coverage: 1/n, 2/n, … 1.
        risk: Mean loss of the best-scored items at each coverage.
        aurc: Mean of `risk`; lower is better.
        excess: `aurc` above that of the order by the losses themselves; 0 is perfect.
        arbitrary: Whether all scores are equal, so that the order, and any selection by it, means nothing.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    aurc: float
    excess: float
    arbitrary: bool

    def at(self, coverage: float) -> float:
        """The risk when (at least) that share is answered."""
        _check_coverage(coverage)
        return self.risk[_count(coverage, len(self.risk)) - 1]

    @property
    def sentence(self) -> str:
        """In words."""
        if self.arbitrary:
            return f"all {len(self.risk)} scores are equal: which items are answered is arbitrary"
        half, full = self.at(0.5), self.risk[-1]
        return f"risk {half:.3f} at half coverage, {full:.3f} at full; AURC {self.aurc:.3f}"


class Threshold(NamedTuple):
    """A score from which on items are answered.

    Attributes:
        value: The lowest score that is answered; infinity where nothing may be.
        coverage: The share of the calibration items that it answers.
        precision: How many of these were right, with its interval.
        reached: Whether the wanted precision was reached on the calibration items.
        certain: Whether even the interval's lower end reaches it. The threshold was chosen on the same items: without
            this the precision on new ones is likely to be somewhat lower.
    """

    value: float
    coverage: float
    precision: Rate
    reached: bool
    certain: bool


def risk_coverage(scores: Sequence[float | None], losses: Sequence[float]) -> Curve:
    """The curve of one score.

    Args:
        scores: Higher is answered first; None (unscored) is answered last.
        losses: Of each item, e.g. 1 for wrong and 0 for right.

    Raises:
        UsageError: if there are no items, the lengths differ, or a number is not finite.
    """
    values, wrong = _arrays(scores, losses)
    risk = _risks(values, wrong)
    best = _risks(-wrong, wrong)
    n = len(wrong)
    aurc = float(risk.mean())
    return Curve(
        tuple((k + 1) / n for k in range(n)),
        tuple(risk.tolist()),
        aurc,
        max(0.0, aurc - float(best.mean())),
        n > 1 and bool((values == values[0]).all()),
    )


def threshold_for_precision(scores: Sequence[float | None], correct: Sequence[float], target: float) -> Threshold:
    """The threshold with the largest coverage whose answered items are right at least as often as wanted.

    Args:
        scores: Of a calibration set; None (unscored) is never answered.
        correct: 1 for right, 0 for wrong.
        target: Wanted share of right ones among the answered, in (0, 1].

    Raises:
        UsageError: as `risk_coverage`; also for a target outside (0, 1].
    """
    if not 0 < target <= 1:
        raise UsageError(f"the wanted precision is {target:g}", hint="It is a share above 0, at most 1")
    values, right = _arrays(scores, correct)
    for value in sorted({v for v in values.tolist() if v > -math.inf}):  # from the lowest: the largest coverage first
        answered = values >= value
        found = rate(right[answered])
        if found.value >= target:
            return Threshold(value, float(answered.mean()), found, True, found.low >= target)
    return Threshold(math.inf, 0.0, rate([]), False, False)


def threshold_for_coverage(scores: Sequence[float | None], coverage: float) -> float:
    """The threshold that answers at least that share of the calibration items; with ties perhaps more.

    Raises:
        UsageError: for a coverage outside (0, 1], or if there are no scores.
    """
    _check_coverage(coverage)
    known = sorted((s for s in scores if s is not None), reverse=True)
    if not known:
        raise UsageError("no calibration item has a score", hint="Give the scores of some answers")
    return known[min(_count(coverage, len(scores)), len(known)) - 1]


def _count(coverage: float, n: int) -> int:
    """Items that make up a share of n, rounded up, but for rounding errors of the product itself."""
    return max(1, math.ceil(coverage * n - 1e-9))


def _check_coverage(coverage: float) -> None:
    if not 0 < coverage <= 1:
        raise UsageError(f"the coverage is {coverage:g}", hint="It is the share that is answered: above 0, at most 1")


def _arrays(scores: Sequence[float | None], numbers: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    values = np.array([-np.inf if s is None else s for s in scores], dtype=np.float64)
    others = np.array(numbers, dtype=np.float64)
    if len(values) != len(others):
        raise UsageError(f"{len(values)} scores but {len(others)} outcomes")
    if not len(values):
        raise UsageError("nothing to select from: there are no items")
    if np.isnan(values).any() or not np.isfinite(others).all():
        raise UsageError("a score or outcome is not a number", hint="Use None for an item without a score")
    return values, others


def _risks(values: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Mean loss of the k best-scored items, k = 1 … n; a tie's loss is spread evenly over it."""
    import numpy as np

    levels, level = np.unique(-values, return_inverse=True)
    sizes = np.bincount(level, minlength=len(levels))
    means = np.bincount(level, weights=losses, minlength=len(levels)) / sizes
    return np.cumsum(np.repeat(means, sizes)) / np.arange(1, len(losses) + 1)
