"""IFEval's types as M-IFEval's three languages share them, to be registered by the language modules.

Where the reference does in another language what it does in English, the class is IFEval's with phrasings in that
language; where it does something of its own, the language module overrides that.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from adhere.constraints.base import Checker, Text
from adhere.constraints.content import Options
from adhere.constraints.format import Bullets, Sections
from adhere.constraints.ifeval import case, content, forms, keywords, lengths, markdown
from adhere.constraints.ifeval.base import Both
from adhere.constraints.keywords import KeywordCount, LetterCount
from adhere.constraints.langdetect_exact import detect
from adhere.constraints.language import Language
from adhere.constraints.m_ifeval import reference
from adhere.constraints.m_ifeval.shared import Count, Counted, Localized, Word, present
from adhere.constraints.ranged import MAX_SPANS
from adhere.constraints.text import Place, shorten
from adhere.constraints.user_regex import user_regex
from adhere.records import Score

__all__ = [
    "Alternatives",
    "AnswerLanguage",
    "BulletCount",
    "Ending",
    "ForbiddenWords",
    "FreeNthParagraph",
    "HighlightCount",
    "JsonAnswer",
    "KeywordFrequency",
    "KeywordList",
    "LetterFrequency",
    "LineCount",
    "NoComma",
    "NthParagraph",
    "OneCase",
    "ParagraphCount",
    "PlaceholderCount",
    "PostscriptMarker",
    "Quotation",
    "RepeatedPrompt",
    "SectionCount",
    "TitleLine",
    "TwoResponses",
]


# --- The same as in English -------------------------------------------------------------------------------------------


class PlaceholderCount(Localized, markdown.NumberPlaceholders, frozen=True, kw_only=True):
    """At least so many [placeholders]."""


class HighlightCount(Localized, markdown.NumberHighlights, frozen=True, kw_only=True):
    """At least so many pieces *emphasised* with asterisks."""


class ParagraphCount(Localized, lengths.NumberParagraphs, frozen=True, kw_only=True):
    """Exactly so many paragraphs between `***`."""


class SectionCount(Localized, markdown.MultipleSections, frozen=True, kw_only=True):
    """At least so many times the section word with a number, in running text too; the word is a regular expression.

    `fixed` counts it at the start of a line and, since the instruction gives a plain number, wants exactly so many.
    """

    def fixed(self) -> Checker:
        """At line starts alone, and exactly so many."""
        return self.by(Sections(marker=self.section_spliter.strip(), exactly=self.num_sections))


class KeywordList(Localized, keywords.KeywordsExistence, frozen=True, kw_only=True):
    """Every keyword, a regular expression, is found in any case, inside longer words too."""

    def conflicts_with(self, other: Checker) -> bool:
        """One of the words is forbidden in the same language."""
        if not isinstance(other, ForbiddenWords) or not same_language(self, other):
            return Localized.conflicts_with(self, other)
        return bool({k.casefold() for k in self.keywords} & {w.casefold() for w in other.forbidden_words})


class ForbiddenWords(Localized, keywords.ForbiddenWords, frozen=True, kw_only=True):
    r"""No word, a regular expression between `\b`, is found in any case."""


class JsonAnswer(Localized, forms.JsonFormat, frozen=True):
    """What Python reads as JSON."""


class TwoResponses(Localized, forms.TwoResponses, frozen=True):
    """Two different answers divided by `******`."""


class NoComma(Localized, forms.NoComma, frozen=True):
    """No ASCII comma."""


class PostscriptMarker(Localized, content.PublishedPostscript, frozen=True, kw_only=True):
    """The marker, anywhere, in any case, in the middle of a word too."""


class RepeatedPrompt(Localized, forms.RepeatThenAnswer, frozen=True, kw_only=True):
    """The answer begins with the request, in any case."""

    def conflicts_with(self, other: Checker) -> bool:
        """Another request, or a kind that this one excludes."""
        if type(self) is type(other) and isinstance(other, RepeatedPrompt):
            return self.prompt_to_repeat.strip() != other.prompt_to_repeat.strip()
        return Localized.conflicts_with(self, other)


class Ending(Localized, forms.EndChecker, frozen=True, kw_only=True):
    """The answer, straight quotation marks stripped, ends with the phrase in any case, inside a word too."""

    def conflicts_with(self, other: Checker) -> bool:
        """Another ending."""
        if type(self) is not type(other) or not isinstance(other, Ending):
            return Localized.conflicts_with(self, other)
        one, two = self.end_phrase.strip().lower(), other.end_phrase.strip().lower()
        return not (one.endswith(two) or two.endswith(one))


class AnswerLanguage(Localized, case.ResponseLanguage, frozen=True, kw_only=True):
    """langdetect's first guess with seed 0; a text that it cannot detect passes, "zh" never does (it says "zh-cn")."""

    names: ClassVar[dict[str, str]] = {}

    def _said(self) -> dict[str, Any]:
        return {"language": self.names.get(self.language, self.language)}

    def conflicts_with(self, other: Checker) -> bool:
        """Another language."""
        return type(self) is type(other) and isinstance(other, AnswerLanguage) and self.language != other.language


class NthParagraph(Localized, content.NthParagraphFirstWord, frozen=True, kw_only=True):
    """So many paragraphs, and the n-th piece between double line ends begins with a word."""

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        """2 to 5 paragraphs."""
        total = rng.randint(2, 5)
        word = rng.choice(cls.usual["first_word"])
        return cls(num_paragraphs=total, nth_paragraph=rng.randint(1, total), first_word=word)

    def conflicts_with(self, other: Checker) -> bool:
        """Another number of paragraphs, or another word at the same place."""
        if type(self) is not type(other) or not isinstance(other, NthParagraph):
            return Localized.conflicts_with(self, other)
        same_place = self.nth_paragraph == other.nth_paragraph
        other_word = self.first_word.casefold() != other.first_word.casefold()
        return self.num_paragraphs != other.num_paragraphs or (same_place and other_word)


class FreeNthParagraph(NthParagraph, frozen=True, kw_only=True):
    """Base: the same, by another rule of what a paragraph begins with."""

    def begins(self, paragraph: str) -> bool:
        """Whether a stripped paragraph begins with the word, by the rule of the language's reference."""
        raise NotImplementedError

    def check(self, text: str | Text) -> Score:
        """The verdict, and what is wrong first."""
        pieces = Text.of(text).raw.split("\n\n")
        filled = sum(not (piece.isspace() or not piece) for piece in pieces)
        if filled != self.num_paragraphs:
            return self.verdict(False, f"{filled} paragraphs, exactly {self.num_paragraphs} wanted")
        passed = self.begins(pieces[self.nth_paragraph - 1].strip())
        does = "begins" if passed else "does not begin"
        return self.verdict(passed, f"piece {self.nth_paragraph} {does} with {shorten(self.first_word)}")


def same_language(one: Checker, other: Checker) -> bool:
    """Whether both kinds have the same prefix, "es:", "fr:" or "ja:"."""
    return one.kind.partition(":")[0] == other.kind.partition(":")[0]


# --- With arguments or marks of their own -----------------------------------------------------------------------------


class LineCount(Counted, frozen=True, kw_only=True):
    """Base: lines that open as `items` say; each is sought at line starts, behind white space."""

    items: ClassVar[tuple[re.Pattern[str], ...]] = ()

    def count(self, text: Text) -> int:
        return sum(reference.count_lines(text.raw, item) for item in self.items)


class BulletCount(LineCount, frozen=True, kw_only=True):
    """Exactly so many bullets."""

    noun = ("bullet point", "bullet points")

    num_bullets: Count

    def wanted(self) -> tuple[str, int]:
        return "exactly", self.num_bullets

    def fixed(self) -> Checker:
        """Markdown bullets of any kind, with some text behind; rules and fenced code are none."""
        return self.by(Bullets(exactly=self.num_bullets))


class Alternatives(Localized, frozen=True, kw_only=True):
    """One of the fixed answers occurs somewhere, case and full stop included. `fixed`: it is the whole answer."""

    options: ClassVar[tuple[str, ...]] = ()

    def check(self, text: str | Text) -> Score:
        """The verdict and where an answer stands."""
        raw = Text.of(text).raw
        places = [(raw.find(option), len(option)) for option in self.options if option in raw]
        return present(self, [(at, at + size) for at, size in places], f"one of {', '.join(self.options)}")

    def fixed(self) -> Checker:
        """Nothing but one of the options, quotation marks and emphasis aside."""
        return self.by(Options(options=self.options, exact=True))


class KeywordFrequency(Counted, frozen=True, kw_only=True):
    """A keyword, a regular expression, is found so often, inside longer words too. `fixed`: as a whole word."""

    noun = ("time '{keyword}'", "times '{keyword}'")

    keyword: Word
    frequency: Count
    relation: str

    def wanted(self) -> tuple[str, int]:
        return self.relation, self.frequency

    def as_published(self) -> Checker:
        """The keyword must be a regular expression."""
        user_regex(self.keyword.strip())
        return self

    def count(self, text: Text) -> int:
        return user_regex(self.keyword.strip()).count(text)

    def found(self, text: Text) -> Iterable[Place]:
        return user_regex(self.keyword.strip()).places(text, MAX_SPANS + (self.high or 0))

    def check(self, text: str | Text) -> Score:
        """The verdict; undecided where the expression takes too long."""
        try:
            return super().check(text)
        except TimeoutError:
            return self.undecided(f"the expression {shorten(self.keyword)} takes too long on this text")

    def passes(self, text: str | Text) -> bool:
        """The verdict alone."""
        return self.check(text).passed is True

    def subject(self) -> object:
        return self.keyword.casefold()

    def fixed(self) -> Checker:
        """Whole words."""
        return self.by(KeywordCount(keyword=self.keyword.strip(), **self.bounds()))


class LetterFrequency(Counted, frozen=True, kw_only=True):
    """A letter occurs so often, in either case; with an accent it is another letter.

    The published checker replaces a letter outside a-z by a random one; here it is counted as it is.
    """

    noun = ("time '{letter}'", "times '{letter}'")

    letter: str
    let_frequency: Count
    let_relation: str

    def __post_init__(self) -> None:
        if len(self.letter) != 1 or self.letter.isspace():
            raise ValueError(f"letter must be one letter, not {shorten(self.letter)}")
        Counted.__post_init__(self)

    def wanted(self) -> tuple[str, int]:
        return self.let_relation, self.let_frequency

    def count(self, text: Text) -> int:
        return text.lower.count(self.letter.lower())

    def subject(self) -> object:
        return self.letter.lower()

    def fixed(self) -> Checker:
        """By the native constraint."""
        return self.by(LetterCount(letter=self.letter, **self.bounds()))


class TitleLine(Localized, frozen=True, kw_only=True):
    """Somewhere a title between the marks, on one line."""

    marks: ClassVar[tuple[str, str]] = ("", "")

    def check(self, text: str | Text) -> Score:
        """The verdict and where the title stands."""
        places = reference.titles(Text.of(text).raw, *self.marks)
        return present(self, places, f"a title in {self.marks[0]}…{self.marks[1]}")


class OneCase(Localized, frozen=True, kw_only=True):
    """Base of "all capitals" and "all small letters": in one case, and in the language by `langdetect`.

    `fixed` asks the native constraints on case and language, which want letters.
    """

    code: ClassVar[str] = ""
    other_case: ClassVar[str] = ""

    def in_case(self, raw: str) -> bool:
        """Whether the reference takes the text to be in that case."""
        raise NotImplementedError

    def judged(self) -> Checker:
        """The native constraint on the case."""
        raise NotImplementedError

    def check(self, text: str | Text) -> Score:
        """The verdict, and which of the two fails."""
        text = Text.of(text)
        if not self.in_case(text.raw):
            return self.verdict(False, f"there are {self.other_case}")
        # Capitals mislead the detector, so the reference lowers them.
        seen = text.feature(_language_in_lower_case)
        return self.verdict(seen in (self.code, None), f"no {self.other_case}; langdetect says {seen}")

    def fixed(self) -> Checker:
        """Case and language by the native constraints."""
        return self.by(Both(parts=(self.judged(), Language(language=self.code))))


def _language_in_lower_case(raw: str) -> str | None:
    return detect(raw.lower())


class Quotation(Localized, frozen=True, kw_only=True):
    """The whole answer stands between quotation marks of one of the pairs; nothing need be between."""

    pairs: ClassVar[tuple[str, ...]] = ()

    def check(self, text: str | Text) -> Score:
        """The verdict."""
        value = Text.of(text).stripped
        wrapped = len(value) > 1 and f"{value[0]}{value[-1]}" in self.pairs
        does = "stands" if wrapped else "does not stand"
        return self.verdict(wrapped, f"the answer {does} between {' or '.join(self.pairs)}")
