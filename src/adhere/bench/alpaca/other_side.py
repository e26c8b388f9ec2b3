"""What the answers are compared with: another run, a file of outputs, or the outputs that came with the instructions.

Joined are instructions by their text, never by their row. What the other side lacks is named and takes no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.errors import DataError, UsageError
from adhere.records import Instruction

__all__ = ["OtherSide", "joined", "other_side", "outputs_of"]

SUFFIXES = (".json", ".jsonl")


class OtherSide(NamedTuple):
    """The answers that stand on the other side.

    Attributes:
        name: Of the run's model, the file's generator, or "reference".
        answers: By the instruction's text; None where an answer failed.
    """

    name: str
    answers: dict[str, str | None]


def other_side(against: Path | None, instructions: Sequence[Instruction]) -> OtherSide:
    """Read what to compare with.

    Args:
        against: A run directory, or a file in AlpacaEval's form (`[{"instruction", "output", "generator"}]`); None
            takes the instructions' own references.
        instructions: Of the benchmark.

    Raises:
        UsageError: if there is nothing to compare with.
        DataError: if the file is another one, answers an instruction twice, or shares none with the benchmark.
    """
    if against is None:
        references = {i.prompt: i.references[0] for i in instructions if i.references}
        if not references:
            raise UsageError(
                "there is nothing to compare the answers with: the data hold no outputs",
                hint="Add --against RUN (made by `adhere eval alpaca-answers --model OTHER`), or a file of outputs",
            )
        return OtherSide("reference", dict(references))
    found = _run(against) if against.is_dir() else outputs_of(against)
    if not any(i.prompt in found.answers for i in instructions):
        raise DataError(f"{against}: it answers none of the benchmark's instructions", hint="Is it of the same set?")
    return found


def _run(directory: Path) -> OtherSide:
    from adhere.bench.run_dir import load

    run = load(directory)
    answers: dict[str, str | None] = {}
    for row in run.rows:
        if row.sample == 0:  # one answer an instruction; further samples have no partner
            _put(answers, row.prompt, row.response, str(directory))
    return OtherSide(run.manifest["model"]["name"], answers)


def outputs_of(path: Path) -> OtherSide:
    """The outputs of a file in AlpacaEval's form; an `input` joins its instruction after a blank line.

    Raises:
        UsageError: if there is no such file.
        DataError: naming the row that has no instruction or output, or the instruction that comes twice.
    """
    if not path.is_file():
        raise UsageError(f"there is no run and no file at {path}", hint="Give a run directory, or outputs as JSON")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} is no file of outputs", hint=f"Read are {' and '.join(SUFFIXES)}")
    answers: dict[str, str | None] = {}
    names: dict[str, None] = {}
    for where, row in _rows(path):
        if not isinstance(row.get("instruction"), str) or not isinstance(row.get("output"), str):
            raise DataError(f"{where}: the row needs `instruction` and `output` as text")
        _put(answers, joined(row["instruction"], row.get("input")), row["output"], where)
        names[str(row.get("generator") or path.stem)] = None
    if len(names) > 1:
        raise DataError(f"{path} holds the outputs of {len(names)} models: {', '.join(names)}", hint="Give one's")
    return OtherSide(next(iter(names), path.stem), answers)


def joined(instruction: str, input: Any) -> str:
    """An instruction and its input as one text."""
    return f"{instruction}\n\n{input}" if isinstance(input, str) and input.strip() else instruction


def _put(answers: dict[str, str | None], prompt: str, answer: str | None, where: str) -> None:
    if prompt in answers:
        raise DataError(
            f"{where}: a second answer to {prompt[:60]!r}", hint="Keep one an instruction: it could not be told which"
        )
    answers[prompt] = answer


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from adhere.data.jsonl import objects
    from adhere.data.rows import json_list

    if path.suffix == ".json":
        return ((f"{path}: row {n}", row) for n, row in enumerate(json_list(path), 1))
    return ((f"{path}:{line}", row) for line, row in objects(path))
