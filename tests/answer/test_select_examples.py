"""Which examples are shown."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from adhere.answer.select_examples import SELECTIONS, Selector, TfIdf, tokens
from adhere.errors import UsageError

TEXTS = [
    "How many apples are in the basket?",
    "Which river flows through Paris?",
    "How many pears are in the basket?",
    "Which river flows through Vienna?",
    "中文 句子",
    "",
]


def pick(selection: str, query: str, n: int, **options: object) -> list[int]:
    return asyncio.run(Selector(TEXTS, selection, "tfidf").pick(query, n, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("selection", ["bm25", "embedding"])
def test_the_best_match_comes_last(selection: str) -> None:
    assert pick(selection, "How many plums are in a basket?", 2) in ([0, 2], [2, 0])
    assert pick(selection, "Which river flows through Vienna?", 1) == [3]


def test_bm25_reads_scripts_without_spaces() -> None:
    assert tokens("中文 ABC-d") == ["中", "文", "abc", "d"]
    assert pick("bm25", "句", 1) == [4]


def test_diverse_picks_are_unlike_each_other() -> None:
    """The two nearest both count fruit; the second pick of "diverse" is about something else."""
    alike = pick("embedding", "How many apples flow in the basket?", 2)
    diverse = pick("diverse", "How many apples flow in the basket?", 2)
    assert set(alike) == {0, 2}
    assert 0 in diverse and 2 not in diverse


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_is_excluded_is_not_picked_and_nothing_comes_twice(selection: str) -> None:
    found = pick(selection, "How many apples are in the basket?", 99, exclude={0, 5})
    assert sorted(found) == [1, 2, 3, 4]


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("query", ["", "zzz", "?"])
def test_a_query_without_known_words_still_gets_examples(selection: str, query: str) -> None:
    assert len(pick(selection, query, 3)) == 3


def test_random_picks_differ_by_query_and_seed_and_repeat() -> None:
    picks = {(query, seed): tuple(pick("random", query, 3, seed=seed)) for query in "abcdefgh" for seed in (0, 1)}
    assert len(set(picks.values())) > 8
    assert tuple(pick("random", "a", 3)) == picks["a", 0]


def test_an_unknown_selection_is_named_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'bm25'"):
        Selector(TEXTS, "bm52")  # type: ignore[arg-type]


def test_texts_without_words_have_zero_vectors() -> None:
    vectors = asyncio.run(TfIdf(["", "?"]).embed(["a", ""]))
    assert not np.any(vectors)
    assert asyncio.run(Selector(["", "?"], "bm25").pick("a", 1)) == [0]


@pytest.mark.weights
def test_sentence_vectors_match_by_meaning() -> None:
    found = asyncio.run(Selector(["The cat sat.", "How do I reset my password?"], "embedding").pick("login problem", 1))
    assert found == [1]
