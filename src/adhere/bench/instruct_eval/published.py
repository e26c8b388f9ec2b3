"""INSTRUCTEVAL's published tables (docs/ of declare-lab/instruct-eval), read as they are, and the study made of them.

rows = read_table(Path("problem_solving_leaderboard.csv"))
tuning_gains(rows)          # what instruction tuning added to the same foundation model, by set
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adhere.errors import DataError

__all__ = ["PROBLEM_COLUMNS", "Line", "Pairing", "correlation", "gains", "mean_of", "read_table", "tuned_pairs"]

PROBLEM_COLUMNS = ("MMLU", "BBH", "DROP", "CRASS", "HumanEval")
# Rows of the table that are the foundation models themselves: (foundation, parameters) → what they are called there.
UNTUNED = {"LLaMA", "OPT", "StarCoder", "pythia", "T5 XXL LM", "T5 XL LM", "T5 Large LM", "T5 Base LM", "Mosaic-7B"}


class Line(NamedTuple):
    """A model of a table: its texts (foundation, parameters) and its figures, those that are there."""

    model: str
    texts: dict[str, str]
    figures: dict[str, float]


class Pairing(NamedTuple):
    """A tuned model and the untuned one of the same foundation and size."""

    tuned: Line
    foundation: Line


def read_table(path: Path) -> list[Line]:
    """The lines of a table; blank ones are left out, links become their texts.

    Raises:
        DataError: if it cannot be read, or has no column for the model.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(map(str.strip, row))]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: no table: {error}") from error
    if not header[0].lower().endswith("model"):  # one table's header has a letter too many before it
        raise DataError(f"{path}: the first column is '{header[0]}', not the model")
    found = []
    for row in rows:
        cells = dict(zip(header[1:], row[1:], strict=False))
        numbers = {name: float(value) for name, value in cells.items() if re.fullmatch(r"-?\d+(?:\.\d+)?", value)}
        texts = {name: value for name, value in cells.items() if value and name not in numbers}
        sizes = {name: str(numbers.pop(name)) for name in list(numbers) if name.startswith("Parameters")}
        found.append(Line(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", row[0]), texts | sizes, numbers))
    return found


def mean_of(line: Line, columns: Sequence[str]) -> float | None:
    """The plain mean of some columns; None where one is missing."""
    values = [line.figures[name] for name in columns if name in line.figures]
    return sum(values) / len(values) if len(values) == len(columns) else None


def tuned_pairs(lines: Sequence[Line]) -> list[Pairing]:
    """Each tuned model beside the foundation model of its family and size that the table has too."""
    untuned = {_family(line): line for line in lines if line.model in UNTUNED}
    return [
        Pairing(line, untuned[_family(line)])
        for line in lines
        if line.model not in UNTUNED and _family(line) in untuned and line.texts.get("Foundation")
    ]


def gains(lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    """Points of the five sets' mean that tuning added to the same foundation, by foundation and tuned model.

    Which data a model was tuned on cannot be told apart from its foundation in this table: task collections stand on T5
    and OPT alone, imitated chats on the others.
    """
    found: dict[str, dict[str, float]] = {}
    for tuned, foundation in tuned_pairs(lines):
        after, before = mean_of(tuned, PROBLEM_COLUMNS), mean_of(foundation, PROBLEM_COLUMNS)
        if after is not None and before is not None:
            found.setdefault(_family(tuned)[0], {})[f"{tuned.model} {_family(tuned)[1]}B"] = after - before
    return found


def _family(line: Line) -> tuple[str, str]:
    name = line.texts.get("Foundation", line.model)  # StarCoder's own line names no foundation
    size = next((value for key, value in line.texts.items() if key.startswith("Parameters")), "")
    return name, size


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
