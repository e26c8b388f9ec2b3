"""Answers that exist already: read from whoever wrote them, to be graded without calling a model.

Read are JSONL rows (or one JSON list of them), and the logs of two harnesses (`adhere.bench.logs`):

- `{"key", "prompt", "instruction_id_list", "kwargs", "response"}`: IFEval's form, each row with its own constraints;
- `{"id", "prompt", "constraints", "response"}`: the same with Adhere's constraints;
- `{"key" or "prompt", "response"}`: joined with a benchmark (`--against`) on the key, else on the exact prompt;
- lm-eval's `samples_*.jsonl`, whose `doc` is a row of one of the forms above;
- inspect's `.eval` and `.json` logs, whose samples carry the same in `metadata`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from adhere.bench.asking import Answer
from adhere.bench.logs import Source, inspect_ai, lm_eval
from adhere.data.ifeval_rows import identity, to_instruction
from adhere.data.rows import constraints_of, json_list
from adhere.errors import AdhereError, DataError, UsageError
from adhere.records import Instruction, Response

__all__ = ["Answers", "read_answers"]


class Answers(NamedTuple):
    """What a file held.

    Attributes:
        answers: In the file's order.
        sources: The row of each answer, fields under common names.
        places: Where each answer stood.
        unmatched: Where the rows stood that match no prompt of the benchmark.
        notes: What the reader should know, such as which of several filters was read.
    """

    answers: list[Answer]
    sources: list[dict[str, Any]]
    places: list[str]
    unmatched: list[str]
    notes: list[str]


def read_answers(path: Path, against: list[Instruction] | None = None) -> Answers:
    """Read answers from a file.

    Args:
        path: See the module's docstring for the forms.
        against: Instructions to join on, for rows that carry no constraints of their own.

    Raises:
        DataError: `file:line` and what is wrong: not JSON, no response, a response that is not text, an answer given
            twice; or rows of which none matches the benchmark.
    """
    known = _Known(against)
    found = Answers([], [], [], [], [])
    seen = _Seen()
    for source in _sources(path, found.notes):
        response = None if source.failure else _response(source)
        instruction = _instruction(source, known)
        if instruction is None:
            found.unmatched.append(source.where)
            continue
        sample = seen.sample(instruction, source)
        found.answers.append(Answer(instruction, sample, response, source.failure))
        found.sources.append(source.row)
        found.places.append(source.where)
    if not found.answers:
        n = len(found.unmatched)
        what = f"none of its {n} rows matches a prompt of the benchmark" if n else "it holds no rows"
        raise DataError(f"{path}: {what}", hint="Rows are joined on `key`, else on the exact `prompt`")
    return found


class _Known:
    """The benchmark's instructions, by id and by prompt."""

    def __init__(self, instructions: list[Instruction] | None) -> None:
        self.given = instructions is not None
        self.by_id = {i.id: i for i in instructions or ()}
        self.by_prompt = {i.prompt: i for i in instructions or ()}


class _Seen:
    """Which answers there were, so that none counts twice and all of one id answer the same instruction."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[Instruction, str]] = {}
        self.answers: dict[tuple[str, int], str] = {}

    def sample(self, instruction: Instruction, source: Source) -> int:
        """The number of the sample. Raises DataError."""
        sample = source.row.get("sample", 0)
        if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
            raise DataError(f"{source.where}: `sample` is {sample!r}, not a whole number", hint="They count from 0")
        if (instruction.id, sample) in self.answers:
            raise DataError(
                f"{source.where}: a second answer for '{instruction.id}' "
                f"(the first is at {self.answers[instruction.id, sample]})",
                hint='Number several answers of one prompt with "sample": 0, 1, …',
            )
        self.answers[instruction.id, sample] = source.where
        asked, where = self.first.setdefault(instruction.id, (instruction, source.where))
        if (asked.messages, asked.constraints) != (instruction.messages, instruction.constraints):
            raise DataError(
                f"{source.where}: '{instruction.id}' asks something else than at {where}",
                hint="One key, one prompt with its constraints",
            )
        return sample


def _instruction(source: Source, known: _Known) -> Instruction | None:
    row = source.row
    try:
        if "instruction_id_list" in row:
            return to_instruction(row)
        if "constraints" in row:
            return _with_constraints(row)
    except AdhereError as error:
        raise DataError(f"{source.where}: {error.message}", hint=error.hint) from error
    if not known.given:
        raise UsageError(
            f"{source.where}: the row carries no constraints (`instruction_id_list` or `constraints`)",
            hint="Name the benchmark that it answers: --against ifeval",
        )
    return _joined(source, known)


def _with_constraints(row: dict[str, Any]) -> Instruction:
    prompt = row.get("prompt", "")
    if not isinstance(prompt, str):
        raise DataError(f"`prompt` is {type(prompt).__name__}, not text")
    return Instruction.of(prompt, *constraints_of(row["constraints"] or ()), id=identity(row.get("key"), "key"))


def _joined(source: Source, known: _Known) -> Instruction | None:
    key, prompt = source.row.get("key"), source.row.get("prompt")
    by_prompt = known.by_prompt.get(prompt) if isinstance(prompt, str) else None
    if key is None or not source.keyed:
        return by_prompt
    by_key = known.by_id.get(str(key))
    if by_key is not None and by_prompt is not None and by_key.id != by_prompt.id:
        raise DataError(
            f"{source.where}: the key '{key}' is that of another prompt than the row's",
            hint=f"Its prompt is that of '{by_prompt.id}'; leave out `key` or `prompt`, whichever is wrong",
        )
    return by_key or by_prompt


def _response(source: Source) -> Response:
    text = source.row.get("response")
    if not isinstance(text, str):
        what = "has no `response`" if "response" not in source.row else f"has a `response` that is {_kind(text)}"
        raise DataError(f"{source.where}: the row {what}", hint="Each row needs the answer as text under `response`")
    return Response(
        text,
        model=str(source.row.get("model") or ""),
        finish_reason=str(source.row.get("finish_reason") or ""),
    )


def _kind(value: Any) -> str:
    return "null" if value is None else f"{type(value).__name__}, not text"


def _sources(path: Path, notes: list[str]) -> Iterator[Source]:
    if not path.exists() or path.is_dir():
        raise UsageError(f"there is no file {path}", hint="Give a file of answers, or the directory of a run")
    if path.suffix == ".eval":
        return inspect_ai.from_archive(path)
    if path.suffix == ".json" and not _is_list(path):
        return inspect_ai.from_json(path)
    rows = _listed(path) if path.suffix == ".json" else _lines(path)
    first = next(rows, None)
    if first is None:
        return iter(())
    rows = itertools.chain([first], rows)
    return lm_eval.sources(rows, notes) if lm_eval.is_logged(first[1]) else (Source(w, _common(r)) for w, r in rows)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from adhere.data.jsonl import objects

    return ((f"{path}:{line}", row) for line, row in objects(path))


def _is_list(path: Path) -> bool:
    """Whether a .json file is a list of rows and not a log, which is an object."""
    from adhere.data.jsonl import BOM

    with path.open("rb") as file:
        return file.read(4096).removeprefix(BOM).lstrip().startswith(b"[")


def _listed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((f"{path}: row {number}", row) for number, row in enumerate(json_list(path), 1))


def _common(row: dict[str, Any]) -> dict[str, Any]:
    """The same row with its identity under `key`."""
    if "key" in row or "id" not in row:
        return row
    return {"key": row["id"]} | {k: v for k, v in row.items() if k != "id"}
