"""The answer in a text: a number, a choice, yes or no, letters, or words, normalised so that equal answers are equal.

One reader for all who need it: Auto-CoT and self-consistency (majority), benchmarks with exact answers, and
self-correction. The rules are Auto-CoT's (Zhang et al. 2023, arXiv 2210.03493, and its `answer_cleansing`): what stands
after the last "The answer is" counts, the first match there; without that trigger the last match of the whole text.
Mended against it: "12" equals "12.0"; only commas between thousands are dropped; a minus between two numbers is an
operator; a choice is a letter that stands alone ("Answer" holds no A, and "a car" no A either).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, get_args

from adhere.errors import UsageError

__all__ = ["KINDS", "Kind", "after_trigger", "extract_answer", "normalise", "same_answer"]

Kind = Literal["number", "choice", "yes_no", "letters", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST = 200_000  # characters that are looked at, from the end: answers stand there, and work stays bounded

_TRIGGER = re.compile(r"\bthe answer is\b[ \t]*:?", re.I)
# "-" counts as a sign only where nothing that it could be subtracted from stands before it.
_NUMBER = re.compile(r"(?:(?<![\w.)])[-\u2212](?=\$?[.0-9]))?\$?(?<![0-9])(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_MARKED_CHOICE = re.compile(r"\(([A-Ea-e])\)|(?<![A-Za-z0-9'])([A-Ea-e])\)|(?<![A-Za-z0-9'.])([A-E])[.:](?![A-Za-z])")
# "A" before a lower-case word is an article.
_BARE_CHOICE = re.compile(r"(?<![A-Za-z0-9'.-])(?:([B-E])(?![A-Za-z0-9'-])|(A)(?![A-Za-z0-9'-]|[ \t]+[a-z]))")
# "Answer: C", "the correct option is C": said without the trigger.
_NAMED_CHOICE = re.compile(
    r"\b(?:answer|option|choice)[ \t]*(?:is|[:.=-])?[ \t]*(?:option[ \t]*)?\(?([A-E])(?![A-Za-z0-9'])", re.I
)
_FIRST_CHOICE = re.compile(r"[\s\"'*:(]*([A-Ea-e])(?![A-Za-z0-9'])")
_YES_NO = re.compile(r"(?<![A-Za-z'])(yes|no)(?![A-Za-z'])", re.I)
_QUOTED = re.compile(r"[\"“']([A-Za-z]+)[\"”']")


def extract_answer(text: str, kind: Kind) -> str | None:
    """The answer that `text` gives, in normal form; None where it gives none that can be read.

    Args:
        text: A model's output, a chain of thought included.
        kind: "number" → "-12.5"; "choice" → "A" to "E"; "yes_no" → "yes" or "no"; "letters" → "ahln"; "text" → the
            words, without quotes and full stop.

    Raises:
        UsageError: for another kind.

    >>> extract_answer("4 boxes of 3 make 12. The answer is 12.0 apples.", "number")
    '12'
    """
    if kind not in _READERS:
        raise UsageError(f"unknown kind of answer '{kind}'", hint=f"There are: {', '.join(KINDS)}")
    text = text[-LONGEST:]
    rest = after_trigger(text)
    return _READERS[kind](text if rest is None else rest, rest is not None)


def after_trigger(text: str) -> str | None:
    """What follows the last "The answer is"; None if the text does not say it."""
    ends = [match.end() for match in _TRIGGER.finditer(text)]
    return text[ends[-1] :] if ends else None


def normalise(answer: str, kind: Kind) -> str:
    """A known answer (a gold one, say) in the form that `extract_answer` gives; as it stands where it has no such form.

    >>> normalise("1,200.50", "number")
    '1200.5'
    """
    if kind not in _READERS:
        raise UsageError(f"unknown kind of answer '{kind}'", hint=f"There are: {', '.join(KINDS)}")
    found = _READERS[kind](answer, True)
    return answer.strip() if found is None else found


def same_answer(text: str, gold: str, kind: Kind) -> bool:
    """Whether `text` gives the answer `gold`. A text without a readable answer is never right."""
    found = extract_answer(text, kind)
    if kind == "text":
        return found is not None and found.casefold() == normalise(gold, kind).casefold()
    return found is not None and found == normalise(gold, kind)


def _number(text: str, triggered: bool) -> str | None:
    found = _NUMBER.findall(_THOUSANDS.sub("", text))
    return _canonical(found[0] if triggered else found[-1]) if found else None


def _canonical(number: str) -> str:
    """Without a leading or trailing zero, currency sign or empty fraction: equal numbers, equal strings."""
    sign = "-" if number[0] in "-\u2212" else ""
    whole, _, fraction = number.lstrip("-\u2212$").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    value = f"{whole}.{fraction}" if fraction else whole
    return value if value == "0" else sign + value


def _choice(text: str, triggered: bool) -> str | None:
    direct = _FIRST_CHOICE.match(text) if triggered else None
    if direct and (direct[1].isupper() or not re.match(r"[ \t]+[a-z]", text[direct.end() :])):
        return direct[1].upper()
    named = [] if triggered else [match for match in _NAMED_CHOICE.finditer(text) if match[1].isupper()]
    found = named[-1] if named else _MARKED_CHOICE.search(text) or _BARE_CHOICE.search(text)
    if found is None:
        found = re.fullmatch(r"\s*([a-e])\s*\.?\s*", text)  # a small "b" and nothing else
    return next(group for group in found.groups() if group).upper() if found else None


def _yes_no(text: str, triggered: bool) -> str | None:
    found = list(_YES_NO.finditer(text))
    if not found:
        return None
    # "No, because …" answers at once; a chain of thought answers at its end.
    at_once = triggered or not text[: found[0].start()].strip(" \t\r\n\"'*")
    return (found[0] if at_once else found[-1])[1].lower()


def _letters(text: str, triggered: bool) -> str | None:
    line = text.strip().split("\n", 1)[0]
    if triggered and (quoted := _QUOTED.search(line)):
        return quoted[1].lower()
    sentence = re.split(r"\.\s", line, maxsplit=1)[0] if triggered else text.strip()
    words = re.findall(r"[^\W\d_]+", sentence)
    if not triggered and len(words) > 1 and any(len(word) > 1 for word in words):
        return None  # a whole chain of thought is no answer
    return "".join(words).lower() or None


def _text(text: str, triggered: bool) -> str | None:
    line = text.strip().split("\n", 1)[0] if triggered else text
    words = " ".join(line.split()).strip("\"'“”* ")
    return words.rstrip(".").strip("\"'“”* ") or None


_READERS: dict[str, Callable[[str, bool], str | None]] = {
    "number": _number,
    "choice": _choice,
    "yes_no": _yes_no,
    "letters": _letters,
    "text": _text,
}
