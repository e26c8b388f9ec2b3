"""Win rates, as AlpacaEval counts them and against its published numbers."""

from __future__ import annotations

import json

import pytest

from adhere.errors import DataError
from adhere.score.preferences.win_rate import join, share_of_second, win_rate


@pytest.fixture(scope="module")
def fixture(data_dir):
    path = data_dir / "alpaca-farm" / "alpaca_eval2_lc_fixture.json"
    if not path.is_file():
        pytest.skip("no AlpacaEval fixture")
    return json.loads(path.read_text())


def test_the_mean_preference_is_the_published_win_rate_of_every_model(fixture):
    for name, model in fixture["models"].items():
        if official := model["official"]:
            found = win_rate(model["preference"])
            assert 100 * found.value == pytest.approx(official["win_rate"], abs=1e-3), name
            assert 100 * found.standard_error == pytest.approx(official["standard_error"], abs=1e-3), name
            assert 100 * found.discrete == pytest.approx(official["discrete_win_rate"], abs=1e-6), name


def test_comparisons_without_a_verdict_are_counted_apart(fixture):
    found = win_rate(fixture["models"]["alpaca-7b_verbose"]["preference"])
    assert (found.n, found.no_verdict) == (802, 3)


def test_no_verdict_is_no_draw():
    found = win_rate([1.0, None, 0.0, float("nan")])
    assert (found.value, found.draws, found.n, found.no_verdict) == (0.5, 0, 2, 2)


def test_graded_preferences_and_wins_are_different_figures():
    found = win_rate([0.9, 0.6, 0.6, 0.0])
    assert found.value == pytest.approx(0.525)
    assert found.discrete == 0.75


def test_the_interval_treats_a_prompt_with_several_answers_as_one_draw():
    alone = win_rate([1, 0] * 20)
    together = win_rate([1, 0] * 20, clusters=[n // 4 for n in range(40)])
    assert (together.low, together.high) == (0.5, 0.5)  # every prompt has exactly one half
    assert alone.low < 0.5 < alone.high


def test_alpaca_evals_encodings_are_read():
    assert [share_of_second(p) for p in (1, 1.0000001, 1.5, 0, 2)] == [0.0, pytest.approx(1e-7), 0.5, 0.5, 1.0]
    with pytest.raises(DataError, match="3 is no preference"):
        share_of_second(3)


def test_preferences_that_are_no_shares_are_refused():
    with pytest.raises(DataError, match="share_of_second"):
        win_rate([1.7, 1.2])


def test_answers_are_joined_by_instruction_and_what_is_missing_is_named():
    joined = join(["one", "two", "three"], ["three", "four", "one"])
    assert joined.keys == ["one", "three"]
    assert joined.missing_in_first == ["four"]
    assert joined.missing_in_second == ["two"]


def test_an_instruction_that_is_answered_twice_is_refused():
    with pytest.raises(DataError, match=r"the baseline answers 1 instruction\(s\) more than once, e.g. 'one'"):
        join(["one"], ["one", "one"])


def test_sets_that_share_no_instruction_are_refused():
    with pytest.raises(DataError, match="share no instruction"):
        join(["one"], ["two"])
