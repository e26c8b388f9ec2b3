"""Tasks for prompt optimisers: input/output pairs, read from JSONL or from the task files of APE and INSTINCT.

    {"input": "hot", "output": "cold"}                      JSONL, one pair a line; or "outputs": ["cold", "chilly"]
    {"task", "metric", "induce": [pairs], "execute": [pairs], "human_instructions"}       instruction-induction tasks
    {"name", "examples": [{"input", "target" | "target_scores"}]}                         BIG-bench tasks

`induce` is what an optimiser may look at, `execute` is the untouched test set; a file without one is split by the seed.
Special loaders as in the reference: cause_and_effect shows its two sentences in random order, common_concept leaves
out the last item (the files at hand do that already).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adhere.data.jsonl import objects
from adhere.data.places import data_dir
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError, did_you_mean
from adhere.write.instructions.metrics import METRICS

__all__ = ["Pair", "Split", "Task", "read_task", "split"]

log = logging.getLogger("adhere")

FOLDERS = ("ape/instruction_induction", "instinct/instruction_induction", "ape/bigbench_ii")
MOST = 100  # pairs to show at most, and pairs of a test set that we cut off ourselves (APE, experiment setup)
SHOWN = 5  # pairs in a writer's prompt, unless told otherwise
LARGEST = 64 * 2**20  # bytes of a JSON task file
FORM = 'Write {"input": "…", "output": "…"} or {"input": "…", "outputs": ["…", "…"]}'
# Public question sets name the same two things otherwise.
INPUTS, OUTPUTS = ("input", "question"), ("output", "outputs", "answer")


class Pair(NamedTuple):
    """An input and every output that counts as right, the usual one first."""

    input: str
    outputs: tuple[str, ...]


class Task(NamedTuple):
    """What an instruction is searched for.

    Attributes:
        name: Of the task, or the file's.
        metric: How an answer is graded; a key of `METRICS`.
        induce: Pairs to propose and score with.
        execute: Held-out pairs, never shown to a search.
        human_instructions: What people wrote for it, where known.
    """

    name: str
    metric: str
    induce: tuple[Pair, ...]
    execute: tuple[Pair, ...] = ()
    human_instructions: tuple[str, ...] = ()


class Split(NamedTuple):
    """Pairs that writers are shown, and pairs that candidates are scored on; they share none."""

    shown: tuple[Pair, ...]
    scoring: tuple[Pair, ...]


def read_task(source: str | Path, metric: str | None = None, *, seed: int = 0) -> Task:
    """The task in a file, or of a name in the data directory ("antonyms").

    Args:
        source: JSONL of pairs, a JSON task file, or the name of a public task.
        metric: How answers are graded; None takes the file's own, else exact match.
        seed: Of the split where the file has none, and of the order within a pair (cause_and_effect).

    Raises:
        DataError: naming file and row.
        UsageError: for an unknown metric.
    """
    if metric is not None and metric not in METRICS:
        raise UsageError(f"unknown metric '{metric}'", hint=did_you_mean(metric, METRICS) or f"There are: {_metrics()}")
    path = _find(str(source))
    task = _json_task(path, seed) if path.suffix == ".json" else Task(path.stem, "em", _jsonl_pairs(path))
    if not task.execute:
        task = _hold_out(task, seed)
    elif shared := {pair.input for pair in task.induce} & {pair.input for pair in task.execute}:
        log.warning("%s: %d inputs are in both splits, e.g. %r", path, len(shared), min(shared)[:60])
    return task._replace(metric=metric or task.metric)


def split(pairs: Sequence[Pair], shown: int = SHOWN, seed: int = 0) -> Split:
    """Draw the pairs that writers see: half of them, at most 100, at least `shown`; the rest is for scoring.

    Raises:
        DataError: if there are fewer than `shown` + 1.
    """
    if len(pairs) < shown + 1:
        raise DataError(
            f"a prompt search needs at least {shown + 1} pairs ({shown} to show and 1 to score), got {len(pairs)}",
            hint="Add rows to the task file",
        )
    order = list(range(len(pairs)))
    random.Random(derive("split", seed)).shuffle(order)
    cut = max(shown, min(len(pairs) // 2, MOST))
    return Split(tuple(pairs[i] for i in order[:cut]), tuple(pairs[i] for i in order[cut:]))


def _metrics() -> str:
    return ", ".join(METRICS)


def _find(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_file() or path.suffix in (".json", ".jsonl"):
        return path
    known: dict[str, Path] = {}
    if (place := data_dir()) is not None:
        for folder in reversed(FOLDERS):
            known |= {file.stem: file for file in (place / folder).glob("*.json")}
    if source not in known:
        hint = did_you_mean(source, known) or "Give a JSONL file of pairs, or set ADHERE_DATA and name a public task"
        raise DataError(f"there is no task file or task '{source}'", hint=hint)
    return known[source]


def _jsonl_pairs(path: Path) -> tuple[Pair, ...]:
    """The pairs of a JSONL file; exact copies are dropped, lest one end up in the test set too."""
    first: dict[Pair, int] = {}
    copies = 0
    for number, row in objects(path):
        pair = _pair(row, f"{path}:{number}")
        if pair in first:
            copies += 1
        first.setdefault(pair, number)
    if copies:
        log.warning("%s: %d rows repeat an earlier one and are left out", path, copies)
    return tuple(first)


def _hold_out(task: Task, seed: int) -> Task:
    """Cut a third off for testing, at most 100 pairs, as far as enough for a search is left."""
    order = list(task.induce)
    random.Random(derive("execute", seed)).shuffle(order)
    held = max(0, min(MOST, len(order) // 3, len(order) - SHOWN - 1))
    if not held:
        log.warning("%s: too few pairs (%d) for a held-out test", task.name, len(order))
    return task._replace(induce=tuple(order[held:]), execute=tuple(order[:held]))


def _json_task(path: Path, seed: int) -> Task:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: larger than {LARGEST >> 20} MiB", hint="Write JSONL")
        found = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a task: a JSON object with 'induce' was expected", hint="Pairs alone go in JSONL")
    if "examples" in found:
        # BIG-bench shows the choices unless a task says otherwise.
        choices = bool(found.get("append_choices_to_input", True))
        return Task(path.stem, "em", _rows(path, found, "examples", seed, partial(_big_bench, choices=choices)))
    if "induce" not in found:
        raise DataError(f"{path}: not a task: it has no 'induce'", hint="Pairs alone go in a .jsonl file")
    name, metric = found.get("task") or path.stem, found.get("metric") or "em"
    people = found.get("human_instructions") or []
    if not isinstance(name, str) or metric not in METRICS:
        raise DataError(f"{path}: unknown metric {metric!r} or name", hint=f"Metrics are {_metrics()}")
    if not isinstance(people, list) or not all(isinstance(text, str) for text in people):
        raise DataError(f"{path}: human_instructions must be a list of texts")
    induce = _rows(path, found, "induce", seed, _pair)
    execute = _rows(path, found, "execute", seed, _pair) if found.get("execute") else ()
    return Task(name, metric, induce, execute, tuple(people))


def _rows(
    path: Path, found: dict[str, Any], key: str, seed: int, read: Callable[[dict[str, Any], str], Pair]
) -> tuple[Pair, ...]:
    rows = found[key]
    if not isinstance(rows, list):
        raise DataError(f"{path}: '{key}' must be a list")
    pairs = []
    for number, row in enumerate(rows, 1):
        where = f"{path}: {key} row {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: not an object", hint=FORM)
        if {"cause", "effect"} <= row.keys():
            row = _cause_and_effect(row, where, derive("order", seed, key, number))
        pairs.append(read(row, where))
    return tuple(pairs)


def _cause_and_effect(row: dict[str, Any], where: str, draw: int) -> dict[str, Any]:
    """The two sentences in an order that the seed decides; the answer is the cause."""
    sentences = [_text(row["cause"], where, "cause"), _text(row["effect"], where, "effect")]
    if draw % 2:
        sentences.reverse()
    return {"input": f"Sentence 1: {sentences[0]} Sentence 2: {sentences[1]}", "outputs": [row["cause"]]}


def _big_bench(row: dict[str, Any], where: str, *, choices: bool) -> Pair:
    """`target` is a text or texts; `target_scores` gives every choice a mark, of which the highest are right."""
    scores = row.get("target_scores")
    if scores is None:
        target = row.get("target")
        return _pair({"input": row.get("input"), "outputs": target if isinstance(target, list) else [target]}, where)
    if not isinstance(scores, dict) or not scores or not all(isinstance(v, int | float) for v in scores.values()):
        raise DataError(f"{where}: target_scores must give every choice a number")
    best = max(scores.values())
    pair = _pair({"input": row.get("input"), "outputs": [c for c, mark in scores.items() if mark == best]}, where)
    return pair._replace(input=pair.input + "".join(f"\nchoice: {c}" for c in scores)) if choices else pair


def _pair(row: dict[str, Any], where: str) -> Pair:
    given = next((key for key in INPUTS if key in row), None)
    wanted = next((key for key in OUTPUTS if key in row), None)
    if given is None or wanted is None:
        raise DataError(f"{where}: no '{'input' if given is None else 'output'}'", hint=FORM)
    outputs = row[wanted] if isinstance(row[wanted], list) else [row[wanted]]
    # Some public rows accept "" beside real words: an empty answer is never right.
    outputs = [output for output in outputs if output != ""]
    if not outputs:
        raise DataError(f"{where}: '{wanted}' is empty", hint=FORM)
    return Pair(_text(row[given], where, given), tuple(_text(output, where, wanted) for output in outputs))


def _text(value: Any, where: str, key: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: '{key}' must be text, not {type(value).__name__}", hint=FORM)
    if not value.strip():
        raise DataError(f"{where}: '{key}' is empty", hint=FORM)
    return value
