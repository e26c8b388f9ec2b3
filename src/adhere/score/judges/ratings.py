"""Ratings against people's: rank correlations of a scorer's values with human scores (RevisEval's rating mode).

    found = await rate_all(resolve_rater("pointwise(model=smollm2)"), list(read_ratings("gold.jsonl")))
    correlations(found)["spearman"]

Gold is JSON lines of `{"instruction", "response", "rating"}`, with `id`, `reference`, and `cluster` where several
answers to one instruction were rated (the instruction's text stands in for it).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data import jsonl
from adhere.errors import DataError, UnknownNameError
from adhere.partspec import parse
from adhere.records import Instruction, Message, Response, Score, digest
from adhere.registry import parts
from adhere.roles import Answerer, Scorer
from adhere.score.bootstrap import bootstrap_statistic
from adhere.score.judges.base import failure_in
from adhere.score.statistics import Rate, rate

__all__ = ["Rated", "Rating", "correlations", "rate_all", "read_ratings", "resolve_rater"]

DRAWS = 500  # of the bootstrap


class Rating(NamedTuple):
    """An answer that people have rated."""

    instruction: Instruction
    response: str
    gold: float


class Rated(NamedTuple):
    """What people and a scorer say of an answer; `value` is None where it gave none, `error` why its call failed."""

    gold: float
    value: float | None
    cluster: str
    error: str = ""


def read_ratings(path: str | Path) -> Iterator[Rating]:
    """The rated answers of a file, one at a time.

    Raises:
        DataError: `file:line` and what is wrong.
    """
    unique = jsonl.Unique()
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        for name in ("instruction", "response"):
            if not isinstance(row.get(name), str):
                raise DataError(f"{where}: `{name}` is no text", hint="Rows are {instruction, response, rating}")
        gold, reference = row.get("rating"), row.get("reference")
        if isinstance(gold, bool) or not isinstance(gold, int | float) or not math.isfinite(gold):
            raise DataError(f"{where}: `rating` is {gold!r}, not a number")
        id = str(row.get("id", number))
        unique.add(id, where)
        asked = (Message("user", row["instruction"]),)
        meta = {"cluster": str(row.get("cluster") or digest(asked)[:16])}
        references = (reference,) if isinstance(reference, str) and reference else ()
        yield Rating(Instruction(id, asked, references=references, meta=meta), row["response"], float(gold))


def resolve_rater(spec: str, answerer: Answerer | None = None) -> Scorer:
    """The scorer of a `--judge` option: a registered or saved scorer, or a model's name, which rates `pointwise`.

    Raises:
        UnknownNameError, UsageError, WeightsError: as `adhere.score.resolve.resolve` and `adhere.load`.
    """
    from adhere.models.names import load
    from adhere.score.judges.pointwise import PointwiseJudge
    from adhere.score.resolve import resolve

    call = parse(spec)
    if call.name in parts("score") or not call.bare:
        return resolve(call, answerer)
    try:
        return resolve(call, answerer)  # the folder of a saved scorer
    except UnknownNameError:
        return PointwiseJudge(load(spec))


async def rate_all(scorer: Scorer, ratings: Sequence[Rating], *, progress: Any = None) -> list[Rated]:
    """Each answer's value by a scorer; a call that fails gives none, and says why.

    Raises:
        AdhereError: of the kinds that end a run.
    """
    from adhere import engine

    async def one(rating: Rating) -> Score:
        return await scorer.score(rating.instruction, Response(rating.response))

    found: dict[int, Rated] = {}
    async for outcome in engine.run(one, ratings, concurrency=16, progress=progress):
        said, rating = outcome.result, outcome.item
        value = None if said is None else said.value
        error = failure_in(said) if outcome.failure is None and said is not None else ""
        error = outcome.failure.message if outcome.failure is not None else error
        found[outcome.index] = Rated(rating.gold, value, rating.instruction.meta["cluster"], error)
    return [found[n] for n in range(len(ratings))]


def correlations(rows: Sequence[Rated]) -> dict[str, Rate]:
    """Spearman's rho, Kendall's tau-b and Pearson's r over the answers with a value, and the share of those without.

    Intervals are 95 %, by cluster; a correlation of values that do not vary is NaN.
    """
    from scipy import stats

    both = [r for r in rows if r.value is not None]

    def by(function: Any) -> Rate:
        def figure(some: Sequence[Rated]) -> float | None:
            gold, values = [r.gold for r in some], [r.value for r in some]
            if len(some) < 3 or len(set(gold)) < 2 or len(set(values)) < 2:
                return None
            return float(function(gold, values).statistic)

        return bootstrap_statistic(figure, both, [r.cluster for r in both], draws=DRAWS)

    found = {"spearman": by(stats.spearmanr), "kendall": by(stats.kendalltau), "pearson": by(stats.pearsonr)}
    return found | {"no_verdict": rate([r.value is None for r in rows], [r.cluster for r in rows])}
