"""Judging the judge: a judge's verdicts on pairs that people have judged, and how far the two agree.

result = await judge_pairs(resolve_judge("smollm2"), list(read_pairs("llmbar.jsonl")))
agreement(result.rows)["accuracy"]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from adhere.records import Failure
from adhere.score.judges.agreement import Judged
from adhere.score.judges.base import PairJudge, Preference
from adhere.score.judges.gold import Pair

__all__ = ["Meta", "fair_order", "judge_pairs", "judged"]

T = TypeVar("T")
SIDE_BY_SIDE = 16


class Meta(NamedTuple):
    """What a judge said.

    Attributes:
        rows: One a pair, in order; `found` is None where the call failed.
        failures: What failed, by the pair's id.
    """

    rows: list[Judged]
    failures: dict[str, Failure]


async def judge_pairs(judge: PairJudge, pairs: Sequence[Pair], *, progress: Any = None) -> Meta:
    """Put every pair to a judge.

    Args:
        judge: See `resolve_judge`.
        pairs: With gold labels.
        progress: Shows how far it is (`adhere.engine.Progress`).

    Raises:
        AdhereError: of the kinds that end a run (a wrong option, a lacking capability); a call that fails is a failure.
    """
    from adhere import engine

    async def one(pair: Pair) -> Preference:
        return await judge.compare(pair.instruction, pair.a, pair.b)

    found: list[Preference | None] = [None] * len(pairs)
    failures: dict[str, Failure] = {}
    slots = getattr(getattr(judge, "model", None), "concurrency", SIDE_BY_SIDE)
    async for outcome in engine.run(one, pairs, concurrency=slots, progress=progress):
        found[outcome.index] = outcome.result
        if outcome.failure is not None:
            failures[pairs[outcome.index].instruction.id] = outcome.failure
    return Meta([judged(pair, said) for pair, said in zip(pairs, found, strict=True)], failures)


def judged(pair: Pair, found: Preference | None) -> Judged:
    """A pair with what the judge said of it, as the statistics take it."""
    cluster = str(pair.instruction.meta.get("cluster") or pair.instruction.id)
    return Judged(pair.gold, found, (len(pair.a), len(pair.b)), cluster, pair.subset)


def fair_order(items: Iterable[tuple[str, T]]) -> list[T]:
    """Items of named groups in turns, one of each group, so that the first N are a fair sample of all groups.

    >>> fair_order([("x", 1), ("x", 2), ("y", 3)])
    [1, 3, 2]
    """
    groups: dict[str, list[T]] = {}
    for group, item in items:
        groups.setdefault(group, []).append(item)
    longest = max(map(len, groups.values()), default=0)
    return [members[n] for n in range(longest) for members in groups.values() if n < len(members)]
