"""Pieces about certain words and marks: how an answer begins and ends, what it must hold, what it may not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adhere.answer.constrained.alphabet import is_space, is_word
from adhere.answer.constrained.lengths import Range
from adhere.answer.constrained.machine import Piece

__all__ = [
    "Begins",
    "Bracketed",
    "Ends",
    "Except",
    "Highlighted",
    "NoLead",
    "Occurs",
    "OneOf",
    "Only",
    "Quoted",
    "Titled",
    "folded",
]


class Only(Piece[bool, bool]):
    """Nothing but some characters; with `letters`, at least one letter.

    Args:
        allowed: The characters.
        letters: Whether one of them has to be a letter.
    """

    def __init__(self, allowed: Iterable[str], *, letters: bool = False) -> None:
        self.allowed = frozenset(allowed)
        self.start = not letters

    def label(self, char: str) -> bool | None:
        return char.isalpha() if char in self.allowed else None

    def step(self, state: bool, label: bool) -> bool:
        return state or label

    def accepts(self, state: bool) -> bool:
        return state


class OneOf(Piece[frozenset[str], str]):
    """The answer is one of several texts. States: what may still follow."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.start = frozenset(texts)
        self._letters = frozenset("".join(self.start))

    def label(self, char: str) -> str | None:
        return char if char in self._letters else None

    def step(self, state: frozenset[str], label: str) -> frozenset[str] | None:
        return frozenset(text[1:] for text in state if text[:1] == label) or None

    def accepts(self, state: frozenset[str]) -> bool:
        return "" in state


class Begins(Piece[Any, str]):
    """The answer begins with a phrase, which no letter continues.

    Args:
        phrase: As it is to be written.
        wrapped: A quotation mark may stand before it.
        more: Something with a letter or digit must follow.

    States: letters that stand, or "behind" the phrase, "free", "said".
    """

    start = 0

    def __init__(self, phrase: str, *, wrapped: bool = True, more: bool = False) -> None:
        self.phrase = phrase
        self.wrapped = wrapped and phrase[0] != '"'
        self.more = more

    def label(self, char: str) -> str:
        if char in self.phrase or char == '"':
            return char
        return "word" if char.isalnum() else "joiner" if is_word(char) else "other"

    def step(self, state: Any, label: str) -> Any:
        word = label == "word" or (len(label) == 1 and label.isalnum())
        if state == 0 and label == '"' and self.wrapped:
            return 0.5  # behind the quotation mark
        if isinstance(state, int | float):
            at = int(state)
            if label != self.phrase[at]:
                return None
            return at + 1 if at + 1 < len(self.phrase) else "behind"
        if state == "behind" and is_word(self.phrase[-1]) and (word or label in ("joiner", "_")):
            return None
        return "said" if word or state == "said" else "free"

    def accepts(self, state: Any) -> bool:
        return state == "said" or (not self.more and state in ("behind", "free"))


class Ends(Piece[Any, str]):
    """The answer ends with a phrase that stands by itself; a closing quotation mark may follow.

    It comes behind a space, a line end, or at the very beginning. States: (what is before, the beginnings of the phrase
    that the text ends with); "before" is whether the phrase may begin here, or "closed" behind the quotation mark.
    """

    start = (True, frozenset())

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase

    def label(self, char: str) -> str:
        return char if char in self.phrase or is_space(char) or char == '"' else "other"

    def step(self, state: Any, label: str) -> Any:
        before, matched = state
        if label == '"' and len(self.phrase) in matched and self.phrase[-1] != '"':
            return "closed", frozenset()
        longer = {n + 1 for n in matched if n < len(self.phrase) and self.phrase[n] == label}
        if before is True and label == self.phrase[0]:
            longer.add(1)
        opened = label == '"' and before is True
        return is_space(label) or opened, frozenset(longer)

    def accepts(self, state: Any) -> bool:
        return state[0] == "closed" or len(self.phrase) in state[1]


def folded(char: str) -> str:
    """One character without its case; "ß" stays, which folds to two that no checker takes for it."""
    return next((form for form in (char.casefold(), char.lower()) if len(form) == 1), char)


class Occurs(Piece[Any, str]):
    """A word or phrase so many times, in any case, between any two words of it one stretch of white space.

    Args:
        phrase: What to find.
        wanted: How often.
        whole: Not inside a longer word; else anywhere, as some checkers look for it.

    States: (times, whether a match may begin here, the lengths of the phrase's beginnings that the text ends with).
    """

    start = (0, True, frozenset())

    def __init__(self, phrase: str, wanted: Range, *, whole: bool = True) -> None:
        # Where it may not occur, either apostrophe counts; where it must, only the one that every checker takes.
        self._apostrophes = "'’" if wanted.high is not None else "'"
        self.phrase = self._plain(" ".join(phrase.split()))
        self.wanted = wanted
        self.whole = whole

    def _plain(self, text: str) -> str:
        return "".join("'" if c in self._apostrophes else folded(c) for c in text)

    def label(self, char: str) -> str:
        if is_space(char):
            return " "
        small = self._plain(char)
        return small if small in self.phrase else "word" if is_word(char) else "other"

    def step(self, state: Any, label: str) -> Any:
        times, may_begin, matched = state
        word = label == "word" or (len(label) == 1 and is_word(label))
        if self.whole and len(self.phrase) in matched and not word:
            times, matched = self.wanted.after(times), frozenset()
            if times is None:
                return None
        longer = {n + 1 for n in matched if n < len(self.phrase) and self.phrase[n] == label}
        if label == " ":
            longer |= {n for n in matched if self.phrase[n - 1] == " "}
        if may_begin and label == self.phrase[0]:
            longer.add(1)
        if not self.whole and len(self.phrase) in longer:
            times = self.wanted.after(times)
            longer.discard(len(self.phrase))
            if times is None:
                return None
        return times, not (self.whole and word), frozenset(longer)

    def accepts(self, state: Any) -> bool:
        times, _, matched = state
        if self.whole and len(self.phrase) in matched:
            times = self.wanted.after(times)
        return times is not None and self.wanted.holds(times)


class Titled(Piece[str, str]):
    """A title in double angular brackets, once, alone on its line; the marks stand nowhere else.

    Args:
        first: The answer begins with it.
    """

    start = "begin"

    def __init__(self, *, first: bool) -> None:
        self.first = first

    def label(self, char: str) -> str:
        if char in "<>\n ":
            return char
        return "word" if char.isalnum() else '"' if char == '"' else "x"

    def step(self, state: str, label: str) -> str | None:
        if state in ("begin", "line"):
            if label == "<":
                return "<"
            if state == "begin" and self.first:
                return "begin" if label == '"' else None
        after = {
            ("<", "<"): "<<",
            ("<<", "word"): "title",
            ("title", ">"): ">",
            (">", ">"): "done",
        }.get((state, label))
        if after or state in ("<", "<<", ">"):
            return after
        if label in "<>" or (state == "title" and label == "\n"):
            return None
        if state in ("title", "behind"):
            return state
        if state == "done":
            return "behind" if label in ('"', "\n") else None
        return "line" if label == "\n" else "text"

    def accepts(self, state: str) -> bool:
        return state in ("done", "behind")


class Quoted(Piece[str, str]):
    """The whole answer between straight double quotation marks, which stand nowhere else."""

    start = "begin"

    def label(self, char: str) -> str | None:
        return None if char in "“”„«»" else char if char in '" \n' else "x"

    def step(self, state: str, label: str) -> str | None:
        if label == '"':
            return {"begin": "open", "inside": "closed"}.get(state)
        if state == "open":
            return "inside" if label == "x" else None
        return state if state == "inside" else None

    def accepts(self, state: str) -> bool:
        return state == "closed"


class Highlighted(Piece[Any, str]):
    """Pieces highlighted as *this* or **this**; asterisks stand nowhere else.

    States: (pieces, place, asterisks of the mark): place "edge" (a mark may begin), "inner" (inside a word), "opening",
    "within", "gap" (a space within), "closing", "closed", "rule" (a divider).
    """

    start = (0, "edge", 0)

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> str | None:
        if char in "`~":
            return None  # in a code block nothing is highlighted, some say
        return char if char in "*\n " else "word" if is_word(char) else "x"

    def step(self, state: Any, label: str) -> Any:
        number, place, marks = state
        if place == "opening":
            if label == "*":
                return number, place if marks == 1 else "rule", 2
            return (number, "within", marks) if label == "word" else None
        if place in ("within", "gap"):
            if label == "*":
                return None if place == "gap" else self._closing(number, marks)
            return None if label == "\n" else (number, "gap" if label == " " else "within", marks)
        if place == "rule":  # a line of three asterisks or more, which divides
            return (number, "edge", 0) if label == "\n" else state if label == "*" else None
        if place == "closing":
            return self._closed(number) if label == "*" else None
        if label == "*":
            return (number, "opening", 1) if place == "edge" else None
        if place == "closed" and label == "word":
            return None
        return number, "inner" if label == "word" else "edge", 0

    def _closing(self, number: int, marks: int) -> Any:
        return (number, "closing", 1) if marks == 2 else self._closed(number)

    def _closed(self, number: int) -> Any:
        after = self.wanted.after(number)
        return None if after is None else (after, "closed", 0)

    def accepts(self, state: Any) -> bool:
        return state[1] in ("edge", "inner", "closed") and self.wanted.holds(state[0])


class Bracketed(Piece[Any, str]):
    """Placeholders like [this]; square brackets stand nowhere else. States: (number, place)."""

    start = (0, "out")

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> str:
        return char if char in "[](\n " else "xmark" if char in "xX" else "word" if char.isalnum() else "x"

    def step(self, state: Any, label: str) -> Any:
        number, place = state
        if place == "opened":  # a letter or digit first, but no "x": [x] is a check box
            return (number, "in") if label == "word" else None
        if place == "in":
            if label == "]":
                after = self.wanted.after(number)
                return None if after is None else (after, "closed")
            return None if label in ("[", "\n") else state
        if label == "]" or (place == "closed" and label == "("):
            return None
        return number, "opened" if label == "[" else "out"

    def accepts(self, state: Any) -> bool:
        return state[1] in ("out", "closed") and self.wanted.holds(state[0])


class Except(Piece[int, int]):
    """No character of a set."""

    start = 0

    def __init__(self, banned: str) -> None:
        self.banned = frozenset(banned)

    def label(self, char: str) -> int | None:
        return None if char in self.banned else 0

    def step(self, state: int, label: int) -> int:
        return 0

    def accepts(self, state: int) -> bool:
        return True


class NoLead(Piece[bool, str]):
    """No line ends with a colon: upstream drops what comes before."""

    start = False

    def label(self, char: str) -> str:
        return char if char in ":\n" else "x"

    def step(self, state: bool, label: str) -> bool | None:
        return None if state and label == "\n" else label == ":"

    def accepts(self, state: bool) -> bool:
        return True
