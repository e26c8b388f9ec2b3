"""Porter's stemmer, the variant that published ROUGE figures were computed with (NLTK's default).

Porter, "An algorithm for suffix stripping" (1980), with the departures that NLTK made its default: irregular forms, a
final y turns to i after a consonant only, "-ied"/"-ies" of four letters, "-bli", "-fulli", "-logi". Written here
because NLTK takes two seconds to import; the tests hold it equal to NLTK word by word.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["stem"]

_IRREGULAR = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning",
    "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
    "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip
# (suffix, what takes its place), the first suffix that fits being the only one that is tried: the paper's steps 2 to 4.
_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"), ("logi", "log"),
)  # fmt: skip
_STEP_3 = (("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""))
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)  # fmt: skip
LONGEST_KEPT = 40  # characters; longer "words" are not remembered, so that hostile text cannot fill the memory


def stem(word: str) -> str:
    """The stem of one word in lower case.

    >>> stem("relational"), stem("hopping"), stem("flies")
    ('relat', 'hop', 'fli')
    """
    return _remembered(word) if len(word) <= LONGEST_KEPT else _stem(word)


def _stem(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_plurals, _participles, _final_y, _step_2, _step_3, _step_4, _final_e):
        word = step(word)
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word  # step 5b


_remembered = lru_cache(maxsize=1 << 16)(_stem)


def _shape(text: str) -> str:
    """Each letter as c(onsonant) or v(owel); y is a consonant unless one stands before it."""
    marks: list[str] = []
    for letter in text:
        if letter == "y":
            marks.append("v" if marks and marks[-1] == "c" else "c")
        else:
            marks.append("v" if letter in "aeiou" else "c")
    return "".join(marks)


def _measure(text: str) -> int:
    """The paper's m: how often vowels are followed by consonants."""
    return _shape(text).count("vc")


def _short(text: str) -> bool:
    """The paper's *o, consonant-vowel-consonant at the end and no w, x, y last; here "vc" alone counts as well."""
    shape = _shape(text)
    return shape == "vc" or (shape.endswith("cvc") and text[-1] not in "wxy")


def _plurals(word: str) -> str:  # step 1a
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _participles(word: str) -> str:  # step 1b
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    stripped = re.sub(r"(?:ed|ing)\Z", "", word)
    if stripped == word or "v" not in _shape(stripped):
        return word
    if stripped.endswith(("at", "bl", "iz")):
        return stripped + "e"
    if len(stripped) > 1 and stripped[-1] == stripped[-2] and _shape(stripped)[-1] == "c":
        return stripped if stripped[-1] in "lsz" else stripped[:-1]
    return stripped + "e" if _measure(stripped) == 1 and _short(stripped) else stripped


def _final_y(word: str) -> str:  # step 1c
    return word[:-1] + "i" if word.endswith("y") and len(word) > 2 and _shape(word[:-1])[-1] == "c" else word


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _step_2(word[:-2])
    for suffix, instead in _STEP_2:
        if word.endswith(suffix):
            # The l of "-logi" counts with the stem, so that "geology" and "theology" are treated alike.
            counted = word[: -len(suffix)] + ("l" if suffix == "logi" else "")
            return word[: -len(suffix)] + instead if _measure(counted) else word
    return word


def _step_3(word: str) -> str:
    for suffix, instead in _STEP_3:
        if word.endswith(suffix):
            return word[: -len(suffix)] + instead if _measure(word[: -len(suffix)]) else word
    return word


def _step_4(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            left = word[: -len(suffix)]
            return left if _measure(left) > 1 and (suffix != "ion" or left[-1] in "st") else word
    return word


def _final_e(word: str) -> str:  # step 5a
    if not word.endswith("e"):
        return word
    m = _measure(word[:-1])
    return word[:-1] if m > 1 or (m == 1 and not _short(word[:-1])) else word
