"""How far a judge agrees with people: accuracy, Cohen's kappa, and its biases for a position and for length.

    found = agreement(judged)           # one Judged a pair: the gold label, what the judge said, the answers' lengths

Accuracy counts a tie of the judge as half right, so that a judge without degrees whose verdicts flip with the order
gets what it gets on average over both orders (LLMBar's "average accuracy", Zeng et al. 2024, arXiv 2310.07641, which is
`order_accuracy` here). Pairs that people called a tie take no part in either, and do in kappa. No verdict is wrong, is
counted, and is a category of its own in kappa. Intervals are 95 %, by cluster (the instruction, where pairs share one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from adhere.score.bootstrap import bootstrap_statistic
from adhere.score.judges.base import Decision, Order, Preference
from adhere.score.statistics import Rate, bootstrap_mean, rate

__all__ = ["Judged", "agreement", "cohens_kappa", "credit", "length_coefficient", "prefers_longer"]

RIDGE = 0.5  # prior precision of the coefficients: keeps them finite where verdicts are separable by length
STEPS = 50
DRAWS = 500  # of the bootstrap of kappa and of the coefficient


class Judged(NamedTuple):
    """One pair.

    Attributes:
        gold: What people say.
        found: What the judge says; None where the call failed.
        lengths: Characters of a and of b.
        cluster: The instruction.
        group: Subset, for sub-tables.
    """

    gold: Decision
    found: Preference | None
    lengths: tuple[int, int]
    cluster: Hashable
    group: str = ""

    @property
    def verdict(self) -> Decision | None:
        """The judge's."""
        return None if self.found is None else self.found.verdict

    @property
    def orders(self) -> tuple[Order, ...]:
        """What it said in each order; empty for judges that know no orders."""
        return () if self.found is None else self.found.orders


def credit(gold: Decision, verdict: Decision | None) -> float:
    """1 for the right verdict, 0.5 for a tie, 0 for the wrong one and for none."""
    return 1.0 if verdict == gold else 0.5 if verdict == "tie" else 0.0


def agreement(rows: Sequence[Judged]) -> dict[str, Rate]:
    """All figures by name; a figure without any row behind it is left out.

    Returns:
        accuracy: Share of right verdicts among the pairs that people decided.
        kappa: Cohen's, over all pairs.
        no_verdict: Share of pairs without a verdict.
        order_accuracy: Share of right verdicts in the single orders, before they are averaged.
        both_right: Share of decided pairs with the right verdict in both orders.
        flipped: Share of pairs whose verdict changed with the order.
        first_preferred: Share of all verdicts, in all orders, that went to the answer which stood first; 0.5 is fair.
        first_when_flipped: The same among the pairs that flipped: 1 always the first, 0 always the second.
        prefers_longer, gold_prefers_longer: Share of verdicts for the longer answer, the judge's and people's.
        length_coefficient: See there; 0 is fair.
    """
    decided = [r for r in rows if r.gold != "tie"]
    in_orders = [r for r in decided if r.orders]
    swapped = [(r.found.flipped, r) for r in rows if r.found is not None and r.found.flipped is not None]
    uneven = [r for r in rows if r.lengths[0] != r.lengths[1]]
    found = {
        "accuracy": _mean((credit(r.gold, r.verdict), r) for r in decided),
        "kappa": _statistic(cohens_kappa, rows),
        "no_verdict": _mean((r.verdict is None, r) for r in rows),
        "order_accuracy": _mean((credit(r.gold, o.verdict), r) for r in in_orders for o in r.orders),
        "both_right": _mean((all(o.verdict == r.gold for o in r.orders), r) for r in in_orders if len(r.orders) > 1),
        "flipped": _mean(swapped),
        "first_preferred": _mean((o.verdict == o.first, r) for r in rows for o in r.orders if o.verdict in ("a", "b")),
        "first_when_flipped": _mean((r.orders[0].verdict == r.orders[0].first, r) for _, r in swapped if _opposed(r)),
        "prefers_longer": _mean((prefers_longer(r.verdict, r.lengths), r) for r in uneven),
        "gold_prefers_longer": _mean((prefers_longer(r.gold, r.lengths), r) for r in uneven),
        "length_coefficient": _statistic(length_coefficient, _with_verdict(uneven)),
    }
    return {name: made for name, made in found.items() if made.n}


def cohens_kappa(rows: Sequence[Judged]) -> float | None:
    """Agreement beyond what the two sides' rates of a, b, tie (and no verdict) give by chance; 1 is perfect.

    Cohen 1960: (p_o - p_e) / (1 - p_e). None where chance alone would agree always.
    """
    n = len(rows)
    if not n:
        return None
    agreed = sum(r.gold == r.verdict for r in rows) / n
    categories: tuple[Decision, ...] = ("a", "b", "tie")
    chance = sum(sum(r.gold == c for r in rows) * sum(r.verdict == c for r in rows) for c in categories) / n**2
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def prefers_longer(verdict: Decision | None, lengths: tuple[int, int]) -> float | None:
    """1 if the verdict goes to the longer answer, 0 to the shorter, 0.5 for a tie; None without a verdict."""
    if verdict is None or verdict == "tie":
        return None if verdict is None else 0.5
    return float((verdict == "b") == (lengths[1] > lengths[0]))


def length_coefficient(rows: Sequence[Judged]) -> float | None:
    """Log-odds that the judge adds to an answer for each standard deviation that it is longer, quality being equal.

    Logistic regression of the verdict (b: 1, tie: 0.5) on the difference of the log-lengths, in standard deviations
    over these rows, and on the gold verdict (-1, 0, 1), without intercept since a and b are only names; a normal prior
    of precision 0.5 on both coefficients. None with fewer than three rows, or lengths that never differ.
    """
    import numpy as np

    rows = _with_verdict(rows)
    if len(rows) < 3:
        return None
    longer = np.array([math.log((1 + r.lengths[1]) / (1 + r.lengths[0])) for r in rows])
    spread = float(np.sqrt((longer**2).mean()))
    if spread == 0:
        return None
    gold = np.array([{"a": -1.0, "tie": 0.0, "b": 1.0}[r.gold] for r in rows])
    said = np.array([{"a": 0.0, "tie": 0.5, "b": 1.0}[r.verdict or "tie"] for r in rows])
    features = np.stack((longer / spread, gold), axis=1)
    weights = np.zeros(2)
    for _ in range(STEPS):  # Newton's method: the penalised likelihood is concave
        p = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (said - p) - RIDGE * weights
        curvature = (features * (p * (1 - p))[:, None]).T @ features + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0])


def _opposed(row: Judged) -> bool:
    """Whether the orders disagree about the side, not only about whether there is one."""
    return {o.verdict for o in row.orders} == {"a", "b"}


def _with_verdict(rows: Sequence[Judged]) -> list[Judged]:
    return [r for r in rows if r.verdict is not None]


def _mean(pairs: Iterable[tuple[float | None, Judged]]) -> Rate:
    """Of values and their rows, None left out: Wilson's interval where all are 0 or 1, else the bootstrap's."""
    kept = [(float(value), row.cluster) for value, row in pairs if value is not None]
    values, clusters = [v for v, _ in kept], [c for _, c in kept]
    return rate(values, clusters) if set(values) <= {0.0, 1.0} else bootstrap_mean(values, clusters)


def _statistic(function: Callable[[Sequence[Judged]], float | None], rows: Sequence[Judged]) -> Rate:
    return bootstrap_statistic(function, rows, [r.cluster for r in rows], draws=DRAWS)
