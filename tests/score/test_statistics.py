"""Statistics against other implementations, known values, and simulations whose seeds were fixed before looking."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from adhere.errors import UsageError
from adhere.score.statistics import (
    Comparison,
    bootstrap_mean,
    compare,
    holm,
    minimum_detectable,
    pair,
    rate,
)

verdicts = st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=1, max_size=60)


# --- rate ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("passed", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (300, 541)])
def test_one_row_a_prompt_gives_scipys_wilson_interval(passed: int, n: int) -> None:
    found = rate([1] * passed + [0] * (n - passed))
    expected = stats.binomtest(passed, n).proportion_ci(method="wilson")
    assert found.value == passed / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.n, found.clusters) == (n, n)


def test_no_rows_give_nan_and_no_error() -> None:
    found = rate([])
    assert math.isnan(found.value) and math.isnan(found.low)
    assert (found.n, found.clusters, str(found)) == (0, 0, "no rows")


def test_undecided_rows_stay_in_the_denominator_and_never_pass() -> None:
    found = rate([1, None, math.nan, True])
    assert (found.value, found.n, found.undecided) == (0.5, 4, 2)


def test_names_of_prompts_that_occur_once_change_nothing() -> None:
    rows = [1, 0, 0, 1, 1]
    assert rate(rows, clusters="abcde") == rate(rows)


def test_copies_of_a_row_do_not_narrow_the_interval() -> None:
    rows = [1, 0, 0, 1, 1, 0, 0, 0, 1, 0] * 5
    prompts = range(len(rows))
    single = rate(rows)
    copied = rate(rows * 8, clusters=list(prompts) * 8)
    assert (copied.n, copied.clusters) == (400, 50)
    assert copied.value == single.value
    # a t quantile with 49 degrees of freedom is all that differs
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=0.05)
    assert copied.high - copied.low >= single.high - single.low


@pytest.mark.parametrize("value", [0, 1])
def test_all_equal_rows_count_prompts_not_samples(value: int) -> None:
    found = rate([value] * 80, clusters=[i // 4 for i in range(80)])
    naive = rate([value] * 80)
    assert found.value == value
    assert found.high - found.low > 2 * (naive.high - naive.low)


def test_a_single_prompt_says_nothing_about_others() -> None:
    assert rate([1, 0, 1], clusters=["p", "p", "p"])[:3] == (2 / 3, 0.0, 1.0)


@given(verdicts, st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_rate_lies_in_its_interval_and_row_order_does_not_matter(
    rows: list[float], size: int, shuffler: random.Random
) -> None:
    prompts = [f"p{i // size}" for i in range(len(rows))]
    found = rate(rows, prompts)
    assert 0 <= found.low <= found.value <= found.high <= 1
    order = list(range(len(rows)))
    shuffler.shuffle(order)
    again = rate([rows[i] for i in order], [prompts[i] for i in order])
    assert again == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("bad", [[0.5], [2], [-1], [math.inf]])
def test_a_value_that_is_no_verdict_is_refused(bad: list[float]) -> None:
    with pytest.raises(UsageError, match="0, 1 or undecided"):
        rate(bad)


def test_clusters_of_another_length_are_refused() -> None:
    with pytest.raises(UsageError, match="2 rows but 1 cluster"):
        rate([1, 0], clusters=["a"])


def _coverage(draw, truth: float, runs: int) -> float:
    hits = 0
    for _ in range(runs):
        low, high = draw()
        hits += low <= truth <= high
    return hits / runs


@pytest.mark.parametrize(("n", "p"), [(541, 0.3), (150, 0.2), (60, 0.5)])
def test_wilson_intervals_cover_the_truth_about_95_times_in_100(n: int, p: float) -> None:
    rng = np.random.default_rng(20250101)
    assert 0.93 <= _coverage(lambda: rate(rng.random(n) < p)[1:3], p, 2000) <= 0.97


@pytest.mark.parametrize(("prompts", "samples", "a", "b"), [(200, 4, 0.5, 0.5), (60, 8, 1.0, 2.0), (150, 3, 0.3, 1.2)])
def test_clustered_intervals_cover_the_truth_where_naive_ones_do_not(
    prompts: int, samples: int, a: float, b: float
) -> None:
    rng = np.random.default_rng(20250102)
    names = np.repeat(np.arange(prompts), samples)

    def rows() -> np.ndarray:
        return (rng.random((prompts, samples)) < rng.beta(a, b, size=(prompts, 1))).ravel()

    truth = a / (a + b)
    assert 0.93 <= _coverage(lambda: rate(rows(), names)[1:3], truth, 1500) <= 0.97
    assert _coverage(lambda: rate(rows())[1:3], truth, 1500) < 0.93


# --- compare -------------------------------------------------------------------------------------------------------


def _table(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[int], list[int]]:
    a = [1] * both + [1] * only_a + [0] * only_b + [0] * neither
    b = [1] * both + [0] * only_a + [1] * only_b + [0] * neither
    return a, b


def test_one_row_a_prompt_is_the_exact_mcnemar_test() -> None:
    found = compare(*_table(40, 3, 14, 43))
    assert found.test == "exact McNemar"
    assert (found.both, found.only_a, found.only_b, found.neither) == (40, 3, 14, 43)
    assert found.difference == pytest.approx(0.11)
    assert found.p_value == pytest.approx(stats.binomtest(3, 17).pvalue, rel=1e-12)


def test_the_interval_is_bonett_and_prices() -> None:
    n, lost, gained = 100, 3, 14
    found = compare(*_table(40, lost, gained, 43))
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = stats.norm.ppf(0.975) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    assert (found.low, found.high) == pytest.approx((up - down - half, up - down + half), abs=1e-12)


def test_the_sentence_says_whether_it_is_more_than_noise() -> None:
    gain = compare(*_table(40, 3, 14, 43))
    assert gain.more_than_noise and gain.sentence.startswith("b is 11.0 points higher than a [")
    assert gain.sentence.endswith(": more than noise")
    assert compare(*_table(40, 14, 3, 43)).sentence.startswith("b is 11.0 points lower than a")
    noise = compare(*_table(40, 3, 4, 53))
    assert not noise.more_than_noise and noise.sentence.endswith("no detectable difference")
    assert compare(*_table(40, 4, 4, 52)).sentence.startswith("b is equal to a")
    assert compare([], []).sentence == "nothing to compare: the runs share no rows"


def test_equal_runs_do_not_differ_but_the_interval_is_not_a_point() -> None:
    rows = [1, 0] * 10
    found = compare(rows, rows, clusters=[i // 2 for i in range(20)])
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.low < -0.05 < 0.05 < found.high


def test_the_clustered_p_value_is_the_share_of_all_sign_patterns() -> None:
    rng = np.random.default_rng(20250103)
    for _ in range(20):
        a, b = rng.integers(0, 2, 36), rng.integers(0, 2, 36)
        names = np.repeat(np.arange(12), 3)
        totals = np.bincount(names, weights=b - a)
        sums = np.array([np.dot(signs, totals) for signs in itertools.product((1, -1), repeat=12)])
        expected = float(np.mean(np.abs(sums) >= abs(totals.sum())))
        assert compare(a, b, names).p_value == pytest.approx(expected, abs=1e-12)


def test_shares_of_samples_compare_as_their_samples_do() -> None:
    rng = np.random.default_rng(20250111)
    a, b = rng.integers(0, 2, (40, 6)), rng.integers(0, 2, (40, 6))
    samples = compare(a.ravel(), b.ravel(), np.repeat(np.arange(40), 6))
    shares = compare(a.mean(axis=1), b.mean(axis=1))
    assert shares.difference == pytest.approx(samples.difference)
    assert shares.p_value == pytest.approx(samples.p_value)
    assert shares.test == "exact sign-flip by prompt"
    assert (shares.only_a, shares.only_b) == (sum(a.sum(1) > b.sum(1)), sum(a.sum(1) < b.sum(1)))
    with pytest.raises(UsageError, match="between 0 and 1"):
        compare([1.5], [0])


def test_copies_of_a_row_do_not_make_a_difference_real() -> None:
    a, b = _table(10, 1, 5, 10)
    names = list(range(len(a)))
    once, often = compare(a, b), compare(a * 20, b * 20, names * 20)
    assert often.p_value == pytest.approx(once.p_value)
    assert compare(a * 20, b * 20).p_value < 1e-10  # what it would say if samples were prompts


@given(verdicts, st.integers(1, 4), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_swapping_the_runs_turns_the_sign_and_nothing_else(
    rows: list[float], size: int, shuffler: random.Random
) -> None:
    other = rows[:]
    shuffler.shuffle(other)
    prompts = [i // size for i in range(len(rows))]
    one, two = compare(rows, other, prompts), compare(other, rows, prompts)
    assert one.difference == pytest.approx(-two.difference)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    assert one.p_value == pytest.approx(two.p_value)
    assert -1 <= one.low <= one.high <= 1 and 0 <= one.p_value <= 1
    assert one.both + one.only_a + one.only_b + one.neither == one.n == len(rows)


@pytest.mark.parametrize(("prompts", "samples", "effect"), [(200, 1, 0.0), (200, 1, 0.1), (150, 4, 0.05), (80, 8, 0.0)])
def test_difference_intervals_cover_the_truth(prompts: int, samples: int, effect: float) -> None:
    rng = np.random.default_rng(20250104)
    names = np.repeat(np.arange(prompts), samples)

    def interval() -> tuple[float, float]:
        ease = rng.beta(0.8, 0.8, size=(prompts, 1)) * (1 - effect)
        a = (rng.random((prompts, samples)) < ease).ravel()
        b = (rng.random((prompts, samples)) < ease + effect).ravel()
        return compare(a, b, names)[1:3]

    assert 0.93 <= _coverage(interval, effect, 1500) <= 0.97


@pytest.mark.parametrize("samples", [1, 4])
def test_without_a_difference_at_most_one_comparison_in_twenty_calls_one(samples: int) -> None:
    rng = np.random.default_rng(20250105)
    names = np.repeat(np.arange(120), samples)

    def call() -> Comparison:
        ease = rng.beta(0.8, 0.8, size=(120, 1))
        a, b = ((rng.random((120, samples)) < ease).ravel() for _ in range(2))
        return compare(a, b, names)

    assert np.mean([call().more_than_noise for _ in range(1500)]) <= 0.06


def test_runs_of_different_length_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot compare 2 rows with 1"):
        compare([1, 0], [1])


def test_pairing_joins_on_keys_and_counts_what_is_left() -> None:
    found = pair({("x", 0): 1.0, ("y", 0): None, ("z", 0): 0.0}, {("y", 0): 1.0, ("x", 0): 0.0})
    assert found.keys == [("x", 0), ("y", 0)]
    assert (found.a, found.b, found.without_b, found.without_a) == ([1.0, None], [0.0, 1.0], 1, 0)


# --- bootstrap, many tests, power ----------------------------------------------------------------------------------


def test_the_bootstrap_agrees_with_scipys() -> None:
    values = np.random.default_rng(20250106).normal(5, 2, 300)
    found = bootstrap_mean(values)
    expected = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1))
    assert found.value == pytest.approx(values.mean())
    low, high = expected.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


def test_the_quick_bootstrap_of_few_kinds_agrees_with_the_drawn_one() -> None:
    rows = np.random.default_rng(20250107).integers(0, 2, 400).astype(float)
    quick = bootstrap_mean(rows)
    drawn = bootstrap_mean(rows + np.linspace(0, 1e-9, 400))  # all distinct: the other path
    assert (quick.low, quick.high) == pytest.approx((drawn.low, drawn.high), abs=0.005)


def test_the_bootstrap_is_seeded_and_blind_to_row_order() -> None:
    rng = np.random.default_rng(20250108)
    values, names = rng.normal(size=200), np.repeat(np.arange(50), 4)
    order = rng.permutation(200)
    found = bootstrap_mean(values, names)
    assert bootstrap_mean(values, names) == found
    assert bootstrap_mean(values[order], names[order])[1:3] == pytest.approx(found[1:3], abs=1e-12)
    assert bootstrap_mean(values, names, seed=1) != found


def test_the_bootstrap_draws_whole_prompts() -> None:
    rng = np.random.default_rng(20250109)
    values = np.repeat(rng.normal(size=40), 10)
    clustered, naive = bootstrap_mean(values, np.repeat(np.arange(40), 10)), bootstrap_mean(values)
    assert clustered.high - clustered.low > 2.5 * (naive.high - naive.low)


def test_missing_numbers_are_left_out_and_counted() -> None:
    found = bootstrap_mean([1.0, math.nan, 3.0], clusters=["a", "a", "b"])
    assert (found.value, found.n, found.clusters, found.undecided) == (2.0, 2, 2, 1)
    assert math.isnan(bootstrap_mean([math.nan]).value)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_p_values_are_no_less_cautious_than_scipys_of_the_false_discovery_rate(p_values: list[float]) -> None:
    for low, high in zip(stats.false_discovery_control(p_values), holm(p_values), strict=True):
        assert low <= high + 1e-12 <= 1 + 1e-12


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(("n", "base"), [(541, 0.3), (150, 0.8), (100, 0.5)])
def test_the_minimum_detectable_difference_is_found_four_times_in_five(n: int, base: float) -> None:
    rng = np.random.default_rng(20250110)
    gap = minimum_detectable(n, base)
    other = base + gap if base <= 0.5 else base - gap
    found = [compare(rng.random(n) < base, rng.random(n) < other).more_than_noise for _ in range(1000)]
    assert 0.75 <= np.mean(found) <= 0.85


def test_more_prompts_and_more_agreement_show_smaller_differences() -> None:
    assert minimum_detectable(1000, 0.3) < minimum_detectable(100, 0.3) < minimum_detectable(20, 0.3)
    assert minimum_detectable(100, 0.3, correlation=0.6) < minimum_detectable(100, 0.3)
    assert minimum_detectable(100, 0.3) == pytest.approx(minimum_detectable(100, 0.7))
    assert math.isnan(minimum_detectable(1, 0.5)) and math.isnan(minimum_detectable(0, 0.5))
    with pytest.raises(UsageError, match="probabilities"):
        minimum_detectable(100, 1.2)
