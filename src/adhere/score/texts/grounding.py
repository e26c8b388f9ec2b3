"""Whether a text says only what is there: CHAIR, abstention, VQA accuracy, matching; and CIDEr for its wording.

The measures of EvALign-ICL (Shukor et al. 2024, arXiv 2310.00647): CHAIR from Rohrbach et al. 2018 (arXiv 1809.02156),
CIDEr-D from Vedantam et al. 2015 (arXiv 1411.5726), VQA accuracy from Antol et al. 2015. Objects are found as whole
words, singular or plural ("car" is not in "carpet"), by a lemma table instead of the reference's `pattern`, which no
longer installs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adhere.errors import UsageError
from adhere.score.statistics import Rate, rate
from adhere.score.texts.extract import extract_answer

__all__ = [
    "ABSTAIN",
    "CHANCE",
    "Abstention",
    "Chair",
    "abstains",
    "abstention_f1",
    "chair",
    "cider",
    "itm_accuracy",
    "mentions",
    "vqa_accuracy",
]

Vocabulary = Mapping[str, Sequence[str]]
ABSTAIN = "doesnotapply"  # TDIUC's answer to an absurd question
CHANCE = 0.5  # of matching: one true sentence or one foil
AGREEING = 3  # people who must give an answer for it to count in full (VQA)
ORDERS = 4  # of n-grams, in CIDEr
SIGMA = 6.0  # of CIDEr-D's penalty on a difference in length
DRAWS = 2000  # of the bootstrap

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NUMBER_WORDS = {
    word: str(n)
    for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}


class Chair(NamedTuple):
    """Hallucinated objects.

    Attributes:
        sentences: CHAIRs, the share of texts that name at least one object which is not there.
        instances: CHAIRi, the share of named objects which are not there; interval clustered by text.
        silent: Texts that name no object at all; they hallucinate nothing and say nothing.
    """

    sentences: Rate
    instances: Rate
    silent: int


class Abstention(NamedTuple):
    """How well "cannot be answered" was told from the rest; the positive class is the question without an answer.

    `low` and `high` are the 95% bootstrap interval of `f1`. `f1` is 0 where nothing was found, and NaN where there was
    nothing to find and nothing was claimed.
    """

    f1: float
    low: float
    high: float
    precision: float
    recall: float
    n: int


def mentions(text: str, vocabulary: Vocabulary) -> list[str]:
    """The objects of a vocabulary that a text names, each as often as it does, in order.

    Args:
        text: Any.
        vocabulary: Object → its synonyms; its own name counts without being listed. A name of several words goes before
            a shorter one in it: "hot dog" is no dog.
    """
    names: dict[tuple[str, ...], str] = {}
    for thing, synonyms in vocabulary.items():
        for name in (thing, *synonyms):
            names.setdefault(_lemmas(name), thing)
    longest = max(map(len, names), default=0)
    words = _lemmas(text)
    found, at = [], 0
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            thing = names.get(words[at : at + size])
            if thing is not None:
                found.append(thing)
                at += size - 1
                break
        at += 1
    return found


def chair(
    texts: Sequence[str],
    objects: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    references: Sequence[Sequence[str]] | None = None,
) -> Chair:
    """How many of the objects named are not there.

    Args:
        texts: What was said of each scene.
        objects: What is there, in the vocabulary's names.
        vocabulary: See `mentions`. What is not in it is not looked at.
        references: Captions by people: what they name is there too.

    Raises:
        UsageError: for lists of unequal length.
    """
    _same_length(texts, objects, *([references] if references is not None else []))
    invented, owners, sentences = [], [], []
    silent = 0
    for row, (text, present) in enumerate(zip(texts, objects, strict=True)):
        there = {thing for name in present for thing in mentions(name, vocabulary)} | set(present)
        for caption in references[row] if references is not None else ():
            there.update(mentions(caption, vocabulary))
        wrong = [thing not in there for thing in mentions(text, vocabulary)]
        silent += not wrong
        sentences.append(any(wrong))
        invented += wrong
        owners += [row] * len(wrong)
    return Chair(rate(sentences), rate(invented, owners), silent)


def abstains(text: str, word: str = ABSTAIN) -> bool:
    """Whether an answer is the abstention: its first word is (or its first words, run together, are) that word."""
    said = re.sub(r"[^a-z]", "", text.lower()[:200])
    wanted = re.sub(r"[^a-z]", "", word.lower())
    first = _WORD.search(text.lower())
    return (first is not None and first[0] == wanted) or (len(wanted) > 5 and said.startswith(wanted))


def abstention_f1(abstained: Sequence[bool], answerable: Sequence[bool], *, seed: int = 0) -> Abstention:
    """F1 of abstaining, unanswerable questions being the positives.

    Raises:
        UsageError: for lists of unequal length, or no rows.
    """
    import numpy as np

    _same_length(abstained, answerable)
    said, positive = np.asarray(abstained, bool), ~np.asarray(answerable, bool)
    if not len(said):
        raise UsageError("no rows to compute an F1 of")
    hit, claimed, there = int((said & positive).sum()), int(said.sum()), int(positive.sum())
    drawn = np.random.default_rng(seed).integers(0, len(said), (DRAWS, len(said)))
    hits = (said & positive)[drawn].sum(1)
    total = said[drawn].sum(1) + positive[drawn].sum(1)
    low, high = np.quantile(2 * hits / np.maximum(total, 1), (0.025, 0.975))
    f1 = 2 * hit / (claimed + there) if claimed + there else math.nan
    precision = hit / claimed if claimed else math.nan
    return Abstention(f1, float(low), float(high), precision, hit / there if there else math.nan, len(said))


def vqa_accuracy(text: str, answers: Sequence[str]) -> float:
    """min(people who gave this answer / 3, 1), after VQA's normalisation: case, punctuation, articles, number words."""
    said = _plain(text)
    return min(sum(_plain(answer) == said for answer in answers) / AGREEING, 1.0)


def itm_accuracy(texts: Sequence[str], matches: Sequence[bool]) -> Rate:
    """How often yes or no was said rightly of "does this sentence describe it?"; chance is 0.5, unreadable is wrong."""
    _same_length(texts, matches)
    said = (extract_answer(text, "yes_no") for text in texts)
    return rate([answer == ("yes" if match else "no") for answer, match in zip(said, matches, strict=True)])


def cider(texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each text against its references, from 0 to 10; document frequencies are those of all references here.

    Equal to the reference implementation (pycocoevalcap) but for its Java tokenizer: words here are runs of letters and
    digits in lower case.

    Raises:
        UsageError: for lists of unequal length.
    """
    _same_length(texts, references)
    grams = [[_grams(reference) for reference in row] for row in references]
    seen: Counter[tuple[str, ...]] = Counter()
    for row in grams:
        seen.update({gram for reference in row for gram in reference})
    rows = math.log(max(len(references), 1))

    def weighted(counts: Counter[tuple[str, ...]]) -> list[dict[tuple[str, ...], float]]:
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(ORDERS)]
        for gram, count in counts.items():
            vectors[len(gram) - 1][gram] = count * (rows - math.log(max(1, seen[gram])))
        return vectors

    def alike(said: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
        longer = sum(n for gram, n in said.items() if len(gram) == 2) - sum(n for g, n in wanted.items() if len(g) == 2)
        total = 0.0
        for one, other in zip(weighted(said), weighted(wanted), strict=True):
            norms = math.hypot(*one.values()) * math.hypot(*other.values())
            if norms:
                total += (
                    sum(min(value, other.get(gram, 0.0)) * other.get(gram, 0.0) for gram, value in one.items()) / norms
                )
        return 10 * total / ORDERS * math.exp(-(longer**2) / (2 * SIGMA**2))

    scores = []
    for text, row in zip(texts, grams, strict=True):
        said = _grams(text)
        scores.append(sum(alike(said, wanted) for wanted in row) / len(row) if row else 0.0)
    return scores


def _grams(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return Counter(tuple(words[i : i + n]) for n in range(1, ORDERS + 1) for i in range(len(words) - n + 1))


def _lemmas(text: str) -> tuple[str, ...]:
    """Words in lower case, nouns in the singular."""
    return tuple(_singular(word) for word in _WORD.findall(text.lower()))


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


# Plurals that no rule makes, among the objects that captions name (COCO's 80 and their synonyms).
_IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "knives": "knife",
    "sheep": "sheep", "teeth": "tooth", "feet": "foot", "wolves": "wolf", "geese": "goose", "shelves": "shelf",
    "leaves": "leaf", "loaves": "loaf", "calves": "calf", "wives": "wife", "buses": "bus", "skis": "ski",
    "scissors": "scissors", "glasses": "glasses", "potatoes": "potato", "tomatoes": "tomato", "policemen": "policeman",
    "oxen": "ox", "dice": "die", "halves": "half", "scarves": "scarf", "houses": "house", "horses": "horse",
    "vases": "vase", "taxis": "taxi", "cookies": "cookie", "movies": "movie", "ties": "tie", "pies": "pie",
}  # fmt: skip


def _plain(answer: str) -> str:
    words = _WORD.findall(answer.lower())
    return " ".join(_NUMBER_WORDS.get(word, word) for word in words if word not in ("a", "an", "the"))


def _same_length(first: Sequence[object], *others: Sequence[object]) -> None:
    for other in others:
        if len(other) != len(first):
            raise UsageError(f"{len(first)} rows on one side and {len(other)} on the other")
