"""Risk against coverage, by hand and by chance."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.score.selective_metrics import risk_coverage, threshold_for_coverage, threshold_for_precision


def test_the_curve_of_four_items_by_hand() -> None:
    curve = risk_coverage([0.9, 0.1, 0.5, 0.7], [0, 1, 1, 0])
    assert curve.coverage == (0.25, 0.5, 0.75, 1.0)
    assert curve.risk == pytest.approx((0, 0, 1 / 3, 1 / 2))
    assert curve.aurc == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert curve.excess == pytest.approx(0)
    assert not curve.arbitrary
    assert curve.at(0.5) == 0
    assert curve.at(0.51) == pytest.approx(1 / 3)


def test_the_worst_order_has_the_largest_excess() -> None:
    losses = [0, 0, 1, 1, 0]
    areas = [risk_coverage(order, losses).aurc for order in permutations(range(5))]
    worst = risk_coverage(losses, losses)
    assert worst.aurc == pytest.approx(max(areas))
    assert worst.aurc - worst.excess == pytest.approx(min(areas))


def test_equal_scores_are_called_arbitrary_and_have_the_mean_risk_everywhere() -> None:
    curve = risk_coverage([3.0, 3.0, 3.0, 3.0], [1, 0, 0, 0])
    assert curve.arbitrary
    assert curve.risk == pytest.approx((0.25,) * 4)
    assert "arbitrary" in curve.sentence


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=6))
def test_ties_are_worth_the_mean_over_their_orders(rows: list[tuple[int, int]]) -> None:
    scores, losses = [s for s, _ in rows], [float(x) for _, x in rows]
    areas = [
        risk_coverage([s - position / 100 for s, position in zip(scores, order, strict=True)], losses).aurc
        for order in permutations(range(len(rows)))
    ]
    assert risk_coverage(scores, losses).aurc == pytest.approx(sum(areas) / len(areas))


def test_an_unscored_item_is_answered_last() -> None:
    assert risk_coverage([None, 0.0, 1.0], [1, 0, 0]).risk == pytest.approx((0, 0, 1 / 3))


def test_the_threshold_for_a_precision_answers_as_much_as_it_may() -> None:
    found = threshold_for_precision([1, 2, 3, 4, 5, None], [0, 1, 0, 1, 1, 1], 0.75)
    assert found.value == 2
    assert found.precision.value == pytest.approx(3 / 4)
    assert found.coverage == pytest.approx(4 / 6)
    assert found.reached
    assert not found.certain


def test_a_precision_out_of_reach_answers_nothing() -> None:
    found = threshold_for_precision([1, 2, 3], [1, 1, 0], 0.9)
    assert found.value == math.inf
    assert (found.coverage, found.reached, found.certain) == (0.0, False, False)


def test_a_threshold_is_certain_when_the_interval_is_above_the_target() -> None:
    assert threshold_for_precision([1.0] * 100, [1] * 100, 0.9).certain


@given(
    st.lists(st.integers(0, 5).map(float), min_size=1, max_size=30),
    st.floats(0.01, 1.0),
)
def test_the_threshold_for_a_coverage_answers_at_least_that_share(scores: list[float], coverage: float) -> None:
    threshold = threshold_for_coverage(scores, coverage)
    answered = sum(s >= threshold for s in scores)
    stricter = sum(s > threshold for s in scores)
    assert stricter < coverage * len(scores) <= answered + 1e-9 * len(scores)


@pytest.mark.parametrize("coverage", [0.0, -0.1, 1.01, math.nan])
def test_a_coverage_outside_its_range_is_refused(coverage: float) -> None:
    with pytest.raises(UsageError, match="coverage"):
        threshold_for_coverage([1.0, 2.0], coverage)
    with pytest.raises(UsageError, match="coverage"):
        risk_coverage([1.0], [0]).at(coverage)


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(UsageError, match="no items"):
        risk_coverage([], [])
    with pytest.raises(UsageError, match="2 scores but 1"):
        risk_coverage([1, 2], [0])
    with pytest.raises(UsageError, match="not a number"):
        risk_coverage([math.nan], [0])
    with pytest.raises(UsageError, match="precision"):
        threshold_for_precision([1.0], [1], 0)
    with pytest.raises(UsageError, match="no calibration"):
        threshold_for_coverage([None], 0.5)
