"""FollowRAG's rows: passages, a question with instructions woven in, the instructions' names and arguments, the answer.

The names are FollowRAG's own ("length_words"); those of IFEval ("length_constraints:number_words") are taken as well,
since upstream's read-me uses them. Arguments are IFEval's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.constraints import build
from adhere.data.ifeval_rows import identity
from adhere.data.ifeval_rows import to_instruction as ifeval_instruction
from adhere.data.jsonl import Unique, rows
from adhere.errors import AdhereError, DataError
from adhere.records import Instruction

__all__ = ["KINDS", "alternatives", "fair", "read_rows", "to_instruction"]

# FollowRAG's 22 categories and IFEval's checkers for them.
KINDS = {
    "keywords_inclusion": "keywords:existence",
    "keywords_frequency": "keywords:frequency",
    "keywords_exclusion": "keywords:forbidden_words",
    "format_language": "language:response_language",
    "length_sentence": "length_constraints:number_sentences",
    "length_paragraph": "length_constraints:number_paragraphs",
    "length_words": "length_constraints:number_words",
    "position_first_word": "length_constraints:nth_paragraph_first_word",
    "structure_placeholder": "detectable_content:number_placeholders",
    "structure_bullets": "detectable_format:number_bullet_lists",
    "structure_highlights": "detectable_format:number_highlighted_sections",
    "structure_sections": "detectable_format:multiple_sections",
    "structure_title": "detectable_format:title",
    "position_postscript": "detectable_content:postscript",
    "position_end_with": "startend:end_checker",
    "format_json": "detectable_format:json_format",
    "format_repeat_question": "combination:repeat_prompt",
    "format_no_commas": "punctuation:no_comma",
    "format_quotation": "startend:quotation",
    "cases_capital_words": "change_case:capital_word_frequency",
    "cases_uppercase": "change_case:english_capital",
    "cases_lowercase": "change_case:english_lowercase",
}
NAMES = {kind: name for name, kind in KINDS.items()}
# Slashes that separate nothing: in 9/11 and 4/5/2010, and in an acronym that is all there is (AC/DC, TCP/IP).
_DATE = re.compile(r"(?<!\w)(?<!\d/)\d{1,2}/\d{1,2}(?:/(?:\d{4}|\d\d))?(?!\w|/\d)")
_ACRONYM = re.compile(r"[A-Z]{2,4}/[A-Z]{2,4}")
_HELD = "\u2044"  # the fraction slash, which stands for a slash that stays


def read_rows(path: Path) -> list[Instruction]:
    """The items of a file: JSON lines, or one JSON array as upstream publishes it.

    Raises:
        DataError: naming the row that has another shape, an unknown category, or the key of another row.
    """
    unique, made = Unique(), []
    for where, row in rows(path):
        try:
            instruction = to_instruction(row)
        except AdhereError as error:
            raise DataError(f"{where}: {error.message}", hint=error.hint) from error
        unique.add(instruction.id, where)
        made.append(instruction)
    return made


def to_instruction(row: Mapping[str, Any]) -> Instruction:
    """One item; `meta` holds its subset, the bare question and the number of its instructions.

    Raises:
        DataError: for a missing prompt, answer or list, lists that are not parallel, or a category that is none.
    """
    kinds = row.get("instruction_id_list")
    if isinstance(kinds, list):
        row = {**row, "instruction_id_list": [KINDS.get(kind, kind) for kind in kinds]}
    made = ifeval_instruction({k: row.get(k) for k in ("key", "prompt", "instruction_id_list", "kwargs")})
    gold = row.get("answer_gold")
    if not isinstance(gold, str) or not gold.strip():
        raise DataError("`answer_gold` is missing or no text", hint="Alternatives are separated by a slash")
    subset = str(row.get("type") or "followrag")
    for constraint in made.constraints:
        build(constraint)
    return msgspec.structs.replace(
        made,
        id=f"{subset}-{identity(row.get('key'), 'key')}",
        references=alternatives(gold),
        meta={"type": subset, "question": str(row.get("question", "")), "instructions": len(made.constraints)},
    )


def alternatives(gold: str) -> tuple[str, ...]:
    """The answers in a text that separates them by slashes.

    Dates and a lone acronym keep theirs; any other answer that holds a slash cannot be told from two answers.

    >>> alternatives("1999/2001"), alternatives("AC/DC"), alternatives("9/11/September 11")
    (('1999', '2001'), ('AC/DC',), ('9/11', 'September 11'))
    """
    gold = gold.replace("\u00a0", " ").strip()
    if _ACRONYM.fullmatch(gold):
        return (gold,)
    held = _DATE.sub(lambda date: date[0].replace("/", _HELD), gold)
    parts = (part.replace(_HELD, "/").strip() for part in held.split("/"))
    return tuple(dict.fromkeys(part for part in parts if part))


def fair(rows: Sequence[Instruction]) -> list[Instruction]:
    """The rows in an order of which any beginning is a fair sample: subsets and numbers of instructions take turns."""
    groups: dict[tuple[str, int], list[Instruction]] = {}
    for row in rows:
        groups.setdefault((row.meta["type"], row.meta["instructions"]), []).append(row)
    # The place of a row within its group, as a share of the group: large groups keep their weight.
    placed = [
        ((at + 0.5) / len(members), number, row)
        for number, (_, members) in enumerate(sorted(groups.items()))
        for at, row in enumerate(members)
    ]
    return [row for _, _, row in sorted(placed, key=lambda p: p[:2])]
