"""A collection of tasks, and OPT-IML's three levels of generalisation over it (Iyer et al. 2022, section 2.2).

    bank = read_bank(Path("tasks"))
    levels = split(bank, held_out_categories=2)
    levels.of(bank[0])          # "fully_held_out", "partially_supervised", "supervised" or "excluded"

- fully held out: a category of which no task is trained on;
- partially supervised: a task that is not trained on, of a category that is;
- supervised: instances, not trained on, of a task that is.

Tasks made from one data set are one cluster. A held-out task takes its whole cluster with it: what is left of it in
another category is neither trained on nor measured ("excluded").
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from adhere.data import jsonl
from adhere.errors import DataError, UsageError

__all__ = ["LEVELS", "Leak", "Level", "Split", "Task", "clustered", "fresh_test", "leakage", "read_bank", "split"]

Level = Literal["fully_held_out", "partially_supervised", "supervised", "excluded"]
LEVELS: tuple[Level, ...] = ("fully_held_out", "partially_supervised", "supervised")
NGRAM = 13  # words; paper, section 2.2
LEAK_SHARE = 0.01  # of an evaluation task's instances; pairs above it were looked at by hand
CANDIDATES = 8  # a task with at most so many different training outputs is a classification


class Pair(NamedTuple):
    """An instance: what is given and what is wanted."""

    input: str
    output: str


class Task(NamedTuple):
    """A task of a collection.

    Attributes:
        id: Unique.
        category: What kind of task it is, e.g. "Textual Entailment".
        definition: The instruction.
        examples: Solved instances for the prompt.
        train, test: Instances.
        cluster: The data set that it was made from; its own id where that is not known.
    """

    id: str
    category: str
    definition: str
    examples: tuple[Pair, ...]
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    cluster: str

    @property
    def candidates(self) -> tuple[str, ...]:
        """The answers to choose from, sorted, if it is a classification by its training outputs; else none."""
        found = sorted({pair.output for pair in self.train})
        return tuple(found) if 2 <= len(found) <= CANDIDATES else ()


class Split(NamedTuple):
    """What is kept from training.

    Attributes:
        held_out_categories: All of whose tasks are held out.
        held_out_tasks: Held out of categories that are trained on.
        seed: That they were drawn with.
    """

    held_out_categories: tuple[str, ...]
    held_out_tasks: tuple[str, ...]
    seed: int = 0

    def levels(self, bank: Iterable[Task]) -> dict[str, Level]:
        """The level of each task by its id; see the module."""
        tasks = list(bank)
        held = [t for t in tasks if t.category in self.held_out_categories or t.id in self.held_out_tasks]
        touched = {t.cluster for t in held}
        found: dict[str, Level] = {}
        for task in tasks:
            if task.category in self.held_out_categories:
                found[task.id] = "fully_held_out"
            elif task.id in self.held_out_tasks:
                found[task.id] = "partially_supervised"
            else:
                found[task.id] = "excluded" if task.cluster in touched else "supervised"
        return found


def split(
    bank: Sequence[Task], *, held_out_categories: int | Sequence[str] = 1, per_category: int = 1, seed: int = 0
) -> Split:
    """Draw the three levels: some categories, and some tasks of each other category that has more than one data set.

    A category of a single data set can be held out or trained on whole, but has nothing to hold out partially.

    Args:
        bank: The tasks.
        held_out_categories: How many to draw, or their names.
        per_category: Tasks to hold out of each other category; at least one data set of it stays in training.
        seed: Of the draw. The order of the tasks does not matter.

    Raises:
        UsageError: for names that there are not, or if nothing would be left to train on, or to hold out partially.
    """
    if per_category < 1:
        raise UsageError(f"per_category is {per_category}", hint="It must be at least 1")
    categories = sorted({task.category for task in bank})
    draw = random.Random(seed)
    if isinstance(held_out_categories, int):
        if not 0 < held_out_categories < len(categories):
            raise UsageError(f"cannot hold {held_out_categories} of {len(categories)} categories out")
        chosen = tuple(sorted(draw.sample(categories, held_out_categories)))
    else:
        chosen = tuple(sorted(held_out_categories))
        if unknown := sorted(set(chosen) - set(categories)):
            raise UsageError(f"there is no category '{unknown[0]}'", hint=f"There are: {', '.join(categories)}")
    gone = {task.cluster for task in bank if task.category in chosen}
    tasks: list[str] = []
    for category in categories:
        members = sorted((t.cluster, t.id) for t in bank if t.category == category and t.cluster not in gone)
        clusters = sorted({cluster for cluster, _ in members})
        if category in chosen or len(clusters) < 2:
            continue
        drawn = draw.sample(clusters, min(per_category, len(clusters) - 1))
        tasks += [id for cluster, id in members if cluster in drawn]
        gone |= set(drawn)
    made = Split(chosen, tuple(sorted(tasks)), seed)
    levels = made.levels(bank)
    if not tasks:
        single = ", ".join(c for c in categories if c not in chosen)
        raise UsageError(f"no task can be held out partially: each of these categories has one data set: {single}")
    if "supervised" not in levels.values():
        raise UsageError("no task would be left to train on", hint="Hold less out")
    return made


class Leak(NamedTuple):
    """A training task some of whose text is in an evaluation task: `share` of that one's instances, 0 to 1."""

    train: str
    test: str
    share: float


def leakage(bank: Sequence[Task], levels: Mapping[str, Level], *, n: int = NGRAM) -> list[Leak]:
    """Pairs of a training task and a held-out task that share more than 1 % of the latter's instances, largest first.

    An instance is shared if any of its n-grams of words stands in the training task; one shorter than that, if it
    stands there whole (the paper is silent about those). Tasks with the same definition, but for case and white space,
    are a leak of 1.

    Args:
        bank: The tasks.
        levels: As `Split.levels` gives them.
        n: Words of an n-gram.
    """
    trained = [t for t in bank if levels[t.id] == "supervised"]
    held = [t for t in bank if levels[t.id] in ("fully_held_out", "partially_supervised")]
    return _leaks(trained, held, n)


def clustered(bank: Sequence[Task], *, n: int = NGRAM) -> list[Task]:
    """The same tasks, those that leak into each other, directly or through others, in one cluster.

    It is named after the first of its tasks. Clusters that the tasks state are kept together.
    """
    parent = {task.id: task.id for task in bank}

    def root(id: str) -> str:
        while parent[id] != id:
            id = parent[id]
        return id

    first: dict[str, str] = {}
    pairs = [(task.id, first.setdefault(task.cluster, task.id)) for task in bank]
    for one, other in [*pairs, *((leak.train, leak.test) for leak in _leaks(bank, bank, n))]:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [task._replace(cluster=root(task.id)) for task in bank]


def _leaks(trained: Sequence[Task], held: Sequence[Task], n: int) -> list[Leak]:
    seen = {task.id: {gram for pair in task.train for gram in _grams(pair, n)} for task in trained}
    definitions = {task.id: _plain(task.definition) for task in trained}
    found = []
    for task in held:
        grams, definition = [_grams(pair, n) for pair in task.test], _plain(task.definition)
        for id, known in seen.items():
            if id == task.id:
                continue
            shared = sum(not known.isdisjoint(g) for g in grams) / max(1, len(grams))
            share = 1.0 if definitions[id] == definition else shared
            if share > LEAK_SHARE:
                found.append(Leak(id, task.id, share))
    return sorted(found, key=lambda leak: (-leak.share, leak))


def fresh_test(task: Task) -> tuple[Pair, ...]:
    """The test instances whose input is not among the training inputs: what a supervised task is measured on."""
    known = {_plain(pair.input) for pair in task.train}
    return tuple(pair for pair in task.test if _plain(pair.input) not in known)


def read_bank(place: Path) -> list[Task]:
    """Tasks from a folder of `.json` files, one each, or from a `.jsonl` file: `{"task", "category", "definition",
    "positive_examples", "train", "test", "cluster"}`; instances are `{"input", "output"}`, `cluster` may be missing.

    Raises:
        DataError: naming the file, for what cannot be read; for two tasks of one name; if there is none.
    """
    if place.is_dir():
        rows = [(str(path), _json(path)) for path in sorted(place.glob("*.json"))]
        rows = [(where, row) for where, row in rows if isinstance(row, dict)]  # an index beside them is a list
    else:
        rows = [(f"{place}:{number}", row) for number, row in jsonl.objects(place)]
    found: dict[str, Task] = {}
    for where, row in rows:
        try:
            task = _task(row)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise DataError(f"{where}: no task: {error}", hint="See `read_bank` for the form") from error
        if task.id in found:
            raise DataError(f"{where}: there is another task '{task.id}'")
        found[task.id] = task
    if not found:
        raise DataError(f"{place} holds no tasks", hint="One JSON file a task: task, category, definition, train, test")
    return list(found.values())


def _task(row: dict[str, Any]) -> Task:
    def pairs(name: str) -> tuple[Pair, ...]:
        given = msgspec.convert(row.get(name) or [], list[dict[str, str]])
        return tuple(Pair(one["input"], one["output"]) for one in given)

    texts = msgspec.convert([row["task"], row["category"], row["definition"]], tuple[str, str, str])
    cluster = str(row.get("cluster") or row["task"])
    return Task(*texts, pairs("positive_examples"), pairs("train"), pairs("test"), cluster)


def _json(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error


def _grams(pair: Pair, n: int) -> set[int]:
    words = re.findall(r"\w+", f"{pair.input} {pair.output}".lower())
    spans = [words[at : at + n] for at in range(max(1, len(words) - n + 1))]
    return {hash(tuple(span)) for span in spans if span}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
