"""Answers of known truth: each is what it says it is, so that a measure's agreement with the truth means something."""

from __future__ import annotations

from collections import Counter

from adhere.bench.instruct_qa.known_truth import PASSAGES, known_truth
from adhere.bench.instruct_qa.scoring import qa_metrics
from adhere.score.texts.faithfulness import declines
from adhere.score.texts.overlap import qa_words

ROWS = known_truth(60)


def test_right_answers_hold_the_answer_and_wrong_ones_do_not() -> None:
    for row in ROWS:
        words = row.text.rstrip(".").replace(",", "").split()
        said = any(words[n : n + len(a)] == a for a in [row.references[0].split()] for n in range(len(words)))
        assert said is bool(row.correct), row


def test_the_passage_about_the_thing_that_is_asked_about_holds_the_answer() -> None:
    for row in ROWS:
        about = [p for p in row.passages if p.removeprefix("This is about ").split(".")[0] in row.question]
        assert len(row.passages) == PASSAGES
        assert len(about) == 1
        assert row.references[0] in about[0]


def test_a_value_from_nowhere_shares_no_word_with_the_passages() -> None:
    right = {row.cluster: row.text for row in ROWS if row.kind == "verbose"}
    for row in ROWS:
        if row.kind == "verbose, value from nowhere":
            added = set(qa_words(row.text)) - set(qa_words(right[row.cluster]))
            assert added
            assert not added & set(qa_words(" ".join(row.passages)))


def test_every_kind_comes_once_a_question_and_refusals_claim_nothing() -> None:
    assert set(Counter(r.kind for r in ROWS).values()) == {60}
    for row in ROWS:
        assert (row.faithful is None) is declines(row.text)
    assert known_truth(60) == ROWS
    assert known_truth(3, seed=1) != known_truth(3)


def test_measures_say_of_the_plainest_kinds_what_they_must() -> None:
    for row in ROWS:
        found = qa_metrics(row.text, row.references, row.passages, row.question)
        if row.kind == "short":
            assert found["exact_match"] == found["recall"] == found["k_precision"] == 1
        if row.kind == "verbose":
            assert found["exact_match"] == 0
            assert found["recall"] == 1
            assert 0 < found["f1"] < 0.5
