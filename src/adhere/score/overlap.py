"""How much a text overlaps with references: ROUGE-L, exact match, token F1. Each is the best over the references.

- `rouge_l`: F of the longest common subsequence of words (Lin 2004, section 3.1, beta = 1), words and stems as Google's
  `rouge-score` has them: runs of a-z and 0-9 in lower case, those of more than three letters stemmed. It knows no
  letters beyond ASCII; for other languages take `token_f1`.
- `exact_match`, `token_f1`: as SQuAD's evaluation (Rajpurkar et al. 2016, section 6.1): without case, punctuation,
  articles and extra white space.

As a scorer (`overlap(metric=rouge_l)`) it reads the instruction's references, which at inference nobody has: it is
the oracle that other scorers are measured against, and the label that they learn from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.porter import stem

__all__ = ["METRICS", "Metric", "Overlap", "exact_match", "lcs_f", "rouge_l", "rouge_tokens", "token_f1"]

Metric = Literal["rouge_l", "exact_match", "token_f1"]
_WORD = re.compile("[a-z0-9]+")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
STEMMED_FROM = 4  # characters: shorter words stay as they are


def rouge_tokens(text: str, *, stemmed: bool = True) -> list[str]:
    """The words that ROUGE compares."""
    words = _WORD.findall(text.lower())
    if not stemmed:
        return words
    # A stem is a part of its word and so never empty here.
    return [stem(word) if len(word) >= STEMMED_FROM else word for word in words]


def lcs_f(one: Sequence[str], other: Sequence[str]) -> float:
    """F1 of the longest common subsequence of two token lists, 0 to 1; 0 if either is empty. Symmetric."""
    from rapidfuzz.distance import LCSseq

    if not one or not other:
        return 0.0
    return 2 * LCSseq.similarity(one, other) / (len(one) + len(other))


def rouge_l(text: str, references: Sequence[str], *, stemmed: bool = True) -> float:
    """ROUGE-L F of a text, the best over the references, 0 to 1.

    Raises:
        UsageError: without a reference.

    >>> rouge_l("The cats sat.", ["a cat sat down", "cats"])
    0.5714285714285714
    """
    found = rouge_tokens(text, stemmed=stemmed)
    return max(lcs_f(rouge_tokens(r, stemmed=stemmed), found) for r in _some(references))


def exact_match(text: str, references: Sequence[str]) -> float:
    """1.0 if the text equals a reference but for case, punctuation, articles and white space; else 0.0."""
    found = _squad_words(text)
    return float(any(_squad_words(r) == found for r in _some(references)))


def token_f1(text: str, references: Sequence[str]) -> float:
    """F1 of the bags of words, the best over the references, 0 to 1; two empty texts agree."""
    found = _squad_words(text)
    return max(_bag_f1(_squad_words(r), found) for r in _some(references))


METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "rouge_l": rouge_l,
    "exact_match": exact_match,
    "token_f1": token_f1,
}


@register("overlap", paper="cappy")
class Overlap:
    """Scores a response against `instruction.references`.

    `value` is the metric, 0 to 1, and `passed` is True at 1. Without references it is undecided.

    Args:
        metric: "rouge_l", "exact_match" or "token_f1".
    """

    def __init__(self, metric: Metric = "rouge_l") -> None:
        if metric not in METRICS:
            raise UsageError(f"unknown metric '{metric}'", hint=f"There are: {', '.join(get_args(Metric))}")
        self.metric: Metric = metric

    def __repr__(self) -> str:
        return f"Overlap({self.metric!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        if not instruction.references:
            return Score(self.metric, reason="the instruction has no references")
        value = METRICS[self.metric](response.text, instruction.references)
        return Score(self.metric, value, value == 1.0, reason=f"{self.metric} {value:.3f}")


def _some(references: Sequence[str]) -> Sequence[str]:
    if isinstance(references, str) or not references:
        raise UsageError("overlap needs a list of at least one reference")
    return references


def _squad_words(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _bag_f1(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return float(one == other)
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other))
