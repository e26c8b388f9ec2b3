"""Pairs and annotations in AlpacaFarm's form, read and written unchanged.

A row is `{"instruction", "input", "output_1", "output_2"}`, annotated with `"preference"` (1: the first is better, 2:
the second, 1.5 or 0: a draw, anything between, null: no verdict) and `"annotator"`. Several rows of one pair are
several annotators' votes on it, as in the paper's cross-annotations (Dubois et al. 2023, arXiv 2305.14387, section 3):

    people = votes_of(read_annotations("alpaca_farm_human_crossannotations.json"))
    variance(people.votes)                              # how much people disagree
    rows = call(annotate(SimulatedAnnotators(model, p_flip=fit_noise(own, variance(people.votes))), pairs))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.errors import DataError, ModelError
from adhere.records import Instruction
from adhere.score.judges.base import PairJudge, Preference
from adhere.score.preferences.win_rate import share_of_second

__all__ = ["PairRow", "Voted", "annotate", "read_annotations", "votes_of"]

TEXTS = ("instruction", "output_1", "output_2")


class PairRow(NamedTuple):
    """A pair of outputs, and what an annotator said of it.

    Attributes:
        instruction: Without its input.
        input: What the instruction is about; "" where there is none.
        output_1: The first output.
        output_2: The second.
        preference: As in the file; None where there is none (yet).
        annotator: Who said so.
    """

    instruction: str
    input: str
    output_1: str
    output_2: str
    preference: float | None = None
    annotator: str = ""

    @property
    def prompt(self) -> str:
        """Instruction and input as one text, as AlpacaFarm joins them."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction


class Voted(NamedTuple):
    """The votes on each pair, in the order in which the pairs first came: shares of the second output."""

    pairs: list[PairRow]
    votes: list[list[float | None]]


def read_annotations(path: str | Path) -> list[PairRow]:
    """The rows of a .json or .jsonl file; fields that the form does not know are left out.

    Raises:
        DataError: naming the row that lacks a text, or whose preference is none.
    """
    made = []
    for where, row in _rows(Path(path)):
        for name in TEXTS:
            if not isinstance(row.get(name), str):
                raise DataError(f"{where}: the row has no `{name}`", hint=f"It needs {', '.join(TEXTS)} as text")
        given = row.get("preference")
        try:
            share_of_second(given)
        except (DataError, TypeError) as error:
            raise DataError(f"{where}: {error}") from error
        made.append(
            PairRow(row["instruction"], str(row.get("input") or ""), row["output_1"], row["output_2"], given,
                    str(row.get("annotator") or ""))
        )  # fmt: skip
    return made


def votes_of(rows: Sequence[PairRow]) -> Voted:
    """The annotations by pair, for `annotators_quality`: agreement, bias, variance, the fit of the noise."""
    found: dict[tuple[str, ...], tuple[PairRow, list[float | None]]] = {}
    for row in rows:
        key = (row.instruction, row.input, row.output_1, row.output_2)
        found.setdefault(key, (row, []))[1].append(share_of_second(row.preference))
    return Voted([row for row, _ in found.values()], [votes for _, votes in found.values()])


async def annotate(judge: PairJudge, rows: Sequence[PairRow]) -> list[PairRow]:
    """The rows with the judge's preference in place of any other, in their order.

    Args:
        judge: `SimulatedAnnotators`, or any judge of pairs.
        rows: To annotate.

    Raises:
        ModelError: if a call failed for good.
    """
    from adhere.engine.run import run

    async def one(row: PairRow) -> Preference:
        return await judge.compare(Instruction.of(row.prompt), row.output_1, row.output_2)

    made: list[PairRow | None] = [None] * len(rows)
    async for outcome in run(one, rows, concurrency=16):
        found = outcome.result
        if found is None:
            said = outcome.failure.message if outcome.failure else "no preference"
            raise ModelError(f"row {outcome.index + 1}: {said}")
        share = None if found.probability_b is None else 1 + found.probability_b
        who = str(found.details.get("annotator") or ("noise" if found.details.get("noise") else type(judge).__name__))
        made[outcome.index] = rows[outcome.index]._replace(preference=share, annotator=who)
    return [row for row in made if row is not None]


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    from adhere.data.jsonl import objects
    from adhere.data.rows import json_list

    if path.suffix == ".json":
        return ((f"{path}: row {n}", row) for n, row in enumerate(json_list(path), 1))
    return ((f"{path}:{line}", row) for line, row in objects(path))
