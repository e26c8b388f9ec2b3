"""`evaluate`: ask a model, grade what it said, write the run. Generating and grading are separate stages.

    run = evaluate(get("core"), model, limit=20)

Everything is checked before the first model call: the data, the constraints, what the model can do, whether it answers
at all. A row that fails for good is a row with an error, counted as not passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adhere.bench.asking import DEFAULT, Answer, Settings, answers_to
from adhere.bench.base import Benchmark, Options
from adhere.bench.grading import build_checkers, grade, make_row
from adhere.bench.manifest import innermost, make_manifest
from adhere.bench.metrics import metrics
from adhere.bench.run_dir import Row, Run, VerdictRow, writable, write
from adhere.bench.scored import grade_scored, scored_metrics, scored_rows
from adhere.errors import DataError
from adhere.roles import Scorer
from adhere.score.judges.ready import check_endpoints

__all__ = ["Options", "Settings", "evaluate", "evaluate_async", "graded"]

Graded = tuple[list[Row], list[VerdictRow], dict[str, Any]]


def evaluate(benchmark: Benchmark, model: Any, settings: Settings = DEFAULT, **options: Any) -> Run:
    """`evaluate_async`, for synchronous callers; works inside a running event loop (Jupyter) too."""
    from adhere.engine.sync import call

    return call(evaluate_async(benchmark, model, settings, **options))


async def evaluate_async(
    benchmark: Benchmark,
    model: Any,
    settings: Settings = DEFAULT,
    *,
    options: Options | None = None,
    out: Path | None = None,
    progress: Any = None,
    max_failures: int | None = None,
    ray_model: Any = None,
) -> Run:
    """Evaluate a model on a benchmark.

    Args:
        benchmark: What to ask.
        model: A `Model` or any other Answerer; None where the benchmark needs none.
        settings: See `Settings`.
        options: A judge, the scorer under test, a run on the other side: see `Options`.
        out: Directory for `run.json` and the tables; None writes nothing.
        progress: Shows how far it is (`adhere.engine.Progress`).
        max_failures: Stop once more rows than this have failed.
        ray_model: A function without arguments that makes the model on a Ray worker; given, Ray runs the rows.

    Raises:
        AdhereError: before any model call, for whatever can be known then; after it, when too many rows fail.
    """
    chosen = (options or Options())._replace(answerer=model, seed=settings.seed)
    benchmark.check(chosen)
    instructions = benchmark.instructions(settings.limit)
    if not instructions:
        raise DataError(f"benchmark '{benchmark.name}' has no instructions", hint="Check --limit and the file")
    dialect = settings.dialect or benchmark.dialect
    checkers = {} if benchmark.scorer else build_checkers(instructions, dialect)
    scorer = benchmark.scorer(chosen) if benchmark.scorer else None
    if out is not None:
        writable(out)
    await check_endpoints(chosen.judge, chosen.scorer)
    await _ready(model, settings)
    answers = await answers_to(
        instructions, model, settings, progress, max_failures, ray_model, ask=benchmark.ask, options=chosen
    )
    rows, verdicts, found = await graded(benchmark, answers, scorer, checkers, chosen)
    manifest = make_manifest(benchmark, model, settings, chosen, dialect, instructions, answers, rows, verdicts, found)
    run = Run(manifest, rows, verdicts)
    if out is not None:
        write(run, out)
    return run


async def graded(
    benchmark: Benchmark, answers: Sequence[Answer], scorer: Scorer | None, checkers: Any, options: Options
) -> Graded:
    """The tables and the figures of answers, by the benchmark's scorer or by the constraints' checkers."""
    if scorer is None:
        rows, verdicts = grade(answers, checkers)
        return rows, verdicts, metrics(rows, verdicts)
    scored = await grade_scored(answers, scorer, options)
    rows, verdicts = scored_rows(scored, make_row)
    return rows, verdicts, scored_metrics(benchmark, scored, options)


async def _ready(model: Any, settings: Settings) -> None:
    if settings.samples < 1:
        raise DataError(f"samples must be at least 1, not {settings.samples}")
    inner = innermost(model)
    greedy = inner is model and inner is not None and inner.sampling.temperature == 0
    if settings.samples > 1 and greedy:
        raise DataError(
            f"{settings.samples} samples at temperature 0 would all be the same", hint="Add --temperature 0.7, say"
        )
    check = getattr(model, "check", None)  # an endpoint that is down, a wrong key: one line now, not one a row
    if check is not None:
        await check()
