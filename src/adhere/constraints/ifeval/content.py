"""IFEval's demands on content: a postscript, one of three answers, a paragraph's first word.

Each repeats the reference's verdict; the comment beside a defect says what it is.
"""

from __future__ import annotations

import random
import re
from typing import Self

from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.content import NthParagraph, Options, Postscript
from adhere.constraints.ifeval.base import KINDS, Fixed, Published, check_number
from adhere.constraints.ifeval.keywords import Expressions
from adhere.constraints.keywords import SAMPLE_WORDS
from adhere.constraints.ranged import plural
from adhere.constraints.text import shorten
from adhere.constraints.user_regex import UserRegex, user_regex
from adhere.records import Score, Span

_PAPER = "ifeval"


@constraint("detectable_content:postscript", family="content", paper=_PAPER)
class PublishedPostscript(Expressions, frozen=True, kw_only=True):
    """The marker, anywhere, in any case; "P.S." and "P.P.S" with a space between at will, others as expressions."""

    postscript_marker: str

    def __post_init__(self) -> None:
        if not self.postscript_marker.strip():
            raise ValueError("postscript_marker must not be blank")

    def _all(self) -> tuple[UserRegex, ...]:
        marker = self.postscript_marker.strip()
        known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(marker)
        if known:
            return (user_regex(known, flags=re.MULTILINE),)
        # The reference puts `\s*` in front, at quadratic cost and to no effect but where the marker begins with "*".
        before = r"\s*" if marker[0] in "*+?{" else ""
        return (user_regex(marker.lower(), before, r".*$", re.MULTILINE),)

    def _decide(self, text: Text) -> bool:
        return self._all()[0].found(Text(text.lower))

    def _explain(self, text: Text) -> Score:
        marker = shorten(self.postscript_marker)
        if not self._decide(text):
            return self.verdict(False, f"{marker} does not occur")
        # Offsets of the lower-cased text are those of the text, unless a letter grew (Turkish dotted I).
        same = len(text.lower) == len(text.raw)
        places = self._all()[0].places(Text(text.lower), 1) if same else []
        return self.verdict(True, f"{marker} occurs", [Span(*place, "satisfies") for place in places])

    def describe(self, rng: random.Random) -> str:
        forms = (
            "At the end of your response, please explicitly add a postscript starting with {}",
            "Please add a postscript starting with {} at the end.",
            "Finish with a postscript that begins with {}",
        )
        return rng.choice(forms).format(self.postscript_marker)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        return cls(postscript_marker=rng.choice(("P.S.", "P.P.S")))

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Postscript(marker=self.postscript_marker))


OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


@constraint("detectable_format:constrained_response", family="content", paper=_PAPER)
class ConstrainedResponse(Published, frozen=True):
    """One of three sentences occurs; case matters, further text does not, and several pass too."""

    asks = (
        "Answer with one of the following options: ('My answer is yes.', 'My answer is no.', 'My answer is maybe.')",
        'Answer with exactly one of these phrases: "My answer is yes.", "My answer is no.", "My answer is maybe."',
        'Choose from: "My answer is yes.", "My answer is no.", "My answer is maybe."',
    )
    excludes = KINDS

    def check(self, text: str | Text) -> Score:
        raw = Text.of(text).raw
        for option in OPTIONS:
            at = raw.find(option)
            if at >= 0:
                return self.verdict(True, f"{shorten(option)} occurs", [Span(at, at + len(option), "satisfies")])
        return self.verdict(False, f"no option occurs, one of {', '.join(map(shorten, OPTIONS))} wanted")

    def fixed(self) -> Checker:
        return Fixed(original=self, native=Options(options=OPTIONS))


@constraint("length_constraints:nth_paragraph_first_word", family="content", paper=_PAPER)
class NthParagraphFirstWord(Checker, frozen=True, kw_only=True):
    """So many paragraphs, and the n-th piece between double line ends begins with a word.

    The defect: blank pieces do not count as paragraphs but do count for n.
    """

    num_paragraphs: int
    nth_paragraph: int
    first_word: str

    excludes = frozenset({"length_constraints:nth_paragraph_first_word", "length_constraints:number_paragraphs"})

    def __post_init__(self) -> None:
        check_number(self.num_paragraphs, "num_paragraphs")
        if not 1 <= self.nth_paragraph <= self.num_paragraphs:
            raise ValueError(f"nth_paragraph must lie between 1 and {self.num_paragraphs}, not be {self.nth_paragraph}")

    def check(self, text: str | Text) -> Score:
        raw = Text.of(text).raw
        pieces = raw.split("\n\n")
        filled = sum(not (piece.isspace() or not piece) for piece in pieces)
        noun = ("paragraph", "paragraphs")
        if filled != self.num_paragraphs:
            return self.verdict(False, f"{plural(filled, noun)}, exactly {self.num_paragraphs} wanted")
        piece = pieces[self.nth_paragraph - 1]
        wanted = f"piece {self.nth_paragraph} must begin with {shorten(self.first_word)}"
        if not piece.strip():
            return self.verdict(False, f"it is blank; {wanted}")
        word = piece.split(maxsplit=1)[0]
        start = sum(len(p) + 2 for p in pieces[: self.nth_paragraph - 1]) + len(piece) - len(piece.lstrip())
        passed = _bare(word) == self.first_word.lower()
        span = Span(start, start + len(word), "satisfies" if passed else "violates")
        return self.verdict(passed, f"it begins with {shorten(_bare(word))}; {wanted}", [span])

    def describe(self, rng: random.Random) -> str:
        forms = (
            "There should be {n}. Paragraphs and only paragraphs are separated with each other by two new lines as if "
            "it was '\\n\\n' in python. Paragraph {nth} must start with word {word}.",
            "Write {n} with a blank line between them. Paragraph {nth} must start with the word {word}.",
            "Answer in {n}, separated by two new lines; the first word of paragraph {nth} should be {word}.",
        )
        count = plural(self.num_paragraphs, ("paragraph", "paragraphs"))
        return rng.choice(forms).format(n=count, nth=self.nth_paragraph, word=self.first_word)

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        number = rng.randint(1, 5)
        return cls(num_paragraphs=number, nth_paragraph=rng.randint(1, number), first_word=rng.choice(SAMPLE_WORDS))

    def fixed(self) -> Checker:
        native = NthParagraph(n=self.nth_paragraph, first_word=self.first_word, paragraphs=self.num_paragraphs)
        return Fixed(original=self, native=native)


def _bare(word: str) -> str:
    """The word as the reference compares it: single, then double quotation marks off its front, cut at punctuation."""
    word = word.lstrip("'").lstrip('"')
    # Letter by letter, since a word's last sigma has another small form than a sigma by itself.
    return "".join(map(str.lower, re.split("[.,?!'\"]", word, maxsplit=1)[0]))
