"""Allocators spend no more than they may, find what is good, and never rank the unknown above the known."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.errors import UnknownNameError, UsageError
from adhere.write.instructions.allocators import ALLOCATORS, Ledger, allocator_of, full, halving, ucb
from adhere.write.instructions.tasks import Pair

PAIRS = tuple(Pair(str(i), ("x",)) for i in range(20))


class Known:
    """A scorer whose candidates are numbers: their quality, plus noise that is the same for all on a pair."""

    name = "accuracy"
    worst = 0.0

    def __init__(self, noise: float = 0.0, offset: float = 0.0) -> None:
        self.noise, self.offset = noise, offset
        self.asked: list[tuple[str, str]] = []

    async def score(self, instruction: str, pair: Pair) -> float:
        self.asked.append((instruction, pair.input))
        wobble = np.random.default_rng([int(pair.input), int(float(instruction) * 1000)]).normal()
        return float(instruction) + self.offset + self.noise * wobble


def ledger_of(n: int, scorer: Known, budget: int | None) -> Ledger:
    ledger = Ledger(PAIRS, scorer, budget)
    order = np.random.default_rng(3).permutation(n)
    ledger.add(str(i / n) for i in order)
    return ledger


@pytest.mark.parametrize("name", ALLOCATORS)
@given(n=st.integers(1, 25), budget=st.none() | st.integers(25, 600))
@settings(max_examples=30, deadline=None)
def test_no_allocator_overspends_or_pays_twice(name: str, n: int, budget: int | None) -> None:
    scorer = Known(0.3)
    ledger = ledger_of(n, scorer, budget)
    asyncio.run(allocator_of(name)(ledger, ledger.left))
    assert ledger.calls == len(scorer.asked) == len(set(scorer.asked)) == ledger.counts.sum()
    assert ledger.calls <= (math.inf if budget is None else budget)
    if budget is None or budget >= n * len(PAIRS):
        assert ledger.calls == n * len(PAIRS) or name == "halving"
    assert sorted(ledger.ranking()) == list(range(n))


@pytest.mark.parametrize("allocate", [ucb, halving])
@pytest.mark.parametrize("offset", [0.0, -10.0])
def test_a_frugal_allocator_finds_a_clearly_best_candidate_with_a_third_of_the_calls(allocate, offset) -> None:
    ledger = ledger_of(24, Known(0.1, offset), budget=160)
    asyncio.run(allocate(ledger, ledger.left))
    best = float(ledger.candidates[ledger.ranking()[0]])
    assert best >= 20 / 24


def test_candidates_with_equal_counts_were_scored_on_the_same_pairs() -> None:
    scorer = Known()
    ledger = ledger_of(8, scorer, budget=40)
    asyncio.run(full(ledger, ledger.left))
    assert {tuple(np.flatnonzero(~np.isnan(row))) for row in ledger.values} == {(0, 1, 2, 3, 4)}


def test_never_scored_candidates_come_last_even_where_all_scores_are_negative() -> None:
    ledger = ledger_of(9, Known(offset=-10), budget=15)
    asyncio.run(ucb(ledger, ledger.left))
    counts = ledger.counts[ledger.ranking()]
    assert (counts > 0).tolist() == [True] * 3 + [False] * 6


def test_a_lucky_first_pair_does_not_beat_a_well_scored_candidate() -> None:
    ledger = ledger_of(2, Known(), None)
    ledger.values[0, :1], ledger.values[1, :10] = 1.0, 0.5
    assert ledger.ranking() == [1, 0]


def test_a_budget_that_does_not_reach_every_candidate_is_refused_by_full() -> None:
    ledger = ledger_of(9, Known(), budget=8)
    with pytest.raises(UsageError, match="8 calls does not reach each of 9"):
        asyncio.run(full(ledger, ledger.left))
    assert ledger.calls == 0


def test_a_failed_call_is_paid_counted_and_the_worst_score() -> None:
    class Failing(Known):
        async def score(self, instruction: str, pair: Pair) -> float:
            return math.nan if pair.input == "0" else 1.0

    ledger = ledger_of(1, Failing(), None)
    asyncio.run(full(ledger, math.inf))
    assert (ledger.calls, ledger.failed, ledger.means[0]) == (20, 1, pytest.approx(0.95))


def test_an_unknown_allocator_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="halving"):
        allocator_of("halvin")
