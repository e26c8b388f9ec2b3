"""ROUGE-L against Google's rouge-score, the stemmer against NLTK, SQuAD's measures against their definition."""

from __future__ import annotations

import asyncio
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.records import Instruction, Response
from adhere.score.texts.overlap import Overlap, exact_match, rouge_l, rouge_tokens, token_f1
from adhere.score.texts.porter import stem

ENDINGS = (
    "", "s", "ies", "ied", "ed", "ing", "eed", "y", "alli", "bli", "logi", "ational", "tional", "ization", "fulness",
    "ation", "ement", "ment", "ion", "e", "ll", "sses", "iviti", "biliti", "entli", "icate", "ative", "ical", "ness",
)  # fmt: skip
words = st.builds(
    lambda start, ending: start + ending, st.text("aeiouylstgnbdmcfrz", max_size=8), st.sampled_from(ENDINGS)
)
texts = st.one_of(st.lists(words, max_size=12).map(" ".join), st.text(max_size=60))


@pytest.fixture(scope="module")
def porter():
    return pytest.importorskip("nltk.stem.porter").PorterStemmer()


@pytest.fixture(scope="module")
def rouge():
    return pytest.importorskip("rouge_score.rouge_scorer").RougeScorer


@given(word=words)
def test_the_stemmer_equals_nltks(porter, word: str) -> None:
    assert stem(word) == porter.stem(word)


def test_the_stemmer_equals_nltks_on_real_words(porter, data_dir) -> None:
    found = set(re.findall("[a-z]+", (data_dir / "ifeval/input_data.jsonl").read_text().lower()))
    assert len(found) > 1000
    assert {w: stem(w) for w in found} == {w: porter.stem(w) for w in found}


@given(text=texts, references=st.lists(texts, min_size=1, max_size=3), stemmed=st.booleans())
def test_rouge_l_equals_rouge_score(rouge, text: str, references: list[str], stemmed: bool) -> None:
    expected = rouge(["rougeL"], use_stemmer=stemmed).score_multi(references, text)["rougeL"].fmeasure
    assert rouge_l(text, references, stemmed=stemmed) == pytest.approx(expected)


@given(texts, texts)
def test_rouge_l_is_symmetric_and_1_for_equal_words(one: str, other: str) -> None:
    assert rouge_l(one, [other]) == rouge_l(other, [one])
    assert rouge_l(one, [one]) == (1.0 if rouge_tokens(one) else 0.0)


@pytest.mark.parametrize(
    ("text", "reference", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1, 1),
        ("Eiffel", "the Eiffel tower", 0, 2 / 3),
        ("cat cat", "cat", 0, 2 / 3),
        ("it's", "its", 1, 1),
        ("", "the", 1, 1),
        ("", "tower", 0, 0),
        ("Ärger über Öl", "ärger über öl", 1, 1),
    ],
)
def test_squads_measures(text: str, reference: str, exact: float, f1: float) -> None:
    assert exact_match(text, [reference]) == exact
    assert token_f1(text, ["nothing alike", reference]) == pytest.approx(f1)


def test_as_a_scorer_it_reads_the_references() -> None:
    asked = Instruction("1", (), references=("two cats", "three dogs"))
    score = asyncio.run(Overlap().score(asked, Response("three dog")))
    assert (score.value, score.passed) == (1.0, True)
    score = asyncio.run(Overlap("exact_match").score(asked, Response("three dog")))
    assert (score.value, score.passed) == (0.0, False)
    without = asyncio.run(Overlap().score(Instruction.of("?"), Response("x")))
    assert without.value is without.passed is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one reference"):
        rouge_l("x", [])
    with pytest.raises(UsageError):
        rouge_l("x", "a string is no list")
    with pytest.raises(UsageError, match="unknown metric"):
        Overlap("bleu")  # pyrefly: ignore


def test_a_hostile_text_fills_no_memory() -> None:
    """Endless "words" are stemmed but not remembered."""
    tracemalloc.start()
    for n in range(200):
        stem("y" * 20_000 + str(n))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
