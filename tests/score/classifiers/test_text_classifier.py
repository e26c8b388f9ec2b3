"""Classifiers: the shipped heads on plain cases, a Hugging Face one, labels by their words, training."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from adhere.errors import DataError, UnknownNameError, UsageError
from adhere.records import Instruction, Response
from adhere.score.classifiers.text import FOLDER, SHIPPED, Classifier, LinearHead, label_index, open_classifier
from adhere.score.classifiers.training import LabelledText, measure, read_labelled, train_head
from adhere.score.resolve import resolve

PLAIN = [
    ("polarity", "positive", "I love this wonderful film, it is the best of the year."),
    ("polarity", "negative", "A terrible waste of money; it broke after a day and support was rude."),
    ("polarity", "neutral", "The meeting takes place on Tuesday in room four."),
    ("emotion", "joy", "We laughed and danced all night, it was pure happiness."),
    ("emotion", "fear", "I was terrified when the footsteps came closer in the dark."),
    ("emotion", "sadness", "She cried for days after her father's funeral."),
    ("topic", "sports", "The team scored twice and won the championship game."),
    ("topic", "food_&_dining", "Bake the bread with olive oil and serve it with soup."),
    ("topic", "music", "The guitarist wrote a new song for the band's album."),
]


@pytest.mark.parametrize(("name", "label", "text"), PLAIN)
def test_the_shipped_heads_know_the_plain_cases(name: str, label: str, text: str) -> None:
    found = asyncio.run(Classifier(name, label).score(Instruction.of("x"), Response(text)))
    assert found.passed is True, found.reason
    assert f"minilm-{name}" in found.reason  # a stand-in says who it is


def test_rude_contexts_are_told_from_toxic_ones_better_than_by_chance() -> None:
    card = open_classifier("toxicity").card  # pyrefly: ignore
    assert card["against_perspective"]["auc"] > 0.7  # measured on held-out prompts when it was made


def test_every_shipped_head_says_what_it_learned_from_and_how_good_it_is() -> None:
    card = (FOLDER / "CARD.md").read_text()
    size = sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file())
    assert size < 1_500_000
    for name in SHIPPED:
        head = LinearHead.load(FOLDER / name)
        measured = head.card["measured"]
        assert head.card["data"] and head.card["train"] > 0 and measured["n"] > 0
        assert measured["accuracy"][1] > measured["most_frequent_label"], name  # its whole interval beats guessing
        assert f"{100 * measured['accuracy'][0]:.1f}" in card, f"the card has another accuracy for {name}"


def test_labels_are_found_by_their_words() -> None:
    class Fixed:
        name, multi = "fixed", True
        labels = ("diaries_&_daily_life", "news_&_social_concern", "celebrity_&_pop_culture", "arts_&_culture")

    assert label_index(Fixed(), "daily life") == 0  # pyrefly: ignore
    assert label_index(Fixed(), "celebrity_&_pop culture") == 2  # pyrefly: ignore
    assert label_index(open_classifier("polarity"), "negative sentiment") == label_index(
        open_classifier("polarity"), "negative"
    )
    with pytest.raises(UsageError, match="more than one label 'culture'"):
        label_index(Fixed(), "culture")  # pyrefly: ignore
    with pytest.raises(UsageError, match="no label 'weather'"):
        label_index(Fixed(), "weather")  # pyrefly: ignore


def test_a_scorer_by_name_reads_its_label_from_the_instruction_and_is_undecided_without() -> None:
    scorer = resolve("classifier(emotion)")
    joyful = Response("What a happy, cheerful day, I cannot stop smiling!")
    labelled = asyncio.run(scorer.score(Instruction.of("x", label="joy"), joyful))
    assert (labelled.passed, labelled.name) == (True, "classifier")
    assert asyncio.run(scorer.score(Instruction.of("x"), joyful)).passed is None
    with pytest.raises(UnknownNameError, match="Did you mean 'polarity'"):
        asyncio.run(resolve("classifier(polarty, label=positive)").score(Instruction.of("x"), joyful))


def test_a_folder_in_hugging_face_format_is_a_classifier_too(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    words = {w: n for n, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad"))}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    made = open_classifier(str(tmp_path))
    assert made.labels == ("neg", "pos") and not made.multi
    chances = asyncio.run(made.probabilities(["good good", "bad", "good bad good"]))
    assert chances.shape == (3, 2)
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-5)


def test_what_is_no_classifier_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be opened as a classifier"):
        open_classifier(str(tmp_path))
    with pytest.raises(DataError, match="2 labels, 1 rows"):
        LinearHead("x", ("a", "b"), np.zeros((1, 384)), np.zeros(2))


def test_a_head_is_trained_measured_saved_and_read_back(tmp_path: Path) -> None:
    kinds = {"fruit": ("apple", "pear", "plum", "cherry"), "tool": ("hammer", "saw", "drill", "axe")}
    rows = [
        LabelledText(f"{adjective} {thing}", label, split)
        for label, things in kinds.items()
        for adjective, split in (("a ripe", "train"), ("an old", "train"), ("the small", "test"))
        for thing in things
    ]
    head = asyncio.run(train_head("tiny", rows))
    assert head.card["measured"]["n"] == 8 and head.card["measured"]["accuracy"][0] == 1.0
    again = LinearHead.load(head.save(tmp_path / "tiny"))
    texts = ["a juicy banana", "a heavy wrench"]
    np.testing.assert_array_equal(asyncio.run(again.probabilities(texts)), asyncio.run(head.probabilities(texts)))
    assert [again.labels[n] for n in asyncio.run(again.probabilities(texts)).argmax(1)] == ["fruit", "tool"]
    with pytest.raises(DataError, match="at least two labels"):
        asyncio.run(train_head("one", rows[:3]))


def test_measures_of_known_probabilities() -> None:
    chances = np.array([[0.9, 0.6], [0.2, 0.4], [0.7, 0.8]])
    found = measure(chances, np.array([0, 1, 0]), ["a", "b"], multi=True)
    assert found["accuracy"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert found["recall"] == {"a": 0.5, "b": 1.0}
    assert found["accepted"] == pytest.approx(2 / 3, abs=1e-4)  # 0.9 and 0.7 of the right ones, not 0.4
    assert found["wrongly_accepted"] == pytest.approx(2 / 3, abs=1e-4)  # 0.6 and 0.8, not 0.2


def test_a_ragged_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text("train\tjoy\tYay\ntrain\tjoy\n")
    with pytest.raises(DataError, match=r"rows.tsv:2: 2 fields"):
        read_labelled(file)


def test_our_own_sentences_are_balanced_and_never_on_both_sides() -> None:
    for name in ("emotion", "topic"):
        rows = read_labelled(FOLDER / f"{name}.tsv")
        texts = [row.text.casefold() for row in rows]
        assert len(set(texts)) == len(texts)
        for split in ("train", "test"):
            counts = Counter(row.label for row in rows if row.split == split)
            assert len(set(counts.values())) == 1, counts
    assert json.loads((FOLDER / "emotion" / "scorer.json").read_text())["config"]["labels"]
