"""A constraint in somebody's own words that no program can check: kept, shown, and judged by models only."""

from __future__ import annotations

import random
from typing import Self

from adhere.constraints.base import Checker, Text, constraint
from adhere.records import Score

__all__ = ["Told"]

SHOWN = 120  # characters of it in a reason
_EXAMPLES = ("The tone is friendly.", "Explain it to a child.", "Give an example from everyday life.")


@constraint("told", family="told")
class Told(Checker, frozen=True, kw_only=True):
    """A statement about the answer. Every check of it is undecided, which is never a pass; a judge may decide it.

    Args:
        text: The statement.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("text must not be blank")

    def check(self, text: str | Text) -> Score:
        return self.undecided(f"'{self.text.strip()[:SHOWN]}': no program can check this; a judge can")

    def passes(self, text: str | Text) -> bool:
        return False

    def describe(self, rng: random.Random) -> str:
        return rng.choice(("{}", "Keep to this: {}")).format(self.text.strip())

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(text=rng.choice(_EXAMPLES))
