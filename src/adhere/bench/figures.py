"""Figures ready for a manifest: a value with its 95 % interval, the number of rows and of the clusters behind them.

share([True, False, True])                                  # a rate: Wilson's interval
mean([0.2, None, 0.9], clusters=["q1", "q1", "q2"])         # of any numbers; None is left out and counted
statistic(drop_rate, rows, clusters=[r.instruction.id for r in rows])   # any function of the rows
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from adhere.score.bootstrap import bootstrap_statistic
from adhere.score.statistics import Rate, bootstrap_mean, rate

__all__ = ["mean", "plain", "share", "statistic"]

R = TypeVar("R")


def share(values: Sequence[float | None], clusters: Iterable[Hashable] | None = None) -> dict[str, Any]:
    """The mean of shares between 0 and 1; what is undecided counts as 0, stays in the denominator and is counted.

    Flags get Wilson's interval, fractions (an F1, a recall) the bootstrap's.
    """
    undecided = sum(v is None for v in values)
    if all(v in (0, 1, None) for v in values):
        return plain(rate(values, clusters))
    found = bootstrap_mean([0.0 if v is None else v for v in values], clusters)
    return plain(_honest(found)._replace(undecided=undecided))


def mean(values: Sequence[float | None], clusters: Iterable[Hashable] | None = None) -> dict[str, Any]:
    """The mean of any numbers; None is left out, and counted as undecided."""
    return plain(_honest(bootstrap_mean([math.nan if v is None else v for v in values], clusters)))


def statistic(
    function: Callable[[Sequence[R]], float | None], rows: Sequence[R], clusters: Sequence[Hashable] | None = None
) -> dict[str, Any]:
    """Any function of the rows, with the percentile interval of the bootstrap over whole clusters.

    Args:
        function: Of some of the rows; None where they do not determine it.
        rows: What it is computed of.
        clusters: The prompt, pair or task of each row; None: each row stands for itself.
    """
    return plain(bootstrap_statistic(function, rows, clusters))


def _honest(found: Rate) -> Rate:
    """Of one cluster nothing is known of how clusters differ: no interval, where the bootstrap's has no width."""
    return found if found.clusters > 1 else found._replace(low=math.nan, high=math.nan)


def plain(found: Rate) -> dict[str, Any]:
    """A rate as JSON: no NaN, six digits, `undecided` only where there are some."""
    fields = {key: _number(value) for key, value in found._asdict().items()}
    if not fields["undecided"]:
        del fields["undecided"]
    return fields


def _number(value: Any) -> float | int | None:
    if isinstance(value, int):
        return value
    number = float(value)
    return None if number != number else round(number, 6)
