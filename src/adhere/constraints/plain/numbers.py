"""Numbers as people write them: 1,200, three, twenty-five, a dozen, one hundred and fifty."""

from __future__ import annotations

import re

__all__ = ["NUMBER", "ORDINALS", "number"]

_UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000}
_WORDS = _UNITS | _TENS | {"single": 1}

_unit = "|".join(sorted(_UNITS, key=len, reverse=True))
_small = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{_unit}))?|{_unit})"
# Digits are limited to seven: longer ones are identifiers, not counts.
NUMBER = (
    rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,2}}|\d{{1,7}}|half a dozen|(?<!not )(?:a )?single"
    rf"|(?:(?:an?|{_small}) )?(?:{'|'.join(_SCALES)})"
    rf"(?: (?:and )?{_small})?|{_small})"
)
ORDINALS = {
    word: value
    for value, word in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 1
    )
}


def number(text: str) -> int:
    """The value of a match of `NUMBER`.

    >>> number("1,200"), number("twenty-five"), number("a dozen"), number("one hundred and fifty")
    (1200, 25, 12, 150)
    """
    digits = text.replace(",", "")
    if digits.isdecimal():
        return int(digits)
    words = re.findall(r"[a-z]+", text.lower())
    if words[0] == "half":
        return 6
    total = 0
    for word in words:
        if word in _SCALES:
            total = (total or 1) * _SCALES[word]
        else:
            total += _WORDS.get(word, 0)
    return total
