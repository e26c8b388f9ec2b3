"""The losses of reward models against numbers worked out by hand, and what a linear head learns by them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from adhere.errors import DataError, UsageError
from adhere.score.rewards.losses import MISSING, bradley_terry, extrapolate, fit_pairs, fit_ratings, regression

LN3 = math.log(3)  # sigmoid(ln 3) = 3/4


def test_the_three_losses_by_hand():
    d, m = [LN3, 0.0], [1.0, 3.0]
    assert bradley_terry(d, m, "regular").value == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert bradley_terry(d, m, "scaled").value == pytest.approx((math.log(4 / 3) + 3 * math.log(2)) / 2)
    margin = (math.log1p(math.exp(1 - LN3)) + math.log1p(math.exp(3))) / 2
    assert bradley_terry(d, m, "margin").value == pytest.approx(margin)


def test_their_gradients_by_hand():
    assert bradley_terry([LN3, 0.0], [1, 3], "regular").gradient == pytest.approx([-1 / 8, -1 / 4])
    assert bradley_terry([LN3, 0.0], [1, 3], "scaled").gradient == pytest.approx([-1 / 8, -3 / 4])


@pytest.mark.parametrize("loss", ["regular", "margin", "scaled"])
def test_the_gradients_are_those_of_the_values(loss):
    d, m, step = np.array([0.3, -2.0, 5.0]), [1, 2, 3], 1e-6
    numeric = [
        (bradley_terry(d + step * e, m, loss).value - bradley_terry(d - step * e, m, loss).value) / (2 * step)
        for e in np.eye(3)
    ]
    assert bradley_terry(d, m, loss).gradient == pytest.approx(numeric, abs=1e-8)


def test_a_batch_is_the_mean_of_its_pairs_weighted_one_by_one():
    """Multiplying after the mean, as the reference does with its micro-batches of one, would be another number."""
    d, m = [0.5, -1.0], [1.0, 3.0]
    alone = [bradley_terry([x], [s], "scaled").value for x, s in zip(d, m, strict=True)]
    assert bradley_terry(d, m, "scaled").value == pytest.approx(sum(alone) / 2)
    assert bradley_terry(d, m, "scaled").value != pytest.approx(bradley_terry(d, None).value * 2)


def test_the_margin_loss_wants_a_gap_and_the_scaled_loss_does_not():
    far, near = [3.0], [1.0]
    assert bradley_terry(near, [3], "margin").gradient[0] / bradley_terry(far, [3], "margin").gradient[0] > 1.5
    assert bradley_terry([50.0], [3], "scaled").value == pytest.approx(0, abs=1e-12)


def test_extreme_differences_stay_finite():
    found = bradley_terry([-1e4, 1e4], [3, 3], "scaled")
    assert found.value == pytest.approx(3e4 / 2)
    assert np.isfinite(found.gradient).all()


def test_a_pair_of_strength_zero_has_no_weight():
    assert bradley_terry([-5.0], [0], "scaled").value == 0
    assert bradley_terry([-5.0], [0], "scaled").gradient.tolist() == [0]


def test_what_is_no_pair_is_refused():
    with pytest.raises(UsageError, match="no loss 'hinge'"):
        bradley_terry([1.0], [1], "hinge")  # pyrefly: ignore
    with pytest.raises(UsageError, match="one strength of at least 0"):
        bradley_terry([1.0], [-1])
    with pytest.raises(DataError, match="the reward of pair 2 is not a number"):
        bradley_terry([1.0, float("nan")])
    with pytest.raises(UsageError, match="no pair carries a signal"):
        fit_pairs([[1.0]], [0], "scaled")


def test_ratings_that_were_not_given_take_no_part():
    found = regression([[1.0, 9.0], [3.0, 2.0]], [[2.0, MISSING], [3.0, 4.0]])
    assert found.value == pytest.approx((1 + 0 + 4) / 3)
    assert found.gradient == pytest.approx(np.array([[-2 / 3, 0], [0, -4 / 3]]))


def test_extrapolation_ends_at_its_two_models_and_goes_beyond():
    weak, strong = {"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, 2.0])}
    assert extrapolate(weak, strong, 0)["w"].tolist() == [1, 2]
    assert extrapolate(weak, strong, 1)["w"].tolist() == [3, 2]
    assert extrapolate(weak, strong, 1.5)["w"].tolist() == [4, 2]


def test_extrapolation_between_architectures_is_refused():
    with pytest.raises(UsageError, match="'v' is in one only"):
        extrapolate({"w": np.ones(2)}, {"w": np.ones(2), "v": np.ones(1)}, 1)
    with pytest.raises(UsageError, match="'w' has the shapes"):
        extrapolate({"w": np.ones(2)}, {"w": np.ones(3)}, 1)


def simulated(seed: int, noise: float = 1.0, pairs: int = 400, features: int = 20):
    """Pairs of a linear reward under noisy preference, with strengths 1 to 3 by thirds of the noisy difference."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=features)

    def draw(count: int, spread: float):
        x = rng.normal(size=(count, features))
        felt = x @ true + rng.normal(size=count) * spread * np.linalg.norm(true)
        return x * np.sign(felt)[:, None], np.abs(felt)

    x, felt = draw(pairs, noise)
    strengths = 1 + np.searchsorted(np.quantile(felt, [1 / 3, 2 / 3]), felt)
    return x, strengths, draw(4_000, 0.0)[0]


def test_scaling_by_the_strength_helps_where_strength_says_how_sure_a_label_is():
    """The card's simulation: a strong preference is seldom a flipped one, so that weighting by it is worth data."""
    better = 0
    for seed in range(12):
        x, strengths, held_out = simulated(seed)
        plain, scaled = fit_pairs(x), fit_pairs(x, strengths, "scaled")
        better += float((held_out @ scaled > 0).mean()) >= float((held_out @ plain > 0).mean())
    assert better >= 9


def test_a_second_stage_starts_where_the_first_ended():
    x, strengths, _ = simulated(0)
    begin = np.arange(20.0)
    assert fit_pairs(x, strengths, "scaled", start=begin, ridge=1e9) == pytest.approx(begin, abs=1e-4)
    assert fit_pairs(x, strengths, "scaled", start=begin, ridge=1e-3) == pytest.approx(
        fit_pairs(x, strengths, "scaled", ridge=1e-3), rel=0.05, abs=0.05
    )


def test_ratings_are_fitted_attribute_by_attribute():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3))
    y = np.stack((x @ [1, 2, 3] + 5, x @ [0, -1, 0] + 1), axis=1)
    y[::2, 1] = MISSING
    weights, intercepts = fit_ratings(x, y, ridge=1e-9)
    assert weights == pytest.approx(np.array([[1, 2, 3], [0, -1, 0]]), abs=1e-6)
    assert intercepts == pytest.approx([5, 1])
    with pytest.raises(UsageError, match="no response is rated on attribute 2"):
        fit_ratings(x, np.stack((y[:, 0], np.full(200, MISSING)), axis=1))
