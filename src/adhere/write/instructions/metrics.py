"""How answers to a task are graded: the instruction-induction metrics of APE, mended where they go wrong.

Exact match, token F1, equal sets of words, and "contains the gold as a whole word", after a normalisation that keeps
the first line up to the first full stop, in lower case, without punctuation; the best over all accepted outputs counts.
(APE's `utility.py`; Honovich et al. 2022, arXiv 2205.10782, section 3.2.)

Mended: a full stop within a number does not end the answer ("3.5" stays), white space is stripped after the
punctuation went ("hello !" is "hello"), the gold is no regular expression, a miss is 0 and not None, and where nothing
is left of a gold ("+"), the raw texts are compared, so that an empty answer is never right.

Not the reference's: `number`, `choice`, `yes_no`, `letters` read the answer out of a chain of thought
(`adhere.score.texts.extract`). `interquartile_mean` is the mean of the middle half; the reference's "iqm" is the
mean of the
25th and the 75th percentile.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from adhere.score.texts.extract import KINDS, Kind, same_answer

__all__ = ["METRICS", "grade", "interquartile_mean", "normalise"]

_PUNCTUATION = str.maketrans("", "", string.punctuation.replace(".", ""))
_STOP = re.compile(r"(?<![0-9])\.|\.(?![0-9])")  # not the point of a decimal
LONGEST = 20_000  # characters of an answer that are looked at


def normalise(text: str) -> str:
    """The part of an answer that is compared."""
    for noise in (" and ", "Sentence 1:", "Sentence 2:"):
        text = text.replace(noise, " ")
    line = text.strip().split("\n")[0]
    words = _STOP.split(line)[0].lower().replace("-", " ").translate(_PUNCTUATION)
    return " ".join(words.split())


def exact(answer: str, gold: str) -> float:
    """1 if both are the same after normalisation."""
    wanted = normalise(gold)
    return float(normalise(answer) == wanted) if wanted else float(answer.strip() == gold.strip())


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall of the words, with multiplicity (as SQuAD's)."""
    found, wanted = Counter(normalise(answer).split()), Counter(normalise(gold).split())
    if not wanted:
        return exact(answer, gold)
    common = (found & wanted).total()
    return 2 * common / (found.total() + wanted.total())


def equal_sets(answer: str, gold: str) -> float:
    """1 if both consist of the same words, in whatever order."""
    wanted = set(normalise(gold).split())
    return float(set(normalise(answer).split()) == wanted) if wanted else exact(answer, gold)


def contains(answer: str, gold: str) -> float:
    """1 if the gold stands in the answer as a whole word."""
    wanted = normalise(gold)
    if not wanted:
        return float(gold.strip() in answer)
    return float(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", normalise(answer)) is not None)


def _extracted(kind: Kind) -> Callable[[str, str], float]:
    return lambda answer, gold: float(same_answer(answer, gold, kind))


METRICS: dict[str, Callable[[str, str], float]] = {
    "em": exact,
    "f1": token_f1,
    "es": equal_sets,
    "contains": contains,
    **{kind: _extracted(kind) for kind in KINDS if kind != "text"},
}


def grade(metric: str, answer: str, golds: Sequence[str]) -> float:
    """The best mark of an answer over all accepted outputs, from 0 to 1."""
    return max((METRICS[metric](answer[:LONGEST], gold) for gold in golds), default=0.0)


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half; where a quarter is no whole number, values at the border count in part."""
    n = len(values)
    if not n:
        return math.nan
    low, high = n / 4, 3 * n / 4
    weights = [max(0.0, min(i + 1, high) - max(i, low)) for i in range(n)]
    return math.fsum(w * v for w, v in zip(weights, sorted(values), strict=True)) / math.fsum(weights)
