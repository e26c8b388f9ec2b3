"""Grading answers by their instructions' constraints: builds the checkers, calls no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adhere.bench.asking import Answer
from adhere.bench.run_dir import Row, VerdictRow
from adhere.constraints import Checker, Dialect, build_all, verify
from adhere.errors import AdhereError, DataError
from adhere.records import Failure, Instruction, Response, encode

__all__ = ["build_checkers", "grade", "make_row"]


def build_checkers(
    instructions: Sequence[Instruction], dialect: Dialect, places: Mapping[str, str] = MappingProxyType({})
) -> dict[str, tuple[Checker, ...]]:
    """The checkers of each instruction by id.

    Args:
        instructions: With different ids.
        dialect: To build the constraints in.
        places: Where an instruction stood, by id (`file:line`), for the error.

    Raises:
        DataError: naming the instruction whose constraint cannot be built, or two that share an id.
    """
    made: dict[str, tuple[Checker, ...]] = {}
    for instruction in instructions:
        if instruction.id in made:
            raise DataError(f"two instructions have the id '{instruction.id}'", hint="Ids must be unique")
        try:
            made[instruction.id] = build_all(instruction.constraints, dialect)
        except AdhereError as error:
            where = f"{places[instruction.id]}: " if instruction.id in places else ""
            raise DataError(f"{where}instruction '{instruction.id}': {error.message}", hint=error.hint) from error
    return made


def grade(answers: Sequence[Answer], checkers: dict[str, tuple[Checker, ...]]) -> tuple[list[Row], list[VerdictRow]]:
    """Grade answers: calls no model. A checker that crashes makes its verdicts undecided and the row an error row."""
    rows: list[Row] = []
    verdicts: list[VerdictRow] = []
    for answer in answers:
        row, found = _grade_one(answer, checkers[answer.instruction.id])
        rows.append(row)
        verdicts.extend(found)
    return rows, verdicts


def _grade_one(answer: Answer, checkers: tuple[Checker, ...]) -> tuple[Row, list[VerdictRow]]:
    failure = answer.failure
    strict: list[bool | None] = [None] * len(checkers)
    loose: list[bool | None] = [None] * len(checkers)
    reasons, spans = ["no answer"] * len(checkers), ["[]"] * len(checkers)
    if answer.response is not None:
        try:
            verdict = verify(answer.response.text, checkers)
        except Exception as error:  # the checkers are ours and third parties': their crash must not end the run
            failure = Failure.of(error, "checker")
        else:
            strict = [s.passed for s in verdict.strict]
            loose = [*verdict.loose]
            reasons = [s.reason for s in verdict.strict]
            spans = [_json([[p.start, p.end, p.label] for p in s.spans]) for s in verdict.strict]
    i, r = answer.instruction, answer.response
    found = [
        VerdictRow(i.id, answer.sample, n, w.kind, c.family, _json(w.args), strict[n], loose[n], reasons[n], spans[n])
        for n, (c, w) in enumerate(zip(checkers, i.constraints, strict=True))
    ]
    return make_row(i, answer.sample, r, failure, _all(strict), _all(loose)), found


def make_row(
    i: Instruction, sample: int, r: Response | None, failure: Failure | None, strict: bool | None, loose: bool | None
) -> Row:
    """The row of an answer in `rows.parquet`."""
    return Row(
        id=i.id,
        sample=sample,
        prompt=i.prompt,
        messages=_json(i.messages),
        constraints=_json(i.constraints),
        response=None if r is None else r.text,
        finish_reason="" if r is None else r.finish_reason,
        prompt_tokens=0 if r is None else r.usage.prompt_tokens,
        completion_tokens=0 if r is None else r.usage.completion_tokens,
        error_boundary=failure.boundary if failure else "",
        error_kind=failure.kind if failure else "",
        error_message=failure.message if failure else "",
        strict_all=strict,
        loose_all=loose,
        trace=_json([] if r is None else r.trace),
        meta=_json(i.meta),
    )


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    if any(v is False for v in verdicts):
        return False
    return None if not verdicts or None in verdicts else True


def _json(value: Any) -> str:
    return encode(value).decode()
