"""What best-of-k would have given, against counting every subset."""

from __future__ import annotations

import asyncio
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.score.budget import Candidates, at_budget, best_of_k, lines, ranked_best_of_k

candidates = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.integers(0, 3)), min_size=1, max_size=7
)  # few values: many ties


def counted(pairs: list[tuple], k: int, first_fixed: bool) -> float:
    """The definition: the mean over all subsets of the mean quality of the best-scored."""
    keyed = [(-1 if s is None else s, q) for s, q in pairs]
    picked = []
    if first_fixed:
        for others in combinations(keyed[1:], k - 1):
            better = [o for o in others if o[0] > keyed[0][0]]
            top = max((o[0] for o in better), default=None)
            best = [q for s, q in better if s == top] or [keyed[0][1]]
            picked.append(sum(best) / len(best))
    else:
        for subset in combinations(keyed, k):
            top = max(s for s, _ in subset)
            best = [q for s, q in subset if s == top]
            picked.append(sum(best) / len(best))
    return sum(picked) / len(picked)


@given(candidates)
def test_it_equals_the_mean_over_all_subsets(pairs: list[tuple]) -> None:
    curve = best_of_k(*zip(*pairs, strict=True))
    assert curve == pytest.approx([counted(pairs, k, False) for k in range(1, len(pairs) + 1)])


@given(candidates)
def test_with_a_fixed_first_candidate_too(pairs: list[tuple]) -> None:
    first, *others = pairs
    distinct = [first, *((None if s is None else s + i / 10, q) for i, (s, q) in enumerate(others))]
    curve = best_of_k(*zip(*distinct, strict=True), first_fixed=True)
    assert curve == pytest.approx([counted(distinct, k, True) for k in range(1, len(pairs) + 1)])


@given(candidates)
def test_the_oracle_never_falls_and_is_never_beaten(pairs: list[tuple]) -> None:
    scores, quality = zip(*pairs, strict=True)
    oracle, picked = best_of_k(quality, quality), best_of_k(scores, quality)
    assert all(b >= a - 1e-9 for a, b in pairwise(oracle))
    assert all(o >= p - 1e-9 for o, p in zip(oracle, picked, strict=True))
    assert oracle[-1] == max(quality)


def test_three_curves_with_intervals() -> None:
    rows = [Candidates([0.1, 0.9, None], [0, 1, 0]), Candidates([0.5, 0.4, 0.3], [0, 0, 1])]
    found = at_budget(rows)
    assert [round(b.picked.value, 3) for b in found] == [0.333, 0.333, 0.5]
    assert [round(b.oracle.value, 3) for b in found] == [0.333, 0.667, 1.0]
    assert all(b.random.value == pytest.approx(1 / 3) for b in found)
    assert found[2].gain.low <= found[2].gain.value <= found[2].gain.high
    assert lines(found)[1].split()[:4] == ["1", "33.3", "33.3", "33.3"]


def test_the_blind_pick_of_a_fixed_first_leans_to_the_others_as_they_grow() -> None:
    found = at_budget([Candidates([0, 0, 0], [1.0, 0.0, 0.0])], first_fixed=True)
    assert [b.random.value for b in found] == pytest.approx([1, 1 / 2, 1 / 3])


def test_rows_that_were_stopped_early_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\[1, 2\] candidates"):
        at_budget([Candidates([1], [1]), Candidates([1, 2], [1, 0])])
    with pytest.raises(UsageError):
        at_budget([])
    with pytest.raises(UsageError):
        best_of_k([1.0], [])


def test_a_comparing_scorer_ranks_every_subset_anew() -> None:
    class Votes:
        sizes: list[int] = []

        async def rank(self, instruction: Instruction, responses: list[Response]) -> list[Score]:
            self.sizes.append(len(responses))
            return [Score("votes", sum(r.text == o.text for o in responses)) for r in responses]

    texts, scorer = ["right", "right", "wrong"], Votes()
    responses = [Response(t) for t in texts]
    curve = asyncio.run(ranked_best_of_k(scorer, Instruction.of("?"), responses, [1, 1, 0]))
    assert curve == pytest.approx([2 / 3, (1 + 0.5 + 0.5) / 3, 1])
    assert scorer.sizes == [1, 1, 1, 2, 2, 2, 3]
