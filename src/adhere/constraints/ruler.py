"""Ruler's target lengths: is the number of words near enough to what was asked? (Li et al. 2024, arXiv 2409.18943)

TLG, the paper's benchmark, asks for one of nine lengths and scores two tolerances: PM ("precise match") and FM
("flexible match"). An interval is open below and closed above, so a text of 20 words hits target 10 and not 30, and an
empty text hits nothing. Words are the matches of `\\w+` ("don't" is two, "3.5" is two), in scoring as in training.

The buckets that *training* rows are sorted into are much narrower on purpose and belong to `adhere.train`. The shares
of hits by target and by level are in `adhere.score.texts.lengths`.
"""

from __future__ import annotations

import random
import re
from typing import Literal, NamedTuple, Self

from adhere.constraints.base import Checker, Text, constraint
from adhere.records import Score

__all__ = ["LEVELS", "RANGES", "TARGETS", "Level", "RulerLength", "WordRange", "word_count", "word_range"]

Level = Literal["PM", "FM"]
_WORD = re.compile(r"\w+")


class WordRange(NamedTuple):
    """A number of words w fits when `above < w <= most`; `most` is None where there is no limit."""

    above: int
    most: int | None

    def holds(self, words: int) -> bool:
        """Whether so many words fit."""
        return self.above < words and (self.most is None or words <= self.most)

    def meets(self, other: WordRange) -> bool:
        """Whether some number of words fits both."""
        highs = [h for h in (self.most, other.most) if h is not None]
        return not highs or max(self.above, other.above) < min(highs)

    def __str__(self) -> str:
        return f"more than {self.above}" if self.most is None else f"{self.above + 1} to {self.most}"


# The paper's table of target lengths.
RANGES: dict[str, dict[Level, WordRange]] = {
    "10": {"PM": WordRange(0, 20), "FM": WordRange(0, 20)},
    "30": {"PM": WordRange(20, 40), "FM": WordRange(20, 40)},
    "50": {"PM": WordRange(40, 60), "FM": WordRange(40, 60)},
    "80": {"PM": WordRange(70, 90), "FM": WordRange(60, 100)},
    "150": {"PM": WordRange(130, 170), "FM": WordRange(100, 200)},
    "300": {"PM": WordRange(280, 320), "FM": WordRange(200, 400)},
    "500": {"PM": WordRange(450, 550), "FM": WordRange(400, 600)},
    "700": {"PM": WordRange(630, 770), "FM": WordRange(600, 800)},
    ">800": {"PM": WordRange(800, None), "FM": WordRange(800, None)},
}
TARGETS = tuple(RANGES)
LEVELS = {"Level 0": TARGETS[:4], "Level 1": TARGETS[4:7], "Level 2": TARGETS[7:]}


def word_count(text: str) -> int:
    """The number of words as Ruler counts them."""
    return len(_WORD.findall(text))


def word_range(target: int | str, level: Level) -> WordRange:
    """The words that hit a target (10 or "10", …, ">800").

    Raises:
        ValueError: if there is no such target.
    """
    try:
        return RANGES[str(target).strip()][level]
    except KeyError:
        raise ValueError(f"target {target!r} is none of {', '.join(TARGETS)}") from None


@constraint("ruler:length", family="length", paper="ruler")
class RulerLength(Checker, frozen=True, kw_only=True):
    """About `target` words: within the PM or FM range of the paper's table.

    Attributes:
        target: 10, 30, 50, 80, 150, 300, 500, 700 or ">800"; TLG's own rows write all of them as strings.
        level: "PM" or "FM".
    """

    target: int | str
    level: Level = "PM"

    def __post_init__(self) -> None:
        word_range(self.target, self.level)

    @property
    def wanted(self) -> WordRange:
        """The words that hit."""
        return word_range(self.target, self.level)

    def check(self, text: str | Text) -> Score:
        """The verdict and the number of words."""
        words = Text.of(text).feature(word_count)
        return self.verdict(self.wanted.holds(words), f"{words} words, {self.wanted} wanted for target {self.target}")

    def describe(self, rng: random.Random) -> str:
        """The target in words."""
        amount = "more than 800" if str(self.target) == ">800" else str(self.target)
        if amount.isdigit():
            amount = rng.choice(("about {}", "roughly {}", "around {}")).format(amount)
        return rng.choice(("Answer in {} words.", "Your answer should be {} words long.", "Use {} words.")).format(
            amount
        )

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        """Any of the nine targets, precise or flexible."""
        target = rng.choice(TARGETS)
        return cls(target=int(target) if target.isdigit() else target, level=rng.choice(("PM", "FM")))

    def conflicts_with(self, other: Checker) -> bool:
        """Another number of words was ordered that no text of this length has."""
        return isinstance(other, RulerLength) and not self.wanted.meets(other.wanted)
