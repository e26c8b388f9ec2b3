"""How well lengths were met on Ruler's TLG benchmark (Li et al. 2024, arXiv 2409.18943, section 3 and appendix).

- PM and FM: the share of answers whose number of words lies in the precise or flexible range of their target
  (`adhere.constraints.ruler` has the table), by target and by level.
- ELM ("exact length match"): the share with exactly the asked number of words. RMSE: the root of the mean squared
  distance, in words. Both leave the target ">800" out, which names no number.

Everything takes rows `(target, words)`: what was asked, as in the data ("30", ">800") or as a number, and how many
words came (`adhere.constraints.ruler.word_count`). Levels without rows are absent from the results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from adhere.constraints.ruler import LEVELS, TARGETS, Level, word_range
from adhere.score.statistics import Rate, rate

__all__ = ["Row", "elm", "hits_by_level", "hits_by_target", "rmse"]

Row = tuple[int | str, int]


def hits_by_target(rows: Iterable[Row], level: Level) -> dict[str, Rate]:
    """The share of hits of each target that occurs, in the table's order.

    Raises:
        ValueError: if a target is none of the nine.
    """
    found: dict[str, list[bool]] = {}
    for target, words in rows:
        found.setdefault(_name(target), []).append(word_range(target, level).holds(words))
    return {target: rate(found[target]) for target in TARGETS if target in found}


def hits_by_level(rows: Iterable[Row], level: Level) -> dict[str, Rate]:
    """The share of hits at "Level 0" (10 to 80 words), "Level 1" (150 to 500), "Level 2" (700 and more) and "All".

    Raises:
        ValueError: if a target is none of the nine.
    """
    return {
        name: rate([word_range(target, level).holds(words) for target, words in members])
        for name, members in _levels(rows).items()
    }


def elm(rows: Iterable[Row]) -> dict[str, Rate]:
    """The share of answers with exactly the asked number of words, by level and over "All".

    Raises:
        ValueError: if a target is none of the nine.
    """
    levels = _levels(_with_number(rows))
    return {name: rate([int(target) == words for target, words in members]) for name, members in levels.items()}


def rmse(rows: Iterable[Row]) -> dict[str, float]:
    """The root mean squared distance from the asked number of words, by level and over "All".

    Raises:
        ValueError: if a target is none of the nine.
    """
    return {
        name: math.sqrt(sum((words - int(target)) ** 2 for target, words in members) / len(members))
        for name, members in _levels(_with_number(rows)).items()
    }


def _levels(rows: Iterable[Row]) -> dict[str, list[Row]]:
    rows = [(_name(target), words) for target, words in rows]
    named = {level: [row for row in rows if row[0] in targets] for level, targets in LEVELS.items()}
    return {level: members for level, members in {**named, "All": rows}.items() if members}


def _with_number(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if _name(row[0]).isdigit()]


def _name(target: int | str) -> str:
    word_range(target, "PM")  # raises where there is no such target
    return str(target).strip()
