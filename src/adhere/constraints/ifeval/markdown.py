"""IFEval's counts of Markdown: bullets, highlights, sections; and of placeholders.

Each repeats the reference's verdict; the comment beside a defect says what it is. Counts that the
reference makes with expressions of quadratic cost are made here in one pass, with the same result.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import Self

from adhere.constraints import text as features
from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.format import Bullets, Highlights, Placeholders, Sections
from adhere.constraints.ifeval.base import (
    Fixed,
    check_number,
)
from adhere.constraints.ranged import MAX_SPANS, Counting, plural
from adhere.constraints.text import Place
from adhere.constraints.user_regex import UserRegex, user_regex
from adhere.records import Score

_PAPER = "ifeval"


# The reference lets white space reach over line ends before the mark, at quadratic cost; that changes where a match
# begins but not how many there are. It also lets the character behind "*" be a line end.
_STAR_BULLET = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
_DASH_BULLET = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)


@constraint("detectable_format:number_bullet_lists", family="format", paper=_PAPER)
class NumberBullets(Counting, frozen=True, kw_only=True):
    """Lines that begin with "*" or "-": rules ("---") and numbers below zero count, "**bold" does not."""

    noun = ("bullet point", "bullet points")

    num_bullets: int

    def __post_init__(self) -> None:
        check_number(self.num_bullets, "num_bullets")

    @property
    def low(self) -> int:
        return self.num_bullets

    @property
    def high(self) -> int:
        return self.num_bullets

    def count(self, text: Text) -> int:
        return len(_STAR_BULLET.findall(text.raw)) + len(_DASH_BULLET.findall(text.raw))

    def found(self, text: Text) -> Iterable[Place]:
        raw = text.raw
        return sorted(m.span() for pattern in (_STAR_BULLET, _DASH_BULLET) for m in pattern.finditer(raw))

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Your answer must contain exactly {}. Use the markdown bullet points such as:\n* This is point 1. \n"
            "* This is point 2",
            "Use exactly {}, written like * this.",
            "Include {}, no more and no fewer, in markdown.",
        )
        return rng.choice(forms).format(plural(self.num_bullets, self.noun))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(num_bullets=rng.randint(1, 5))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Bullets(exactly=self.num_bullets))


class _AtLeast(Counting, frozen=True, kw_only=True):
    """Shared by the kinds whose only bound is a lower one."""

    @property
    def high(self) -> None:
        return None


_ONE_STAR = re.compile(r"\*[^\n*]*\*")
_TWO_STARS = re.compile(r"\*\*[^\n*]*\*\*")


@constraint("detectable_format:number_highlighted_sections", family="format", paper=_PAPER)
class NumberHighlights(_AtLeast, frozen=True, kw_only=True):
    """*…* and **…** with something inside. **…** is counted by both expressions, where text follows and precedes it."""

    noun = ("highlighted section", "highlighted sections")

    num_highlights: int

    def __post_init__(self) -> None:
        check_number(self.num_highlights, "num_highlights")

    @property
    def low(self) -> int:
        return self.num_highlights

    def count(self, text: Text) -> int:
        return sum(1 for _ in self.found(text))

    def found(self, text: Text) -> Iterator[Place]:
        for pattern in (_ONE_STAR, _TWO_STARS):
            yield from (m.span() for m in pattern.finditer(text.raw) if m.group().strip("*").strip())

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Highlight at least {} in your answer with markdown, i.e. *highlighted section*.",
            "Use markdown to highlight at least {}, such as *this one*.",
            "Your response should have at least {}, written *like this*.",
        )
        return rng.choice(forms).format(plural(self.num_highlights, ("section", "sections")))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(num_highlights=rng.randint(1, 4))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Highlights(at_least=self.num_highlights))


@constraint("detectable_format:multiple_sections", family="format", paper=_PAPER)
class MultipleSections(_AtLeast, frozen=True, kw_only=True):
    """Occurrences of the splitter and a number, anywhere, the splitter an expression in which case matters."""

    noun = ("section", "sections")

    section_spliter: str
    num_sections: int

    def __post_init__(self) -> None:
        check_number(self.num_sections, "num_sections")
        if not self.section_spliter.strip():
            raise ValueError("section_spliter must not be blank")

    @property
    def low(self) -> int:
        return self.num_sections

    def as_published(self) -> Checker:
        _splitter(self.section_spliter)
        return self

    def count(self, text: Text) -> int:
        splitter = _splitter(self.section_spliter)
        # The reference counts the pieces of a split, among which groups of the expression appear too.
        return splitter.count(text) * (1 + splitter.groups)

    def found(self, text: Text) -> Iterable[Place]:
        return _splitter(self.section_spliter).places(text, MAX_SPANS)

    def check(self, text: str | Text) -> Score:
        try:
            return _AtLeast.check(self, text)
        except TimeoutError:
            return self.undecided(
                f"the expression {features.shorten(self.section_spliter)} takes too long on this text"
            )

    def passes(self, text: str | Text) -> bool:
        try:
            return _AtLeast.passes(self, text)
        except TimeoutError:
            return False

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Your response must have {0}. Mark the beginning of each section with {1} X, such as:\n{1} 1\n"
            "[content of section 1]\n{1} 2\n[content of section 2]",
            "Write {0}, each starting with {1} X, where X is its number.",
            "Divide your response into {0} that begin with {1} 1, {1} 2 and so on.",
        )
        return rng.choice(forms).format(plural(self.num_sections, self.noun), self.section_spliter)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(section_spliter=rng.choice(("Section", "SECTION")), num_sections=rng.randint(1, 5))

    def fixed(self) -> Checker:
        native = Sections(marker=self.section_spliter.strip(), at_least=self.num_sections)
        return Fixed(original=self, native=native)


def _splitter(source: str) -> UserRegex:
    return user_regex(source.strip(), r"\s?", r"\s?\d+\s?", 0)


@constraint("detectable_content:number_placeholders", family="format", paper=_PAPER)
class NumberPlaceholders(_AtLeast, frozen=True, kw_only=True):
    r"""Pairs of square brackets on one line: empty ones, check boxes and links count."""

    noun = ("placeholder", "placeholders")

    num_placeholders: int

    def __post_init__(self) -> None:
        check_number(self.num_placeholders, "num_placeholders")

    @property
    def low(self) -> int:
        return self.num_placeholders

    def count(self, text: Text) -> int:
        return sum(1 for _ in self.found(text))

    def found(self, text: Text) -> Iterator[Place]:
        r"""The matches of `\[.*?\]`, without its quadratic cost on brackets that never close."""
        offset = 0
        for line in text.lines:
            opening = line.find("[")
            while opening >= 0:
                closing = line.find("]", opening)
                if closing < 0:
                    break
                yield offset + opening, offset + closing + 1
                opening = line.find("[", closing)
            offset += len(line) + 1

    def describe(self, rng: random.Random) -> str:
        forms = (
            "The response must contain at least {} represented by square brackets, such as [address].",
            "Include at least {} in square brackets, such as [name].",
            "Use {} or more, written like [this].",
        )
        return rng.choice(forms).format(plural(self.num_placeholders, self.noun))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(num_placeholders=rng.randint(1, 4))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Placeholders(at_least=self.num_placeholders))
