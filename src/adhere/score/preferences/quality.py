"""How good annotators are, as AlpacaEval measures them, and how much label noise makes them as unsure as people are.

Votes are b's share of a comparison: 0 (a is better), 1 (b is), 0.5 for a draw, None for no verdict, which takes no part
and is counted. With several votes an item, of the annotator and of people (AlpacaEval has four of each):

- human agreement: one vote against the majority of the people's, expected over all votes; for the people themselves
  against the majority of the *other* votes (leave one out);
- bias: 1 - agreement of the annotator's majority with the people's majority;
- variance: 1 - agreement of one vote with the majority of the same annotator's other votes;
- how often the longer output is preferred (pairs that differ by more than 30 characters), the one with a list, the
  first one: 0.5 would be no taste at all, if longer outputs and lists were no better.

Dubois et al. 2023 (arXiv 2305.14387), section 3 and appendix; tatsu-lab/alpaca_eval, `analyze.py`. Agreement is
1 - |difference|, AlpacaEval's "absolute" rule, which is plain accuracy where there are no draws; a tied majority counts
as each of its sides in equal parts, in expectation instead of by a random draw.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from adhere.errors import DataError, UsageError

__all__ = ["Published", "Taste", "agreement", "bias", "fit_noise", "published", "tastes", "variance"]

Votes = Sequence[float | None]
LENGTH_GAP = 30  # characters
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_COLUMNS = {
    "human_agreement": "Human agreement",
    "bias": "Bias",
    "variance": "Variance",
    "prefers_longer": "Proba. prefer longer",
    "prefers_lists": "Proba. prefer lists",
    "prefers_first": "Proba. prefer 1",
}
LEAST_AGREEMENT = 1.0  # the table is in percent: less is a number from another column


class Taste(NamedTuple):
    """How often something is preferred to its opposite; NaN where no pair has both.

    Attributes:
        longer: The longer output.
        lists: The one with a list, of pairs where one has.
        first: Output a.
    """

    longer: float
    lists: float
    first: float


class Published(NamedTuple):
    """A row of AlpacaEval's table of annotators; agreement, bias and variance in percent, the tastes from 0 to 1."""

    name: str
    human_agreement: float
    bias: float
    variance: float
    prefers_longer: float
    prefers_lists: float
    prefers_first: float


def agreement(votes: Sequence[Votes], people: Sequence[Votes] | None = None) -> float:
    """Expected agreement of one vote with the majority.

    Args:
        votes: The annotator's votes on each item.
        people: The people's; None: the same annotator's other votes, so that each item needs two.

    Returns:
        0 to 1; NaN where no item can be compared.
    """
    found: list[float] = []
    for n, item in enumerate(votes):
        own = _given(item)
        if people is not None:
            gold = _majority(_given(people[n]))
            found += [sum(_agree(v, gold) for v in own) / len(own)] if own and gold else []
        elif len(own) > 1:
            left = [_agree(v, _majority(own[:i] + own[i + 1 :])) for i, v in enumerate(own)]
            found.append(sum(left) / len(left))
    return sum(found) / len(found) if found else math.nan


def bias(votes: Sequence[Votes], people: Sequence[Votes]) -> float:
    """1 - agreement of the two majorities, 0 to 1: what is left when the annotator's noise is voted away."""
    found = []
    for item, other in zip(votes, people, strict=True):
        mine, gold = _majority(_given(item)), _majority(_given(other))
        if mine and gold:
            found.append(sum(_agree(side, gold) for side in mine) / len(mine))
    return 1 - sum(found) / len(found) if found else math.nan


def variance(votes: Sequence[Votes]) -> float:
    """1 - agreement of one vote with the others of the same annotator, 0 to 1."""
    return 1 - agreement(votes)


def tastes(pairs: Sequence[tuple[str, str]], votes: Votes) -> Taste:
    """What an annotator prefers, whatever the instruction: one vote on each pair (a, b)."""
    longer: list[float] = []
    lists: list[float] = []
    first: list[float] = []
    for (a, b), vote in zip(pairs, votes, strict=True):
        if vote is None:
            continue
        first.append(1 - vote)
        if abs(len(a) - len(b)) > LENGTH_GAP:
            longer.append(vote if len(b) > len(a) else 1 - vote)
        if _has_list(a) != _has_list(b):
            lists.append(vote if _has_list(b) else 1 - vote)
    return Taste(*(sum(part) / len(part) if part else math.nan for part in (longer, lists, first)))


def fit_noise(votes: Sequence[Votes], target: float) -> float:
    """The `p_flip` at which annotators disagree among themselves as much as people do.

    AlpacaFarm's 0.25 is this number for its pool. Flipping a share p of the labels turns an item's chance q of a vote
    for b into (1 - 2p) q + p, from which the variance of four votes follows exactly.

    Args:
        votes: Votes without noise, several an item; or one, of an annotator that always says the same.
        target: The people's variance, 0 to 0.5: `variance(people)`, or 0.343 as published for AlpacaFarm's.

    Returns:
        p, from 0 (they are unsure enough by themselves) to 0.5.

    Raises:
        UsageError: if no item has a vote, or the target is no variance that binary votes can have.
    """
    from scipy.optimize import brentq

    shares = [sum(given) / len(given) for item in votes if (given := _given(item))]
    if not shares:
        raise UsageError("there is no vote to fit the noise to")
    if not 0 <= target < 0.5:
        raise UsageError(f"a variance of {target} is out of reach", hint="Give a share from 0 to below 0.5")

    def surplus(p: float) -> float:
        return sum(_variance_of_four((1 - 2 * p) * q + p) for q in shares) / len(shares) - target

    if surplus(0.0) >= 0:
        return 0.0
    return cast("float", brentq(surplus, 0.0, 0.5))


def published(path: Path) -> list[Published]:
    """AlpacaEval's table of annotators (`evaluators_leaderboard.csv`), best human agreement first.

    Rows that miss a figure have NaN there. A row whose agreement is no percentage is left out: its columns are shifted
    (at the commit that is at hand, `weighted_alpaca_eval_gpt-4o-mini-2024-07-18`).

    Raises:
        DataError: if the file is another one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    missing = [c for c in _COLUMNS.values() if not rows or c not in rows[0]]
    if missing:
        raise DataError(f"{path}: no column '{missing[0]}'", hint="Give evaluators_leaderboard.csv of alpaca_eval")
    made = [Published(row[""], *(_percent(row[c], path) for c in _COLUMNS.values())) for row in rows]
    kept = [p for p in made if p.human_agreement >= LEAST_AGREEMENT]
    return sorted(kept, key=lambda p: -p.human_agreement)


def _given(votes: Votes) -> list[float]:
    return [v for v in votes if v is not None]


def _majority(votes: Sequence[float]) -> list[float]:
    """The commonest votes; several where they tie, none of none."""
    counts = Counter(votes)
    most = max(counts.values(), default=0)
    return [vote for vote, count in counts.items() if count == most]


def _agree(vote: float, sides: Sequence[float]) -> float:
    return sum(1 - abs(vote - side) for side in sides) / len(sides)


def _variance_of_four(q: float) -> float:
    """1 - P(a vote equals the majority of three others), each being for b with chance q."""
    majority = q * q * (3 - 2 * q)
    return 1 - (q * majority + (1 - q) * (1 - majority))


def _has_list(text: str) -> bool:
    return len(_LIST.findall(text)) > 1


def _percent(text: str, path: Path) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise DataError(f"{path}: {text!r} is no number") from error
