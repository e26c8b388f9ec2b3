"""BLEU and METEOR of one text against its references.

- `bleu`: Papineni et al. 2002, as sacrebleu's `sentence_bleu` has it: tokens of "13a", orders up to the text's length,
  zero counts smoothed by halving (Lin & Och 2004, ORANGE, method 3 of Chen & Cherry 2014). instruct-qa's library leaves
  zero counts as they are, which gives 0 to nearly every short answer.
- `meteor`: Banerjee & Lavie 2005 with NLTK's parameters (alpha 0.9, beta 3, gamma 0.5), words matched exactly and then
  by stem. WordNet's synonyms are left out: the words are data that no package here may fetch.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from adhere.errors import UsageError
from adhere.score.texts.porter import stem

__all__ = ["bleu", "bleu_tokens", "meteor"]

ORDERS = 4  # of n-grams
ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5  # METEOR: weight of recall, and shape and weight of the penalty on fragments

# "13a", the tokens of the translation contests: punctuation by itself, but for points and commas within numbers.
_SPLITS = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WORD = re.compile(r"\w+|[^\w\s]")


def bleu(text: str, references: Sequence[str]) -> float:
    """Sentence BLEU, 0 to 1, the n-grams of all references together; 0 for an empty text.

    Raises:
        UsageError: without a reference.

    >>> bleu("a cat sat on a mat", ["a cat sat on a mat"])
    1.0
    """
    found = bleu_tokens(text)
    wanted = [bleu_tokens(r) for r in _some(references)]
    if not found:
        return 0.0
    logs, halvings = 0.0, 1.0
    orders = min(ORDERS, len(found))
    for order in range(1, orders + 1):
        most: Counter[tuple[str, ...]] = Counter()
        for reference in wanted:
            most |= _grams(reference, order)
        right, total = (_grams(found, order) & most).total(), len(found) - order + 1
        if order == 1 and not right:
            return 0.0
        if not right:
            halvings *= 2
        logs += math.log(right / total if right else 1 / (halvings * total))
    nearest = min((abs(len(r) - len(found)), len(r)) for r in wanted)[1]
    return math.exp(min(0.0, 1 - nearest / len(found)) + logs / orders)


def bleu_tokens(text: str) -> list[str]:
    """Tokens of "13a", case kept.

    >>> bleu_tokens("It cost 1,200.50, they said.")
    ['It', 'cost', '1,200.50', ',', 'they', 'said', '.']
    """
    text = text.rstrip()
    for old, new in _ENTITIES:
        text = text.replace(old, new)
    text = f" {text} "
    for pattern, new in _SPLITS:
        text = pattern.sub(new, text)
    return text.split()


def meteor(text: str, references: Sequence[str]) -> float:
    """METEOR without synonyms, the best over the references, 0 to 1.

    Raises:
        UsageError: without a reference.
    """
    found = _WORD.findall(text.lower())
    return max(_meteor(found, _WORD.findall(r.lower())) for r in _some(references))


def _meteor(found: list[str], wanted: list[str]) -> float:
    pairs = _aligned(found, wanted)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(found), len(pairs) / len(wanted)
    mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
    chunks = 1 + sum(after != (before[0] + 1, before[1] + 1) for before, after in pairwise(pairs))
    return (1 - GAMMA * (chunks / len(pairs)) ** BETA) * mean


def _aligned(found: list[str], wanted: list[str]) -> list[tuple[int, int]]:
    """Places of matching words, by place in `found`: first equal words, then equal stems, each from the end."""
    pairs: list[tuple[int, int]] = []
    left, free = list(range(len(found))), list(range(len(wanted)))
    for form in (str, stem):
        places: dict[str, list[int]] = defaultdict(list)
        for place in free:
            places[form(wanted[place])].append(place)
        matched = [(at, place.pop()) for at in reversed(left) if (place := places.get(form(found[at])))]
        pairs += matched
        taken, used = {at for at, _ in matched}, {place for _, place in matched}
        left, free = [at for at in left if at not in taken], [place for place in free if place not in used]
    return sorted(pairs)


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def _some(references: Sequence[str]) -> Sequence[str]:
    if isinstance(references, str) or not references:
        raise UsageError("overlap needs a list of at least one reference")
    return references
