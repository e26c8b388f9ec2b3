"""The characters that a constrained answer is written in.

A constraint can only be guaranteed over characters whose behaviour is known: letters that keep their length when their
case changes (no "ŉ", no Turkish dotted "İ"), no marks that join a letter from behind, no invisible ones, no second
kinds of space or line end. That leaves what Latin, Greek and Cyrillic texts are written with; other scripts join when
the instruction itself uses them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["alphabet", "is_space", "is_word"]

_ASCII = "\n" + "".join(map(chr, range(0x20, 0x7F)))
_TYPOGRAPHY = "‘’“”–—…•€£°«»¿¡"
_LATIN_TO_CYRILLIC = range(0xA1, 0x530)
# By the first word of their characters' names; each with the punctuation that its texts use.
_SCRIPTS = {
    "CJK": "。、，！？：；「」『』（）",
    "HIRAGANA": "。、，！？：；「」『』（）ー",
    "KATAKANA": "。、，！？：；「」『』（）ー",
    "HANGUL": "",
    "ARABIC": "،؟؛",
    "HEBREW": "",
    "DEVANAGARI": "।",
    "BENGALI": "।",
    "TAMIL": "",
    "TELUGU": "",
    "THAI": "",
    "GEORGIAN": "",
    "ARMENIAN": "",
}


def is_word(char: str) -> bool:
    r"""Whether `\w` matches it."""
    return char.isalnum() or char == "_"


def is_space(char: str) -> bool:
    """Whether it is one of the two kinds of white space that answers have."""
    return char in " \n"


@lru_cache(maxsize=1)
def _base() -> str:
    letters = (c for c in map(chr, _LATIN_TO_CYRILLIC) if unicodedata.category(c) in ("Ll", "Lu") and _is_steady(c))
    return _ASCII + _TYPOGRAPHY + "".join(letters)


def _is_steady(char: str) -> bool:
    """Whether changing its case and back gives the same one character, and no other character gives it too."""
    small, large = char.lower(), char.upper()
    return (
        len(small) == len(large) == len(char.casefold()) == 1
        and small.upper() == large
        and large.lower() == small
        and (small != large)
        and unicodedata.normalize("NFKC", char) == char
    )


def alphabet(texts: Iterable[str] = (), phrases: Iterable[str] = ()) -> str:
    """The characters of an answer, sorted.

    Args:
        texts: The letters of every script that these are written in are among them.
        phrases: Every printable character of these is.
    """
    names = {_script(c) for text in texts for c in set(text) if ord(c) >= 0x530 and c.isalpha()}
    if names & {"HIRAGANA", "KATAKANA"}:
        names |= {"HIRAGANA", "KATAKANA", "CJK"}
    letters = {c for name in names for c in _letters(name)}
    return "".join(sorted({*_base(), *letters, *(c for phrase in phrases for c in phrase if c.isprintable())}))


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


@lru_cache(maxsize=16)
def _letters(script: str) -> str:
    """Letters, marks and digits of a script in the basic plane, with its punctuation; nothing for an unknown one."""
    if script not in _SCRIPTS:
        return ""
    found = (c for c in map(chr, range(0x530, 0xD7B0)) if _script(c) == script and unicodedata.category(c)[0] in "LM")
    return "".join(found) + _SCRIPTS[script]
