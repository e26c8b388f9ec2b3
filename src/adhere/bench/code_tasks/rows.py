"""Items of the four tasks: ours, and those of the public sets in their own formats.

Ours come from 40 short Python functions written for this (`functions.jsonl`): each with what it does in one sentence,
another function that does the same, one call with its value, and a mutant that gives another value for some call.
Every second function is asked about, the others are the pool of demonstrations.

The public sets are read from the data folder's `code-tasks/`, as many of them as are there:

    defect/{train,test}.jsonl      {"func": …, "target": 0 or 1}                    Devign, as in CodeXGLUE
    clone/data.jsonl, {train,test}.txt   {"func", "idx"}, lines "idx idx label"     BigCloneBench, as in CodeXGLUE
    summary/{train,test}.jsonl     {"code_tokens": […], "docstring_tokens": […]}    CodeSearchNet, as in CodeXGLUE
    assertion/{train,test}/testMethods.txt, assertLines.txt                         ATLAS, a line an item
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from adhere.data import jsonl
from adhere.data.places import data_dir
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message

__all__ = ["TASKS", "Item", "Task", "blank_code", "instruction_of", "own_items", "published_items", "question"]

Task = Literal["defect", "clone", "assertion", "summary"]
TASKS: tuple[Task, ...] = get_args(Task)
Split = Literal["test", "train"]
FOLDER = Path(__file__).parent
LONGEST = 4000  # characters of one piece of code; longer ones lose their middle
MOST_IN_POOL = 20_000
HINT = "The formats are those of CodeXGLUE and ATLAS"


class Item(NamedTuple):
    """One item.

    Attributes:
        task: Which of the four.
        id: Unique within its set.
        code: What the question shows and BM25 compares; two pieces of code are joined by a blank line.
        target: "yes" or "no", the assert statement, or the sentence.
        cluster: What belongs together in intervals: the function.
        shortened: Whether code lost its middle.
    """

    task: Task
    id: str
    code: str
    target: str
    cluster: str
    shortened: bool = False

    @property
    def question(self) -> str:
        """The prompt."""
        return question(self.task, self.code)


def question(task: Task, code: str) -> str:
    """The prompt of a task about some code."""
    return Template.of("adhere.bench", f"code_{task}").render(code=code)


def blank_code(task: Task, text: str) -> str:
    """A content-free text as code: twice for clones, in the place of either function."""
    return f"{text}\n\n{text}" if task == "clone" else text


def instruction_of(item: Item) -> Instruction:
    """An item as a row."""
    meta: dict[str, Any] = {"task": item.task, "code": item.code, "cluster": item.cluster}
    meta |= {"shortened": True} if item.shortened else {}
    return Instruction(item.id, (Message("user", item.question),), references=(item.target,), meta=meta)


@lru_cache(maxsize=2)
def own_items(split: Split) -> list[Item]:
    """Our items, the four tasks in turn, the two of a pair side by side."""
    rows = [row for _, row in jsonl.objects(FOLDER / "functions.jsonl")]
    chosen = rows[0::2] if split == "test" else rows[1::2]
    tasks = [_pairs(chosen, _defects), _pairs(chosen, _clones), map(_assertion, chosen), map(_summary, chosen)]
    return list(_in_turn(*tasks))


def _pairs(rows: list[dict[str, Any]], make: Any) -> Iterator[Item]:
    return chain.from_iterable(make(row, rows) for row in rows)


def _in_turn(*sources: Iterator[Item]) -> Iterator[Item]:
    """Two of the first, two of the second (their pairs), one of each other, and again."""
    takes = [
        iter(lambda s=source, n=n: tuple(islice(s, n)), ()) for source, n in zip(sources, (2, 2, 1, 1), strict=True)
    ]
    for round_ in zip_longest(*takes, fillvalue=()):
        for taken in round_:
            yield from taken


def _defects(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> tuple[Item, Item]:
    told = f"# {row['summary']}\n"
    right = Item("defect", f"defect/{row['name']}", told + row["code"], "no", row["name"])
    return right, Item("defect", f"defect/{row['name']}/mutant", told + row["mutant"], "yes", row["name"])


def _clones(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> tuple[Item, Item]:
    """The function with its other version, and with the other version of the function nearest in length."""
    others = [other for other in rows if other is not row]
    near = min(others, key=lambda other: abs(len(other["rewrite"]) - len(row["rewrite"])))
    pairs = [(row["rewrite"], "yes"), (near["rewrite"], "no")]
    same, other = (
        Item("clone", f"clone/{row['name']}/{target}", f"{row['code']}\n\n{second}", target, row["name"])
        for second, target in pairs
    )
    return same, other


def _assertion(row: dict[str, Any]) -> Item:
    focal = f"{row['code']}\n\ndef test_{row['name']}():\n    result = {row['name']}({row['call']})\n    <assert>"
    return Item("assertion", f"assertion/{row['name']}", focal, f"assert result == {row['value']}", row["name"])


def _summary(row: dict[str, Any]) -> Item:
    return Item("summary", f"summary/{row['name']}", row["code"], row["summary"], row["name"])


def published_items(split: Split) -> list[Item]:
    """Items of the public sets that are in the data folder, the tasks in turn.

    Raises:
        DataError: if none is there, or a file has another form.
    """
    place = data_dir()
    folder = place / "code-tasks" if place else Path("code-tasks")
    read = {"defect": _read_defect, "clone": _read_clone, "assertion": _read_assertion, "summary": _read_summary}
    found = [list(islice(make(folder / task, split), MOST_IN_POOL if split == "train" else None))
             for task, make in read.items() if (folder / task).is_dir()]  # fmt: skip
    if not any(found):
        hint = f"Put one of {', '.join(TASKS)} there, or name another folder: --data-dir DIR"
        raise DataError(f"there is no code task in {folder}", hint=hint)
    return [item for round_ in zip_longest(*found) for item in round_ if item is not None]


def _read_defect(folder: Path, split: Split) -> Iterator[Item]:
    path = folder / f"{split}.jsonl"
    for number, row in jsonl.objects(path):
        code = _field(row, "func", path, number)
        target = _label(row.get("target"), f"{path}:{number}")
        yield _item("defect", f"defect/{split}/{number}", [code], target)


def _read_clone(folder: Path, split: Split) -> Iterator[Item]:
    data = folder / "data.jsonl"
    functions = {str(row.get("idx")): _field(row, "func", data, n) for n, row in jsonl.objects(data)}
    path = folder / f"{split}.txt"
    for number, line in jsonl.lines(path):
        parts = line.decode("utf-8", "replace").split()
        if len(parts) != 3 or not {parts[0], parts[1]} <= functions.keys():
            raise DataError(f"{path}:{number}: not two known functions and a label", hint=HINT)
        target = _label(parts[2], f"{path}:{number}")
        yield _item("clone", f"clone/{split}/{number}", [functions[parts[0]], functions[parts[1]]], target)


def _read_summary(folder: Path, split: Split) -> Iterator[Item]:
    path = folder / f"{split}.jsonl"
    for number, row in jsonl.objects(path):
        code, said = (
            " ".join(row.get(f"{name}_tokens") or [str(row.get(name) or "")]) for name in ("code", "docstring")
        )
        if not code.strip() or not said.strip():
            raise DataError(f"{path}:{number}: no code_tokens or docstring_tokens", hint=HINT)
        yield _item("summary", f"summary/{split}/{number}", [code], said)


def _read_assertion(folder: Path, split: Split) -> Iterator[Item]:
    tests, lines = (folder / split / name for name in ("testMethods.txt", "assertLines.txt"))
    for method, line in zip_longest(jsonl.lines(tests), jsonl.lines(lines)):
        if method is None or line is None:
            raise DataError(f"{tests} and {lines.name} have not the same number of lines", hint=HINT)
        code, target = (text.decode("utf-8", "replace").strip() for _, text in (method, line))
        code = code.replace('"<AssertPlaceHolder>"', "<assert>").replace("<AssertPlaceHolder>", "<assert>")
        yield _item("assertion", f"assertion/{split}/{method[0]}", [code], target)


def _item(task: Task, id: str, codes: list[str], target: str) -> Item:
    room = LONGEST // len(codes)
    kept = [code if len(code) <= room else f"{code[: room // 2]}\n…\n{code[-room // 2 :]}" for code in codes]
    return Item(task, id, "\n\n".join(kept), target, id, kept != codes)


def _field(row: dict[str, Any], name: str, path: Path, number: int) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}:{number}: no text '{name}'", hint=HINT)
    return value


def _words(row: dict[str, Any], name: str) -> str:
    """`NAME_tokens` joined, or the text `NAME`."""
    tokens = row.get(f"{name}_tokens")
    return " ".join(map(str, tokens)) if isinstance(tokens, list) else str(row.get(name) or "")


def _label(value: Any, where: str) -> str:
    if str(value) not in ("0", "1"):
        raise DataError(f"{where}: the label is {value!r}, not 0 or 1", hint=HINT)
    return "yes" if str(value) == "1" else "no"
