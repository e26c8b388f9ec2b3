"""Pairs with a right answer, as benchmark rows: read, put in a fair order, and decided by the scorer under test.

Whatever scores or compares can be tested. A scorer of single responses is right where the chosen one scores *higher*:
equal scores are wrong. A judge of pairs that calls a tie is half right, as RewardBench has it for generative models; no
verdict is not right, and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from adhere.bench.base import Options
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Message, Response, Score
from adhere.score.judges.base import ByScore, PairJudge, resolve_judge

__all__ = ["RightOne", "ask_nobody", "in_turn", "make_scorer", "messages_of", "read_rows", "row_of"]

NAME = "accuracy"


class RightOne:
    """Whether the scorer under test finds the better response of a row (`meta["chosen"]`, `meta["rejected"]`).

    Parts: `accuracy`, and `longer`, whether the better one is the longer, which is what a taste for length would score.

    Args:
        judge: Compares the two. Which of them comes first is drawn by the row's id.
    """

    def __init__(self, judge: PairJudge) -> None:
        self.judge = judge

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; the response is not looked at."""
        chosen, rejected = instruction.meta["chosen"], instruction.meta["rejected"]
        swapped = bool(derive("pair order", instruction.id) & 1)
        found = await self.judge.compare(instruction, *((rejected, chosen) if swapped else (chosen, rejected)))
        longer = float(len(chosen) > len(rejected))
        parts = (
            _verdict(found.verdict, "b" if swapped else "a", isinstance(self.judge, ByScore), found.reason),
            Score("longer", longer, bool(longer)),
        )
        return Score(NAME, parts[0].value, parts[0].passed, parts, parts[0].reason)


def _verdict(verdict: str | None, right: str, scalar: bool, reason: str) -> Score:
    if verdict is None:
        return Score(NAME, reason=f"no verdict: {reason}")
    if verdict == "tie":
        value = 0.0 if scalar else 0.5
        return Score(NAME, value, False, reason=f"a tie: {reason}")
    return Score(NAME, float(verdict == right), verdict == right, reason=reason)


def make_scorer(options: Options) -> RightOne:
    """The scorer of a run: `--scorer`, or `--judge`.

    Raises:
        UsageError: if neither, or both, were named.
        UnknownNameError: with the nearest names.
    """
    if (options.scorer is None) == (options.judge is None):
        what = "both a scorer and a judge" if options.scorer else "neither a scorer nor a judge"
        raise UsageError(
            f"this benchmark tests one scorer, and was given {what}",
            hint="Add --scorer my-reward-model (a folder, or a scorer's name), or --judge smollm2",
        )
    if options.scorer is not None:
        from adhere.score.resolve import resolve

        return RightOne(ByScore(resolve(options.scorer, options.answerer)))
    return RightOne(resolve_judge(options.judge or "", options.answerer))


async def ask_nobody(options: Options, instruction: Instruction) -> Response:
    """Nothing is generated: the two responses are in the data."""
    return Response("")


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a .parquet, .jsonl or .json file, each with its place.

    Raises:
        DataError: if it cannot be read.
    """
    if path.suffix == ".parquet":
        return _parquet(path)
    from adhere.data.jsonl import objects
    from adhere.data.rows import json_list

    if path.suffix == ".json":
        return ((f"{path}: row {n}", row) for n, row in enumerate(json_list(path), 1))
    return ((f"{path}:{line}", row) for line, row in objects(path))


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1_000):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def row_of(id: str, prompt: Any, chosen: Any, rejected: Any, where: str, **meta: Any) -> Instruction:
    """A pair as a row of a benchmark.

    Args:
        id: Unique in the benchmark.
        prompt: Text, or messages (`[{"role": …, "content": …}]`).
        chosen: The better response.
        rejected: The other one.
        where: Where it stood, for the error.
        meta: What to group by.

    Raises:
        DataError: for a text that is missing or blank, or two equal responses.
    """
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: the row has no `{name}` response", hint="It is the text of the response")
    if chosen == rejected:
        raise DataError(f"{where}: `chosen` and `rejected` are the same text", hint="Such a pair cannot be decided")
    return Instruction(id, messages_of(prompt, where), meta={"chosen": chosen, "rejected": rejected, **meta})


def messages_of(prompt: Any, where: str) -> tuple[Message, ...]:
    """A prompt, text or messages, as a conversation.

    Raises:
        DataError: naming the row where it is neither, or blank.
    """
    if isinstance(prompt, str) and prompt.strip():
        return (Message("user", prompt),)
    import msgspec

    try:
        messages = msgspec.convert(prompt, tuple[Message, ...])
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: `prompt` is neither text nor messages: {error}") from error
    if not messages:
        raise DataError(f"{where}: the row has no `prompt`")
    return messages


def in_turn(groups: Iterable[Sequence[Instruction]]) -> list[Instruction]:
    """The rows of several groups by turns, so that the first few are a fair sample of them all."""
    rounds = itertools.zip_longest(*groups)
    return [row for turn in rounds for row in turn if row is not None]
