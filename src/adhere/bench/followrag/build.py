"""A FollowRAG-style set from any questions over passages: instructions are drawn and put behind the question.

The paper lets a model weave them in; here each is one sentence of its checker's, so that what is asked is exactly what
is graded. One to four instructions for shares of 2 : 2 : 1 : 1 (upstream: 225, 225, 125, 125), that can be kept
together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from adhere.bench.followrag.rows import KINDS
from adhere.bench.instruct_qa.rows import Question
from adhere.constraints import Checker, build, conflict
from adhere.engine.seeds import derive
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message
from adhere.score.texts.overlap import qa_words

__all__ = ["build_set"]

COUNTS = (1, 2, 3, 4, 2, 1)  # instructions of the questions, in turn
PASSAGES = 3
TRIES = 50  # of drawing instructions that go together, before the set is given up

_PLAIN = ("clearly", "indeed", "according", "notably", "briefly", "overall", "simply", "surely")
_PHRASES = ("I hope this helps.", "That is all I know.", "Is there anything else?", "Thank you for asking.")
_MAKERS: dict[str, Callable[[random.Random, str], dict[str, Any]]] = {
    "keywords_inclusion": lambda draw, _: {"keywords": draw.sample(_PLAIN, 2)},
    "keywords_exclusion": lambda draw, _: {"forbidden_words": draw.sample(_PLAIN, 3)},
    "keywords_frequency": lambda draw, _: {"keyword": draw.choice(_PLAIN), "frequency": 2, "relation": "at least"},
    "length_words": lambda draw, _: _compared(draw, "num_words", (15, 30, 50), (40, 60, 90)),
    "length_sentence": lambda draw, _: _compared(draw, "num_sentences", (2, 3), (3, 4)),
    "length_paragraph": lambda draw, _: {"num_paragraphs": 2},
    "structure_placeholder": lambda draw, _: {"num_placeholders": draw.choice((1, 2))},
    "structure_bullets": lambda draw, _: {"num_bullets": draw.choice((2, 3))},
    "structure_highlights": lambda draw, _: {"num_highlights": draw.choice((1, 2))},
    "structure_sections": lambda draw, _: {"section_spliter": "PART", "num_sections": 2},
    "structure_title": lambda draw, _: {},
    "position_postscript": lambda draw, _: {"postscript_marker": "P.S."},
    "position_end_with": lambda draw, _: {"end_phrase": draw.choice(_PHRASES)},
    "format_json": lambda draw, _: {},
    "format_repeat_question": lambda draw, question: {"prompt_to_repeat": question},
    "format_no_commas": lambda draw, _: {},
    "format_quotation": lambda draw, _: {},
    "cases_uppercase": lambda draw, _: {},
    "cases_lowercase": lambda draw, _: {},
}


def build_set(questions: Sequence[Question], *, rounds: int = 1, seed: int = 0, name: str = "own") -> list[Instruction]:
    """Questions with instructions.

    Args:
        questions: With passages and answers; those that go on a conversation are left out.
        rounds: How often each is asked, every time with other instructions.
        seed: Of the draws; the same seed draws the same.
        name: Of the set, for ids and `meta["type"]`.

    Raises:
        DataError: if no question can be used.
    """
    usable = [q for q in questions if not q.history and q.passages and q.answers]
    if not usable:
        raise DataError("no question stands alone and has passages and answers", hint="FollowRAG needs all three")
    asked = [(question, at) for at in range(rounds) for question in usable]
    return [_instruction(q, at, COUNTS[n % len(COUNTS)], seed, name) for n, (q, at) in enumerate(asked)]


def _instruction(question: Question, number: int, count: int, seed: int, name: str) -> Instruction:
    draw = random.Random(derive("followrag", seed, name, question.id, number))
    checkers = _drawn(question, count, draw)
    sentences = " ".join(c.describe(draw) for c in checkers)
    passages = "\n".join(
        f"Passage-{n} Title: {p.title} Content: {p.text}" for n, p in enumerate(question.passages[:PASSAGES])
    )
    text = Template.of("adhere.bench.followrag", "question").render(
        passages=passages, question=f"{question.question} {sentences}"
    )
    return Instruction(
        f"{name}-{question.id}-{number}",
        (Message("user", text),),
        tuple(c.to_constraint() for c in checkers),
        references=question.answers,
        meta={
            "type": name, "question": question.question, "instructions": count, "cluster": f"{name}-{question.id}",
        },
    )  # fmt: skip


def _drawn(question: Question, count: int, draw: random.Random) -> list[Checker]:
    """So many instructions of different kinds that do not rule each other out, nor the answer."""
    words = {word for answer in question.answers for word in qa_words(answer)}
    for _ in range(TRIES):  # an instruction that goes with few others (JSON) may leave too little to draw from
        made: list[Checker] = []
        for name in draw.sample(sorted(_MAKERS), len(_MAKERS)):
            checker = build(Constraint(KINDS[name], _MAKERS[name](draw, question.question)))
            forbidden = {word.lower() for word in checker.args.get("forbidden_words", ())}
            if forbidden & words or any(conflict(checker, other) for other in made):
                continue
            made.append(checker)
            if len(made) == count:
                return made
    raise DataError(f"question '{question.id}': no {count} instructions were found that go together")


def _compared(draw: random.Random, name: str, least: Sequence[int], fewer: Sequence[int]) -> dict[str, Any]:
    relation = draw.choice(("at least", "less than"))
    return {"relation": relation, name: draw.choice(least if relation == "at least" else fewer)}
