"""Benchmarks that bring a scorer of their own: grading their answers, and the figures of what was graded.

A scorer's parts become verdict rows, as constraints do, so that the report, comparisons and JUnit show them alike. A
part whose name is one of the benchmark's metrics is averaged under that name; any other is a single check, averaged
under `by_kind`. Failed rows count as 0 in every share that their benchmark has of single answers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from adhere.bench.base import Benchmark, Metric, Options, Scored
from adhere.bench.figures import mean, share
from adhere.bench.run_dir import Row, VerdictRow
from adhere.engine import context
from adhere.records import Failure, Instruction, Response, Score, encode
from adhere.roles import Scorer
from adhere.score.judges.base import failure_in

__all__ = ["cluster", "grade_scored", "scored_metrics", "scored_rows"]


async def grade_scored(
    answers: Sequence[tuple[Instruction, int, Response | None, Failure | None]],
    scorer: Scorer,
    options: Options,
    *,
    concurrency: int = 16,
    progress: Any = None,
) -> list[Scored]:
    """Grade each answer; a scorer that crashes makes its row an error row, undecided, and so does a judge that fails.

    Raises:
        AdhereError: of the kinds that end a run (a wrong key, a lacking capability), if the scorer meets one.
    """
    from adhere import engine

    async def grade(cell: tuple[Instruction, int, Response | None, Failure | None]) -> Score | None:
        instruction, sample, response, _ = cell
        if response is None:
            return None
        with context.use(seed=options.seed, sample=sample):
            return await scorer.score(instruction, response)

    graded: list[Scored | None] = [None] * len(answers)
    async for outcome in engine.run(grade, answers, concurrency=concurrency, progress=progress):
        instruction, sample, response, failure = answers[outcome.index]
        if failure is None and outcome.failure is not None:
            failure = Failure("checker", outcome.failure.kind, outcome.failure.message)
        elif failure is None and outcome.result is not None and (said := failure_in(outcome.result)):
            failure = Failure("checker", "ModelError", said)  # the parts that were decided without the judge stand
        graded[outcome.index] = Scored(instruction, sample, response, failure, outcome.result)
    return [g for g in graded if g is not None]


def scored_rows(scored: Sequence[Scored], row: Any) -> tuple[list[Row], list[VerdictRow]]:
    """The two tables of a run.

    Args:
        scored: What was graded.
        row: Makes the row of an answer: `row(instruction, sample, response, failure, strict, loose)`.
    """
    rows, verdicts = [], []
    for s in scored:
        passed = s.score.passed if s.score is not None else None
        rows.append(row(s.instruction, s.sample, s.response, s.failure, passed, passed))
        verdicts.extend(_verdicts(s))
    return rows, verdicts


def _verdicts(s: Scored) -> list[VerdictRow]:
    return [
        VerdictRow(
            id=s.instruction.id,
            sample=s.sample,
            position=position,
            kind=part.name,
            family=part.name,
            args="{}",
            strict=part.passed,
            loose=part.passed,
            reason=part.reason,
            spans=encode([[p.start, p.end, p.label] for p in part.spans]).decode(),
            value=part.value,
        )
        for position, part in enumerate(_parts(s.score))
    ]


def _parts(score: Score | None) -> tuple[Score, ...]:
    return () if score is None else score.parts or (score,)


def scored_metrics(benchmark: Benchmark, scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """All figures of a run, JSON-ready: the benchmark's metrics, its groups' and those of its summary."""
    own = _averages(benchmark, scored)
    found: dict[str, Any] = {name: own[name] for name in benchmark.metrics if name in own}
    for key in benchmark.groups:
        groups: dict[str, list[Scored]] = {}
        for s in scored:
            if (value := s.instruction.meta.get(key)) is not None:
                groups.setdefault(str(value), []).append(s)
        found[f"by_{key}"] = {value: _averages(benchmark, members) for value, members in groups.items()}
    if kinds := _checks(benchmark, scored):
        found["by_kind"] = kinds
    if benchmark.summary is not None:
        found |= benchmark.summary(scored, options)
    return {name: found[name] for name in (*benchmark.metrics, *found) if name in found}


def _averages(benchmark: Benchmark, scored: Sequence[Scored]) -> dict[str, Any]:
    values: dict[str, tuple[list[float | None], list[Hashable]]] = {}
    for s in scored:
        for part in _parts(s.score):
            if part.name in benchmark.metrics:
                _add(values, part.name, _value(part), cluster(s.instruction))
    for s in scored:  # after the others, which tell what figures a single answer has
        if s.score is None:
            for name in values:
                if benchmark.metrics[name].unit == "share":
                    _add(values, name, 0.0, cluster(s.instruction))
    return {name: _figure(benchmark.metrics[name], *pair) for name, pair in values.items()}


def _checks(benchmark: Benchmark, scored: Sequence[Scored]) -> dict[str, Any]:
    values: dict[str, tuple[list[float | None], list[Hashable]]] = {}
    for s in scored:
        for part in _parts(s.score):
            if part.name not in benchmark.metrics:
                _add(values, part.name, _value(part), cluster(s.instruction))
    return {name: {"passed": share(*values[name])} for name in sorted(values)}


def _add(values: dict[str, Any], name: str, value: float | None, cluster: Hashable) -> None:
    numbers, clusters = values.setdefault(name, ([], []))
    numbers.append(value)
    clusters.append(cluster)


def _value(part: Score) -> float | None:
    return float(part.passed) if part.value is None and part.passed is not None else part.value


def _figure(metric: Metric, values: Sequence[float | None], clusters: Sequence[Hashable]) -> dict[str, Any]:
    return share(values, clusters) if metric.unit == "share" else mean(values, clusters)


def cluster(instruction: Instruction) -> str:
    """What an instruction's rows were drawn together with: `meta["cluster"]`, else the instruction itself."""
    return str(instruction.meta.get("cluster") or instruction.id)
