"""IFEval's language and case.

Each repeats the reference's verdict; the comment beside a defect says what it is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import ClassVar, Self

from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.case import Lowercase, Uppercase, UppercaseWords
from adhere.constraints.ifeval.base import (
    Both,
    Compared,
    Fixed,
    Published,
    Relation,
    bounds,
    check_relation,
    sample_relation,
)
from adhere.constraints.langdetect_exact import detect
from adhere.constraints.language import LANGUAGES, Language
from adhere.constraints.nltk_exact import capital_tokens
from adhere.constraints.ranged import LONGEST, plural
from adhere.constraints.text import Place
from adhere.records import Score

_PAPER = "ifeval"
_WORD = re.compile(r"\w+")


@constraint("language:response_language", family="language", paper=_PAPER)
class ResponseLanguage(Checker, frozen=True, kw_only=True):
    """`langdetect`'s first guess with seed 0; a text that it cannot detect passes."""

    language: str

    excludes = frozenset((
        "language:response_language", "detectable_format:multiple_sections", "keywords:existence",
        "keywords:frequency", "keywords:forbidden_words", "startend:end_checker", "change_case:english_capital",
        "change_case:english_lowercase",
    ))  # fmt: skip

    def check(self, text: str | Text) -> Score:
        found = Text.of(text).feature(detect)
        wanted = _name(self.language)
        if found is None:
            return self.verdict(True, f"langdetect finds nothing to judge by, which passes; {wanted} wanted")
        return self.verdict(found == self.language, f"the language is {_name(found)}, {wanted} wanted")

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Your ENTIRE response should be in {} language, no other language is allowed.",
            "Answer in {} only.",
            "Write your whole response in {}.",
        )
        return rng.choice(forms).format(_name(self.language))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(language=rng.choice(PUBLISHED_LANGUAGES))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Language(language=self.language))


# The languages that occur in the published data.
PUBLISHED_LANGUAGES = ("ar", "bg", "bn", "de", "fa", "fi", "gu", "hi", "it", "kn", "ko", "mr", "ne", "pa", "pt", "ru",
                       "sw", "ta", "te", "th", "ur", "vi")  # fmt: skip


def _name(code: str) -> str:
    return LANGUAGES.get(code, f"'{code}'")


class _EnglishCase(Published, frozen=True):
    """Shared: `isupper()` or `islower()`, then English by langdetect (undetectable passes)."""

    holds: ClassVar[Callable[[str], bool]]
    case: ClassVar[str] = ""
    native: ClassVar[type[Checker]]

    def passes(self, text: str | Text) -> bool:
        text = Text.of(text)
        return type(self).holds(text.raw) and text.feature(detect) in ("en", None)

    def check(self, text: str | Text) -> Score:
        text = Text.of(text)
        if not type(self).holds(text.raw):
            # The native checker finds the letters that are wrong; the verdict is the reference's.
            found = type(self).native().check(text)
            return self.verdict(False, found.reason if not found.passed else f"not all {self.case}", found.spans)
        found = text.feature(detect)
        if found is None:
            return self.verdict(True, f"all {self.case}; langdetect finds nothing to judge by, which passes")
        return self.verdict(found == "en", f"all {self.case}, the language is {_name(found)}, English wanted")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Both(parts=(type(self).native(), Language(language="en"))))


@constraint("change_case:english_capital", family="case", paper=_PAPER, claims="en")
class EnglishCapital(_EnglishCase, frozen=True):
    """All capitals, in English."""

    holds = str.isupper
    case = "capitals"
    native = Uppercase
    asks = (
        "Your entire response should be in English, and in all capital letters.",
        "Answer in English, using only capital letters.",
        "Write everything in English and in capitals.",
    )
    excludes = frozenset({"change_case:english_capital", "change_case:english_lowercase"})


@constraint("change_case:english_lowercase", family="case", paper=_PAPER, claims="en")
class EnglishLowercase(_EnglishCase, frozen=True):
    """All small letters, in English."""

    holds = str.islower
    case = "small letters"
    native = Lowercase
    asks = (
        "Your entire response should be in English, and in all lowercase letters. No capital letters are allowed.",
        "Answer in English, using only lowercase letters.",
        "Write everything in English and in lower case.",
    )
    excludes = frozenset({"change_case:english_lowercase", "change_case:english_capital",
                          "change_case:capital_word_frequency"})  # fmt: skip


@constraint("change_case:capital_word_frequency", family="case", paper=_PAPER)
class CapitalWords(Compared, frozen=True, kw_only=True):
    """NLTK word tokens in capitals throughout; "I" and "A" count."""

    noun = ("word in capitals", "words in capitals")
    longest = LONGEST

    capital_frequency: int
    capital_relation: Relation

    def __post_init__(self) -> None:
        check_relation(self.capital_relation, self.capital_frequency, "capital_frequency")

    def relates(self) -> tuple[str, int]:
        return self.capital_relation, self.capital_frequency

    def count(self, text: Text) -> int:
        return text.feature(capital_tokens)

    def found(self, text: Text) -> Iterable[Place]:
        """Words in capitals, near enough: NLTK's tokens no longer know where they stood."""
        return (m.span() for m in _WORD.finditer(text.raw) if m.group().isupper())

    def describe(self, rng: random.Random) -> str:
        forms = (
            "In your response, words with all capital letters should appear {} {}.",
            "Write words in all capital letters {} {}.",
            "Words in all caps must occur {} {}.",
        )
        return rng.choice(forms).format(self.capital_relation, plural(self.capital_frequency, ("time", "times")))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        relation, number = sample_relation(rng, 1, 20)
        return cls(capital_frequency=number, capital_relation=relation)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=UppercaseWords(**bounds(self.capital_relation, self.capital_frequency)))
