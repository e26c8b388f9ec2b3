"""IFEval's forms: JSON, a title, two responses, the repeated prompt, beginnings and ends, no comma.

Each repeats the reference's verdict; the comment beside a defect says what it is.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any, Self

from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.combination import RepeatPrompt, SeveralResponses
from adhere.constraints.ifeval.base import KINDS, Fixed, Published
from adhere.constraints.punctuation import NoCommas
from adhere.constraints.ranged import MAX_SPANS, plural
from adhere.constraints.startend import EndsWith
from adhere.constraints.structure import Json, Quoted, Title
from adhere.constraints.text import shorten
from adhere.records import Score, Span

_PAPER = "ifeval"


_FENCES = ("```json", "```Json", "```JSON", "```")


@constraint("detectable_format:json_format", family="format", paper=_PAPER)
class JsonFormat(Published, frozen=True):
    """What Python reads as JSON, bare numbers and NaN included, with at most one code fence around it."""

    asks = Json.asks
    excludes = KINDS - {"keywords:forbidden_words", "keywords:existence"}

    def check(self, text: str | Text) -> Score:
        value = Text.of(text).stripped
        for fence in _FENCES:
            value = value.removeprefix(fence)
        value = value.removesuffix("```").strip()
        try:
            made: Any = json.loads(value)
        except json.JSONDecodeError as error:
            return self.verdict(False, f"not JSON: {error.msg} at character {error.pos} of what the fence holds")
        except (ValueError, RecursionError) as error:
            # The reference does not catch RecursionError: it would crash where this fails.
            return self.verdict(False, f"not JSON: {type(error).__name__}")
        return self.verdict(True, f"Python reads it as JSON: {type(made).__name__}")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Json())


_TITLE = re.compile(r"<<[^\n]+>>")


@constraint("detectable_format:title", family="format", paper=_PAPER)
class PublishedTitle(Published, frozen=True):
    """Something between << and >> on one line; of several on one line, the first opening to the last closing."""

    asks = Title.asks

    def check(self, text: str | Text) -> Score:
        offset = 0
        for line in Text.of(text).lines:
            start, end = line.find("<<"), line.rfind(">>")
            # `[^\n]+` wants one character at least between the marks.
            if start >= 0 and end > start + 2:
                inside = line[start : end + 2].lstrip("<").rstrip(">").strip()
                if inside:
                    span = Span(offset + start, offset + end + 2, "satisfies")
                    return self.verdict(True, f"the title is {shorten(inside)}", [span])
            offset += len(line) + 1
        return self.verdict(False, "no title in double angular brackets, such as <<title>>")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Title())


@constraint("combination:two_responses", family="combination", paper=_PAPER)
class TwoResponses(Published, frozen=True):
    """Two different pieces between `******`; a blank piece may stand at either end but not in the middle."""

    asks = (
        "Give two different responses. Responses and only responses should be separated by 6 asterisk symbols: ******.",
        "Write two different responses with ****** between them.",
        "I want two different answers, separated by six asterisks (******).",
    )
    excludes = KINDS - {"keywords:forbidden_words", "keywords:existence", "language:response_language",
                        "detectable_format:title", "punctuation:no_comma"}  # fmt: skip

    def check(self, text: str | Text) -> Score:
        pieces = [piece.strip() for piece in Text.of(text).raw.split("******")]
        if not all(pieces[1:-1]):
            return self.verdict(False, "a response in the middle is blank")
        filled = [piece for piece in pieces if piece]
        if len(filled) != 2:
            return self.verdict(False, f"{plural(len(filled), ('response', 'responses'))}, exactly 2 wanted")
        same = filled[0] == filled[1]
        return self.verdict(not same, "both responses are the same" if same else "two different responses")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=SeveralResponses())


@constraint("combination:repeat_prompt", family="combination", paper=_PAPER)
class RepeatThenAnswer(Checker, frozen=True, kw_only=True):
    """The answer begins with the prompt, in any case; that an answer follows is not checked."""

    prompt_to_repeat: str

    excludes = KINDS - {"keywords:existence", "detectable_format:title", "punctuation:no_comma"}

    def __post_init__(self) -> None:
        if not self.prompt_to_repeat:
            raise ValueError("prompt_to_repeat must be set")

    def passes(self, text: str | Text) -> bool:
        return Text.of(text).stripped.lower().startswith(self.prompt_to_repeat.strip().lower())

    def check(self, text: str | Text) -> Score:
        raw = Text.of(text).raw
        if not self.passes(text):
            return self.verdict(False, f"the answer does not begin by repeating {shorten(self.prompt_to_repeat)}")
        start = len(raw) - len(raw.lstrip())
        end = min(len(raw), start + len(self.prompt_to_repeat.strip()))
        spans = [Span(start, end, "satisfies")] if start < end else []
        return self.verdict(True, "the answer begins by repeating the request", spans)

    def describe(self, rng: random.Random) -> str:
        forms = (
            "First repeat the request word for word without change, then give your answer (1. do not say any words or "
            "characters before repeating the request; 2. the request you need to repeat does not include this "
            "sentence): {}",
            "Before you answer, repeat this request word for word: {}",
            "Start by repeating the following without change, then answer it: {}",
        )
        return rng.choice(forms).format(self.prompt_to_repeat)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(prompt_to_repeat=RepeatPrompt.sample(rng).prompt)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=RepeatPrompt(prompt=self.prompt_to_repeat))


@constraint("startend:end_checker", family="startend", paper=_PAPER)
class EndChecker(Checker, frozen=True, kw_only=True):
    """The answer, straight double quotation marks stripped, ends with the phrase in any case, inside a word too."""

    end_phrase: str

    def passes(self, text: str | Text) -> bool:
        return self._ending(Text.of(text)).lower().endswith(self.end_phrase.strip().lower())

    def _ending(self, text: Text) -> str:
        """The last characters, enough of them for the phrase (lower-casing can lengthen a text threefold)."""
        return text.stripped.strip('"')[-3 * len(self.end_phrase) - 3 :]

    def check(self, text: str | Text) -> Score:
        text = Text.of(text)
        passed = self.passes(text)
        end = len(text.raw.rstrip()) - (len(text.stripped) - len(text.stripped.rstrip('"')))
        start = max(0, end - len(self.end_phrase.strip()))
        spans = [Span(start, end, "satisfies" if passed else "violates")] if start < end else []
        seen = shorten(text.raw[start:end]) if start < end else "nothing"
        return self.verdict(passed, f"the answer ends with {seen}; it must end with {shorten(self.end_phrase)}", spans)

    def describe(self, rng: random.Random) -> str:
        forms = (
            "Finish your response with this exact phrase {}. No other words should follow this phrase.",
            'End with "{}" and nothing else.',
            'The very last phrase of your answer should be "{}"',
        )
        return rng.choice(forms).format(self.end_phrase)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(end_phrase=EndsWith.sample(rng).phrase)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=EndsWith(phrase=self.end_phrase))


@constraint("startend:quotation", family="startend", paper=_PAPER)
class Quotation(Published, frozen=True):
    """Straight double quotation marks at both ends, with or without anything between them."""

    asks = Quoted.asks
    excludes = frozenset({"startend:quotation", "detectable_format:title"})

    def check(self, text: str | Text) -> Score:
        value = Text.of(text).stripped
        passed = len(value) > 1 and value[0] == value[-1] == '"'
        stands = "stands" if passed else "does not stand"
        return self.verdict(passed, f"the answer {stands} in straight double quotation marks")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Quoted())


@constraint("punctuation:no_comma", family="punctuation", paper=_PAPER)
class NoComma(Published, frozen=True):
    """No ASCII comma."""

    asks = NoCommas.asks

    def passes(self, text: str | Text) -> bool:
        return "," not in Text.of(text).raw

    def check(self, text: str | Text) -> Score:
        raw = Text.of(text).raw
        spans: list[Span] = []
        at = raw.find(",")
        while at >= 0 and len(spans) < MAX_SPANS:
            spans.append(Span(at, at + 1))
            at = raw.find(",", at + 1)
        return self.verdict(not spans, f"{plural(raw.count(','), ('comma', 'commas'))}, none wanted", spans)

    def fixed(self) -> Checker:
        return Fixed(original=self, native=NoCommas())
