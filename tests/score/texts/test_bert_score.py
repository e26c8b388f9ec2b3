"""Greedy matching by hand, and MiniLM's word pieces: the mean of them all is its sentence vector."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from adhere.errors import UsageError, WeightsError
from adhere.records import Document, Instruction, Message, Response
from adhere.score.texts.bert_score import BERTScore, bert_score, bert_scores, matched


def test_matching_is_as_worked_out_by_hand() -> None:
    one = np.array([[1, 0], [0, 1]], np.float32)
    other = np.array([[1, 0], [0.6, 0.8], [1, 0]], np.float32)
    found = matched(one, other)
    assert found.precision == pytest.approx((1 + 0.8) / 2)
    assert found.recall == pytest.approx((1 + 0.8 + 1) / 3)
    assert found.f1 == pytest.approx(2 * 0.9 * (2.8 / 3) / (0.9 + 2.8 / 3))


def test_an_empty_text_matches_nothing() -> None:
    assert matched(np.zeros((0, 2), np.float32), np.eye(2, dtype=np.float32)) == (0, 0, 0)


def test_long_texts_are_matched_in_blocks() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(1300, 8)).astype(np.float32), rng.normal(size=(40, 8)).astype(np.float32)
    similar = one @ other.T
    found = matched(one, other)
    assert (found.precision, found.recall) == pytest.approx((similar.max(1).mean(), similar.max(0).mean()), rel=1e-5)


@pytest.fixture(scope="module")
def minilm():
    from adhere.score.texts.bert_score import packaged

    try:
        return packaged()
    except WeightsError as error:
        pytest.skip(f"no MiniLM: {error}")


@pytest.mark.weights
def test_word_pieces_do_not_depend_on_what_is_in_the_batch(minilm) -> None:
    texts = ["It opened in 1931.", "", "A much longer sentence about a museum of clocks on the canal of Harl."]
    together = minilm.token_vectors(texts)
    assert [len(v) for v in together] == [5, 0, 16]
    for text, vectors in zip(texts, together, strict=True):
        np.testing.assert_allclose(minilm.token_vectors([text])[0], vectors, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together[2], axis=1), 1, atol=1e-5)


@pytest.mark.weights
def test_nothing_of_a_long_text_is_lost(minilm) -> None:
    (vectors,) = minilm.token_vectors(["pear " * 300])
    assert len(vectors) == 300


@pytest.mark.weights
def test_a_paraphrase_is_nearer_than_another_statement(minilm) -> None:
    reference = ["The museum opened its doors in 1931."]
    same, paraphrase, other = bert_scores(
        [reference[0], "It was in 1931 that the museum opened.", "Falcons nest in the northern tower."], [reference] * 3
    )
    assert same.f1 == pytest.approx(1, abs=1e-5)
    assert same.f1 > paraphrase.f1 > other.f1 + 0.2
    assert bert_score("It was in 1931 that the museum opened.", ["Falcons.", *reference]).f1 == pytest.approx(
        paraphrase.f1
    )


@pytest.mark.weights
def test_as_a_scorer_it_reads_references_or_passages(minilm) -> None:
    row = Instruction(
        "1", (Message("user", "?"),), documents=(Document("Pears are sold here."),), references=("pears",)
    )
    answer = Response("Pears")
    right = asyncio.run(BERTScore().score(row, answer))
    supported = asyncio.run(BERTScore("passages").score(row, answer))
    assert (right.name, supported.name) == ("bert_score", "k_bert_score")
    assert (right.value or 0) > 0.99
    assert 0.3 < (supported.value or 0) < 1
    assert asyncio.run(BERTScore().score(Instruction.of("?"), answer)).value is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one reference"):
        bert_scores(["x"], [[]])
    with pytest.raises(UsageError, match="references, passages"):
        BERTScore("questions")  # pyrefly: ignore
