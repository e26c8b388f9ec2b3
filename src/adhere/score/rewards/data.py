"""What reward models learn from: HelpSteer2's ratings and HelpSteer2-Preference's pairs, in the form published.

nvidia/HelpSteer2 (CC-BY-4.0; Wang et al. 2024, arXiv 2406.08673 and 2410.01257), unpacked to JSON lines:

- ratings: `{"prompt", "response", "helpfulness", "correctness", "coherence", "complexity", "verbosity"}`, each 0 to 4;
- preferences: `{"split", "prompt", "response_1", "response_2", "preference_strength", …}`, strength -3 to 3, negative
  where the first response is the better one;

and our own forms of both: `{"instruction", "response", "ratings": {…}}` and `{"instruction", "chosen", "rejected",
"strength"}`. A prompt of several turns has them apart by `<extra_id_1>User` and `<extra_id_1>Assistant`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data import jsonl
from adhere.errors import DataError
from adhere.records import Message, Role

__all__ = ["ATTRIBUTES", "STRONGEST", "Pair", "Pairs", "Rated", "read_pairs", "read_ratings"]

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
SCALE = (0.0, 4.0)
STRONGEST = 3
_TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")
_ROLES: dict[str, Role] = {"User": "user", "Assistant": "assistant"}


class Pair(NamedTuple):
    """Two responses to one conversation, and how much better the chosen one is: 1 slightly, 2 better, 3 much better."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    strength: float
    split: str = ""


class Pairs(NamedTuple):
    """The pairs of a file that carry a signal, and how many were left out, by reason."""

    pairs: list[Pair]
    dropped: dict[str, int]


class Rated(NamedTuple):
    """A response with its ratings by attribute, 0 to 4; an attribute that was not rated is missing."""

    messages: tuple[Message, ...]
    response: str
    ratings: dict[str, float]


def read_pairs(path: str | Path) -> Pairs:
    """Preference pairs, in either form.

    Pairs without a preference (strength 0 or none) and pairs of equal responses are left out and counted.

    Raises:
        DataError: `file:line` and what is wrong; or that no pair carries a signal.
    """
    pairs: list[Pair] = []
    dropped: Counter[str] = Counter()
    for where, row in _rows(path):
        pair = _pair(row, where)
        if pair is None or not pair.strength:
            dropped["no preference"] += 1
        elif pair.chosen == pair.rejected:
            dropped["equal responses"] += 1
        else:
            pairs.append(pair)
    if not pairs:
        raise DataError(f"{path}: no pair carries a signal: {dict(dropped)}")
    return Pairs(pairs, dict(dropped))


def read_ratings(path: str | Path) -> Iterator[Rated]:
    """Rated responses, in either form, one at a time.

    Raises:
        DataError: `file:line` and what is wrong: no text, a rating off the scale.
    """
    for where, row in _rows(path):
        given = row["ratings"] if isinstance(row.get("ratings"), dict) else row
        ratings = {name: _rating(given[name], name, where) for name in ATTRIBUTES if given.get(name) is not None}
        if not ratings:
            raise DataError(f"{where}: the row has no rating", hint=f"Rated are {', '.join(ATTRIBUTES)}")
        yield Rated(_messages(row, where), _text(row, "response", where), ratings)


def _rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if Path(path).suffix == ".gz":
        raise DataError(f"{path} is packed", hint="Unpack it first: gunzip -k FILE")
    return ((f"{path}:{line}", row) for line, row in jsonl.objects(path))


def _pair(row: dict[str, Any], where: str) -> Pair | None:
    """None where neither response is preferred."""
    split = str(row.get("split") or "")
    if "chosen" in row:
        strength = row.get("strength")
        if strength is None:
            return None
        value = _number(strength, "strength", where)
        if value < 0:
            raise DataError(f"{where}: `strength` is {value:g}", hint="It is how much better `chosen` is: 0 or more")
        texts = (_text(row, "chosen", where), _text(row, "rejected", where))
        return Pair(_messages(row, where), *texts, value, split)
    first, second = _text(row, "response_1", where), _text(row, "response_2", where)
    if row.get("preference_strength") is None:
        return None
    strength = _number(row["preference_strength"], "preference_strength", where)
    if abs(strength) > STRONGEST:
        raise DataError(f"{where}: `preference_strength` is {strength:g}", hint="It goes from -3 to 3")
    better = (first, second) if strength < 0 else (second, first)
    return Pair(_messages(row, where), *better, abs(strength), split)


def _messages(row: dict[str, Any], where: str) -> tuple[Message, ...]:
    name = "prompt" if "prompt" in row else "instruction"
    first, *rest = _TURN.split(_text(row, name, where))
    later = [Message(_ROLES[role], text) for role, text in zip(rest[::2], rest[1::2], strict=True) if text.strip()]
    return (Message("user", first), *later)


def _text(row: dict[str, Any], name: str, where: str) -> str:
    if not isinstance(row.get(name), str):
        what = f"has a `{name}` that is no text" if name in row else f"has no `{name}`"
        raise DataError(f"{where}: the row {what}")
    return row[name]


def _rating(value: Any, name: str, where: str) -> float:
    number = _number(value, name, where)
    if not SCALE[0] <= number <= SCALE[1]:
        raise DataError(f"{where}: `{name}` is {number:g}, off the scale of 0 to 4")
    return number


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise DataError(f"{where}: `{name}` is {value!r}, not a number")
    return float(value)
