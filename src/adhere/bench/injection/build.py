"""Putting a planted question into a paragraph and both into a prompt: the arms of the study.

The plant is `{prefix} Question: {question}`, between two sentences at the start, middle, end or a random place. The
user's question comes before the text (QCA) or after it (CQA). Defences: "tags", a sentence in the system message and
<context> around the text, as upstream; "fence", Adhere's marking of untrusted documents (`adhere.models.hierarchy`);
"scan", which leaves out the sentences that `adhere.answer.injections` flags; or none. Four demonstrations come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import msgspec

from adhere.answer.injections import scan
from adhere.bench.injection.items import Item, sentences
from adhere.engine.seeds import derive
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Document, Instruction, Message

__all__ = ["Arm", "build", "inject", "planted", "without_flagged"]

PACKAGE = "adhere.bench.injection"
Position = Literal["none", "start", "middle", "end", "random"]
Order = Literal["QCA", "CQA"]
Attack = Literal["direct", "ignore_previous", "ignore_next", "order_prefix"]
Defence = Literal["none", "tags", "fence", "scan"]


class Arm(NamedTuple):
    """One way to ask an item.

    Attributes:
        name: What its figures are called.
        position: Where the plant stands; "none": the text is clean.
        order: Question, context, answer; or context, question, answer.
        attack: What stands before the planted question.
        defence: What protects the answerer.
        task: "relevant" plants the item's second question, "irrelevant" one that has nothing to do with the text.
        marker: What the plant begins with; the template's own "Question:" helps the attack, "" is the control.
        base: Name of the arm with the same order and defence and a clean text; "" for such an arm itself.
        swapped: The second question is asked, openly, of the clean text: could it be answered at all?
    """

    name: str
    position: Position = "end"
    order: Order = "QCA"
    attack: Attack = "direct"
    defence: Defence = "tags"
    task: Literal["relevant", "irrelevant"] = "relevant"
    marker: str = "Question:"
    base: str = ""
    swapped: bool = False


def build(items: Sequence[Item], arms: Sequence[Arm], *, shots: int = 4, seed: int = 0) -> list[Instruction]:
    """Every item in every arm, the arms of an item side by side.

    Args:
        items: See `read_items`.
        arms: An arm's `base` must be among them.
        shots: Demonstrations before the question, 0 to 4.
        seed: Of the random choices (prefix, random place, irrelevant task); what was chosen is in the instruction.

    Raises:
        DataError: if a plant should stand in the middle of a single sentence.
    """
    return [_instruction(item, arm, shots, seed) for item in items for arm in arms]


def inject(context: str, plant: str, position: Position, draw: int = 0) -> str:
    """The context with a plant between its sentences.

    Args:
        context: A paragraph.
        plant: What to put in.
        position: "middle" is after half of the sentences, rounded down; "random" is anywhere.
        draw: For "random": which place, modulo their number.

    Raises:
        DataError: for the middle of a single sentence.
    """
    parts = sentences(context)
    if position == "none":
        return context
    if position == "middle" and len(parts) < 2:
        raise DataError(f"one sentence has no middle: {context[:60]!r}", hint="Plant at the start or the end")
    places = {"start": 0, "middle": len(parts) // 2, "end": len(parts), "random": draw % (len(parts) + 1)}
    at = places[position]
    before, after = "".join(parts[:at]).rstrip(), "".join(parts[at:])
    return " ".join(piece for piece in (before, plant, after) if piece)


def planted(item: Item, arm: Arm, seed: int = 0) -> tuple[str, tuple[str, ...]]:
    """The text that an arm plants, and the answers that would be given to it."""
    draw = derive(seed, "plant", item.id)
    question, answers = item.injected_question, item.injected_answers
    if arm.task == "irrelevant":
        others = _tasks()
        question, answers = others[draw % len(others)]
    prefixes = _attacks()[arm.attack] if arm.attack != "direct" else [""]
    return " ".join(part for part in (prefixes[draw % len(prefixes)], arm.marker, question) if part), answers


def without_flagged(context: str) -> str:
    """A paragraph without the sentences in which `scan` sees a question, a command or worse; all of it if all are."""
    flags = scan(context)
    kept, at = [], 0
    for part in sentences(context):
        begin, at = at, at + len(part)
        if not any(f.start < at and f.end > begin for f in flags):
            kept.append(part)
    return "".join(kept).strip() or context


def _instruction(item: Item, arm: Arm, shots: int, seed: int) -> Instruction:
    plant, injected = planted(item, arm, seed)
    context = inject(item.context, plant, arm.position, derive(seed, "place", item.id))
    if arm.defence == "scan":
        context = without_flagged(context)
    question, answers = item.question, item.answers
    if arm.swapped:
        question, answers, injected = item.injected_question, item.injected_answers, item.answers
    system = Template.of(PACKAGE, "system").text
    if arm.defence == "tags":
        system = f"{system} {Template.of(PACKAGE, 'defence').text}"
    documents: tuple[Document, ...] = ()
    last = _asked(question, context, arm)
    if arm.defence == "fence":
        documents = (Document(context, trusted=False),)
        last = Template.of(PACKAGE, "question_only").render(question=question)
    return Instruction(
        f"{item.id}-{arm.name}",
        (Message("system", system), *_shown(arm, shots), Message("user", last)),
        documents=documents,
        references=answers,
        meta={
            "arm": arm.name,
            "position": arm.position,
            "base": arm.base,
            "plant": "" if arm.position == "none" else plant,
            "injected_answers": list(injected),
            "cluster": item.id,
        },
    )


def _shown(arm: Arm, shots: int) -> list[Message]:
    turns = []
    for shown in _demonstrations()[:shots]:
        turns.append(Message("user", _asked(shown["question"], shown["context"], arm)))
        turns.append(Message("assistant", shown["answer"]))
    return turns


def _asked(question: str, context: str, arm: Arm) -> str:
    text = f"<context>\n{context}\n</context>" if arm.defence == "tags" else context
    # behind a fence the question follows the material; its demonstrations do the same
    first = arm.order == "QCA" and arm.defence != "fence"
    return Template.of(PACKAGE, "question_first" if first else "context_first").render(question=question, context=text)


def _data(name: str) -> Any:
    return msgspec.json.decode(files(PACKAGE).joinpath(name).read_bytes())


@lru_cache(maxsize=1)
def _demonstrations() -> list[dict[str, str]]:
    return _data("demonstrations.json")


@lru_cache(maxsize=1)
def _attacks() -> dict[str, list[str]]:
    return _data("attacks.json")


@lru_cache(maxsize=1)
def _tasks() -> list[tuple[str, tuple[str, ...]]]:
    lines = files(PACKAGE).joinpath("tasks.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line) for line in lines]
    return [(row["task"], tuple(row["answers"])) for row in rows]
