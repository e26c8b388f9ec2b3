"""Win rates: how often a judge prefers a model's answer to a baseline's, as AlpacaEval counts them.

A preference here is the judge's share for the *model*, 0.0 (the baseline is better) to 1.0, 0.5 for a draw, and None
where the judge gave no verdict, which is counted and never a draw. AlpacaEval's files (Dubois et al. 2023, arXiv
2305.14387) write 1 for the first answer, 2 for the second, 1.5 (in old files 0) for a draw, and any number in between;
`share_of_second` reads them. A mean of graded preferences is not the number of wins over n: both are given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from adhere.errors import DataError

__all__ = ["Joined", "WinRate", "join", "share_of_second", "win_rate"]

SHOWN = 3  # instructions that an error or a note quotes


class WinRate(NamedTuple):
    """A win rate; every figure is a share from 0 to 1, NaN where nothing was judged.

    Attributes:
        value: Mean preference, AlpacaEval's `win_rate`.
        low: Lower end of the 95% bootstrap interval by prompt.
        high: Upper end.
        standard_error: Of the mean, without clusters: AlpacaEval's.
        discrete: (wins + draws / 2) / n, AlpacaEval's `discrete_win_rate`.
        wins: Preferences above a half.
        losses: Preferences below a half.
        draws: Preferences of exactly a half.
        n: Judged comparisons.
        no_verdict: Comparisons without a verdict; in none of the figures above.
    """

    value: float
    low: float
    high: float
    standard_error: float
    discrete: float
    wins: int
    losses: int
    draws: int
    n: int
    no_verdict: int


class Joined(NamedTuple):
    """Two sets of answers brought together by instruction.

    Attributes:
        keys: Instructions that both answered, in the first set's order.
        missing_in_first: Answered by the second alone.
        missing_in_second: Answered by the first alone.
    """

    keys: list[str]
    missing_in_first: list[str]
    missing_in_second: list[str]


def share_of_second(preference: float | None) -> float | None:
    """AlpacaEval's encoding of a preference as the second answer's share.

    >>> [share_of_second(p) for p in (1, 2, 1.5, 0, 1.25, None)]
    [0.0, 1.0, 0.5, 0.5, 0.25, None]

    Raises:
        DataError: for a number that is neither 0 nor between 1 and 2.
    """
    if preference is None or math.isnan(preference):
        return None
    if preference == 0:  # a draw in the files of 2023
        return 0.5
    if not 1 <= preference <= 2:
        raise DataError(
            f"{preference:g} is no preference", hint="1: the first is better, 2: the second, 1.5 or 0: a draw"
        )
    return float(preference) - 1


def win_rate(preferences: Sequence[float | None], clusters: Iterable[Hashable] | None = None) -> WinRate:
    """The win rate of the model.

    Args:
        preferences: Its share of each comparison, 0 to 1; None or NaN without a verdict.
        clusters: The prompt of each comparison, where a prompt has several.

    Raises:
        DataError: if a preference is not between 0 and 1.
    """
    import numpy as np

    from adhere.score.statistics import bootstrap_mean

    given = np.asarray(preferences, dtype=np.float64)
    judged = given[~np.isnan(given)]
    if len(judged) and not (judged.min() >= 0 and judged.max() <= 1):
        raise DataError("preferences must lie between 0 and 1", hint="share_of_second reads AlpacaEval's numbers")
    found = bootstrap_mean(given, clusters)
    n = len(judged)
    wins, draws = int((judged > 0.5).sum()), int((judged == 0.5).sum())
    return WinRate(
        value=found.value,
        low=found.low,
        high=found.high,
        standard_error=float(judged.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan,
        discrete=(wins + draws / 2) / n if n else math.nan,
        wins=wins,
        losses=n - wins - draws,
        draws=draws,
        n=n,
        no_verdict=found.undecided,
    )


def join(first: Sequence[str], second: Sequence[str], names: Sequence[str] = ("model", "baseline")) -> Joined:
    """Bring two sets of answers together by the text of the instruction, never by the row.

    Args:
        first: The instructions of one set of answers.
        second: Those of the other.
        names: What to call the two in an error.

    Raises:
        DataError: if an instruction stands twice in a set, for no answer could be told from the other; or if the sets
            share none.
    """
    for name, instructions in zip(names, (first, second), strict=True):
        twice = _twice(instructions)
        if twice:
            raise DataError(
                f"the {name} answers {len(twice)} instruction(s) more than once, e.g. {_quoted(twice)}",
                hint="Keep one answer an instruction",
            )
    a, b = dict.fromkeys(first), dict.fromkeys(second)
    keys = [key for key in a if key in b]
    if not keys:
        raise DataError(f"the {names[0]} and the {names[1]} share no instruction", hint="Are both of the same set?")
    return Joined(keys, [key for key in b if key not in a], [key for key in a if key not in b])


def _twice(instructions: Sequence[str]) -> list[str]:
    return [instruction for instruction, count in Counter(instructions).items() if count > 1]


def _quoted(instructions: Sequence[str]) -> str:
    return ", ".join(repr(text[:60]) for text in instructions[:SHOWN])
