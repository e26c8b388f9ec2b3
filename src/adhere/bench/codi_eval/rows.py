"""CoDI-Eval's rows as instructions: upstream's files by their names, or the rows of the shared folder.

Upstream's instruction files (`data/instructions/{task}_lite.jsonl` of Xt-cyh/CoDI-Eval) carry no licence: whoever has
them puts them into the data folder's `codi-eval/` and they are read from there. Otherwise rows of the same formats are,
`compat_{task}.jsonl` (336, written for this project) and `rtp_contexts.jsonl` (the benchmark's 203 toxicity contexts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import msgspec

from adhere.data.codi_rows import keyword_instruction, length_instruction
from adhere.data.jsonl import rows as objects
from adhere.data.sets import DataFile, at_hand, locate
from adhere.errors import DataError
from adhere.records import Constraint, Instruction, Message
from adhere.score.classifiers.codi import TOPICS
from adhere.write.codi_eval.fill import SENTIMENTS, TASKS, toxicity_rows

__all__ = [
    "CONTINUATIONS",
    "FILES",
    "SHOTS",
    "demonstrations",
    "instruction",
    "instructions",
    "interleaved",
    "read_task",
    "tasks_at_hand",
    "with_shots",
]

CONTINUATIONS = 20  # of every toxicity context
SHOTS = 5  # demonstrations in the paper's few-shot prompt
PACKAGE = "adhere.bench.codi_eval"
FILES = {
    "sentiment": DataFile(
        "codi-eval/compat_sentiment.jsonl", "ac3fb2f9e9885ad0df00001d8554e32c37f9bf0071f6d843f5e2fa2ed76b19f1"
    ),
    "topic": DataFile(
        "codi-eval/compat_topic.jsonl", "301d6be12d18ab87becf7260d675d34041bde68f76f49412edca058eea74c25a"
    ),
    "multi": DataFile(
        "codi-eval/compat_multi.jsonl", "031f3d4ddc57c2dfe3de0ff36135d15ff3a61f89b3935dffc57742f210872d3b"
    ),
    "length": DataFile(
        "codi-eval/compat_length.jsonl", "af08f5228b0612abcff4f212eec8123a6b4aba8dc202f2678d696a163844842d"
    ),
    "keyword": DataFile(
        "codi-eval/compat_keyword.jsonl", "56fda98f51e06d27df3d217dba8b0d3431955c042b66520b2fb8e810de97c633"
    ),
    "toxicity": DataFile(
        "codi-eval/rtp_contexts.jsonl", "cda398157ca37358bb8f96fb3f6393f89126606906002ea9b7e82a7c4ad81eaa"
    ),
}
UPSTREAM = {task: f"codi-eval/{'detoxic' if task == 'toxicity' else task}_lite.jsonl" for task in TASKS}


def read_task(task: str) -> list[Instruction]:
    """All instructions of a task, from upstream's file where the data folder has it; kinds of a task come in turn.

    Raises:
        DataError: if there is no file, or `file:line` and what is wrong there.
    """
    from adhere.data.places import data_dir

    place = data_dir()
    if place is not None and (place / UPSTREAM[task]).is_file():
        return _by_kind(_read(place / UPSTREAM[task], task))
    path = locate(FILES[task]).path
    if task != "toxicity":
        return _by_kind(_read(path, task))
    contexts = [(where, row) for where, row in objects(path)]
    rows = toxicity_rows([(_slot(row, "context_id", int, w), _slot(row, "text", str, w)) for w, row in contexts])
    return instructions(task, rows)


def tasks_at_hand() -> tuple[str, ...]:
    """The tasks whose rows are here: all of them, but for a folder that was filled for some."""
    from adhere.data.places import data_dir

    place = data_dir()
    own = [task for task in TASKS if place is not None and (place / UPSTREAM[task]).is_file()]
    return tuple(task for task in TASKS if task in own or at_hand(FILES[task]))


def instructions(task: str, rows: Iterable[dict[str, Any]]) -> list[Instruction]:
    """Rows in upstream's fields as instructions, with ids "sentiment-1", …

    Raises:
        DataError: naming the row.
    """
    return [instruction(task, row, f"{task}-{number}", f"row {number}") for number, row in enumerate(rows, 1)]


def instruction(task: str, row: dict[str, Any], id: str, where: str) -> Instruction:
    """One row; what grades it lies in its constraints and in `meta`.

    Raises:
        DataError: starting with `where`, if a slot is missing or a label is none of the benchmark's.
    """
    text = _slot(row, "instruction", str, where)
    meta: dict[str, Any] = {"task": task}
    constraints: tuple[Constraint, ...] = ()
    if task in ("length", "keyword"):
        try:
            made = length_instruction(row, id) if task == "length" else keyword_instruction(row, id)
        except DataError as error:
            raise DataError(f"{where}: {error.message}", hint=error.hint) from error
        constraints = made.constraints
        meta["kind"] = row["mode"] if task == "length" else "or, not" if row.get("anti_label") else "plain list"
    elif task == "sentiment":
        meta["sentiment"] = _label(row, "label", SENTIMENTS, where)
    elif task == "topic":
        meta["topic"] = _label(row, "label", TOPICS, where)
    elif task == "multi":
        meta |= {"topic": _label(row, "label1", TOPICS, where), "sentiment": _label(row, "label2", SENTIMENTS, where)}
    else:
        meta |= {"context": _slot(row, "context_id", int, where)}
        meta["cluster"] = f"context-{meta['context']}"
    return Instruction(id, _messages(text), constraints, meta=meta)


def _by_kind(rows: Iterable[Instruction]) -> list[Instruction]:
    """The files have one kind after the other: half of the keyword rows, then those with "or" and "not"."""
    kinds: dict[str, list[Instruction]] = {}
    for row in rows:
        kinds.setdefault(row.meta.get("kind", ""), []).append(row)
    return interleaved(kinds.values())


def interleaved(lists: Iterable[list[Instruction]]) -> list[Instruction]:
    """One of each list in turn, so that any beginning is a fair sample; a context's continuations stay together."""
    return [i for i in chain.from_iterable(zip_longest(*lists)) if i is not None]


def _messages(text: str) -> tuple[Message, ...]:
    from adhere.models.prompts import Template

    user = Template.of(PACKAGE, "user").render(instruction=text)
    return Message("system", Template.of(PACKAGE, "system").text), Message("user", user)


def with_shots(asked: Instruction) -> Instruction:
    """The instruction as the sixth, after five that have their texts; never the same one among these.

    Args:
        asked: As `instruction` makes it.
    """
    from adhere.models.prompts import Template

    user = Template.of(PACKAGE, "user")
    shown = [(user.render(instruction=row["instruction"]), row["text"]) for row in demonstrations()[asked.meta["task"]]]
    shown = [(prompt, text) for prompt, text in shown if prompt != asked.prompt][:SHOTS]
    before = "".join(f"{number}.{prompt} {text}\n" for number, (prompt, text) in enumerate(shown, 1))
    system = Message("system", Template.of(PACKAGE, "system_shots").text)
    messages = (system, Message("user", f"{before}{SHOTS + 1}.{asked.prompt}"))
    return msgspec.structs.replace(asked, messages=messages)


@lru_cache(maxsize=1)
def demonstrations() -> dict[str, list[dict[str, Any]]]:
    """Six rows of each task with a `text` that succeeds, written for Adhere: five to show, one to take a place."""
    return msgspec.json.decode(files(PACKAGE).joinpath("demonstrations.json").read_bytes())


def _read(path: Path, task: str) -> Iterator[Instruction]:
    for number, (where, row) in enumerate(objects(path), 1):
        yield instruction(task, row, f"{task}-{number}", where)


def _slot(row: dict[str, Any], name: str, kind: type, where: str) -> Any:
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool) or (kind is str and not value.strip()):
        said = f"holds {value!r}, not {'a text' if kind is str else 'a number'}" if name in row else "is missing"
        raise DataError(f"{where}: the slot '{name}' {said}", hint=f"The row has: {', '.join(row) or 'nothing'}")
    return value


def _label(row: dict[str, Any], name: str, known: tuple[str, ...], where: str) -> str:
    label = _slot(row, name, str, where)
    if label not in known:
        raise DataError(f"{where}: {name} '{label}' is none of the benchmark's", hint=f"There are: {', '.join(known)}")
    return label
