"""Majority and minimum Bayes risk: what the candidates agree on."""

from __future__ import annotations

import asyncio

import pytest

from adhere.errors import UsageError
from adhere.records import Instruction, Response
from adhere.score.consensus import Consensus, Majority
from adhere.score.resolve import resolve
from adhere.score.texts.overlap import rouge_l

ASKED = Instruction.of("?")


def ranked(scorer, *texts: str):
    return asyncio.run(scorer.rank(ASKED, [Response(t) for t in texts]))


def test_the_majority_counts_equal_answers_however_they_are_worded() -> None:
    scores = ranked(Majority("number"), "The answer is 12.", "4 x 3 = 12.0 apples", "I say 7", "no idea")
    assert [s.value for s in scores] == [0.5, 0.5, 0.25, None]
    assert scores[0].reason == "2 of 4 say '12'"
    assert all(s.passed is None for s in scores)


def test_the_majority_of_texts_looks_at_no_case() -> None:
    assert [s.value for s in ranked(Majority(), "Paris.", "paris", "Rome")] == [2 / 3, 2 / 3, 1 / 3]


def test_consensus_is_the_mean_similarity_to_the_others() -> None:
    texts = ["the cat sat down", "a cat sat", "dogs run", ""]
    values = [s.value for s in ranked(Consensus(), *texts)]
    expected = [sum(rouge_l(t, [o]) for o in texts if o is not t) / 3 for t in texts]
    assert values == pytest.approx(expected)
    assert values[3] == 0


def test_equal_candidates_count_as_others() -> None:
    assert [s.value for s in ranked(Consensus(), "same words", "same words", "else")] == [0.5, 0.5, 0]


def test_one_candidate_alone_is_undecided() -> None:
    assert ranked(Consensus(), "alone")[0].value is None
    assert asyncio.run(Majority().score(ASKED, Response("alone"))).value is None


def test_sentence_vectors_see_the_sense() -> None:
    from adhere.errors import WeightsError
    from adhere.models import weights

    try:
        weights.resolve("minilm")
    except WeightsError as error:
        pytest.skip(str(error))
    texts = ["The film was wonderful.", "I loved the movie.", "Bake it for an hour."]
    by_sense = [s.value for s in ranked(Consensus("minilm"), *texts)]
    assert min(by_sense[:2]) > by_sense[2]


def test_by_name() -> None:
    assert repr(resolve("majority(kind=choice)")) == "Majority('choice')"
    assert repr(resolve("consensus")) == "Consensus('rouge_l')"
    with pytest.raises(UsageError, match="unknown kind"):
        resolve("majority(kind=poem)")
    with pytest.raises(UsageError, match="unknown similarity"):
        resolve("consensus(similarity=vibes)")
