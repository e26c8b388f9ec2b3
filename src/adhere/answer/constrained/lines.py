"""Pieces that see an answer as lines: its layout, paragraphs, list items, dividers, sections, a postscript."""

from __future__ import annotations

from typing import Any, Literal

from adhere.answer.constrained.lengths import Range
from adhere.answer.constrained.machine import Piece

__all__ = ["Divided", "Items", "Layout", "Lines", "NthParagraph", "Paragraphs", "Postscript", "Sections"]


class Layout(Piece[str, str]):
    """What every answer keeps to: no white space at its ends, single spaces, no more than one blank line in a row.

    The other pieces rely on it: the only blank line is the second of two line ends, and with `indented=False` no line
    begins with a space. White space is also what a model loops in; here it cannot.
    """

    start = "start"

    def __init__(self, *, indented: bool = True) -> None:
        self.indented = indented

    def label(self, char: str) -> str:
        return char if char in " \n" else "x"

    def step(self, state: str, label: str) -> str | None:
        if label == "x":
            return "text"
        if label == "\n":
            return {"text": "line", "line": "blank"}.get(state)
        if state == "text":
            return "space"
        return "indent" if self.indented and state in ("line", "blank", "indent") else None

    def accepts(self, state: str) -> bool:
        return state == "text"


class Lines(Piece[tuple[int, bool], str]):
    """A number of lines that are not blank."""

    start = (0, True)

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> str:
        return char if char in " \n" else "x"

    def step(self, state: tuple[int, bool], label: str) -> tuple[int, bool] | None:
        number, fresh = state
        if label == "\n":
            return number, True
        if not fresh or label == " ":
            return state
        after = self.wanted.after(number)
        return None if after is None else (after, False)

    def accepts(self, state: tuple[int, bool]) -> bool:
        return self.wanted.holds(state[0])


class Paragraphs(Piece[tuple[int, int], str]):
    """A number of paragraphs, a blank line between them. States: (paragraphs so far, line ends just now)."""

    start = (0, 2)

    def __init__(self, wanted: Range) -> None:
        self.wanted = wanted

    def label(self, char: str) -> str:
        return char if char in " \n" else "x"

    def step(self, state: tuple[int, int], label: str) -> tuple[int, int] | None:
        number, ends = state
        if label == "\n":
            return number, min(2, ends + 1)
        if ends < 2 or label == " ":
            return number, ends if label == " " else 0
        after = self.wanted.after(number)
        return None if after is None else (after, 0)

    def accepts(self, state: tuple[int, int]) -> bool:
        return self.wanted.holds(state[0])


class NthParagraph(Piece[tuple[int, Any], str]):
    """The n-th paragraph begins with a phrase, and no word is longer for it; `total` paragraphs where given.

    States: (paragraph, place): place is the number of letters of the phrase that stand, or "end" right behind them,
    "text", "line", "gap" between paragraphs, "quoted" (a quotation mark stands before the phrase).
    """

    def __init__(self, n: int, phrase: str, total: int | None) -> None:
        self.n = n
        self.phrase = phrase
        self.wanted = Range(total, total) if total else Range(n, None)
        self.start = (0, "gap")

    def label(self, char: str) -> str:
        if char == "\n":
            return char
        return f"p{char}" if char in self.phrase else "edge" if char in " .,?!" else '"' if char == '"' else "other"

    def step(self, state: tuple[int, Any], label: str) -> tuple[int, Any] | None:
        number, place = state
        char = label[1:] if label[0] == "p" else ""
        if isinstance(place, int):
            if char != self.phrase[place]:
                return None
            return number, place + 1 if place + 1 < len(self.phrase) else "end"
        if label == "\n":
            return (number, "gap" if place == "line" else "line") if place != "quoted" else None
        if place == "end" and not (label == "edge" or char in (" ", ".", ",", "?", "!")):
            return None
        if place not in ("gap", "quoted"):
            return number, "text"
        # Counting may stop at n, and then no later paragraph is taken for the n-th again.
        after = self.wanted.after(number)
        if after is None or not number < self.n <= after:
            return None if after is None else (after, "text")
        if label == '"' and place == "gap":
            return number, "quoted"
        if char != self.phrase[0]:
            return None
        return after, 1 if len(self.phrase) > 1 else "end"

    def accepts(self, state: tuple[int, Any]) -> bool:
        return self.wanted.holds(state[0]) and state[1] in ("end", "text")


class Items(Piece[tuple[int, str], str]):
    """A number of list items or headings: lines that begin with a mark, a space and a letter or digit.

    Args:
        kind: "bullet" ("- " or "* "), "number" ("1. ", "2. ", … in order) or "heading" ("# " to "### ").
        wanted: How many.

    No other line begins like one of the kind in anybody's eyes, and none like a quotation or a code fence, in which
    some checkers look for items and some do not.

    States: (items, place): "fresh" at the beginning of a line, "text", or how far the mark has come.
    """

    start = (0, "fresh")

    def __init__(self, kind: Literal["bullet", "number", "heading"], wanted: Range) -> None:
        self.kind = kind
        self.wanted = wanted

    def label(self, char: str) -> str:
        if char.isdecimal() or char in "\n-*#. )":
            return char
        if self.kind == "bullet" and char in "+•–":
            return "bad"
        return "fence" if char in ">`~" else "word" if char.isalpha() else "x"

    def step(self, state: tuple[int, str], label: str) -> tuple[int, str] | None:
        number, place = state
        if place == "text":
            return number, "fresh" if label == "\n" else "text"
        if place == "fresh":
            return self._fresh(number, label)
        if place == "mark":  # the space behind it is there
            starts = label == "word" or label.isdecimal()
            return (number, "text") if starts else None
        return getattr(self, f"_{self.kind}")(number, place, label)

    def _fresh(self, number: int, label: str) -> tuple[int, str] | None:
        if label == "\n":
            return number, "fresh"
        if label in ("fence", "bad", " "):
            return None
        if self.kind == "number" and label.isdecimal():
            return self._digits(number, "=", label)
        begins = {"bullet": label in "-*", "number": False, "heading": label == "#"}[self.kind]
        return number, label if begins else "text"

    def _counted(self, number: int) -> tuple[int, str] | None:
        after = self.wanted.after(number)
        return None if after is None else (after, "mark")

    def _bullet(self, number: int, place: str, label: str) -> tuple[int, str] | None:
        if label == " " and place in ("-", "*"):
            return self._counted(number)
        if place in ("*", "**") and label == "*":
            return number, "**"
        # "**bold" may begin a line, and "***" be one; "-5" and "---" some count as bullets.
        return {"word": (number, "text"), "\n": (number, "fresh")}.get(label) if place == "**" else None

    def _number(self, number: int, place: str, label: str) -> tuple[int, str] | None:
        """The place is "=" (as the next number in order) or "~", and the digits so far or, for "~", how many."""
        if label == "\n":
            return number, "fresh"
        if label.isdecimal() and place[-1] != ".":
            return self._digits(number, place, label)
        if label == "." and place[-1] != ".":
            return number, ("=." if place == f"={number + 1}" else "~.")
        if label == " " and place[-1] == ".":
            return self._counted(number) if place == "=." else None
        return None if label == ")" else (number, "text")

    def _digits(self, number: int, place: str, label: str) -> tuple[int, str] | None:
        longer = place + label
        if f"={number + 1}".startswith(longer):
            return number, longer
        many = len(place) if place[0] == "=" else int(place[1:]) + 1
        return (number, f"~{many}") if many <= 4 else None

    def _heading(self, number: int, place: str, label: str) -> tuple[int, str] | None:
        if label == " ":
            return self._counted(number)
        return (number, place + "#") if label == "#" and len(place) < 3 else None

    def accepts(self, state: tuple[int, str]) -> bool:
        return self.wanted.holds(state[0]) and state[1] == "text"


class Divided(Piece[tuple[int, Any, int], str]):
    """Pieces between lines that hold nothing but a divider; nowhere else does the divider stand.

    Args:
        divider: Without spaces around it.
        wanted: How many pieces.
        head: What each piece begins with, `{i}` its number: "Response {i}:" makes sure that no two are the same.

    States: (pieces, place, letters of the divider that stand): place is "fresh" (the piece is still blank), "text",
    "line" (a new line of a piece), "divider" (inside one), "behind" it, "headed" (behind the head), or the number of
    letters of the head.
    """

    def __init__(self, divider: str, wanted: Range, head: str = "") -> None:
        self.divider = divider
        self.wanted = wanted
        self.head = head
        self.start = (1, "fresh", 0)
        # Of asterisks two may stand in a text, for emphasis: a model that was shown a row of them writes rows of them.
        self._most = min(3, len(divider)) if len(set(divider)) == 1 else len(divider)

    def label(self, char: str) -> str:
        return char if char in self.divider or char in self.head or char in "\n " or char.isdecimal() else "other"

    def _matched(self, matched: int, label: str) -> int:
        """Letters of the divider that the text ends with, after one more character."""
        seen = self.divider[:matched] + (label if len(label) == 1 else "\0")
        return next((n for n in range(min(len(seen), len(self.divider)), 0, -1) if seen.endswith(self.divider[:n])), 0)

    def step(self, state: tuple[int, Any, int], label: str) -> tuple[int, Any, int] | None:
        number, place, matched = state
        head = self.head.replace("{i}", str(number))
        if place == "divider":
            if matched == len(self.divider):
                if label != "\n":
                    return None
                after = self.wanted.after(number)
                return None if after is None else (after, "behind", 0)
            if label == self.divider[matched]:
                return number, "divider", matched + 1
            return (number, "text", self._matched(matched, label)) if label != "\n" else None
        if label == "\n":
            place = {"text": "line", "line": "line", "behind": "fresh", "headed": "headed"}.get(place)
            return None if place is None else (number, place, 0)
        if place in ("fresh", "behind") and head:
            place = 0
        if isinstance(place, int):
            if label != head[place]:
                return None
            return number, place + 1 if place + 1 < len(head) else "headed", 0
        if place == "line" and label == self.divider[0]:
            return number, "divider", 1
        if label == " ":
            return number, place, 0
        matched = self._matched(matched, label)
        return None if matched == self._most else (number, "text", matched)

    def accepts(self, state: tuple[int, Any, int]) -> bool:
        return state[1] == "text" and self.wanted.holds(state[0])


class Sections(Piece[tuple[int, str, int], str]):
    """Sections that open with a line "SECTION 1", "SECTION 2", …, the first of which begins the answer.

    Where there is an upper bound the marker stands nowhere else; where there is none, two sections more than the lower
    bound may come.

    States: (sections, place, letters of the marker that stand): place "fresh", "text", "opening", "number".
    """

    def __init__(self, marker: str, wanted: Range) -> None:
        self.marker = marker
        self.wanted = wanted
        self.start = (0, "fresh", 0)

    def label(self, char: str) -> str:
        return char if char in self.marker or char in ' \n:."' or char.isdecimal() else "other"

    def step(self, state: tuple[int, str, int], label: str) -> tuple[int, str, int] | None:
        number, place, at = state
        opening = f"{self.marker} {number + 1}"
        top = max(self.wanted.low, 1) + 2 if self.wanted.high is None else self.wanted.high
        if place == "fresh" and label == '"':
            return state
        if place == "fresh" and number == 0 and label != opening[0]:
            return None
        if place == "fresh" and label == opening[0] and number < top:
            return number, "opening", 1
        if place == "opening":
            if label == opening[at]:
                done = at + 1 == len(opening)
                return (number + 1, "number", 0) if done else (number, "opening", at + 1)
            # The number of sections is known until the marker is whole; then it must go on as an opening.
            if number == 0 or at >= len(self.marker):
                return None
        if place == "number" and label not in ("\n", ":", "."):
            return None
        if self.wanted.high is not None:
            seen = (self.marker[:at] if place in ("text", "opening") else "") + (label if len(label) == 1 else "\0")
            at = next((n for n in range(len(seen), 0, -1) if self.marker.startswith(seen[-n:])), 0)
            if at == len(self.marker):
                return None
        else:
            at = 0
        return (number, "fresh", 0) if label == "\n" else (number, "text", at)

    def accepts(self, state: tuple[int, str, int]) -> bool:
        return state[1] == "text" and self.wanted.holds(state[0])


class Postscript(Piece[Any, str]):
    """Behind a blank line a last part that begins with the marker and holds a word.

    States: the number of letters of the marker that stand at the beginning of a line, or "first" (no text yet),
    "text", "line", "blank", "wrapped" (a line begins with quotation marks or emphasis), "marked" (the marker stands),
    "spaced" (the space behind it too), "said".
    """

    start = "first"

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def label(self, char: str) -> str:
        if char in "\n ":
            return char
        if char.casefold() in self.marker.casefold():
            return f"p{char}"
        return "wrap" if char in '*_>"“(' else "word" if char.isalpha() else "other"

    def step(self, state: Any, label: str) -> Any:
        char = label[1:] if label[0] == "p" else label
        if isinstance(state, int):
            return self._inside(state, char)
        if state == "said":
            return "said"
        if state == "marked":
            return "spaced" if label == " " else None
        if state == "spaced":
            return "said" if label == "word" or (len(char) == 1 and char.isalpha()) else None
        if label == "\n":
            return "blank" if state == "line" else "line"
        if state not in ("line", "blank", "wrapped"):
            return "text"
        if label in ("wrap", " "):
            return "wrapped"
        if char.casefold() != self.marker[0].casefold():
            return "text"
        # Whatever else begins like the marker, some would take for it.
        if state != "blank" or char != self.marker[0]:
            return None
        return 1 if len(self.marker) > 1 else "marked"

    def _inside(self, at: int, char: str) -> Any:
        """In the marker, which need not be gone on with, but not in another case either."""
        if char == self.marker[at]:
            return at + 1 if at + 1 < len(self.marker) else "marked"
        if char.casefold() == self.marker[at].casefold():
            return None
        return "line" if char == "\n" else "text"

    def accepts(self, state: Any) -> bool:
        return state == "said"
