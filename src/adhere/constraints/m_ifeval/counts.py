"""What Spanish and French count alike: sentences by Punkt, words, and words in capitals.

A language module registers them with its phrasings, and says how its reference finds what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from adhere.constraints.base import Checker, Text
from adhere.constraints.case import UppercaseWords
from adhere.constraints.length import Words
from adhere.constraints.m_ifeval.shared import Count, Counted
from adhere.constraints.text import Place

__all__ = ["CapitalCount", "SentenceCount", "WordCount"]


class SentenceCount(Counted, frozen=True, kw_only=True):
    """So many sentences; a subclass gives `places`, which finds them."""

    noun = ("sentence", "sentences")
    long = True
    places: ClassVar[Callable[[str], list[Place]]]

    num_sentences: Count
    relation: str

    def wanted(self) -> tuple[str, int]:
        return self.relation, self.num_sentences

    def count(self, text: Text) -> int:
        return len(self.found(text))

    def found(self, text: Text) -> list[Place]:
        return text.feature(type(self).places)


class WordCount(Counted, frozen=True, kw_only=True):
    """So many words by the reference's rule, `words_in`. `fixed` counts words."""

    noun = ("word", "words")
    long = True
    words_in: ClassVar[Callable[[str], int]]

    num_words: Count
    relation: str

    def wanted(self) -> tuple[str, int]:
        return self.relation, self.num_words

    def count(self, text: Text) -> int:
        return text.feature(type(self).words_in)

    def fixed(self) -> Checker:
        """Words."""
        return self.by(Words(**self.bounds()))


class CapitalCount(Counted, frozen=True, kw_only=True):
    """So many of the reference's tokens in capitals, `capitals_in`; single letters count. `fixed` leaves those out."""

    noun = ("word in capitals", "words in capitals")
    capitals_in: ClassVar[Callable[[str], int]]

    capital_frequency: Count
    capital_relation: str

    def wanted(self) -> tuple[str, int]:
        return self.capital_relation, self.capital_frequency

    def count(self, text: Text) -> int:
        return text.feature(type(self).capitals_in)

    def fixed(self) -> Checker:
        """Words of two letters or more."""
        return self.by(UppercaseWords(**self.bounds()))
