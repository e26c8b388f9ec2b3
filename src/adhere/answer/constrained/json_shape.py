"""JSON as a regular language: objects and arrays nested up to a bound.

JSON proper is not regular, since brackets nest without limit; answers nest two or three deep. Bounded, it is one more
piece among the others, so that "valid JSON, all lowercase, no commas in the text, with the keyword 'river'" is one
product like any other.
"""

from __future__ import annotations

from typing import Any

from adhere.answer.constrained.machine import Piece

__all__ = ["Json"]

_WORDS = ("true", "false", "null")
_NUMBERS = {
    # place: (label → next place); the places in `_COMPLETE` may end a number
    "-": {"0": "zero", "digit": "int"},
    "zero": {".": "point"},
    "int": {"0": "int", "digit": "int", ".": "point"},
    "point": {"0": "fraction", "digit": "fraction"},
    "fraction": {"0": "fraction", "digit": "fraction"},
}
_COMPLETE = ("zero", "int", "fraction")


class Json(Piece[Any, str]):
    """One object or array, not empty, nested at most `depth` deep; strings hold no escapes and no line ends.

    States: (open brackets, place, rest of a word). Places: "value" is wanted; "first" is wanted or an end may come;
    "key" is wanted; "in key", "in text"; "colon" is wanted; "after" a value; those of numbers; "word" (true, false).
    """

    def __init__(self, depth: int = 3) -> None:
        self.depth = depth
        self.start: Any = ("", "begin", "")

    def label(self, char: str) -> str | None:
        if char in '{}[]":,-.\n 0':
            return char
        if char == "\\":
            return None
        if char in "truefalsn":
            return char
        return "digit" if char in "123456789" else "x"

    def step(self, state: Any, label: str) -> Any:
        stack, place, rest = state
        if place in ("in key", "in text"):
            if label == '"':
                return stack, "colon" if place == "in key" else "after", ""
            return None if label == "\n" else state
        if place == "begin":
            return self._open(stack, label)
        if place == "word":
            if label != rest[0]:
                return None
            return (stack, "word", rest[1:]) if len(rest) > 1 else (stack, "after", "")
        if place in _NUMBERS:
            onward = _NUMBERS[place].get(label)
            if onward or place not in _COMPLETE:
                return (stack, onward, "") if onward else None
            place = "after"
        if label in " \n":
            return (stack, place, "") if stack else None
        return getattr(self, f"_{place}")(stack, label)

    def _open(self, stack: str, label: str) -> Any:
        if label not in ("{", "[") or len(stack) >= self.depth:
            return None
        return stack + label, "key" if label == "{" else "value", ""

    def _key(self, stack: str, label: str) -> Any:
        return (stack, "in key", "") if label == '"' else None

    def _colon(self, stack: str, label: str) -> Any:
        return (stack, "value", "") if label == ":" else None

    def _value(self, stack: str, label: str) -> Any:
        if label == '"':
            return stack, "in text", ""
        if label in "{[":
            return self._open(stack, label)
        if label in ("-", "0", "digit"):
            return stack, {"-": "-", "0": "zero", "digit": "int"}[label], ""
        word = next((w for w in _WORDS if w[0] == label), "")
        return (stack, "word", word[1:]) if word else None

    def _after(self, stack: str, label: str) -> Any:
        if not stack:
            return None
        if label == ",":
            return stack, "key" if stack[-1] == "{" else "value", ""
        closes = {"{": "}", "[": "]"}[stack[-1]]
        return (stack[:-1], "after", "") if label == closes else None

    def accepts(self, state: Any) -> bool:
        return state[1] == "after" and not state[0]
