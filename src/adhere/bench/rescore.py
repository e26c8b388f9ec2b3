"""Grading what was answered before: a file of answers, or a run in another dialect. No model is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.asking import Answer
from adhere.bench.base import Benchmark, Options, get
from adhere.bench.grading import build_checkers, grade
from adhere.bench.manifest import about, versions
from adhere.bench.metrics import counts, metrics
from adhere.bench.responses import Answers, read_answers
from adhere.bench.run import graded
from adhere.bench.run_dir import SCHEMA, Row, Run, load
from adhere.constraints import Dialect
from adhere.data.files import shown
from adhere.engine.sync import call
from adhere.errors import DataError
from adhere.records import Constraint, Failure, Instruction, Message, Response, Usage

__all__ = ["regrade", "score_file"]


def score_file(path: Path, against: str | None = None, dialect: Dialect | None = None) -> tuple[Run, Answers]:
    """Grade a file of answers (`adhere.bench.responses` says which forms are read).

    Args:
        path: The file.
        against: Name of the benchmark that rows without constraints of their own answer.
        dialect: None: the benchmark's own, or "ifeval".

    Raises:
        DataError: for rows that cannot be graded, `file:line`; UnknownNameError for an unknown benchmark.
    """
    benchmark = get(against) if against else None
    instructions = benchmark.instructions() if benchmark else None
    found = read_answers(path, instructions)
    chosen: Dialect = dialect or (benchmark.dialect if benchmark else "ifeval")
    asked: dict[str, Instruction] = {}
    places: dict[str, str] = {}
    for answer, place in zip(found.answers, found.places, strict=True):
        asked.setdefault(answer.instruction.id, answer.instruction)
        places.setdefault(answer.instruction.id, place)
    if benchmark is not None and benchmark.scorer is not None:
        options = Options()
        benchmark.check(options)
        rows, verdicts, figures = call(graded(benchmark, found.answers, benchmark.scorer(options), {}, options))
    else:
        rows, verdicts = grade(found.answers, build_checkers(list(asked.values()), chosen, places))
        figures = metrics(rows, verdicts)
    manifest = {
        "schema": SCHEMA,
        "benchmark": _about(benchmark, path, len(instructions) if instructions is not None else len(asked)),
        "model": {"name": next((a.response.model for a in found.answers if a.response), ""), "engine": "file"},
        "strategy": None,
        "sampling": {},
        "settings": {"limit": None, "samples": 1 + max(a.sample for a in found.answers), "seed": 0, "dialect": chosen},
        "counts": counts(rows, verdicts),
        "cut_share": None,
        "metrics": figures,
        "versions": versions(),
        "machine": {},
    }
    return Run(manifest, rows, verdicts), found


def regrade(directory: Path, dialect: Dialect | None = None, *, unsafe_sandbox: bool = False) -> Run:
    """A run's answers graded anew, in the same dialect or another, or by its benchmark's own scorer.

    Args:
        directory: Of the run.
        dialect: None: the run's own.
        unsafe_sandbox: Run generated code although it cannot be isolated here.

    Raises:
        UsageError, DataError: as `run_dir.load`, or if the benchmark's prompts are no longer those of the run.
    """
    old = load(directory)
    scored = "metrics" in old.manifest["benchmark"]
    benchmark = get(old.manifest["benchmark"]["name"]) if scored else None
    asked = {i.id: i for i in benchmark.instructions()} if benchmark else {}
    answers = [_answer(row, asked, scored, directory) for row in old.rows]
    settings = old.manifest["settings"]
    chosen: Dialect = dialect or settings["dialect"]
    if benchmark is None:
        checkers = build_checkers(list({a.instruction.id: a.instruction for a in answers}.values()), chosen)
        rows, verdicts = grade(answers, checkers)
        found = metrics(rows, verdicts)
    else:
        options = _options(settings)._replace(unsafe_sandbox=unsafe_sandbox)
        scorer = benchmark.scorer(options) if benchmark.scorer else None
        rows, verdicts, found = call(graded(benchmark, answers, scorer, {}, options))
    rows = [msgspec.structs.replace(new, trace=row.trace) for new, row in zip(rows, old.rows, strict=True)]
    fresh: dict[str, Any] = {
        "settings": settings | {"dialect": chosen},
        "counts": counts(rows, verdicts),
        "metrics": found,
        "versions": versions(),
    }
    return Run(old.manifest | fresh, rows, verdicts)


def _options(settings: dict[str, Any]) -> Options:
    against = settings.get("against")
    return Options(
        judge=settings.get("judge"),
        scorer=settings.get("scorer"),
        against=Path(against) if against else None,
        seed=settings["seed"],
    )


def _answer(row: Row, asked: dict[str, Instruction], scored: bool, directory: Path) -> Answer:
    """The answer that a row holds. Scorers get the benchmark's own instruction: a row keeps no references."""
    if scored:
        if row.id not in asked:
            raise DataError(
                f"{directory}: the benchmark has no prompt '{row.id}' any more", hint="Run the evaluation again"
            )
        instruction = asked[row.id]
    else:
        instruction = _instruction(row.id, row.messages, row.constraints, row.meta, directory)
    # What a checker once choked on is graded again; what the model failed on stays failed.
    if row.response is None:
        return Answer(instruction, row.sample, None, _failure(row))
    usage = Usage(row.prompt_tokens, row.completion_tokens)
    trace = tuple(msgspec.json.decode(row.trace))
    return Answer(instruction, row.sample, Response(row.response, "", row.finish_reason, usage, trace=trace), None)


def _failure(row: Row) -> Failure:
    fields = {"boundary": row.error_boundary, "kind": row.error_kind, "message": row.error_message}
    try:
        return msgspec.convert(fields, Failure)
    except msgspec.ValidationError as error:
        raise DataError(f"row '{row.id}' has no response and no known failure: {error}") from error


def _instruction(id: str, messages: str, constraints: str, meta: str, directory: Path) -> Instruction:
    try:
        return Instruction(
            id,
            msgspec.json.decode(messages, type=tuple[Message, ...]),
            msgspec.json.decode(constraints, type=tuple[Constraint, ...]),
            meta=msgspec.json.decode(meta, type=dict[str, Any]),
        )
    except msgspec.DecodeError as error:
        raise DataError(f"{directory}: row '{id}' is damaged: {error}") from error


def _about(benchmark: Benchmark | None, path: Path, prompts: int) -> dict[str, Any]:
    if benchmark is None:
        return {
            "name": shown(path.name),
            "about": "answers graded from a file",
            "headline": "prompt_strict",
            "prompts": prompts,
        }
    return about(benchmark, prompts)
