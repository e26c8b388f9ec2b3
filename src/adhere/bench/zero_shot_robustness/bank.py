"""Phrasings and items of the rephrasing study: what they are, how files of them are read, what is wrong with them.

A bank is JSON, a list of `{"form", "task", "instructions": [{"id", "kind", "author", "template"}]}`: the phrasings for
the items of a form (of one task, where `task` is given). A template holds `{question}` and `{options}`. Items are JSON
lines `{"task", "form", "question", "options", "answer"}`, BIG-bench's `task.json` or MMLU's CSV.

Kinds: `observed`, phrasings that the model was tuned on; `unobserved`, all others (ours: no tuning collection has
them); and the controls `wrong` (the instruction of another task), `negated` (asks for a wrong option) and `random`
(words).
"""

from __future__ import annotations

import csv
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Record

__all__ = ["CONTROLS", "Bank", "Item", "Kind", "Phrasing", "read_bank", "read_bigbench", "read_items", "read_mmlu"]

Kind = Literal["observed", "unobserved", "wrong", "negated", "random"]
CONTROLS: tuple[Kind, ...] = ("wrong", "negated", "random")
SLOTS = {"question", "options"}
LETTERS = "ABCD"
LABEL_SETS = 2  # a task with so few sets of options classifies (crash_blossom has two lists of parts of speech)
# BIG-bench writes these two tasks' question nowhere in the input.
LEADS = {
    "empirical_judgments": "Does this sentence assert a causal link, a mere correlation, or neither (neutral)?",
    "code_line_description": "What does this piece of code do?",
}


class Phrasing(Record):
    """One way to give the instruction."""

    id: str
    kind: Kind
    template: str
    author: str = ""

    def render(self, item: Item) -> str:
        """The prompt for an item. Options stand on lines of their own, without letters."""
        options = "\n".join(f"- {option}" for option in item.options)
        return Template(self.id, self.template).render(question=item.question, options=options)


class Bank(Record):
    """The phrasings for one form, or for one task of it."""

    form: str
    instructions: tuple[Phrasing, ...]
    task: str = ""


class Item(Record):
    """A question with its options, one of them right. `id` is unique within its task."""

    task: str
    form: str
    question: str
    options: tuple[str, ...]
    answer: str
    id: str = ""


def read_bank(path: Path) -> tuple[Bank, ...]:
    """The banks of a file.

    Raises:
        DataError: naming file and phrasing: a slot that is missing or unknown, an unknown kind, a repeated id or
            template, or two glued into one (upstream's MMLU bank lacks a comma: a slot comes twice).
    """
    try:
        banks = msgspec.json.decode(path.read_bytes(), type=tuple[Bank, ...])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", hint=f"Kinds are {', '.join(get_args(Kind))}") from error
    for bank in banks:
        where = f"{path}: form '{bank.form}'" + f", task '{bank.task}'" * bool(bank.task)
        if not bank.instructions:
            raise DataError(f"{where} has no phrasings")
        for at, phrasing in enumerate(bank.instructions):
            _check_template(phrasing, f"{where}: phrasing '{phrasing.id}'")
            for earlier in bank.instructions[:at]:
                if phrasing.id == earlier.id or phrasing.template == earlier.template:
                    raise DataError(f"{where}: phrasings {at + 1} and '{earlier.id}' are the same")
    return banks


def _check_template(phrasing: Phrasing, where: str) -> None:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(phrasing.template) if name is not None]
    except ValueError as error:
        raise DataError(f"{where}: {error}", hint="Braces stand for slots only") from error
    if unknown := sorted(set(fields) - SLOTS):
        raise DataError(f"{where} has an unknown slot '{unknown[0]}'", hint="Slots are {question} and {options}")
    for slot in sorted(SLOTS):
        if fields.count(slot) != 1:
            raise DataError(f"{where} has the slot {{{slot}}} {fields.count(slot)} times", hint="Each stands once")


def check_item(item: Item, where: str) -> Item:
    """The item itself.

    Raises:
        DataError: if it has no question, fewer than two options, a blank or repeated one, or another answer than these.
    """
    if not item.question.strip():
        raise DataError(f"{where}: no question")
    if len(item.options) < 2:
        raise DataError(f"{where}: {len(item.options)} option(s) leave nothing to choose")
    plain = [option.strip().casefold() for option in item.options]
    if not all(plain) or len(set(plain)) < len(plain):
        raise DataError(f"{where}: options must be different and not blank, not {list(item.options)}")
    if item.answer not in item.options:
        raise DataError(f"{where}: the answer '{item.answer}' is not among the options")
    return item


def read_items(path: Path) -> list[Item]:
    """Items in our own form, JSON lines.

    Raises:
        DataError: `file:line` and what is wrong.
    """
    from adhere.data import jsonl

    found, numbers = [], dict[str, int]()
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            item = msgspec.convert(row, Item)
        except msgspec.ValidationError as error:
            raise DataError(f"{where}: {error}") from error
        numbers[item.task] = numbers.get(item.task, 0) + 1
        named = msgspec.structs.replace(item, id=item.id or str(numbers[item.task]))
        found.append(check_item(named, where))
    return found


def read_bigbench(path: Path) -> list[Item]:
    """The multiple-choice examples of a BIG-bench `task.json`; options in the file's order.

    Raises:
        DataError: if the file has another shape, or an example no single best option.
    """
    try:
        task = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        examples = msgspec.convert(task["examples"], list[dict[str, Any]])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no BIG-bench task: {error}", hint="It holds examples with target_scores") from error
    name, found = path.stem, []
    lead = f"{LEADS[name]}\n" if name in LEADS else ""
    options = [tuple(example.get("target_scores") or ()) for example in examples]
    form = "label" if len(set(map(frozenset, options))) <= LABEL_SETS else "choice"
    for number, (example, given) in enumerate(zip(examples, options, strict=True), 1):
        where, scores = f"{path}: example {number}", example.get("target_scores") or {}
        best = [option for option in given if scores[option] == max(scores.values())]
        if len(best) != 1:
            raise DataError(f"{where}: {len(best)} best options, one is needed")
        item = Item(name, form, lead + str(example.get("input", "")).strip(), given, best[0], str(number))
        found.append(check_item(item, where))
    return found


def read_mmlu(paths: Iterable[Path]) -> list[Item]:
    """MMLU's CSV files (question, four options, letter), all subjects as the one task `mmlu`.

    A question whose options repeat is left out, as no answer to it could be told right.

    Raises:
        DataError: if a row has another shape.
    """
    found = []
    for path in paths:
        subject = path.stem.removesuffix("_test")
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                where = f"{path}: row {number}"
                if len(row) != 6 or row[5] not in LETTERS:
                    raise DataError(f"{where}: {len(row)} columns", hint="They are question, A, B, C, D, answer letter")
                options = tuple(option.strip() for option in row[1:5])
                if len({o.casefold() for o in options}) < 4:
                    continue
                item = Item("mmlu", "choice", row[0].strip(), options, options[LETTERS.index(row[5])], "")
                found.append(check_item(msgspec.structs.replace(item, id=f"{subject}-{number}"), where))
    return found


def phrasings_for(item: Item, banks: Sequence[Bank]) -> tuple[Phrasing, ...]:
    """The phrasings for an item: its task's own, else its form's.

    Raises:
        DataError: if there are none.
    """
    fitting = [b for b in banks if b.task == item.task] or [b for b in banks if not b.task and b.form == item.form]
    if not fitting:
        raise DataError(f"the bank has no phrasings for task '{item.task}' of form '{item.form}'")
    return tuple(phrasing for bank in fitting for phrasing in bank.instructions)
