"""What the rules of `plain` read: the text with its quirks evened out, its numbers, its quotations and its word lists.

Every regex here and in the rules runs in linear time: white space is collapsed first, so that no pattern needs an
unbounded run, and every gap between two parts of a pattern has an upper bound.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from adhere.constraints.plain.numbers import NUMBER, number
from adhere.records import Constraint

__all__ = ["Found", "Quantity", "Reading"]

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "`": "'"})
_SPACES = re.compile(r"\s+")

_MORE = r"more than|greater than|longer than|over|above|exceeding|in excess of|exceeds?|>"
_LESS = r"less than|fewer than|shorter than|under|below|<"
_LEAST = (
    r"at least|at the very least|(?:no|not) (?:less|fewer|shorter) than|(?:a |the )?minimum(?: of)?|min\.?|"
    r">=|≥|not under|not below|upwards of"
)
_MOST = (
    r"at most|at the most|(?:no|not|never) (?:more|longer|greater) than|(?:a |the )?maximum(?: of)?|max\.?|up to"
    r"|within|"
    r"<=|≤|not over|not above|(?:not|n't|never|not to|without) exceed(?:ing)?|(?:a )?limit of|limited to"
    r"|max(?:imum)? (?:length|size|word count)(?: of| is|:)?|capped at|cap (?:it|this|that) at|not to exceed"
)
# "Keep it to 3 sentences": a range stays a range, a number is the most.
_KEEP = r"(?:keep|limit|restrict|confine|trim|cut|shorten|condense|reduce|stick)(?: [\w-]{1,12}){0,4}? to"
_EXACT = r"exactly|precisely|just|only|a total of|not more and not less than|no more and no less than"
_ABOUT = r"about|around|approximately|approx\.?|roughly|some|circa|ca\.|close to|nearly|~|≈"
_QUANTITY = re.compile(
    rf"(?<![\w.$#-])(?:(?:(?P<keep>{_KEEP})|(?P<least>{_LEAST})|(?P<most>{_MOST})|(?P<more>{_MORE})"
    rf"|(?P<less>{_LESS})|(?P<exact>{_EXACT})"
    rf"|(?P<about>{_ABOUT})|(?P<between>(?:(?:in|within) the range (?:of|from) )?(?:between|from)"
    rf"|in the range of))\s?)?"
    rf"(?:(?P<times>once|twice|thrice)|(?P<a>{NUMBER})(?:(?P<plus>\+)|(?:\s?[-–—~]\s?|\s(?:to|and"
    rf"|or)\s)(?P<b>{NUMBER}))?)"
    r"(?![\w%]|\.\d)(?P<post>\sor (?:more|above|greater|over|less|fewer|under|below)|\sat (?:least|most))?",
    re.IGNORECASE,
)
# After the noun: "100 words or less", "3 bullets minimum".
_AFTER_NOUN = re.compile(
    r",?\s\(?(?:or (?P<more>more|above|longer)|or (?P<less>less|fewer|under|shorter)|at (?P<least>least)"
    r"|at (?P<most>most)"
    r"|(?P<min>minimum|min)|(?P<max>maximum|max|tops|limit|cap)|(?:or so|give or take)(?P<about>))\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not(?! forget| hesitate| only)|never(?! forget)|avoid(?:s|ing)?|without|refrains? from"
    r"|refraining from|cannot|neither|nothing|w/o|(?:do|does|should|must|ca)nt)\b|n't\b(?! forget| hesitate)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;:!?\n]|,\s|\b(?:and|but)\b", re.IGNORECASE)
_JOINT = re.compile(r",?\s(?:and|but)(?: also)?\s|,\s?", re.IGNORECASE)

How = Literal["bare", "exactly", "about", "bound"]


class Found(NamedTuple):
    """A constraint, and the stretch of the (evened out) text that asks for it."""

    start: int
    end: int
    constraint: Constraint


class Quantity(NamedTuple):
    """A count in words: `low` and `high` are inclusive, None where open. "bare" is a number with no comparison."""

    start: int
    end: int
    low: int | None
    high: int | None
    how: How
    times: bool = False

    @property
    def args(self) -> dict[str, Any]:
        """As the arguments of a native constraint."""
        if self.low is not None and self.low == self.high:
            return {"exactly": self.low}
        bounds = {"at_least": self.low, "at_most": self.high}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def roughly(self) -> Quantity:
        """Itself, ten per cent more or less allowed."""
        low = self.low or 0
        return self._replace(how="about", low=low * 9 // 10, high=-(-low * 11 // 10))

    def bounded(self, text: str) -> Quantity:
        """Itself, with what follows its noun taken into account: "100 words | or less"."""
        after = _AFTER_NOUN.match(text, self.end) if self.how == "bare" else None
        if not after:
            return self
        if after["about"] is not None and self.low is not None:
            return self._replace(end=after.end()).roughly()
        up = after["more"] or after["least"] or after["min"]
        return self._replace(end=after.end(), how="bound", low=self.low if up else None, high=None if up else self.high)


class Reading:
    """A text as the rules see it.

    Args:
        raw: What somebody wrote.
        wish: True for a wish, in which every word matters ("3 bullets"); False for a whole prompt, in which a bare
            number or a mention of French is more often part of the task.

    Attributes:
        text: The evened out text, which all positions refer to; `origin` leads back.
        quantities: Every "at least three" by where it begins.
        taken: The stretches that rules have understood, in order, without overlap.
    """

    def __init__(self, raw: str, *, wish: bool) -> None:
        self.raw = raw
        self.wish = wish
        self.text, self._shifts = _even_out(raw)
        self.quantities = {q.start: q for q in _join(list(self._read_quantities()), self.text)}
        self._starts = sorted(self.quantities)
        self.taken: list[tuple[int, int]] = []

    def find(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """The matches that no earlier rule has taken."""
        return (m for m in pattern.finditer(self.text) if self.free(*m.span()))

    def free(self, start: int, end: int) -> bool:
        """Whether no earlier rule has taken a part of that stretch."""
        index = bisect_left(self.taken, (end,))
        return index == 0 or self.taken[index - 1][1] <= start

    def at(self, position: int) -> Quantity | None:
        """The quantity that begins there."""
        return self.quantities.get(position)

    def near(self, start: int, end: int, *, times: bool = False) -> list[Quantity]:
        """The quantities that begin in that stretch and are not taken; `times` picks "twice" from "two"."""
        inside = self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, end)]
        return [q for q in map(self.quantities.__getitem__, inside) if q.times == times and self.free(q.start, q.end)]

    def found(self, start: int, end: int, kind: str, /, **args: Any) -> Found:
        """Take that stretch for a constraint."""
        self.take(start, end)
        return Found(start, end, Constraint(kind, args))

    def take(self, start: int, end: int) -> None:
        """Keep later rules away from that stretch; stretches do not overlap, hence stay sorted by their ends too."""
        if self.free(start, end):
            insort(self.taken, (start, end))

    def negated(self, position: int, reach: int = 45) -> bool:
        """Whether a "not", "avoid" or "without" of the same clause stands shortly before `position`."""
        before = self.text[max(0, position - reach) : position]
        clause = before[max((m.end() for m in re.finditer(r"[.;!?\n]|,\s|\bbut\b", before)), default=0) :]
        return bool(_NEGATION.search(clause))

    def quoted(self, position: int, reach: int = 500) -> bool:
        """Whether `position` stands inside double quotation marks that were opened on its line."""
        start = max(0, position - reach, self.text.rfind("\n", max(0, position - reach), position) + 1)
        return self.text.count('"', start, position) % 2 == 1

    def sentence(self, position: int, reach: int = 300) -> tuple[int, int]:
        """Where the sentence around `position` begins and ends, looking at most `reach` characters each way."""
        start = max(0, position - reach)
        begin = max((m.end() for m in _SENTENCE_END.finditer(self.text, start, position)), default=start)
        end = _SENTENCE_END.search(self.text, position, position + reach)
        return begin, end.start() + 1 if end else min(len(self.text), position + reach)

    def origin(self, position: int) -> int:
        """Where a position of `text` lies in `raw`."""
        index = bisect_right(self._shifts, (position, len(self.raw))) - 1
        return position + self._shifts[index][1] if index >= 0 else position

    def _read_quantities(self) -> Iterator[Quantity]:
        position = 0
        while match := _QUANTITY.search(self.text, position):
            quantity = _read(match, self._flips(match.start()))
            yield quantity
            position = quantity.end

    def _flips(self, position: int) -> bool:
        """Whether "more than 30" means at most 30, as in "I don't want anything longer than 30 words"."""
        before = self.text[max(0, position - 40) : position]
        clause = before[max((m.end() for m in _CLAUSE_END.finditer(before)), default=0) :]
        return bool(_NEGATION.search(clause))


_SENTENCE_END = re.compile(r"[.!?](?=\s|\"|$)|\n")


def _even_out(raw: str) -> tuple[str, list[tuple[int, int]]]:
    """Straight quotes, and one space (or one newline, where there was any) for each run of white space.

    Returns the text and the points from which on a position is shifted, as (position, shift).
    """
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = []
    length = end = 0
    for run in _SPACES.finditer(raw):
        piece = raw[end : run.start()]
        pieces += (piece, "\n" if "\n" in run.group() else " ")
        length += len(piece) + 1
        end = run.end()
        if len(run.group()) > 1:
            shifts.append((length, end - length))
    pieces.append(raw[end:])
    return "".join(pieces).translate(_QUOTES), shifts


def _read(match: re.Match[str], flips: bool) -> Quantity:
    """The quantity that a match of `_QUANTITY` stands for."""
    start, end = match.span()
    if match["times"]:
        low = {"once": 1, "twice": 2, "thrice": 3}[match["times"].lower()]
    else:
        low = number(match["a"])
    high: int | None = low
    if match["b"]:
        return _read_range(match, low, number(match["b"]))
    how: How = "bound"
    post = (match["post"] or "").lower()
    if match["least"] or match["plus"] or post.endswith(("more", "above", "greater", "over", "least")):
        high = None
    elif match["most"] or match["keep"] or post:
        low = None
    elif match["more"]:
        low, high = (None, low) if flips else (low + 1, None)
    elif match["less"]:
        low, high = (low, None) if flips else (None, max(low - 1, 0))
    elif match["about"]:
        low, high, how = low * 9 // 10, -(-low * 11 // 10), "about"
    else:
        how = "exactly" if match["exact"] else "bare"
    return Quantity(start, end, low, high, how, bool(match["times"]))


def _read_range(match: re.Match[str], low: int, high: int) -> Quantity:
    """ "20 to 25", "between 2 and 4", "6 or 7"; but in "at least 3 and 4 …" the second number is not ours."""
    joint = match.string[match.end("a") : match.start("b")].strip().lower()
    joined = match["between"] or match["keep"] or joint not in ("and", "or") or (joint == "or" and high == low + 1)
    if joined and low < high and not (match["least"] or match["most"] or match["more"] or match["less"]):
        return Quantity(match.start(), match.end("b"), low, high, "bound")
    alone = _QUANTITY.match(match.string, match.start(), match.end("a"))
    return _read(alone, False) if alone else Quantity(match.start(), match.end("a"), low, low, "bare")


def _join(quantities: list[Quantity], text: str) -> Iterator[Quantity]:
    """ "At least 100 but at most 200" is one quantity."""
    waiting: Quantity | None = None
    for new in quantities:
        if waiting and (joint := _JOINT.match(text, waiting.end)) and joint.end() == new.start:
            lows, highs = (waiting.low, new.low), (waiting.high, new.high)
            if lows.count(None) == highs.count(None) == 1 and new.how == waiting.how == "bound":
                low, high = max(x for x in lows if x is not None), min(x for x in highs if x is not None)
                if low <= high:
                    waiting = Quantity(waiting.start, new.end, low, high, "bound", waiting.times or new.times)
                    continue
        if waiting:
            yield waiting
        waiting = new
    if waiting:
        yield waiting
