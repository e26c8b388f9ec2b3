"""PIF and the figures made of it (Epstein et al. 2024, arXiv 2409.18216, section 3).

PIF of an answer: of the orders given so far, the share that it follows, each checked by a program. PIF-N-K: the share
of turns for which at least K of N answers follow all of them. An empty answer follows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adhere.bench.base import Metric, Options, Scored
from adhere.bench.figures import share, statistic
from adhere.bench.scored import cluster
from adhere.constraints.scorer import ConstraintScorer
from adhere.constraints.text import any_word
from adhere.records import Instruction, Response, Score
from adhere.score.estimators import pif_n_k

__all__ = ["METRICS", "PLACEMENT_METRICS", "Pif", "placement_summary", "summary"]

SAMPLES = 4  # N of PIF-N-K in the paper; with fewer answers a turn, that many
METRICS = {
    "pif": Metric("orders followed (PIF)"),
    "perfect": Metric("answers that follow all orders"),
    "key": Metric("answers that name what the image shows"),
    **{f"pif_{n}_{k}": Metric(f"at least {k} of {n} answers perfect (PIF-{n}-{k})")
       for n in range(2, SAMPLES + 1) for k in range(1, n + 1)},
    "per_order": Metric("PIF with each further order", "points"),
    "per_turn": Metric("PIF with each further turn", "points"),
}  # fmt: skip
PLACEMENT_METRICS = {
    "both_minus_dispersed": Metric("orders repeated at the end, against dispersed", "points"),
    "end_minus_dispersed": Metric("orders at the end only, against dispersed", "points"),
    "dispersed_minus_never": Metric("dispersed orders, against orders not shown", "points"),
    "pif": Metric("orders followed (PIF), all placements"),
    "perfect": Metric("answers that follow all orders, all placements"),
    "key": METRICS["key"],
}


class Pif:
    """Scores an answer by the orders in force: parts `pif`, `perfect`, `key` where there is one, and one an order."""

    def __repr__(self) -> str:
        return "Pif()"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        found = ConstraintScorer("fixed").judge(instruction, response.text)
        figures = [
            Score("pif", found.value, found.passed, reason=found.reason),
            Score("perfect", float(found.passed is True), found.passed is True),
        ]
        if key := instruction.meta.get("key"):
            named = any_word(tuple(key)).search(response.text) is not None
            figures.append(Score("key", float(named), named, reason=f"{' or '.join(key)} expected"))
        return Score("pif", found.value, found.passed, (*figures, *found.parts), found.reason)


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """PIF-N-K over the samples, and how PIF changes with orders and turns; intervals over chats."""
    clusters = [cluster(s.instruction) for s in scored]
    return {
        **_n_k(scored),
        "per_order": statistic(lambda rows: _slope(rows, "orders"), scored, clusters),
        "per_turn": statistic(lambda rows: _slope(rows, "turn"), scored, clusters),
    }


def _n_k(scored: Sequence[Scored]) -> dict[str, Any]:
    """Every turn has as many answers as any other: a failed one counts as not perfect."""
    turns: dict[str, list[Scored]] = {}
    for s in scored:
        turns.setdefault(s.instruction.id, []).append(s)
    size = min((len(samples) for samples in turns.values()), default=0)
    if size < 2:
        return {}
    size = min(size, SAMPLES)
    drawn = [len(samples) for samples in turns.values()]
    perfect = [sum(s.score is not None and s.score.passed is True for s in samples) for samples in turns.values()]
    chats = [cluster(samples[0].instruction) for samples in turns.values()]
    return {f"pif_{size}_{k}": share(list(pif_n_k(drawn, perfect, size, k)), chats) for k in range(1, size + 1)}


def _pif(s: Scored) -> float:
    return s.score.value or 0.0 if s.score is not None else 0.0


def _slope(scored: Sequence[Scored], key: str) -> float | None:
    """Points of PIF for each step of a number in `meta`, by least squares; None where the number does not vary."""
    import numpy as np

    steps = np.array([s.instruction.meta[key] for s in scored], dtype=np.float64)
    steps -= steps.mean()
    spread = float(steps @ steps)
    return 100 * float(steps @ np.array([_pif(s) for s in scored])) / spread if spread > 0 else None


def placement_summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The differences between placements on the same turns, in points; intervals over chats."""
    turns: dict[tuple[Any, ...], dict[str, Scored]] = {}
    for s in scored:
        meta = s.instruction.meta
        turns.setdefault((meta["cluster"], meta["turn"], s.sample), {})[meta["placement"]] = s
    return {
        f"{one}_minus_{other}": _difference(list(turns.values()), one, other)
        for one, other in (("both", "dispersed"), ("end", "dispersed"), ("dispersed", "never"))
    }


def _difference(turns: Sequence[dict[str, Scored]], one: str, other: str) -> dict[str, Any]:
    """Over the turns that were put in both placements; `incomplete` counts the rest."""
    both = [turn for turn in turns if one in turn and other in turn]

    def points(rows: Sequence[dict[str, Scored]]) -> float:
        return 100 * sum(_pif(turn[one]) - _pif(turn[other]) for turn in rows) / len(rows)

    found = statistic(points, both, [cluster(turn[one].instruction) for turn in both])
    return found | ({"incomplete": len(turns) - len(both)} if len(both) < len(turns) else {})
