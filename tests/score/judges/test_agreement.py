"""How far a judge agrees with people: LLMBar's published figures, kappa, and biases that were put in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from adhere.score.judges.agreement import Judged, agreement, cohens_kappa, credit, length_coefficient, prefers_longer
from adhere.score.judges.base import Order, Preference, preference
from adhere.score.judges.gold import read_pairs
from adhere.score.judges.meta import judged

# Zeng et al. 2024, GPT-4 with the vanilla prompt: average accuracy over both orders, by subset.
PUBLISHED = {"natural": 95.5, "neighbor": 78.73, "gptinst": 86.41, "gptout": 77.66, "manual": 80.43}


def row(gold, verdict, lengths=(10, 20), cluster=None, orders=()):
    p = {"a": 0.0, "b": 1.0, "tie": 0.5, None: None}[verdict]
    return Judged(gold, Preference(p, verdict, orders=orders), lengths, object() if cluster is None else cluster)


def flipping(gold, first, second, cluster=0):
    """Verdicts in the given order and swapped."""
    p = {"a": 0.0, "b": 1.0, None: None}
    return Judged(gold, preference([Order("a", p[first]), Order("b", p[second])]), (10, 20), cluster)


def test_llmbars_published_accuracies_come_out_of_its_recorded_verdicts(data_dir):
    import asyncio

    from adhere.score.judges.base import Recorded

    by_subset: dict[str, list[Judged]] = {}
    for pair in read_pairs(data_dir / "revis-eval" / "llmbar.jsonl"):
        found = asyncio.run(Recorded("GPT-4/Vanilla").compare(pair.instruction, pair.a, pair.b))
        by_subset.setdefault(pair.subset, []).append(judged(pair, found))
    for subset, expected in PUBLISHED.items():
        found = agreement(by_subset[subset])
        assert 100 * found["order_accuracy"].value == pytest.approx(expected, abs=0.005)
        assert 100 * found["accuracy"].value == pytest.approx(expected, abs=0.005)


def test_a_tie_is_half_right_and_no_verdict_is_wrong_and_counted():
    found = agreement([row("a", "a"), row("a", "tie"), row("b", None), row("b", "a")])
    assert found["accuracy"].value == pytest.approx((1 + 0.5) / 4)
    assert found["no_verdict"].value == 0.25
    assert [credit("a", v) for v in ("a", "b", "tie", None)] == [1.0, 0.0, 0.5, 0.0]


def test_pairs_that_people_called_a_tie_count_for_kappa_only():
    found = agreement([row("a", "a"), row("tie", "b"), row("tie", "tie")])
    assert found["accuracy"].n == 1
    assert found["kappa"].n == 3


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "tie"]), st.sampled_from(["a", "b", "tie"])), min_size=2))
def test_kappa_is_scikit_learns(pairs):
    expected = cohen_kappa_score([g for g, _ in pairs], [v for _, v in pairs], labels=["a", "b", "tie"])
    found = cohens_kappa([row(g, v) for g, v in pairs])
    assert found is None if math.isnan(expected) else found == pytest.approx(expected)


def test_no_verdict_never_agrees_in_kappa():
    assert cohens_kappa([row("a", None), row("b", None)]) == 0.0
    assert cohens_kappa([]) is None


def test_position_bias_is_counted_from_the_orders():
    always_first = [flipping("a", "a", "b", n) for n in range(4)]
    found = agreement(always_first)
    assert (found["flipped"].value, found["first_preferred"].value, found["first_when_flipped"].value) == (1, 1, 1)
    assert (found["accuracy"].value, found["both_right"].value, found["order_accuracy"].value) == (0.5, 0, 0.5)
    steady = agreement([flipping("a", "a", "a", n) for n in range(4)])
    assert (steady["flipped"].value, steady["first_preferred"].value) == (0, 0.5)
    assert "first_when_flipped" not in steady


def test_an_order_without_verdict_takes_no_part_in_the_flips():
    found = agreement([flipping("a", "a", None), flipping("a", "a", "a")])
    assert found["flipped"].n == 1
    assert found["no_verdict"].value == 0.5


def test_a_judge_without_orders_has_no_figures_of_position():
    assert not {"flipped", "both_right", "first_preferred", "order_accuracy"} & agreement([row("a", "b")]).keys()


def test_the_longer_answer_is_the_longer_one_whichever_side_it_is_on():
    assert prefers_longer("b", (10, 20)) == prefers_longer("a", (20, 10)) == 1.0
    assert prefers_longer("a", (10, 20)) == 0.0
    assert (prefers_longer("tie", (1, 2)), prefers_longer(None, (1, 2))) == (0.5, None)


def simulated(length_weight: float, n: int = 4_000):
    """A judge with known log-odds: 1 for quality, `length_weight` for each standard deviation of log-length."""
    rng = np.random.default_rng(1)
    longer = rng.normal(size=n)
    gold = rng.choice([-1, 1], size=n)
    chance = 1 / (1 + np.exp(-(length_weight * longer + gold)))
    said = rng.random(n) < chance
    return [
        row("b" if g > 0 else "a", "b" if s else "a", (1000, round(1000 * math.exp(x / 2))))
        for x, g, s in zip(longer, gold, said, strict=True)
    ]


@pytest.mark.parametrize("weight", [-0.5, 0.0, 1.0])
def test_the_length_coefficient_is_the_bias_that_was_put_in(weight):
    assert length_coefficient(simulated(weight)) == pytest.approx(weight, abs=0.12)


def test_exchanging_the_names_of_the_answers_changes_no_bias():
    rows = simulated(0.7, 300)
    other = {"a": "b", "b": "a"}
    exchanged = [row(other[r.gold], other[r.verdict], r.lengths[::-1]) for r in rows]
    assert length_coefficient(exchanged) == pytest.approx(length_coefficient(rows))


def test_a_judge_that_always_takes_the_longer_has_a_finite_coefficient():
    rows = [row("a", "b", (10, 10 + n)) for n in range(1, 30)]
    found = length_coefficient(rows)
    assert found is not None and 0.5 < found < 20
    assert length_coefficient(rows[:2]) is None
    assert length_coefficient([row("a", "b", (5, 5))] * 5) is None


def test_intervals_are_clustered_by_instruction():
    rows = [row("a", v, cluster=c) for c, v in enumerate("aabbaabb") for _ in range(5)]
    clustered, alone = agreement(rows)["accuracy"], agreement([r._replace(cluster=n) for n, r in enumerate(rows)])
    assert clustered.clusters == 8
    assert clustered.high - clustered.low > alone["accuracy"].high - alone["accuracy"].low
