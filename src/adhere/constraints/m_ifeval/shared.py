"""What M-IFEval's constraints of three languages have in common (Dussolle et al. 2025, arXiv 2502.04688).

The class of a kind is the published reference (the `ifeval` dialect) to the letter; `fixed()` gives the checker that
grades what the instruction says, in most cases a native constraint under the published name. Arguments carry the
published names, and relations the words of their language: "como máximo" 3 is at most 3, "moins de" 3 at most 2.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Self

import msgspec

from adhere.constraints.base import Checker
from adhere.constraints.ifeval.base import Fixed
from adhere.constraints.nltk_exact import Model, sentence_places
from adhere.constraints.ranged import MAX_SPANS, Counting
from adhere.constraints.text import Place, blocks, trimmed
from adhere.records import Score, Span

__all__ = ["Count", "Counted", "Localized", "Some", "Word", "Words", "absent", "excluded", "present", "sentence_spans"]

Count = Annotated[int, msgspec.Meta(ge=0)]
Some = Annotated[int, msgspec.Meta(ge=1)]
Word = Annotated[str, msgspec.Meta(min_length=1)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]

AT_LEAST = frozenset(("at least", "al menos", "au moins", "以上"))
AT_MOST = frozenset(("como máximo",))  # the other relations ("moins de", "未満") mean less than the number


class Localized(Checker, frozen=True, kw_only=True):
    """Base: phrasings in the constraint's language, and samples from lists.

    Class attributes for subclasses:
        asks: Sentences with the arguments as fields, e.g. "Usa {num_bullets} puntos."
        usual: What `sample` draws each argument from.
    """

    asks: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[dict[str, Sequence[Any]]] = {}

    def describe(self, rng: random.Random) -> str:
        """One of the sentences, in the language of the constraint."""
        return rng.choice(self.asks).format(**self._said())

    def _said(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: ", ".join(map(repr, v)) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        """Arguments drawn from the usual ones."""
        return cls(**{name: rng.choice(values) for name, values in cls.usual.items()})

    def by(self, judge: Checker) -> Checker:
        """This constraint, graded by a native one: name, arguments and words stay."""
        return Fixed(original=self, native=judge)


class Counted(Localized, Counting, frozen=True, kw_only=True):
    """Base of the kinds that count: a subclass gives `wanted` as (relation, number); "exactly" is a relation too."""

    def __post_init__(self) -> None:
        if self.high is not None and self.high < 0:
            raise ValueError("less than 0 of anything cannot be")

    def wanted(self) -> tuple[str, int]:
        """The relation, in the language of the data, and the number."""
        raise NotImplementedError

    @property
    def low(self) -> int:
        relation, number = self.wanted()
        return number if relation == "exactly" or relation in AT_LEAST else 0

    @property
    def high(self) -> int | None:
        relation, number = self.wanted()
        if relation == "exactly" or relation in AT_MOST:
            return number
        return None if relation in AT_LEAST else number - 1

    def bounds(self) -> dict[str, int]:
        """As the arguments of a native counting constraint."""
        low, high = self.low, self.high
        if high is None:
            return {"at_least": low}
        return {"exactly": low} if low == high else {"at_most": high}

    def conflicts_with(self, other: Checker) -> bool:
        """Bounds on the same thing that no number meets, or a kind that this one excludes."""
        if type(self) is not type(other) or not isinstance(other, Counted) or self.subject() != other.subject():
            return Localized.conflicts_with(self, other)
        highs = [high for high in (self.high, other.high) if high is not None]
        return bool(highs) and max(self.low, other.low) > min(highs)

    def subject(self) -> object:
        """What is counted, where an argument names it: bounds on different things do not contradict."""
        return None


def excluded(language: str, *names: str) -> frozenset[str]:
    """Kinds of a language by their names without its prefix."""
    return frozenset(f"{language}:{name}" for name in names)


# What a whole answer in JSON, one fixed answer, or two answers leave no room for (IFEval's table of conflicts).
NOT_WITH_JSON = (
    "detectable_format:number_bullet_lists", "detectable_format:constrained_response", "detectable_format:title",
    "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections",
    "detectable_content:postscript", "combination:two_responses", "combination:repeat_prompt",
    "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word", "startend:end_checker",
    "startend:quotation", "punctuation:no_comma", "detectable_format:number_numbered_lists",
)  # fmt: skip
NOT_WITH_ONE_ANSWER = (
    *NOT_WITH_JSON, "detectable_format:json_format", "detectable_content:number_placeholders", "keywords:existence",
    "length_constraints:number_sentences", "punctuation:question_marks", "punctuation:exclamation_marks",
    "special_character:enie", "special_character:dieresis", "letters:furigana", "letters:kanji",
)  # fmt: skip
NOT_WITH_TWO_ANSWERS = (
    "detectable_format:json_format", "detectable_format:constrained_response", "combination:repeat_prompt",
    "startend:quotation", "startend:end_checker", "detectable_content:postscript",
)  # fmt: skip


def present(checker: Checker, places: Iterable[Place], wanted: str) -> Score:
    """Passed with the first places marked, or failed for want of any."""
    spans = [Span(*place, "satisfies") for place in islice(places, MAX_SPANS)]
    return checker.verdict(bool(spans), f"{wanted} {'is there' if spans else 'is missing'}", spans)


def absent(checker: Checker, places: Iterable[Place], unwanted: str) -> Score:
    """Failed with the first places marked, or passed for want of any."""
    spans = [Span(*place) for place in islice(places, MAX_SPANS)]
    return checker.verdict(not spans, f"{unwanted} {'occurs' if spans else 'does not occur'}", spans)


LIST_MARK = re.compile(r"[ \t]*(?:[-*+•–・]|\d{1,9}[.)])[ \t]+")


def sentence_spans(raw: str, model: Model) -> list[Place]:
    """The sentences by another language's Punkt model, inside paragraphs and list items; headings are none."""
    places: list[Place] = []
    for start, end in blocks(raw):
        mark = LIST_MARK.match(raw, start, end)
        begin = mark.end() if mark else start
        for first, last in sentence_places(raw[begin:end], model):
            if any(c.isalnum() for c in raw[begin + first : begin + last]):
                places.append(trimmed(raw, begin + first, begin + last))
    return places
