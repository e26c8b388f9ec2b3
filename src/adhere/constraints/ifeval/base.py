"""What IFEval's 25 checkers share: relations, expressions, the wrapper that grades under their name, the conflicts.

Zhou et al., "Instruction-Following Evaluation for Large Language Models" (arXiv 2311.07911). The classes in
this folder repeat the verdicts of Google's published checkers, defects included; `fixed()` of each gives the native
constraint that says what the instruction says.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar, Literal

import msgspec

from adhere.constraints.base import Checker, Text
from adhere.constraints.ranged import Counting
from adhere.records import Constraint, Score, Span

__all__ = ["Both", "Compared", "Fixed", "Relation", "bounds", "check_relation"]

Relation = Literal["less than", "at least"]
RELATIONS = ("less than", "at least")

KINDS = frozenset((
    "keywords:existence", "keywords:frequency", "keywords:forbidden_words", "keywords:letter_frequency",
    "language:response_language", "length_constraints:number_sentences", "length_constraints:number_paragraphs",
    "length_constraints:number_words", "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders", "detectable_content:postscript",
    "detectable_format:number_bullet_lists", "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections",
    "detectable_format:json_format", "detectable_format:title", "combination:two_responses",
    "combination:repeat_prompt", "startend:end_checker", "startend:quotation", "change_case:capital_word_frequency",
    "change_case:english_capital", "change_case:english_lowercase", "punctuation:no_comma",
))  # fmt: skip


def check_relation(relation: str, number: int, name: str) -> None:
    """Raise ValueError unless the relation is one of the two and the number counts something."""
    if relation not in RELATIONS:
        raise ValueError(f"relation must be 'less than' or 'at least', not '{relation}'")
    check_number(number, name)


def check_number(number: int, name: str) -> None:
    """Raise ValueError for negative numbers, which the reference silently replaces by random ones."""
    if number < 0:
        raise ValueError(f"{name} counts things, so it cannot be {number}")


def bounds(relation: str, number: int) -> dict[str, int]:
    """A relation as the bounds of a native constraint.

    Raises:
        ValueError: for "less than 0", which nothing satisfies.
    """
    if relation == "at least":
        return {"at_least": number}
    if number == 0:
        raise ValueError("less than 0 of anything cannot be")
    return {"at_most": number - 1}


class Compared(Counting, frozen=True, kw_only=True):
    """Shared by the kinds with a relation: subclasses give `relates` as (relation, number)."""

    def relates(self) -> tuple[str, int]:
        """The relation and the number it compares with."""
        raise NotImplementedError

    @property
    def low(self) -> int:
        relation, number = self.relates()
        return number if relation == "at least" else 0

    @property
    def high(self) -> int | None:
        relation, number = self.relates()
        return number - 1 if relation == "less than" else None

    def _bounds(self) -> str:
        relation, number = self.relates()
        return f"{relation} {number}"


def sample_relation(rng: random.Random, low: int, high: int) -> tuple[Relation, int]:
    """A relation and a number; "less than" gets one that leaves room."""
    relation: Relation = rng.choice(("less than", "at least"))
    return relation, rng.randint(max(low, 2) if relation == "less than" else low, high)


class Fixed(Checker, frozen=True, kw_only=True):
    """A native checker that grades under the name of the published kind it stands for.

    Attributes:
        original: The published constraint; names, arguments, request and conflicts are its.
        native: What judges.
    """

    original: Checker
    native: Checker

    # Class variables elsewhere; this one class stands for many kinds, so its instances tell.
    @property
    def kind(self) -> str:  # pyrefly: ignore[bad-override]
        return self.original.kind

    @property
    def family(self) -> str:  # pyrefly: ignore[bad-override]
        return self.original.family

    @property
    def claims(self) -> str:  # pyrefly: ignore[bad-override]
        return self.original.claims

    def check(self, text: str | Text) -> Score:
        return msgspec.structs.replace(self.native.check(text), name=self.original.kind)

    def passes(self, text: str | Text) -> bool:
        return self.native.passes(text)

    def verdict(self, passed: bool, reason: str, spans: Any = (), *, value: float | None = None) -> Score:
        return self.original.verdict(passed, reason, spans, value=value)

    def undecided(self, reason: str) -> Score:
        return self.original.undecided(reason)

    def describe(self, rng: random.Random) -> str:
        return self.original.describe(rng)

    def conflicts_with(self, other: Checker) -> bool:
        return self.original.conflicts_with(other.original if isinstance(other, Fixed) else other)

    @property
    def args(self) -> dict[str, Any]:
        return self.original.args

    def to_constraint(self) -> Constraint:
        return self.original.to_constraint()


class Both(Checker, frozen=True, kw_only=True):
    """Several checkers that must all pass. Undecided where one is and none fails."""

    parts: tuple[Checker, ...]

    def passes(self, text: str | Text) -> bool:
        text = Text.of(text)
        return all(part.passes(text) for part in self.parts)

    def check(self, text: str | Text) -> Score:
        text = Text.of(text)
        scores = [part.check(text) for part in self.parts]
        reason = "; ".join(score.reason for score in scores)
        if all(score.passed is not False for score in scores) and any(score.passed is None for score in scores):
            return self.undecided(reason)
        spans: list[Span] = [span for score in scores for span in score.spans]
        return self.verdict(all(score.passed for score in scores), reason, spans)


class Published(Checker, frozen=True):
    """Shared: requests without arguments, in the published wording and two of our own."""

    asks: ClassVar[tuple[str, ...]] = ()

    def describe(self, rng: random.Random) -> str:
        return rng.choice(self.asks)
