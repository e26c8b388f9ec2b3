"""How much a text overlaps with references: bags of words and ROUGE. Each is the best over the references.

- `exact_match`, `token_f1`, `token_precision`, `token_recall`, `strict_recall`: on the words of `qa_words`, which is
  how SQuAD's evaluation (Rajpurkar et al. 2016, section 6.1) and instruct-qa (Adlakha et al. 2024, arXiv 2307.16877,
  section 4.1) see a text. For verbose models recall agrees with people best, and F1 and exact match badly; recall also
  rewards whoever says everything, so it is read beside the length.
- `rouge_l`, `rouge_n`: F of the longest common subsequence, and of the n-grams (Lin 2004, sections 3.1 and 2), words
  and stems as Google's `rouge-score` has them: runs of a-z and 0-9 in lower case, those of more than three letters
  stemmed. It knows no letters beyond ASCII; for other languages take `token_f1`.

BLEU and METEOR are in `texts/ngrams.py`, what a text shares with passages in `texts/faithfulness.py`. As a scorer
(`overlap(metric=rouge_l)`) it reads the instruction's references, which at inference nobody has: it is the oracle that
other scorers are measured against, and the label that they learn from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.texts.porter import stem

__all__ = [
    "METRICS",
    "Metric",
    "Overlap",
    "exact_match",
    "lcs_f",
    "qa_words",
    "rouge_l",
    "rouge_n",
    "rouge_tokens",
    "shared",
    "strict_recall",
    "token_f1",
    "token_precision",
    "token_recall",
]

Metric = Literal["rouge_l", "exact_match", "token_f1", "token_precision", "token_recall", "strict_recall"]
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


def rouge_n(text: str, references: Sequence[str], n: int, *, stemmed: bool = True) -> float:
    """ROUGE-n F of a text, the best over the references, 0 to 1; 0 where either has no n-gram.

    Raises:
        UsageError: without a reference.

    >>> rouge_n("the cat sat", ["the cat ran"], 2)
    0.5
    """
    found = _ngrams(rouge_tokens(text, stemmed=stemmed), n)
    best = 0.0
    for reference in _some(references):
        wanted = _ngrams(rouge_tokens(reference, stemmed=stemmed), n)
        total = found.total() + wanted.total()
        best = max(best, 2 * (found & wanted).total() / total if total else 0.0)
    return best


def exact_match(text: str, references: Sequence[str]) -> float:
    """1.0 if the text equals a reference but for case, punctuation, articles and white space; else 0.0."""
    found = qa_words(text)
    return float(any(qa_words(r) == found for r in _some(references)))


def token_f1(text: str, references: Sequence[str]) -> float:
    """F1 of the bags of words, the best over the references, 0 to 1; two empty texts agree."""
    found = qa_words(text)
    return max(_bag_f1(qa_words(r), found) for r in _some(references))


def token_precision(text: str, references: Sequence[str]) -> float:
    """The share of the text's words that a reference has too, 0 to 1; an empty text has none."""
    found = qa_words(text)
    return max(shared(found, qa_words(r)) / len(found) if found else 0.0 for r in _some(references))


def token_recall(text: str, references: Sequence[str]) -> float:
    """The share of a reference's words that the text has too, 0 to 1; an empty reference is all there."""
    found = qa_words(text)
    wanted = [qa_words(r) for r in _some(references)]
    return max(shared(found, words) / len(words) if words else 1.0 for words in wanted)


def strict_recall(text: str, references: Sequence[str]) -> float:
    """1.0 if the text holds a reference as it stands, but for what `qa_words` drops; else 0.0.

    As in the paper it is a stretch of characters, so "art" is found in "party"; `token_recall` is about whole words.
    """
    found = " ".join(qa_words(text))
    return float(any(" ".join(qa_words(r)) in found for r in _some(references)))


def qa_words(text: str) -> list[str]:
    """The words that question answering compares, in order: lower case, no ASCII punctuation, no articles.

    Punctuation is deleted and not replaced, so "U.S." is "us" and "well-known" is one word.

    >>> qa_words("The U.S. is a well-known place.")
    ['us', 'is', 'wellknown', 'place']
    """
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words two texts share, each as often as both have it."""
    return (Counter(one) & Counter(other)).total()


METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "rouge_l": rouge_l,
    "exact_match": exact_match,
    "token_f1": token_f1,
    "token_precision": token_precision,
    "token_recall": token_recall,
    "strict_recall": strict_recall,
}


@register("overlap", paper="cappy")
class Overlap:
    """Scores a response against `instruction.references`.

    `value` is the metric, 0 to 1, and `passed` is True at 1. Without references it is undecided.

    Args:
        metric: "rouge_l", "exact_match", "token_f1", "token_precision", "token_recall" or "strict_recall".
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


def _bag_f1(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return float(one == other)
    return 2 * shared(one, other) / (len(one) + len(other))


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
