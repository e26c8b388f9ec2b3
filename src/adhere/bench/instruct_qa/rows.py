"""Question answering data in the forms that people have it, as `Question`: one reader for all.

Adhere's own rows, JSON lines:

    {"id": "q1", "question": "…", "history": ["…", "…"], "passages": [{"title": "…", "text": "…"}], "answers": ["…"]}

and those of the sets that Adlakha et al. 2024 (arXiv 2307.16877) ask: Natural Questions (open) with or without DPR's
`ctxs`, HotpotQA, TopiOCQA. The form is told by the first row; a file is JSON lines or one JSON array.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data.ifeval_rows import identity
from adhere.data.jsonl import Unique, rows
from adhere.errors import DataError
from adhere.records import Document

__all__ = ["Question", "read_questions", "to_question"]

log = logging.getLogger("adhere")


class Question(NamedTuple):
    """A question with what is known about it.

    Attributes:
        id: Unique in its file.
        question: What is asked, the last turn of a conversation.
        history: The turns before it, the user's and the agent's alternately, the user's first.
        passages: Texts to answer from, the best first.
        gold: Which of them hold the answer; None where that is not known.
        answers: Known good ones; none makes correctness undefined.
    """

    id: str
    question: str
    history: tuple[str, ...] = ()
    passages: tuple[Document, ...] = ()
    gold: tuple[bool, ...] | None = None
    answers: tuple[str, ...] = ()


def read_questions(path: Path) -> list[Question]:
    """The questions of a file.

    Raises:
        DataError: `file:line` (of an array: `file, row N`) for a row that has not the form of the first one.
    """
    unique, made, strings, without = Unique(), [], 0, 0
    form: Callable[[Mapping[str, Any], str], Question] | None = None
    for number, (where, row) in enumerate(rows(path), 1):
        form = form or _form(row, where)
        try:
            question = form(row, str(number))
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            said = error.message if isinstance(error, DataError) else f"the row lacks {error}"
            raise DataError(f"{where}: {said}", hint="All rows of a file have the same form") from error
        unique.add(question.id, where)
        strings += isinstance(row.get("answers", row.get("answer")), str) and form is to_question
        without += not question.answers
        made.append(question)
    if strings:
        log.warning("%s: %d rows have one text as `answers`; it is taken for the only answer", path, strings)
    if without:
        log.warning("%s: %d questions have no answers; their correctness is left undefined", path, without)
    return made


def to_question(row: Mapping[str, Any], otherwise: str = "") -> Question:
    """One of Adhere's own rows, or of Natural Questions (open), with DPR's `ctxs` where it has been retrieved for.

    Args:
        row: As the module says. A passage's text may be called `text` or `content`; `"gold": true` marks one that holds
            the answer, as DPR's `has_answer` does.
        otherwise: Its id, where it has none.

    Raises:
        DataError: for a row of another shape.
    """
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        raise DataError("`question` is missing or no text")
    given = row.get("passages", row.get("ctxs", ()))
    if not isinstance(given, list | tuple) or not all(isinstance(p, dict) for p in given):
        raise DataError("`passages` is not a list of objects", hint='A passage is {"title": "…", "text": "…"}')
    flags = [p.get("gold", p.get("has_answer")) for p in given]
    return Question(
        identity(row.get("id", row.get("id_")), "id") or otherwise,
        question.strip(),
        _history(row.get("history") or ()),
        tuple(_passage(p) for p in given),
        tuple(flag is True for flag in flags) if any(flag is not None for flag in flags) else None,
        _answers(row.get("answers", row.get("answer"))),
    )


def _hotpot(row: Mapping[str, Any], otherwise: str) -> Question:
    """HotpotQA, as its authors publish it or as the Hub has it (lists of titles and of sentences)."""
    context, facts = row["context"], row.get("supporting_facts", ())
    if isinstance(context, dict):
        context = list(zip(context["title"], context["sentences"], strict=True))
    titles = set(facts["title"] if isinstance(facts, dict) else (title for title, _ in facts))
    return Question(
        identity(row.get("_id", row.get("id")), "id") or otherwise,
        row["question"].strip(),
        passages=tuple(Document("".join(sentences).strip(), title=title) for title, sentences in context),
        gold=tuple(title in titles for title, _ in context) if titles else None,
        answers=_answers(row.get("answer")),
    )


def _topiocqa(row: Mapping[str, Any], otherwise: str) -> Question:
    """TopiOCQA: `Context` holds the earlier questions and answers alternately."""
    gold = row.get("Gold_passage") or {}
    more = [a["Answer"] for a in row.get("Additional_answers") or () if a.get("Answer")]
    passages = (Document(gold["text"], str(gold.get("id", "")), str(gold.get("title", ""))),) if gold else ()
    return Question(
        f"{row['Conversation_no']}-{row['Turn_no']}",
        row["Question"].strip(),
        _history(row.get("Context") or ()),
        passages,
        (True,) if passages else None,
        _answers([row.get("Answer"), *more]),
    )


def _form(row: Mapping[str, Any], where: str) -> Callable[[Mapping[str, Any], str], Question]:
    if "Conversation_no" in row and "Question" in row:
        return _topiocqa
    if "context" in row and "question" in row:
        return _hotpot
    if "question" in row:
        return to_question
    raise DataError(
        f"{where}: the row has {', '.join(list(row)[:6]) or 'nothing'}, which is no form of question that is known",
        hint='Write {"id": …, "question": …, "passages": [{"title": …, "text": …}], "answers": […]}',
    )


def _passage(row: Mapping[str, Any]) -> Document:
    text = row.get("text", row.get("content"))
    if not isinstance(text, str):
        raise DataError("a passage has no text", hint='A passage is {"title": "…", "text": "…"}')
    return Document(text, str(row.get("id", "")), str(row.get("title") or ""))


def _answers(given: Any) -> tuple[str, ...]:
    """Known answers, without empty ones, each once."""
    wanted = [given] if isinstance(given, str) else given or ()
    if not isinstance(wanted, Sequence) or not all(isinstance(a, str) or a is None for a in wanted):
        raise DataError("`answers` is not a list of texts")
    return tuple(dict.fromkeys(a.strip() for a in wanted if a and a.strip()))


def _history(given: Any) -> tuple[str, ...]:
    """Earlier turns: texts, or objects with a text, alternately the user's and the agent's."""
    if not isinstance(given, list | tuple):
        raise DataError("`history` is not a list of turns")
    turns = [t.get("text", t.get("content")) if isinstance(t, dict) else t for t in given]
    if not all(isinstance(t, str) for t in turns):
        raise DataError("a turn of `history` is no text")
    if len(turns) % 2:
        raise DataError(
            f"`history` has {len(turns)} turns, which do not end with the agent's",
            hint="It holds the turns before the question, the user's and the agent's alternately",
        )
    return tuple(turns)
