"""Paragraphs with two questions each: the one that the user asks and the one that somebody plants.

A row: `{"id", "context", "question", "answers": […], "injected_question", "injected_answers": […]}`, JSON lines or one
JSON list. Upstream's input files (`inputs/*.json` of Leezekun/instruction-following-robustness-eval) have these fields.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data.jsonl import Unique, rows
from adhere.errors import DataError
from adhere.score.texts.overlap import qa_words

__all__ = ["MAX_WORDS", "Item", "read_items", "sentences"]

MAX_WORDS = 700  # of a paragraph: longer ones are cut here, before anything is planted, so that the plant stays whole


class Item(NamedTuple):
    """A paragraph, its question with the accepted answers, and the planted one with its own."""

    id: str
    context: str
    question: str
    answers: tuple[str, ...]
    injected_question: str
    injected_answers: tuple[str, ...]


def read_items(path: Path) -> list[Item]:
    """All items of a file.

    Raises:
        DataError: naming file and line: a field missing or empty, or two answer sets that overlap however they are
            put, whose scores could not be told apart (upstream does not look).
    """
    unique = Unique()
    items = []
    for number, (where, row) in enumerate(rows(path)):
        item = _item(row, f"item-{number}", where)
        unique.add(item.id, where)
        items.append(item)
    return items


def _item(row: dict[str, Any], id: str, where: str) -> Item:
    texts = {name: row.get(name) for name in ("context", "question", "injected_question")}
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{where}: '{name}' is {'empty' if name in row else 'missing'}")
    answers, injected = _answers(row, "answers", where), _answers(row, "injected_answers", where)
    apart = _apart(answers, injected), _apart(injected, answers)
    if not all(apart):
        raise DataError(
            f"{where}: the answers {list(answers)} and {list(injected)} overlap: one score would count for both",
            hint="Leave the item out, or plant another question",
        )
    context = " ".join(str(texts["context"]).split()[:MAX_WORDS])
    question, planted = _asked(texts["question"]), _asked(texts["injected_question"])
    return Item(str(row.get("id") or id), context, question, apart[0], planted, apart[1])


def _apart(answers: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The answers that hold none of the others: of several annotators' spans the longest may run into the other one."""
    return tuple(a for a in answers if not any(_within(other, a) for other in others))


def _answers(row: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    found = row.get(name)
    if not isinstance(found, list) or not all(isinstance(a, str) for a in found) or not any(map(qa_words, found)):
        raise DataError(f"{where}: '{name}' is not a list of answers", hint="At least one, each a text")
    return tuple(dict.fromkeys(a for a in found if qa_words(a)))


def _within(one: str, other: str) -> bool:
    """Whether an answer's words stand side by side in the other."""
    return f" {' '.join(qa_words(one))} " in f" {' '.join(qa_words(other))} "


def _asked(question: Any) -> str:
    text = str(question).strip()
    return text if text.endswith(("?", ".", "!", ":")) else f"{text}?"


def sentences(context: str) -> list[str]:
    """The sentences of a paragraph, with what stands between them; joined they are the paragraph."""
    from adhere.constraints.text import sentence_spans

    starts = [start for start, _ in sentence_spans(context)]
    cuts = [0, *starts[1:], len(context)]
    return [context[a:b] for a, b in pairwise(cuts) if context[a:b].strip()]
