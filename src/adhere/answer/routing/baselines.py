"""What a router has to beat, on recorded outcomes: random, the best single candidate, neighbours; and the oracle.

The single candidate is the one with the best mean on the TRAINING items: the best on each test set, which some tables
call "best performing", needs to know the test set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Point", "arms", "cost_quality", "neighbours"]

NEIGHBOURS = 10


class Point(NamedTuple):
    """One cost weight: mean cost and quality of the candidates that it chooses."""

    weight: float
    cost: float
    quality: float


def arms(train: np.ndarray, test: np.ndarray, chosen: np.ndarray, near: np.ndarray) -> dict[str, np.ndarray]:
    """Each way of choosing and what it gets on every test item.

    Args:
        train: Scores of the training items, (items, candidates).
        test: Scores of the test items.
        chosen: The router's choice for every test item.
        near: The choice of `neighbours`.
    """
    import numpy as np

    rows = np.arange(len(test))
    return {
        "random": np.nanmean(test, axis=1),
        "best single": test[:, int(np.nanmean(train, axis=0).argmax())],
        "neighbours": test[rows, near],
        "router": test[rows, chosen],
        "oracle": np.nanmax(test, axis=1),
    }


def neighbours(
    vectors: np.ndarray, train_vectors: np.ndarray, train: np.ndarray, count: int = NEIGHBOURS
) -> np.ndarray:
    """The candidate with the best mean on the `count` most similar training items."""
    import numpy as np

    similar = vectors @ train_vectors.T
    nearest = np.argpartition(-similar, min(count, len(train)) - 1, axis=1)[:, :count]
    return np.nanmean(train[nearest], axis=1).argmax(axis=1)


def cost_quality(
    expected: np.ndarray, test: np.ndarray, costs: Sequence[float], weights: Sequence[float]
) -> list[Point]:
    """What is paid and got when `weight * cost` is taken off each candidate's expected score.

    Args:
        expected: The router's scores, (items, candidates).
        test: What each candidate got.
        costs: Of each candidate.
        weights: To try.
    """
    import numpy as np

    price = np.asarray(costs, dtype=np.float64)
    made = []
    for weight in weights:
        choice = (expected - weight * price).argmax(axis=1)
        made.append(Point(weight, float(price[choice].mean()), float(test[np.arange(len(test)), choice].mean())))
    return made


def best_choice(scores: Mapping[str, float], costs: Mapping[str, float], weight: float) -> str:
    """The candidate with the highest score after its cost; the first of equals."""
    return max(scores, key=lambda name: scores[name] - weight * costs.get(name, 0.0))
