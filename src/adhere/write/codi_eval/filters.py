"""What becomes of a template or a rewrite: kept, or dropped for a reason that is counted.

- Slots: `{number}`, or both of `{number1}` and `{number2}`; `{keywords}`, and `{nonkeywords}` where there is one.
  Upstream's test for length is joined by "or" in such a way that it drops whatever lacks either form; what it means,
  and what is done here, is to drop what has *neither* form, or both, or half of the second.
- Near duplicates: ROUGE-L F1 above 0.95 with one that was kept.
- Labels: a rewrite in which no word of its topic or sentiment is left, in any part of speech. Upstream keeps those.
"""

from __future__ import annotations

import re
from collections import defaultdict

from adhere.score.texts.overlap import lcs_f, rouge_tokens

__all__ = ["NEAR", "Kept", "bracketed", "label_lost", "slots_wrong"]

NEAR = 0.95  # paper, section on building: ROUGE-L above it is a duplicate
FORMS = {
    "length": ({"number"}, {"number1", "number2"}),
    "keyword": ({"keywords"},),
    "keyword, or and not": ({"keywords", "nonkeywords"},),
    "sentiment": ({"sentiment"},),
    "topic": ({"topic"},),
    "multi": ({"topic", "sentiment"},),
}
LONGEST = 20_000  # characters of an answer that are looked at
_SLOT = re.compile(r"\{([^{}]*)\}")
_BRACKETED = re.compile(r"\[([^\[\]\n]+)\]")
_WORD = re.compile(r"[a-z]+")
NO_WORD = {"or", "and", "sentiment"}  # of a label: they say nothing of it


def bracketed(text: str) -> list[str]:
    """What stands in square brackets, in order, without blanks around it; a placeholder of dots is nothing."""
    found = (part.strip() for part in _BRACKETED.findall(text[:LONGEST]))
    return [part for part in found if re.search(r"\w", part)]


def slots_wrong(template: str, kind: str, mode: str = "") -> str:
    """Why a template's slots are not those of its kind; "" if they are.

    Args:
        template: With slots in braces.
        kind: Of `FORMS`.
        mode: Of length, where it is known: "between" needs two numbers, every other mode one.

    >>> slots_wrong("Write some words.", "length")
    'slots: none'
    >>> slots_wrong("From {number1} words on.", "length")
    'slots: half of a range'
    """
    found = set(_SLOT.findall(template))
    if found not in FORMS[kind]:
        known = set().union(*FORMS[kind])
        if not found & known:
            return "slots: none"
        if found - known:
            return "slots: a strange one"
        if kind != "length":
            return "slots: one is missing"
        return "slots: both forms" if "number" in found else "slots: half of a range"
    if mode and (mode == "between") != ("number1" in found):
        return "slots: not those of its mode"
    return ""


def label_lost(text: str, *surfaces: str) -> bool:
    """Whether one of the words for a label is gone: no word of the text has a root in common with it.

    >>> label_lost("A scientific text, please.", "science")
    False
    >>> label_lost("A text, please.", "science")
    True
    """
    words = set(_WORD.findall(text.lower()))
    return any(
        not any(_akin(word, part) for word in words for part in _WORD.findall(surface.lower()) if part not in NO_WORD)
        for surface in surfaces
    )


def _akin(one: str, other: str) -> bool:
    """Of "anger" and "angry", "sad" and "sadness", "science" and "scientific", but not "fear" and "feature"."""
    if one == other:
        return True
    common = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if common is None:  # one begins with the other
        return min(len(one), len(other)) >= 3
    return common >= 3 and 2 * common >= max(len(one), len(other))


class Kept:
    """The texts that were kept, by group; tells whether another is nearly one of them."""

    def __init__(self) -> None:
        self._by_length: dict[tuple[str, int], list[list[str]]] = defaultdict(list)

    def near(self, text: str, group: str = "") -> bool:
        """Whether ROUGE-L F1 with one of the group exceeds 0.95."""
        words = rouge_tokens(text, stemmed=False)
        # F1 is at most 2·min/(a+b) of two lengths: texts of other lengths than these cannot be near.
        least, most = int(len(words) * NEAR / (2 - NEAR)), int(len(words) * (2 - NEAR) / NEAR) + 1
        return any(
            lcs_f(words, other) > NEAR
            for length in range(least, most + 1)
            for other in self._by_length.get((group, length), ())
        )

    def add(self, text: str, group: str = "") -> None:
        """Keep a text; one with the same words changes nothing."""
        words = rouge_tokens(text, stemmed=False)
        alike = self._by_length[group, len(words)]
        if words not in alike:
            alike.append(words)
