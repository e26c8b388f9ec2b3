"""Grading by comparison: each answer against the other side's, then win rates, plain and at equal lengths.

A comparison is counted as AlpacaEval counts it: `win_rate` is the judge's mean preference over the comparisons that it
decided. One without a verdict is in no rate, has a figure of its own (`no_verdict`), and is never a tie. An answer that
failed is lost; where the other side's failed or is missing, there is nothing to compare.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from adhere.bench.alpaca.other_side import OtherSide
from adhere.bench.base import Metric, Options, Scored
from adhere.errors import AdhereError
from adhere.records import Instruction, Response, Score
from adhere.score.judges.base import PairJudge, Preference

__all__ = ["METRICS", "Compared", "summary_with"]

log = logging.getLogger("adhere")

METRICS = {
    "win_rate": Metric("win rate: mean preference of the judge"),
    "length_controlled": Metric("win rate at equal lengths"),
    "discrete": Metric("comparisons won, a draw being half"),
    "no_verdict": Metric("comparisons without a verdict", better="lower"),
    "orders_agree": Metric("same verdict in both orders"),
    "characters": Metric("length of the answers", "characters", better="lower"),
    "characters_other": Metric("length of the other side's answers", "characters", better="lower"),
}
NO_PARTNER = "the other side has no answer"


class Compared:
    """Compares an answer with the other side's. Parts: the preference, both lengths, whether the orders agreed.

    Args:
        judge: Compares two answers.
        other: The other side.
    """

    def __init__(self, judge: PairJudge, other: OtherSide) -> None:
        self.judge = judge
        self.other = other

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; `value` is the probability that the response is the better one."""
        other = self.other.answers.get(instruction.prompt)
        if other is None:
            return Score("win_rate", reason=NO_PARTNER)
        # A judge that is shown references must not see the other side's answer as one.
        bare = msgspec.structs.replace(instruction, references=())
        found = await self.judge.compare(bare, other, response.text)
        parts = [
            _preference(found),
            Score("characters", float(len(response.text))),
            Score("characters_other", float(len(other))),
        ]
        if found.flipped is not None:
            parts.append(Score("orders_agree", float(not found.flipped), not found.flipped))
        return Score("win_rate", found.probability_b, parts[0].passed, tuple(parts), found.reason)


def _preference(found: Preference) -> Score:
    if found.probability_b is None:
        return Score("win_rate", reason=f"no verdict: {found.reason}")
    return Score("win_rate", found.probability_b, found.probability_b > 0.5, reason=found.reason)


def summary_with(difficulty: dict[str, float]) -> Any:
    """The summary of a benchmark.

    Args:
        difficulty: Of its instructions, by text, where known; without, that term is left out.
    """

    def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
        from adhere.bench.figures import mean, share
        from adhere.bench.scored import cluster

        rows = [s for s in scored if s.score is None or s.score.reason != NO_PARTNER]
        if lacking := len(scored) - len(rows):
            log.warning("%d of %d answers have no partner on the other side and take no part", lacking, len(scored))
        preferences = [_share_of(s) for s in rows]
        clusters = [cluster(s.instruction) for s in rows]
        wins = [p if p is None or p == 0.5 else float(p > 0.5) for p in preferences]
        found = {
            "win_rate": mean(preferences, clusters),
            "length_controlled": _controlled(rows, preferences, clusters, difficulty),
            "discrete": mean(wins, clusters),
            "no_verdict": share([p is None for p in preferences], clusters),
        }
        groups: dict[str, list[int]] = {}
        for n, s in enumerate(rows):
            groups.setdefault(str(s.instruction.meta["dataset"]), []).append(n)
        by_dataset = {
            name: {"win_rate": mean([preferences[n] for n in members], [clusters[n] for n in members])}
            for name, members in groups.items()
        }
        return found | {"by_dataset": by_dataset}

    return summary


def _share_of(s: Scored) -> float | None:
    """The model's share of a comparison: 0 where its answer failed, None without a verdict."""
    if s.response is None:
        return 0.0
    return None if s.score is None else s.score.value


def _controlled(
    rows: Sequence[Scored], preferences: Sequence[float | None], clusters: Sequence[str], difficulty: dict[str, float]
) -> dict[str, Any]:
    from adhere.score.preferences.length_control import length_controlled

    prompts = [s.instruction.prompt for s in rows]
    known = [difficulty[p] for p in prompts] if difficulty and all(p in difficulty for p in prompts) else None
    lengths = [_length(s, "characters") for s in rows]
    others = [_length(s, "characters_other") for s in rows]
    kept = [n for n in range(len(rows)) if lengths[n] is not None and others[n] is not None]
    size = {"n": sum(preferences[n] is not None for n in kept), "clusters": len({clusters[n] for n in kept})}
    try:
        found = length_controlled(
            [preferences[n] for n in kept],
            [lengths[n] or 0.0 for n in kept],
            [others[n] or 0.0 for n in kept],
            [known[n] for n in kept] if known else None,
            clusters=[clusters[n] for n in kept],
        )
    except AdhereError as error:
        log.warning("no win rate at equal lengths: %s", error.message)
        return {"value": None, "low": None, "high": None, **size, "why": error.message}
    for note in found.notes:
        log.warning("win rate at equal lengths: %s", note)
    figures = {name: round(getattr(found, name), 6) for name in ("value", "low", "high")}
    weights = {name: round(value, 6) for name, value in found.weights._asdict().items()}
    return figures | size | {"formula": found.formula, "weights": weights, "notes": list(found.notes)}


def _length(s: Scored, name: str) -> float | None:
    """A length among a score's parts; None where the answer failed or could not be compared."""
    return next((part.value for part in s.score.parts if part.name == name), None) if s.score else None
