"""BLEU against sacrebleu, METEOR against NLTK, each on any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.score.texts.ngrams import _WORD, bleu, meteor
from adhere.score.texts.overlap import rouge_n

WORDS = ("the", "cat", "cats", "sat", "sitting", "on", "a", "mat,", "1,200.5", "3.5.", "U.S.", "well-known", "&amp;",
         "(x)", "running", "ran", "<b>", "é", "“q”", "-", "9-5", "the\ncat")  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.text(max_size=40))
some = st.lists(texts, min_size=1, max_size=3)


class NoWordNet:
    """What NLTK asks for synonyms."""

    def synsets(self, word: str) -> list[object]:
        return []


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def nltk_meteor():
    return pytest.importorskip("nltk.translate.meteor_score").meteor_score


@pytest.fixture(scope="module")
def rouge():
    return pytest.importorskip("rouge_score.rouge_scorer").RougeScorer


@given(text=texts, references=some)
def test_bleu_equals_sacrebleu(sacrebleu, text: str, references: list[str]) -> None:
    assert bleu(text, references) == pytest.approx(sacrebleu.sentence_bleu(text, references).score / 100)


@given(text=texts, references=some)
def test_meteor_equals_nltks_without_wordnet(nltk_meteor, text: str, references: list[str]) -> None:
    tokens = [_WORD.findall(r.lower()) for r in references]
    assert meteor(text, references) == pytest.approx(
        nltk_meteor(tokens, _WORD.findall(text.lower()), wordnet=NoWordNet())
    )


@given(text=texts, references=some, n=st.integers(1, 3))
def test_rouge_n_equals_rouge_score(rouge, text: str, references: list[str], n: int) -> None:
    expected = rouge([f"rouge{n}"], use_stemmer=True).score_multi(references, text)[f"rouge{n}"].fmeasure
    assert rouge_n(text, references, n) == pytest.approx(expected)


def test_both_need_references() -> None:
    for measure in (bleu, meteor):
        with pytest.raises(UsageError, match="at least one reference"):
            measure("x", [])
