"""Classification sets and the words that stand for their classes.

A folder holds `tasks.json` and for each of its tasks `NAME.jsonl`:

    {"sentiment": {"role": "…", "fields": ["Movie review"], "keys": ["text"],
                   "classes": ["the movie review is positive", "the movie review is negative"],
                   "natural": [["positive", "negative"], …], "neutral": [["foo", "bar"], …], "unnatural": […]}}
    {"id": "sentiment-0", "text": "…", "label": 0}

Label 0 is the first class and gets the first word of a pair. `cluster` may name what several rows have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adhere.data.jsonl import Unique, rows
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message

__all__ = ["GROUPS", "Item", "Task", "check_words", "clean", "instructions", "read_folder"]

GROUPS = ("natural", "neutral", "unnatural")
BLANK = "N/A"  # the content-free input of contextual calibration
PACKAGE = "adhere.bench.verbalizer"
Pair = tuple[str, str]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is judged, and the word pairs of each group: (word of class 0, word of class 1)."""

    role: str
    fields: tuple[str, ...]
    keys: tuple[str, ...]
    classes: Pair
    natural: tuple[Pair, ...]
    neutral: tuple[Pair, ...]
    unnatural: tuple[Pair, ...]


class Item(NamedTuple):
    """A row: its texts in the order of the task's fields; label 0 or 1."""

    id: str
    texts: tuple[str, ...]
    label: int
    cluster: str


def clean(text: str) -> str:
    """A word without case, and without the white space and punctuation around it.

    >>> clean(' "Positive." ')
    'positive'
    """
    return text.strip().strip("\"'`.,:;!?()[]*<> \n\t\u201c\u201d\u2018\u2019").casefold()


def check_words(words: Pair) -> None:
    """See to it that a model's answer tells two words apart.

    Raises:
        DataError: if they are equal but for case and punctuation, one is empty, or one is the beginning of the other.
    """
    first, second = map(clean, words)
    if not first or not second or first == second:
        raise DataError(f"the words {list(words)} cannot be told apart", hint="Give two different words")
    if first.startswith(second) or second.startswith(first):
        raise DataError(
            f"the words {list(words)} begin alike: after the first token of the longer one either may have been said",
            hint="Choose words that begin differently",
        )


def read_folder(folder: Path) -> dict[str, tuple[Task, list[Item]]]:
    """All tasks of a folder with their rows.

    Raises:
        DataError: naming file and line, for what is missing or cannot be used.
    """
    path = folder / "tasks.json"
    try:
        tasks = msgspec.json.decode(path.read_bytes(), type=dict[str, Task])
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}", hint="It says what the classes are and which words they get"
        ) from error
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: {error}") from error
    for name, task in tasks.items():
        _check_task(task, f"{path}: task '{name}'")
    return {name: (task, list(_items(folder / f"{name}.jsonl", name, task))) for name, task in tasks.items()}


def _check_task(task: Task, where: str) -> None:
    if not task.fields or len(task.fields) != len(task.keys):
        raise DataError(
            f"{where}: {len(task.fields)} fields and {len(task.keys)} keys", hint="Name as many keys as fields"
        )
    for group in GROUPS:
        for words in getattr(task, group):
            try:
                check_words(words)
            except DataError as error:
                raise DataError(f"{where}: {error.message}", hint=error.hint) from error


def _items(path: Path, name: str, task: Task) -> Iterator[Item]:
    unique = Unique()
    for where, row in rows(path):
        texts = tuple(_text(row, key, where) for key in task.keys)
        label = row.get("label")
        if label not in (0, 1) or isinstance(label, bool):
            raise DataError(f"{where}: label {label!r}", hint="Two classes only: 0 and 1; map the others beforehand")
        id = str(row.get("id") or f"{name}-{where.rsplit(':', 1)[-1]}")
        unique.add(id, where)
        yield Item(id, texts, label, str(row.get("cluster") or id))


def _text(row: dict[str, Any], key: str, where: str) -> str:
    text = row.get(key)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: '{key}' is {'empty' if key in row else 'missing'}", hint="Every row needs its texts")
    return text


def instructions(sets: dict[str, tuple[Task, list[Item]]]) -> list[Instruction]:
    """Every item under every verbalizer; any beginning is balanced over sets, groups and classes.

    They come in blocks of one item of each class under one or two verbalizers of each group, all sets in turn.
    """
    made = []
    blocks = {name: _blocks(task, items) for name, (task, items) in sets.items()}
    for row in zip_longest(*blocks.values()):
        for (name, (task, _)), block in zip(sets.items(), row, strict=True):
            for item, group, words in block or ():
                made.append(_instruction(name, task, item, group, words))
    return made


def _blocks(task: Task, items: Sequence[Item]) -> list[list[tuple[Item, str, Pair]]]:
    couples = [
        [i for i in couple if i is not None]
        for couple in zip_longest(*([i for i in items if i.label == label] for label in (0, 1)))
    ]
    rounds = max(1, len(task.natural))
    return [
        [
            (item, group, words)
            for group in GROUPS
            # neutral pairs and their mirror images stay together
            for words in [
                w for n, w in enumerate(getattr(task, group)) if _round(group, n, rounds) == (c + turn) % rounds
            ]
            for item in couple
        ]
        for turn in range(rounds)
        for c, couple in enumerate(couples)
    ]


def _round(group: str, number: int, rounds: int) -> int:
    return (number // 2 if group == "neutral" else number) % rounds


def _instruction(name: str, task: Task, item: Item, group: str, words: Pair) -> Instruction:
    verbalizer = "|".join(words)
    return Instruction(
        f"{item.id}-{group}-{verbalizer}",
        (Message("user", _question(task, words, item.texts)),),
        meta={
            "dataset": name,
            "group": group,
            "verbalizer": f"{group} {verbalizer}",
            "words": list(words),
            "label": item.label,
            "blank": _question(task, words, (BLANK,) * len(task.fields)),
            "cluster": item.cluster,
        },
    )


def _question(task: Task, words: Pair, texts: Sequence[str]) -> str:
    """The role, one rule a class (always in the order of the classes), the restriction, the input, "Answer:"."""
    rule, field = Template.of(PACKAGE, "rule"), Template.of(PACKAGE, "field")
    rules = [rule.render(**{"class": c, "word": w}) for c, w in zip(task.classes, words, strict=True)]
    lines = [field.render(name=n, text=t) for n, t in zip(task.fields, texts, strict=True)]
    return Template.of(PACKAGE, "question").render(
        role=task.role, rules=" ".join(rules), first=words[0], second=words[1], input="\n".join(lines)
    )
