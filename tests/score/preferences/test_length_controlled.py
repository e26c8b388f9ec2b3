"""The length-controlled win rate: against AlpacaEval 2's published numbers, scikit-learn, and its own identities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.errors import DataError, UsageError
from adhere.score.preferences.length_control import Gamed, Weights, between, fit_difficulty, length_controlled
from adhere.score.preferences.length_control_fit import fit, sigmoid

QUICK = {"draws": 4}


@pytest.fixture(scope="module")
def fixture(data_dir):
    path = data_dir / "alpaca-farm" / "alpaca_eval2_lc_fixture.json"
    if not path.is_file():
        pytest.skip("no AlpacaEval fixture")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def models(fixture):
    """The models with published figures; the baseline against itself is no regression."""
    return {n: m for n, m in fixture["models"].items() if m["official"] and n != fixture["baseline"]}


@pytest.fixture(scope="module")
def gamed(fixture):
    """The two length-gamed baselines, labelled by their published model since their annotations are not at hand."""
    difficulty, base = np.array(fixture["instruction_difficulty_recovered"]), np.array(fixture["len_1"], float)
    made = []
    for version in fixture["gamed"].values():
        lengths = np.array(version["len_2"], float)
        length, hard, model = version["weights"]
        z = length * np.tanh((base - lengths) / (base - lengths).std(ddof=1)) + hard * difficulty + model
        made.append(Gamed(sigmoid(z).tolist(), version["len_2"]))
    return made


def refits(fixture, models, gamed=()):
    d = fixture["instruction_difficulty_recovered"]
    return {
        n: length_controlled(m["preference"], m["len_2"], fixture["len_1"], d, gamed, **QUICK)
        for n, m in models.items()
    }


def errors(found, models):
    ours = np.array([100 * f.value for f in found.values()])
    theirs = np.array([m["official"]["length_controlled_winrate"] for m in models.values()])
    return np.abs(ours - theirs), ours, theirs


def spearman(a, b):
    from scipy.stats import spearmanr

    return spearmanr(a, b).statistic


def test_published_weights_give_the_published_rates_of_all_198_models(fixture, data_dir):
    published = json.loads((data_dir / "alpaca-farm" / "alpaca_eval2_leaderboard_weights.json").read_text())
    d = fixture["instruction_difficulty_recovered"]
    ours = [100 * between(Weights(*row[:3]), Weights(0, 0, 0), d) for row in published.values()]
    gaps = np.abs(np.array(ours) - np.array([row[4] for row in published.values()]))
    assert len(gaps) == 199
    assert gaps.mean() < 0.40
    assert gaps.max() < 1.6


def test_refitting_agrees_with_the_leaderboard(fixture, models):
    gaps, ours, theirs = errors(refits(fixture, models), models)
    raw = np.abs(theirs - [m["official"]["win_rate"] for m in models.values()])
    assert len(gaps) == 56
    assert raw.mean() == pytest.approx(4.86, abs=0.05)  # what correcting nothing would be off by
    assert gaps.mean() < 1.3
    assert spearman(ours, theirs) > 0.97


def test_the_gamed_baselines_bring_the_refit_nearer_to_the_leaderboard(fixture, models, gamed):
    models = dict(list(models.items())[::4])  # every fourth: the reproduction takes all
    gaps, ours, theirs = errors(refits(fixture, models, gamed), models)
    assert gaps.mean() < 1.15
    assert gaps.max() < 3.0
    assert spearman(ours, theirs) > 0.99


def test_answers_cut_short_to_game_the_judge_need_the_gamed_baselines(fixture, models, gamed):
    """gpt4_gamed is nearly always shorter than the baseline: its own rows cannot tell length from quality."""
    model, d = models["gpt4_gamed"], fixture["instruction_difficulty_recovered"]
    alone = length_controlled(model["preference"], model["len_2"], fixture["len_1"], d, **QUICK)
    held = length_controlled(model["preference"], model["len_2"], fixture["len_1"], d, gamed)
    assert 100 * held.raw == pytest.approx(3.74, abs=0.01)
    assert held.low < 0.1219 < held.high  # the published rate
    assert alone.value > 0.2
    assert "equal lengths are an extrapolation" in alone.notes[0]


def test_a_missing_answer_leaves_its_row_out_and_the_length_term_in(fixture, models):
    model = models["minotaur-13b"]
    assert model["len_2"].count(None) == model["preference"].count(None) == 1
    found = length_controlled(
        model["preference"], model["len_2"], fixture["len_1"], fixture["instruction_difficulty_recovered"], **QUICK
    )
    assert (found.n, found.formula) == (804, "length + difficulty + model")
    assert found.weights.length < -1


def test_a_constant_answer_that_fools_the_judge_fools_length_control_too(fixture, models):
    """Length is all that it controls for: NullModel, 76.9% raw, is published with 86.5%."""
    model = models["NullModel"]
    found = length_controlled(
        model["preference"], model["len_2"], fixture["len_1"], fixture["instruction_difficulty_recovered"], **QUICK
    )
    assert 100 * found.value == pytest.approx(86.46, abs=3)


def test_difficulties_fitted_from_the_models_alone_serve_as_well(fixture, models):
    """The published difficulties are not at hand: ours come from 56 models' preferences and lengths, nothing else."""
    ours = fit_difficulty([m["preference"] for m in models.values()], [m["len_2"] for m in models.values()],
                          fixture["len_1"])  # fmt: skip
    assert spearman(ours, fixture["instruction_difficulty_recovered"]) > 0.9
    models = dict(list(models.items())[::4])
    found = {
        n: length_controlled(m["preference"], m["len_2"], fixture["len_1"], ours, **QUICK) for n, m in models.items()
    }
    gaps, controlled, theirs = errors(found, models)
    assert gaps.mean() < 1.6
    assert spearman(controlled, theirs) > 0.97


def test_the_fit_is_liblinears():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = sigmoid(x @ [1.5, 0.0, -0.5] + rng.normal(size=300))
    weight = rng.uniform(0.1, 2, size=300)
    copies, labels = np.vstack((x, x)), np.repeat([1, 0], 300)
    for penalty in (0.02, 0.4, 100.0):
        theirs = LogisticRegression(
            l1_ratio=1, solver="liblinear", C=penalty, fit_intercept=False, tol=1e-8, max_iter=10_000, random_state=123
        ).fit(copies, labels, sample_weight=np.concatenate((weight * y, weight * (1 - y))))
        ours = fit(x, y, weight[None], np.array([penalty]))[0]
        assert ours == pytest.approx(theirs.coef_[0], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 2), st.floats(-2, 2))
def test_known_weights_are_found_again(seed, length, model):
    rng = np.random.default_rng(seed)
    base, own = rng.integers(200, 3000, 800), rng.integers(200, 3000, 800)
    z = length * np.tanh((base - own) / (base - own).std(ddof=1)) + model
    found = length_controlled(sigmoid(z).tolist(), own, base, **QUICK)
    assert found.weights == pytest.approx((length, 0, model), abs=0.05)
    assert found.value == pytest.approx(sigmoid(model), abs=0.02)


def test_a_model_against_itself_wins_half_of_the_time():
    rng = np.random.default_rng(1)
    found = length_controlled([0.5] * 200, rng.integers(1, 99, 200), rng.integers(1, 99, 200), **QUICK)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6), st.lists(st.floats(-4, 4), min_size=1, max_size=30))
def test_two_models_rates_over_each_other_add_up_to_one(weights, difficulty):
    one, other = Weights(*weights[:3]), Weights(*weights[3:])
    assert between(one, other, difficulty) + between(other, one, difficulty) == pytest.approx(1)
    assert between(one, one, difficulty) == 0.5


def test_swapping_the_sides_gives_the_complement():
    rng = np.random.default_rng(2)
    base, own = rng.integers(200, 3000, 400), rng.integers(200, 2000, 400)
    p = sigmoid(rng.normal(size=400) - 0.3)
    there, back = length_controlled(p, own, base, **QUICK), length_controlled(1 - p, base, own, **QUICK)
    assert there.value + back.value == pytest.approx(1, abs=1e-6)


def test_length_control_takes_away_a_taste_for_length():
    rng = np.random.default_rng(3)
    base, own = rng.normal(1000, 300, 600), rng.normal(1500, 300, 600)  # as good, and half as long again
    p = (rng.random(600) < sigmoid((own - base) / 300)).astype(float)
    found = length_controlled(p, own, base)
    assert found.raw > 0.7
    assert found.low < 0.5 < found.high
    assert "no difficulties" in found.notes[0]
    assert "length control moves the win rate" in found.notes[1]


def test_a_row_without_a_verdict_takes_no_part_in_the_fit_but_keeps_its_place():
    """In the reference the difficulties of all later rows would shift."""
    rng = np.random.default_rng(4)
    base, own, d = rng.integers(200, 3000, 300), rng.integers(200, 3000, 300), rng.normal(size=300)
    p = sigmoid(d + rng.normal(size=300) / 10).tolist()
    whole = length_controlled(p, own, base, d, **QUICK)
    holes = [None if n % 10 == 0 else value for n, value in enumerate(p)]
    found = length_controlled(holes, own, base, d, **QUICK)
    assert found.n == 270
    assert found.weights.difficulty == pytest.approx(whole.weights.difficulty, abs=0.1)
    assert found.value == pytest.approx(whole.value, abs=0.01)


def test_the_interval_is_wider_where_answers_come_in_prompts():
    rng = np.random.default_rng(5)
    own, base = rng.integers(200, 3000, 400), rng.integers(200, 3000, 400)
    p = np.repeat(rng.random(100) < 0.4, 4).astype(float)
    alone = length_controlled(p, own, base)
    grouped = length_controlled(p, own, base, clusters=[n // 4 for n in range(400)])
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_equal_rows_give_equal_intervals():
    rng = np.random.default_rng(6)
    own, base, p = rng.integers(1, 99, 150), rng.integers(1, 99, 150), rng.random(150)
    assert length_controlled(p, own, base, **QUICK) == length_controlled(p, own, base, **QUICK)


def test_lengths_that_do_not_vary_drop_the_length_term():
    p = np.random.default_rng(7).random(200)
    found = length_controlled(p, [80] * 200, [100] * 200, **QUICK)
    assert found.formula == "model"
    assert found.value == pytest.approx(found.raw, abs=0.01)
    assert "no length term" in found.notes[0]


def test_too_few_rows_are_refused():
    with pytest.raises(UsageError, match="99 judged rows are too few"):
        length_controlled([0.4] * 99 + [None], [1] * 100, [2] * 100)


def test_one_side_winning_every_row_is_refused():
    with pytest.raises(UsageError, match="the baseline wins every row"):
        length_controlled([0.0] * 100, range(100), range(100))


def test_ragged_input_is_named():
    with pytest.raises(UsageError, match="100 preferences but 99 lengths of the baseline"):
        length_controlled([0.4] * 100, range(100), range(99))
    with pytest.raises(DataError, match="between 0 and 1"):
        length_controlled([1.4] * 100, range(100), range(100))
    with pytest.raises(UsageError, match="at least 10 models, not 2"):
        fit_difficulty([[0.1], [0.2]], [[1], [2]], [1])
