"""Pieces that count: words in every way that checkers count them, sentences, characters, letters, words in capitals."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

import regex

from adhere.answer.constrained.alphabet import is_space, is_word
from adhere.answer.constrained.machine import Piece

__all__ = ["Capitals", "Characters", "Letters", "Range", "Sentences", "TitleCase", "Words"]

WordsAs = Literal["native", "runs", "split", "plain", "sure"]


class Range(NamedTuple):
    """From `low` to `high`; `high` is None where there is no limit."""

    low: int
    high: int | None = None

    def holds(self, number: int) -> bool:
        """Whether a number lies within."""
        return self.low <= number and (self.high is None or number <= self.high)

    def after(self, number: int) -> int | None:
        """One more, as far as it matters: counting stops at the lower bound where there is no upper one."""
        if self.high is None:
            return min(number + 1, self.low)
        return number + 1 if number < self.high else None


class _Label:
    """What a character is for counting words."""

    SPACE, LETTER, DIGIT, EAST, JOINER, POINT, UNDERSCORE, STOP, CLOSER, OTHER = range(10)


_EAST = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u30fc\u3005]")
_PART = regex.compile(r"[\p{L}\p{M}\p{N}]")


def _word_label(char: str) -> int:
    if is_space(char):
        return _Label.SPACE
    if _EAST.match(char):
        return _Label.EAST
    if char.isdecimal():
        return _Label.DIGIT
    if _PART.match(char):
        return _Label.LETTER
    if char in "'’-":
        return _Label.JOINER
    if char == "_":
        return _Label.UNDERSCORE
    if char in ".,":
        return _Label.POINT
    if char in '"”»)*':
        return _Label.CLOSER
    return _Label.STOP if char in "!?" else _Label.OTHER


class Words(Piece[tuple[int, int], int]):
    r"""A number of words.

    Args:
        wanted: How many.
        counted: "native" as the constraint `words` counts ("don't" is one), "runs" as `\w+` (two), "split" at white
            space, "plain": only words that all of them count alike may be written.
        land: Where the upper bound is near, end with the next sentence instead of in the midst of a later one.

    States: (words so far, where in a word).
    """

    OUT, IN, DIGITS, JOINED, POINTED, LANDED = range(6)
    FULL_STOP = -1  # a label of its own where it may end the answer: a comma does not
    start = (0, OUT)

    def __init__(self, wanted: Range, counted: WordsAs = "native", *, land: bool = False) -> None:
        self.wanted = wanted
        self.counted = counted
        self.zone: int | None = None
        if land and wanted.high:
            high = wanted.high
            self.zone = max(wanted.low, high - max(high // 4, min(8, high // 2)))

    def label(self, char: str) -> int | None:
        found = _word_label(char)
        if char == "." and self.zone is not None:
            return self.FULL_STOP
        if self.counted == "native" or found in (_Label.SPACE, _Label.STOP, _Label.CLOSER):
            return found
        if self.counted == "plain":
            return None if found in (_Label.UNDERSCORE, _Label.EAST) else found
        if self.counted == "sure":
            return _Label.LETTER if found == _Label.LETTER else _Label.OTHER
        return _Label.LETTER if self.counted == "split" or is_word(char) else _Label.OTHER

    def step(self, state: tuple[int, int], label: int) -> tuple[int, int] | None:
        number, place = state
        stop = label in (_Label.STOP, self.FULL_STOP)
        if place == self.LANDED:
            return state if stop or label == _Label.CLOSER else None
        label = _Label.POINT if label == self.FULL_STOP else label
        after = self._count(number, place, label)
        if stop and after and self.zone is not None and after[0] >= self.zone:
            return after[0], self.LANDED
        return after

    def _count(self, number: int, place: int, label: int) -> tuple[int, int] | None:
        if self.counted in ("native", "plain"):
            return self._native(number, place, label)
        if self.counted == "sure":
            fresh = place == self.OUT and label == _Label.LETTER
            return (
                (number, self.OUT)
                if label == _Label.SPACE
                else self._next(number, self.IN)
                if fresh
                else (number, self.IN)
            )
        apart = label == _Label.SPACE if self.counted == "split" else label != _Label.LETTER
        if apart:
            return number, self.OUT
        return (number, self.IN) if place == self.IN else self._next(number, self.IN)

    def _native(self, number: int, place: int, label: int) -> tuple[int, int] | None:
        inside = place in (self.IN, self.DIGITS)
        if label == _Label.EAST:
            return self._next(number, self.OUT)
        if label in (_Label.LETTER, _Label.DIGIT):
            kind = self.IN if label == _Label.LETTER else self.DIGITS
            joined = inside or place == self.JOINED or (place == self.POINTED and label == _Label.DIGIT)
            if self.counted == "plain" and place in (self.JOINED, self.POINTED):
                return None
            return (number, kind) if joined else self._next(number, kind)
        if inside and label in (_Label.JOINER, _Label.UNDERSCORE):
            return number, self.JOINED
        if place == self.DIGITS and label == _Label.POINT:
            return number, self.POINTED
        return number, self.OUT

    def _next(self, number: int, place: int) -> tuple[int, int] | None:
        following = self.wanted.after(number)
        return None if following is None else (following, place)

    def accepts(self, state: tuple[int, int]) -> bool:
        return self.wanted.holds(state[0])


class Characters(Piece[int, int]):
    """A number of characters. Answers begin and end without white space (`lines.Layout`), so all of them count."""

    start = 0

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> int:
        return 0

    def step(self, state: int, label: int) -> int | None:
        return self.wanted.after(state)

    def accepts(self, state: int) -> bool:
        return self.wanted.holds(state)


class Letters(Piece[int, bool]):
    """A character so many times, in any case."""

    start = 0

    def __init__(self, letter: str, wanted: Range) -> None:
        self.letter = letter.lower()
        self.wanted = wanted

    def label(self, char: str) -> bool | None:
        counted = self.letter in char.lower()
        return None if counted and self.wanted.high == 0 else counted

    def step(self, state: int, label: bool) -> int | None:
        return self.wanted.after(state) if label else state

    def accepts(self, state: int) -> bool:
        return self.wanted.holds(state)


class Capitals(Piece[tuple[int, str, int], str]):
    """So many words in capitals.

    With a lower bound such a word is two capitals or more between white space, which every way of counting takes for
    one ("made.OS" is none: a tokeniser leaves it whole). With an upper bound every run of capitals counts ("I" too;
    long ones twice, since a tokeniser sees two words in "CANNOT"), and words that mix ("McDonald", "B2B") are not
    written.

    States: (number, place, capitals in this run): place "out", "in" (a run of capitals), "mixed" (any other word).
    """

    start = (0, "out", 0)
    LONG = 5

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted
        self.limited = wanted.high is not None

    def label(self, char: str) -> str:
        if char.isalpha():
            return "capital" if char.isupper() else "small"
        if char.isdecimal():
            return "digit"
        if char in "'’-_":
            return "joiner"
        return "clear" if is_space(char) or (char in ".,;:!?" and not self.wanted.low) else "other"

    def step(self, state: tuple[int, str, int], label: str) -> tuple[int, str, int] | None:
        number, place, run = state
        if label == "capital":
            if place == "in":
                return number, "in", min(run + 1, self.LONG)
            return (number, "in", 1) if place == "out" else None if self.limited else (number, "mixed", 0)
        if label in ("small", "digit"):
            if self.limited and place == "in" and (run > 1 or label == "digit"):
                return None
            return number, "mixed", 0
        if self.limited and self.wanted.low and place == "in" and label != "clear":
            return None
        counted = self._closed(state, clear=label == "clear")
        apart = label == "clear" or (self.limited and not self.wanted.low and label == "other")
        return None if counted is None else (counted, "out" if apart else "mixed", 0)

    def _closed(self, state: tuple[int, str, int], *, clear: bool) -> int | None:
        """The number when the run ends here; None where it may not."""
        number, place, run = state
        if place != "in":
            return number
        if not self.limited:
            return self.wanted.after(number) if run > 1 and clear else number
        if self.wanted.low and run == 1:
            return None  # some count "I", some do not
        after = self.wanted.after(number)
        if after is not None and run >= self.LONG and not self.wanted.low:
            after = self.wanted.after(after)
        return after

    def accepts(self, state: tuple[int, str, int]) -> bool:
        number = self._closed(state, clear=True)
        return number is not None and self.wanted.holds(number)


class TitleCase(Piece[tuple[str, bool], str]):
    """Every word begins with a capital. States: where in a word, whether a word has begun with a letter."""

    start = ("out", False)

    def label(self, char: str) -> str:
        if char.isalpha():
            return "small" if char.islower() else "large"
        return "digit" if char.isdecimal() else "joiner" if char in "'’-_" else "other"

    def step(self, state: tuple[str, bool], label: str) -> tuple[str, bool] | None:
        place, seen = state
        if label == "small":
            return ("in", seen) if place == "in" else None
        if label in ("large", "digit"):
            return "in", seen or (label == "large" and place == "out")
        return "joined" if label == "joiner" else "out", seen

    def accepts(self, state: tuple[str, bool]) -> bool:
        return state[1]


@lru_cache(maxsize=1)
def _no_sentence_end() -> frozenset[str]:
    """The words behind which a full stop ends no sentence, or may end none: Punkt's abbreviations and collocations."""
    data: Any = import_module("punkt.data.english")
    words = {*data.ABBREV_TYPES, *(first for first, _ in data.COLLOCATIONS)}
    return frozenset(w for w in words if w.isalpha())


class Sentences(Piece[Any, str]):
    """A number of sentences, written so that Punkt and every reader agree on their ends.

    A sentence begins with a letter, behind "- ", quotation marks or emphasis at will, and ends with one full stop,
    question or exclamation mark behind a word of two letters or more that is no abbreviation. Nowhere else do these
    marks stand. A line may break inside it, but no blank line and nothing that looks like a list's mark may follow.

    States: (sentences, place, what of an abbreviation may still come). The last is the set of endings, which makes the
    automaton of all abbreviations as small as it can be.
    """

    start = (0, "start", None)

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> str | None:
        if char in ".!?":
            return "."
        if char in "…。！？؟۔।":
            return None
        if char in '-*"' or is_space(char):
            return char
        if char.isalpha():
            return char.lower() if char.lower() in "abcdefghijklmnopqrstuvwxyz" else "letter"
        return "digit" if char.isdecimal() else "open" if char in "<[“" else "quote" if char == "”" else "other"

    def step(self, state: Any, label: str) -> Any:
        number, place, rest = state
        if label == "letter" or (len(label) == 1 and label.isalpha()):
            return self._letter(number, place, rest, label)
        if place in ("start", "dash", "item", "broken"):
            return self._begin(number, place, label)
        if place == "end":
            return (number, "start", None) if is_space(label) else (state if label in ('"', "quote") else None)
        if label == ".":
            after = self.wanted.after(number)
            sure = place == "word" and "" not in rest
            return (after, "end", None) if sure and after is not None else None
        if label == "\n":
            return number, "broken", None
        return number, "odd" if label == "digit" else "gap", None

    def _letter(self, number: int, place: str, rest: Any, label: str) -> Any:
        if place in ("dash", "end"):
            return None
        if place == "odd":  # no sentence ends with a word that holds a digit
            return number, "odd", None
        inside = place in ("word", "letter")
        return number, "word" if inside else "letter", _derived(rest if inside else _no_sentence_end(), label)

    def _begin(self, number: int, place: str, label: str) -> Any:
        if label in ('"', "open") or (label == "*" and place != "broken"):
            return (number, place, None) if place != "dash" else None
        if label == "-" and place == "start":
            return number, "dash", None
        if label == " " and place == "dash":
            return number, "item", None
        return (number, "start", None) if label == "\n" and place == "start" else None

    def accepts(self, state: Any) -> bool:
        return state[1] == "end" and self.wanted.holds(state[0])


@lru_cache(maxsize=4096)
def _derived(words: frozenset[str], letter: str) -> frozenset[str]:
    return frozenset(w[1:] for w in words if w[:1] == letter)
