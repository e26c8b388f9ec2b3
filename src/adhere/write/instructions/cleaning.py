"""From what a writer wrote to an instruction: drafts end in the middle, start in lower case, go on with "Input:"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Draft", "clean", "distinct", "first_sentence"]

LONGEST = 600  # characters of an instruction
QUOTES = "\"'“”‘’«»`*"
# Where a draft goes on with the prompt's own form instead of ending.
_OTHER_PART = re.compile(r"\b(?:Input|Output|Comment)\s*:|^\W*(?:Instruction|In other words)\s*:", re.I | re.M)
_LABEL = re.compile(r"\A\W*(?:The )?(?:lost )?instruction(?: was| is)?(?: to\b|\s*:)\s*", re.I)
_ENDED = re.compile(r"""(?<=[.!?])["'”’)]*(?:\s|$)""")


class Draft(NamedTuple):
    """A candidate instruction.

    Attributes:
        text: After cleaning.
        raw: As it was written.
        source: The proposer.
    """

    text: str
    raw: str
    source: str


def clean(raw: str, cut: bool = False) -> str:
    """The instruction in a draft; "" where there is none.

    It is the first line that says something, up to a part of the prompt's form ("Input:"), without quotes and label,
    beginning with a capital letter. Where the writer was `cut` off at its limit, an unfinished last sentence goes,
    unless it is the only one.
    """
    text = _LABEL.sub("", raw.strip(), count=1)
    text = _OTHER_PART.split(text, maxsplit=1)[0].strip()
    line = next((line for line in text.splitlines() if re.search(r"\w", line)), "")
    line = " ".join(line.strip().strip(QUOTES).split())[:LONGEST]
    if cut and "\n" not in raw.strip():
        ends = [found.end() for found in _ENDED.finditer(line)]
        line = line[: ends[-1]].strip() if ends else line
    line = line.strip(QUOTES + " ")
    return line[:1].upper() + line[1:] if re.search(r"\w", line) else ""


def first_sentence(raw: str) -> str:
    """The first sentence of a draft, cleaned (INSTINCT keeps no more)."""
    text = clean(raw)
    end = _ENDED.search(text)
    return text[: end.start()].strip() if end else text


def distinct(drafts: Iterable[Draft]) -> list[Draft]:
    """One draft of each wording, in the order in which they were first seen; empty ones are dropped."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        if draft.text:
            first.setdefault(draft.text, draft)
    return list(first.values())
