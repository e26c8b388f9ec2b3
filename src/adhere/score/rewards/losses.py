"""What reward models are trained to minimise, as numbers and gradients, and a linear head that minimises it exactly.

HelpSteer2-Preference (Wang et al. 2024, arXiv 2410.01257, section 3) compares, on the same responses, regression on
ratings with three forms of the Bradley-Terry loss. With d = r(chosen) - r(rejected) and m = |strength| in {1 slightly,
2 better, 3 much better}:

    regular  -log sigmoid(d)        margin  -log sigmoid(d - m)        scaled  -m log sigmoid(d)

Scaled is sampling the strong pairs more often; unlike the margin it does not force d to be at least m. Best was both in
sequence: regression first, then scaled Bradley-Terry from there, then a step beyond (`extrapolate`, ExPO).

Here a batch is weighted pair by pair before it is averaged. (The reference multiplies the mean of a micro-batch, which
is right only because its micro-batches are of one pair.) Training whole models with these losses belongs to
`adhere.train`; the linear head serves frozen features (`rewards/head.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args

from adhere.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["MISSING", "Loss", "PairLoss", "bradley_terry", "extrapolate", "fit_pairs", "fit_ratings", "regression"]

Loss = Literal["regular", "margin", "scaled"]
MISSING = -100.0  # a rating that was not given: NeMo-Aligner's mask


class PairLoss(NamedTuple):
    """The mean over the pairs, and its gradient with respect to each pair's difference d."""

    value: float
    gradient: Floats


def bradley_terry(differences: ArrayLike, strengths: ArrayLike | None = None, loss: Loss = "regular") -> PairLoss:
    """A Bradley-Terry loss of a batch of pairs.

    Args:
        differences: r(chosen) - r(rejected) of each pair.
        strengths: m of each pair, at least 0; None: 1 each. A pair of strength 0 has no weight in `scaled`.
        loss: Which form.

    Returns:
        The mean over all pairs of the batch and d mean / d difference.

    Raises:
        UsageError: for another loss, a negative strength, or other lengths.
        DataError: if a difference is not a number.
    """
    import numpy as np
    from scipy.special import expit

    d = np.asarray(differences, np.float64)
    m = np.ones_like(d) if strengths is None else np.asarray(strengths, np.float64)
    if loss not in get_args(Loss):
        raise UsageError(f"there is no loss '{loss}'", hint=f"There are: {', '.join(get_args(Loss))}")
    if m.shape != d.shape or (m < 0).any():
        raise UsageError("each pair needs one strength of at least 0")
    if np.isnan(d).any():
        raise DataError(f"the reward of pair {int(np.argmax(np.isnan(d))) + 1} is not a number")
    at = d - m if loss == "margin" else d
    weight = m if loss == "scaled" else np.ones_like(d)
    values = weight * np.logaddexp(0, -at)
    return PairLoss(float(values.mean()), -weight * expit(-at) / len(d))


def regression(predicted: ArrayLike, ratings: ArrayLike) -> PairLoss:
    """The mean squared error over the ratings that were given.

    Args:
        predicted: Shape (responses, attributes).
        ratings: The same; `MISSING` (-100) or NaN where an attribute was not rated.

    Returns:
        The mean over the ratings that were given (NaN if there is none) and its gradient, 0 where one is missing.

    Raises:
        UsageError: if the shapes differ.
    """
    import numpy as np

    x, y = np.asarray(predicted, np.float64), np.asarray(ratings, np.float64)
    if x.shape != y.shape:
        raise UsageError(f"predictions of shape {x.shape}, ratings of shape {y.shape}")
    given = ~np.isnan(y) & (y != MISSING)
    count = int(given.sum())
    error = np.where(given, x - np.where(given, y, 0), 0.0)
    if not count:
        return PairLoss(float("nan"), np.zeros_like(x))
    return PairLoss(float((error**2).sum() / count), 2 * error / count)


def extrapolate(weak: Mapping[str, Any], strong: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    """ExPO: weights beyond the stronger model, on the line from the weaker one: weak + alpha (strong - weak).

    Args:
        weak: Weights by name, of the model that training went on from (alpha 0 returns them).
        strong: Those after it (alpha 1 returns them).
        alpha: Above 1 goes beyond; the paper chooses it on validation data.

    Raises:
        UsageError: if the two are not of one architecture.
    """
    if weak.keys() != strong.keys():
        raise UsageError(f"weights of two architectures: '{min(weak.keys() ^ strong.keys())}' is in one only")
    for name in weak:
        if weak[name].shape != strong[name].shape:
            raise UsageError(f"'{name}' has the shapes {tuple(weak[name].shape)} and {tuple(strong[name].shape)}")
    return {name: weak[name] + alpha * (strong[name] - weak[name]) for name in weak}


def fit_pairs(
    differences: ArrayLike,
    strengths: ArrayLike | None = None,
    loss: Loss = "regular",
    *,
    ridge: float = 1.0,
    start: ArrayLike | None = None,
) -> Floats:
    """The linear reward that minimises a Bradley-Terry loss: w with r(x) = w . x.

    Args:
        differences: Features of the chosen minus those of the rejected response, shape (pairs, features).
        strengths: As `bradley_terry`.
        loss: As `bradley_terry`.
        ridge: Weight of |w - start|^2 / 2 beside the *sum* over the pairs, so that more pairs count for more.
        start: Where an earlier stage ended, e.g. `fit_ratings`; 0 otherwise.

    Returns:
        w, shape (features,).

    Raises:
        UsageError: if no pair carries a signal; and as `bradley_terry`.
    """
    import numpy as np
    from scipy.optimize import minimize

    x = np.asarray(differences, np.float64)
    m = np.ones(len(x)) if strengths is None else np.asarray(strengths, np.float64)
    if not len(x) or (loss == "scaled" and not m.any()):
        raise UsageError("no pair carries a signal", hint="Every strength is 0 or missing")
    centre = np.zeros(x.shape[1]) if start is None else np.asarray(start, np.float64)

    def objective(w: Floats) -> tuple[float, Floats]:
        found = bradley_terry(x @ w, m, loss)
        away = w - centre
        return len(x) * found.value + ridge * float(away @ away) / 2, len(x) * (found.gradient @ x) + ridge * away

    return cast("Floats", minimize(objective, centre, jac=True, method="L-BFGS-B").x)


def fit_ratings(features: ArrayLike, ratings: ArrayLike, *, ridge: float = 1.0) -> tuple[Floats, Floats]:
    """The linear heads that predict ratings best: weights of shape (attributes, features), intercepts (attributes,).

    Args:
        features: Shape (responses, features).
        ratings: Shape (responses, attributes); `MISSING` or NaN where an attribute was not rated.
        ridge: Weight of |w|^2 beside the sum of squared errors; the intercept goes free.

    Raises:
        UsageError: if some attribute has no rating at all.
    """
    import numpy as np

    x, y = np.asarray(features, np.float64), np.asarray(ratings, np.float64)
    weights, intercepts = np.zeros((y.shape[1], x.shape[1])), np.zeros(y.shape[1])
    for k in range(y.shape[1]):
        given = ~np.isnan(y[:, k]) & (y[:, k] != MISSING)
        if not given.any():
            raise UsageError(f"no response is rated on attribute {k + 1}")
        centre, mean = x[given].mean(axis=0), y[given, k].mean()
        a = x[given] - centre
        weights[k] = np.linalg.solve(a.T @ a + ridge * np.eye(x.shape[1]), a.T @ (y[given, k] - mean))
        intercepts[k] = mean - weights[k] @ centre
    return weights, intercepts
