"""IFEval's keywords: present, absent, so often; and letters.

Each repeats the reference's verdict; the comment beside a defect says what it is.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterable
from typing import Self

from adhere.constraints import text as features
from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.ifeval.base import (
    Compared,
    Fixed,
    Relation,
    bounds,
    check_relation,
    sample_relation,
)
from adhere.constraints.keywords import (
    SAMPLE_WORDS,
    Forbidden,
    KeywordCount,
    Keywords,
    LetterCount,
    SomeWords,
    letter_places,
    listing,
)
from adhere.constraints.ranged import MAX_SPANS, plural
from adhere.constraints.text import Place, shorten
from adhere.constraints.user_regex import UserRegex, user_regex
from adhere.records import Score, Span

_PAPER = "ifeval"


class Expressions(Checker, frozen=True, kw_only=True):
    """Shared: words that the reference takes for regular expressions."""

    def _all(self) -> tuple[UserRegex, ...]:
        raise NotImplementedError

    def _decide(self, text: Text) -> bool:
        raise NotImplementedError

    def _explain(self, text: Text) -> Score:
        raise NotImplementedError

    def as_published(self) -> Checker:
        self._all()
        return self

    def passes(self, text: str | Text) -> bool:
        try:
            return self._decide(Text.of(text))
        except TimeoutError:
            return False

    def check(self, text: str | Text) -> Score:
        try:
            return self._explain(Text.of(text))
        except TimeoutError:
            return self.undecided("one of the expressions takes too long on this text")


@constraint("keywords:existence", family="keywords", paper=_PAPER)
class KeywordsExistence(Expressions, frozen=True, kw_only=True):
    """Every keyword, as a regular expression, is found somewhere in any case: "cat" in "concatenate"."""

    keywords: SomeWords

    def _all(self) -> tuple[UserRegex, ...]:
        return tuple(user_regex(k) for k in self.keywords)

    def _decide(self, text: Text) -> bool:
        return all(k.found(text) for k in self._all())

    def _explain(self, text: Text) -> Score:
        missing = [k for k in self.keywords if not user_regex(k).found(text)]
        if missing:
            return self.verdict(False, f"missing: {', '.join(map(shorten, missing[:5]))}; all of {len(self.keywords)} "
                                "wanted")  # fmt: skip
        spans = [Span(*place, "satisfies") for k in self._all()[:MAX_SPANS] for place in k.places(text, 1)]
        return self.verdict(True, f"all {len(self.keywords)} keywords occur", spans)

    def describe(self, rng: random.Random) -> str:
        forms = ("Include keywords {} in the response.", "Your answer must contain the keywords {}.",
                 "Use these words: {}.")  # fmt: skip
        return rng.choice(forms).format(listing(self.keywords, rng))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(keywords=tuple(rng.sample(SAMPLE_WORDS, 2)))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Keywords(keywords=self.keywords))


@constraint("keywords:forbidden_words", family="keywords", paper=_PAPER)
class ForbiddenWords(Expressions, frozen=True, kw_only=True):
    r"""None of the words, as an expression between `\b`, is found in any case."""

    forbidden_words: SomeWords

    def _all(self) -> tuple[UserRegex, ...]:
        return tuple(user_regex(w, r"\b", r"\b") for w in self.forbidden_words)

    def _decide(self, text: Text) -> bool:
        return not any(w.found(text) for w in self._all())

    def _explain(self, text: Text) -> Score:
        pairs = zip(self.forbidden_words, self._all(), strict=True)
        hits = [(word, expression) for word, expression in pairs if expression.found(text)]
        if not hits:
            return self.verdict(True, f"none of {len(self.forbidden_words)} forbidden words occurs")
        spans = [Span(*place) for _, expression in hits[:20] for place in expression.places(text, MAX_SPANS // 20)]
        return self.verdict(False, f"occurs: {', '.join(shorten(w) for w, _ in hits[:5])}; none wanted", spans)

    def describe(self, rng: random.Random) -> str:
        forms = ("Do not include keywords {} in the response.", "Do not use the words {}.", "Avoid these words: {}.")
        return rng.choice(forms).format(listing(self.forbidden_words, rng, "or"))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(forbidden_words=tuple(rng.sample(SAMPLE_WORDS, 2)))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Forbidden(words=self.forbidden_words))


@constraint("keywords:frequency", family="keywords", paper=_PAPER)
class KeywordFrequency(Compared, frozen=True, kw_only=True):
    """Matches of the keyword as an expression, in any case, inside longer words too ("art" in "start")."""

    noun = ("time '{keyword}'", "times '{keyword}'")

    keyword: str
    frequency: int
    relation: Relation

    def __post_init__(self) -> None:
        check_relation(self.relation, self.frequency, "frequency")
        if not self.keyword.strip():
            raise ValueError("keyword must not be blank")

    def relates(self) -> tuple[str, int]:
        return self.relation, self.frequency

    def as_published(self) -> Checker:
        user_regex(self.keyword.strip())
        return self

    def count(self, text: Text) -> int:
        return user_regex(self.keyword.strip()).count(text)

    def found(self, text: Text) -> Iterable[Place]:
        limit = MAX_SPANS + (self.high or 0)
        return user_regex(self.keyword.strip()).places(text, limit)

    def check(self, text: str | Text) -> Score:
        try:
            return Compared.check(self, text)
        except TimeoutError:
            return self.undecided(f"the expression {features.shorten(self.keyword)} takes too long on this text")

    def passes(self, text: str | Text) -> bool:
        try:
            return Compared.passes(self, text)
        except TimeoutError:
            return False

    def describe(self, rng: random.Random) -> str:
        forms = (
            "In your response, the word {} should appear {} {}.",
            'Use the word "{}" {} {}.',
            "Let the word {} occur {} {}.",
        )
        return rng.choice(forms).format(self.keyword, self.relation, plural(self.frequency, ("time", "times")))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        relation, number = sample_relation(rng, 1, 3)
        return cls(keyword=rng.choice(SAMPLE_WORDS), frequency=number, relation=relation)

    def fixed(self) -> Checker:
        native = KeywordCount(keyword=self.keyword.strip(), **bounds(self.relation, self.frequency))
        return Fixed(original=self, native=native)


@constraint("keywords:letter_frequency", family="keywords", paper=_PAPER)
class LetterFrequency(Compared, frozen=True, kw_only=True):
    """Occurrences of a letter, in any case.

    What is not a letter from a to z the reference replaces by a random letter, at every call another. Here it is the
    one that it draws after `random.seed(0)`, so that the verdict is always the same; the reason says so. `fixed`
    counts the character that was asked for.
    """

    noun = ("time '{letter}'", "times '{letter}'")

    letter: str
    let_frequency: int
    let_relation: Relation

    def __post_init__(self) -> None:
        check_relation(self.let_relation, self.let_frequency, "let_frequency")
        if len(self.letter) != 1:
            raise ValueError(f"letter must be one character, not {features.shorten(self.letter)}")

    def relates(self) -> tuple[str, int]:
        return self.let_relation, self.let_frequency

    @property
    def counted(self) -> str:
        """The letter that is really counted."""
        return self.letter.lower() if self.letter.lower() in string.ascii_lowercase else SUBSTITUTE

    def count(self, text: Text) -> int:
        return text.lower.count(self.counted)

    def found(self, text: Text) -> Iterable[Place]:
        return letter_places(text, self.counted)

    def check(self, text: str | Text) -> Score:
        score = Compared.check(self, text)
        if self.counted == self.letter.lower():
            return score
        reason = f"counted '{self.counted}', as the reference replaces '{self.letter}' by a random letter (seed 0)"
        return self.verdict(bool(score.passed), f"{reason}: {score.reason}", score.spans)

    def _noun(self) -> tuple[str, str]:
        return f"time '{self.counted}'", f"times '{self.counted}'"

    def describe(self, rng: random.Random) -> str:
        forms = (
            "In your response, the letter {} should appear {} {}.",
            "The letter {} must occur {} {}.",
            "Let the letter {} appear {} {}.",
        )
        return rng.choice(forms).format(self.letter, self.let_relation, plural(self.let_frequency, ("time", "times")))

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        relation, number = sample_relation(rng, 1, 10)
        return cls(letter=rng.choice(string.ascii_lowercase), let_frequency=number, let_relation=relation)

    def fixed(self) -> Checker:
        native = LetterCount(letter=self.letter, **bounds(self.let_relation, self.let_frequency))
        return Fixed(original=self, native=native)


# What the reference's `random.choice(list(string.ascii_letters))` gives after `random.seed(0)`.
SUBSTITUTE = random.Random(0).choice(string.ascii_letters).lower()
