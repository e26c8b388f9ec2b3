"""IFEval's lengths: words, sentences, paragraphs.

Each repeats the reference's verdict; the comment beside a defect says what it is. Counts that the
reference makes with expressions of quadratic cost are made here in one pass, with the same result.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Self

from adhere.constraints import text as features
from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.ifeval.base import (
    Compared,
    Fixed,
    Relation,
    bounds,
    check_number,
    check_relation,
    sample_relation,
)
from adhere.constraints.length import Paragraphs, Sentences, Words
from adhere.constraints.nltk_exact import sentence_places
from adhere.constraints.ranged import LONGEST, Counting, plural
from adhere.constraints.text import Place
from adhere.records import Score, Span

_PAPER = "ifeval"


_WORD = re.compile(r"\w+")


_ASCII_WORDS = bytes(code if _WORD.match(chr(code)) else 32 for code in range(128)).ljust(256)


def _count_words(raw: str) -> int:
    # The same count, three times faster: whatever is not of a word becomes a space.
    return len(raw.encode("ascii").translate(_ASCII_WORDS).split() if raw.isascii() else _WORD.findall(raw))


@constraint("length_constraints:number_words", family="length", paper=_PAPER)
class NumberWords(Compared, frozen=True, kw_only=True):
    r"""Runs of `\w`: "don't" and "a-b" are two each."""

    noun = ("word", "words")
    long = True

    num_words: int
    relation: Relation

    def __post_init__(self) -> None:
        check_relation(self.relation, self.num_words, "num_words")

    def relates(self) -> tuple[str, int]:
        return self.relation, self.num_words

    def count(self, text: Text) -> int:
        return text.feature(_count_words)

    def found(self, text: Text) -> Iterable[Place]:
        return (m.span() for m in _WORD.finditer(text.raw))

    def describe(self, rng: random.Random) -> str:
        forms = ("Answer with {} {} words.", "Your response should have {} {} words.", "Use {} {} words.")
        return rng.choice(forms).format(self.relation, self.num_words)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        relation, number = sample_relation(rng, 100, 500)
        return cls(num_words=number, relation=relation)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Words(**bounds(self.relation, self.num_words)))


@constraint("length_constraints:number_sentences", family="length", paper=_PAPER)
class NumberSentences(Compared, frozen=True, kw_only=True):
    """Sentences by NLTK's English Punkt model, which sees no sentence end at a heading or list item."""

    noun = ("sentence", "sentences")
    long = True
    longest = LONGEST

    num_sentences: int
    relation: Relation

    def __post_init__(self) -> None:
        check_relation(self.relation, self.num_sentences, "num_sentences")

    def relates(self) -> tuple[str, int]:
        return self.relation, self.num_sentences

    def count(self, text: Text) -> int:
        return len(text.feature(sentence_places))

    def found(self, text: Text) -> Iterable[Place]:
        return text.feature(sentence_places)

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Your response should contain {} {} sentences.",
            "Answer in {} {} sentences.",
            "The number of sentences should be {} {}.",
        )
        return rng.choice(forms).format(self.relation, self.num_sentences)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        relation, number = sample_relation(rng, 1, 20)
        return cls(num_sentences=number, relation=relation)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Sentences(**bounds(self.relation, self.num_sentences)))


_STARS = re.compile(r"\s?\*\*\*\s?")


def _between_stars(raw: str) -> list[Place]:
    """The places of the pieces of a split."""
    if "***" not in raw:
        return [(0, len(raw))]
    edges = [0, *(edge for m in _STARS.finditer(raw) for edge in m.span()), len(raw)]
    return list(zip(edges[::2], edges[1::2], strict=True))


@constraint("length_constraints:number_paragraphs", family="length", paper=_PAPER)
class NumberParagraphs(Counting, frozen=True, kw_only=True):
    """Pieces between `***`. A blank piece at either end does not count; in the middle it fails the whole."""

    noun = ("paragraph", "paragraphs")
    long = True

    num_paragraphs: int

    def __post_init__(self) -> None:
        check_number(self.num_paragraphs, "num_paragraphs")

    @property
    def low(self) -> int:
        return self.num_paragraphs

    @property
    def high(self) -> int:
        return self.num_paragraphs

    def passes(self, text: str | Text) -> bool:
        text = Text.of(text)
        return self._blank(text) is None and self.holds(self.count(text))

    def count(self, text: Text) -> int:
        pieces = text.feature(_between_stars)
        # One piece is first and last at once, but is taken off once only.
        ends = {0, len(pieces) - 1}
        return len(pieces) - sum(not text.raw[slice(*pieces[i])].strip() for i in ends)

    def found(self, text: Text) -> Iterable[Place]:
        places = (features.trimmed(text.raw, *piece) for piece in text.feature(_between_stars))
        return [place for place in places if place[0] < place[1]]

    def _blank(self, text: Text) -> Place | None:
        """The first blank piece in the middle."""
        middle = text.feature(_between_stars)[1:-1]
        return next((piece for piece in middle if not text.raw[slice(*piece)].strip()), None)

    def check(self, text: str | Text) -> Score:
        text = Text.of(text)
        blank = self._blank(text)
        if blank is None:
            return Counting.check(self, text)
        around = Span(max(0, blank[0] - 4), min(len(text.raw), blank[1] + 4))
        return self.verdict(False, f"a paragraph is blank, exactly {self.num_paragraphs} filled ones wanted", [around])

    def describe(self, rng: random.Random) -> str:
        forms = (
            "There should be {}. Paragraphs are separated with the markdown divider: ***",
            "Write {}, separated with the markdown divider ***.",
            "Your answer must have exactly {} with *** between them.",
        )
        return rng.choice(forms).format(plural(self.num_paragraphs, self.noun))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(num_paragraphs=rng.randint(2, 5))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Paragraphs(exactly=self.num_paragraphs, separator="***"))
