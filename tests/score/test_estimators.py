"""The estimators against enumeration, against their definitions, and against published numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.score.estimators import pass_at_k, pif_n_k


@given(st.integers(1, 7), st.data())
def test_both_are_the_share_of_all_subsets_that_do(n: int, data: st.DataObject) -> None:
    passed = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    size = data.draw(st.integers(1, n))
    least = data.draw(st.integers(1, size))
    subsets = [sum(chosen) for chosen in combinations(passed, size)]
    assert pif_n_k(n, sum(passed), size, least) == pytest.approx(np.mean([s >= least for s in subsets]))
    assert pass_at_k(n, sum(passed), size) == pytest.approx(np.mean([s > 0 for s in subsets]))


def test_with_as_many_samples_as_n_it_is_counting() -> None:
    perfect = np.array([0, 1, 2, 3, 4])
    for least in range(1, 5):
        assert pif_n_k(4, perfect, 4, least).tolist() == [float(c >= least) for c in perfect]


def test_known_answers() -> None:
    assert pass_at_k(200, 0, 100) == 0.0
    assert pass_at_k(200, 200, 1) == 1.0
    assert pass_at_k(10, 3, 1) == 0.3
    # 1 - C(190, 10) / C(200, 10), which Codex's stable product gives too
    product = 1 - np.prod(1 - 10 / np.arange(191, 201))
    assert pass_at_k(200, 10, 10) == pytest.approx(product, rel=1e-12)
    assert pif_n_k(8, 6, 4, 4) == pytest.approx(15 / 70)


def test_drawing_more_samples_changes_the_noise_and_not_the_mean() -> None:
    """20,000 prompts, each with its own chance that a sample is perfect: 4 and 10 samples agree with the truth."""
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 1.0, 20_000)
    four, ten = rng.binomial(4, chance), rng.binomial(10, chance)
    truth = (chance**4).mean()
    by_four, by_ten = pif_n_k(4, four, 4, 4), pif_n_k(10, ten, 4, 4)
    assert by_four.mean() == pytest.approx(truth, abs=0.01)
    assert by_ten.mean() == pytest.approx(truth, abs=0.01)
    assert by_ten.std() < by_four.std()
    assert abs(((ten / 10) ** 4).mean() - truth) > 0.01  # the plug-in estimate is biased


def test_more_is_asked_less_is_met() -> None:
    row = [pif_n_k(6, 4, 4, k) for k in (1, 2, 3, 4)]
    assert row == sorted(row, reverse=True)


def test_prompts_may_have_different_numbers_of_samples() -> None:
    assert pass_at_k([2, 4], [1, 1], 2).tolist() == [1.0, 0.5]


@pytest.mark.parametrize("args", [(3, 1, 4, 1), (4, 5, 4, 1), (4, -1, 4, 1), (4, 1, 4, 5), (4, 1, 4, 0)])
def test_counts_that_cannot_be_are_refused(args: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError):
        pif_n_k(*args)
    with pytest.raises(UsageError):
        pif_n_k([args[0], 4], [args[1], 1], *args[2:])


def test_shares_are_no_counts() -> None:
    with pytest.raises(UsageError, match="whole numbers"):
        pass_at_k([4], [0.5], 1)
