"""Grading what was answered before: a file of answers, or a run in another dialect. No model is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.base import Benchmark, get
from adhere.bench.metrics import counts, metrics
from adhere.bench.responses import Answers, read_answers
from adhere.bench.run import Answer, build_checkers, grade, versions
from adhere.bench.run_dir import SCHEMA, Row, Run, load
from adhere.constraints import Dialect
from adhere.data.files import shown
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
    rows, verdicts = grade(found.answers, build_checkers(list(asked.values()), chosen, places))
    manifest = {
        "schema": SCHEMA,
        "benchmark": _about(benchmark, path, len(instructions) if instructions is not None else len(asked)),
        "model": {"name": next((a.response.model for a in found.answers if a.response), ""), "engine": "file"},
        "strategy": None,
        "sampling": {},
        "settings": {"limit": None, "samples": 1 + max(a.sample for a in found.answers), "seed": 0, "dialect": chosen},
        "counts": counts(rows, verdicts),
        "cut_share": None,
        "metrics": metrics(rows, verdicts),
        "versions": versions(),
        "machine": {},
    }
    return Run(manifest, rows, verdicts), found


def regrade(directory: Path, dialect: Dialect | None = None) -> Run:
    """A run's answers graded anew, in the same dialect or another.

    Raises:
        UsageError, DataError: as `run_dir.load`.
    """
    old = load(directory)
    chosen: Dialect = dialect or old.manifest["settings"]["dialect"]
    instructions: dict[str, Instruction] = {}
    answers = []
    for row in old.rows:
        if row.id not in instructions:
            instructions[row.id] = _instruction(row.id, row.messages, row.constraints, row.meta, directory)
        # What a checker once choked on is graded again; what the model failed on stays failed.
        failure = _failure(row) if row.response is None else None
        usage = Usage(row.prompt_tokens, row.completion_tokens)
        response = (
            None if row.response is None else Response(row.response, finish_reason=row.finish_reason, usage=usage)
        )
        answers.append(Answer(instructions[row.id], row.sample, response, failure))
    rows, verdicts = grade(answers, build_checkers(list(instructions.values()), chosen))
    rows = [msgspec.structs.replace(new, trace=row.trace) for new, row in zip(rows, old.rows, strict=True)]
    fresh: dict[str, Any] = {
        "settings": old.manifest["settings"] | {"dialect": chosen},
        "counts": counts(rows, verdicts),
        "metrics": metrics(rows, verdicts),
        "versions": versions(),
    }
    return Run(old.manifest | fresh, rows, verdicts)


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
    keys = ("name", "about", "licence", "paper", "headline")
    return {k: getattr(benchmark, k) for k in keys} | {"prompts": prompts}
