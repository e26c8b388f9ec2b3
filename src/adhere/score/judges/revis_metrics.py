"""Two answers, one reference: which is nearer to it, by one metric or by the vote of all.

The metrics that RevisEval (arXiv 2410.05193, section 3) puts adapted references to use with: BLEU, ROUGE-L, METEOR,
BERTScore (with MiniLM), and the cosine of MiniLM's sentence vectors in place of MOVERScore and BARTScore, whose models
cannot be had here. The answer is the hypothesis and the reference the reference: BLEU is not symmetric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adhere.errors import UsageError
from adhere.score.judges.base import Order, Preference, preference
from adhere.score.texts.bert_score import bert_scores, packaged
from adhere.score.texts.ngrams import bleu, meteor
from adhere.score.texts.overlap import rouge_l

__all__ = ["METRICS", "VOTE", "check_metric", "nearer", "scores"]

VOTE = "vote"


def _each(metric: Callable[[str, Sequence[str]], float]) -> Callable[[Sequence[str], str], list[float]]:
    return lambda texts, reference: [metric(text, [reference]) for text in texts]


def _cosines(texts: Sequence[str], reference: str) -> list[float]:
    vectors = packaged().vectors([reference, *texts])
    return [float(value) for value in vectors[1:] @ vectors[0]]


# Texts and a reference in, one number a text out; higher is nearer.
METRICS: dict[str, Callable[[Sequence[str], str], list[float]]] = {
    "bleu": _each(bleu),
    "rouge_l": _each(rouge_l),
    "meteor": _each(meteor),
    "bert_score": lambda texts, reference: [m.f1 for m in bert_scores(texts, [[reference]] * len(texts))],
    "cosine": _cosines,
}


def check_metric(name: str) -> None:
    """Raises UsageError unless there is a metric of that name, or it is the vote of all."""
    if name not in (*METRICS, VOTE):
        raise UsageError(f"unknown metric '{name}'", hint=f"There are: judge, {', '.join(METRICS)}, {VOTE}")


async def scores(texts: Sequence[str], reference: str, names: Sequence[str]) -> dict[str, list[float]]:
    """Each metric of each text against the reference; an empty text gets 0.

    Raises:
        WeightsError, DependencyError: if MiniLM is asked for and cannot be had.
    """

    def compute() -> dict[str, list[float]]:
        found = {name: METRICS[name](texts, reference) for name in names}
        return {n: [v if t.strip() else 0.0 for v, t in zip(found[n], texts, strict=True)] for n in names}

    return await asyncio.to_thread(compute)


async def nearer(
    a: str, b: str, reference: str, metric: str, details: Mapping[str, Any] = MappingProxyType({})
) -> Preference:
    """Which answer is nearer to the reference: P(b is better) is 0, 1, or 0.5 where both are equally near.

    With "vote" it is the share of the metrics' votes that b gets, half a vote each where a metric sees no difference.
    The preference keeps `details`, and the metrics' numbers as `scores`.

    Raises:
        UsageError: for an unknown metric.
        WeightsError, DependencyError: as `scores`.
    """
    check_metric(metric)
    names = list(METRICS) if metric == VOTE else [metric]
    found = await scores((a, b), reference, names)
    votes = [0.5 if one == other else float(other > one) for one, other in found.values()]
    made = preference([Order("a", sum(votes) / len(votes), "metric")], scores=found, **details)
    said = ", ".join(f"{name} a {one:.3f}, b {other:.3f}" for name, (one, other) in found.items())
    return Preference(made.probability_b, made.verdict, f"near the reference: {said}", (), made.details)
