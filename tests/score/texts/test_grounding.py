"""CHAIR, abstention, VQA accuracy, matching and CIDEr."""

from __future__ import annotations

import math
import random

import pytest

from adhere.bench.scenes import VOCABULARY, split
from adhere.errors import UsageError
from adhere.score.texts.grounding import abstains, abstention_f1, chair, cider, itm_accuracy, mentions, vqa_accuracy

THINGS = {"dog": ("puppy",), "car": (), "bus": (), "person": ("man", "woman"), "knife": (), "hot dog": (), "box": ()}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Two dogs and a puppy", ["dog", "dog"]),
        ("A carpet of scars", []),  # no car in carpet
        ("Hot dogs on buses", ["hot dog", "bus"]),
        ("Men with knives; a WOMAN's boxes", ["person", "knife", "box"]),
        ("", []),
    ],
)
def test_objects_are_found_as_whole_words_in_any_number(text: str, named: list[str]) -> None:
    assert mentions(text, THINGS) == named


def test_a_possessive_is_no_mention_of_another_word() -> None:
    assert mentions("the dog, the car", THINGS) == ["dog", "car"]


def test_chair_counts_sentences_and_mentions() -> None:
    found = chair(["a dog", "a dog and a car", "nothing", "a box"], [["dog"], ["puppy"], [], ["box"]], THINGS)
    assert (found.sentences.value, found.sentences.n) == (0.25, 4)
    assert (found.instances.value, found.instances.n) == (0.25, 4)
    assert found.silent == 1
    told = chair(["a car"], [[]], THINGS, [["there are cars"]])  # what people's captions name is there too
    assert told.sentences.value == 0


@pytest.mark.parametrize("p", [0.0, 0.2, 0.7])
def test_a_captioner_that_invents_with_probability_p_is_found_out(p: float) -> None:
    """Its CHAIRs is p, and its CHAIRi p / (3 + p): one invented object beside the three that are there."""
    rng = random.Random(5)
    _, tests = split("caption", pool=0, tests=400)
    texts = []
    for test in tests:
        absent = sorted(set(VOCABULARY) - set(test.instruction.meta["objects"]))
        invented = f" A {rng.choice(absent)} is there too." if rng.random() < p else ""
        texts.append(test.instruction.references[0] + invented)
    found = chair(texts, [t.instruction.meta["objects"] for t in tests], VOCABULARY)
    assert found.sentences.low <= p <= found.sentences.high
    assert found.instances.low <= p / (3 + p) <= found.instances.high


def test_an_answerer_that_never_abstains_has_f1_zero_and_one_that_always_does_the_known_one() -> None:
    _, tests = split("vqa", pool=0, tests=200)
    answerable = [test.instruction.meta["answerable"] for test in tests]
    never = abstention_f1([False] * 200, answerable)
    assert never.f1 == 0 and math.isnan(never.precision) and never.recall == 0
    always = abstention_f1([True] * 200, answerable)
    share = 1 - sum(answerable) / 200
    assert always.f1 == pytest.approx(2 * share / (1 + share))
    assert always.low <= always.f1 <= always.high
    right = abstention_f1([not a for a in answerable], answerable)
    assert right.f1 == right.low == right.precision == right.recall == 1


def test_an_abstention_is_its_first_word() -> None:
    assert abstains("Doesnotapply, since there is none") and abstains("does not apply.") and abstains("DoesNotApply")
    assert not abstains("It does not apply") and not abstains("north") and not abstains("")
    assert abstains("no", "no") and not abstains("nothing", "no") and not abstains("north", "no")


def test_vqa_accuracy_counts_who_agrees() -> None:
    answers = ["red"] * 2 + ["a Red."] + ["blue"] * 7
    assert vqa_accuracy("The red", answers) == 1
    assert vqa_accuracy("red", ["red", "red", "blue"]) == pytest.approx(2 / 3)
    assert vqa_accuracy("two", ["2"] * 10) == 1
    assert vqa_accuracy("green", answers) == 0


def test_matching_counts_the_unreadable_as_wrong() -> None:
    found = itm_accuracy(["Yes.", "no", "nothing", "yes"], [True, False, False, False])
    assert (found.value, found.n) == (0.5, 4)


def test_cider_equals_the_reference_implementation() -> None:
    """Values of pycocoevalcap 1.2's `Cider` on the same texts, which need no tokenizer."""
    references = [
        ["a red ball near a box", "the ball is red"],
        ["a dog runs fast"],
        ["the dog and the cat sit on a mat", "cat on mat"],
        ["a red box"],
    ]
    texts = ["a red ball", "a dog runs fast", "the dog sits on a mat on a mat on a mat", "blue"]
    assert cider(texts, references) == pytest.approx([2.8015286, 10.0, 0.70814258, 0.0], abs=1e-7)
    assert cider(["a"], [[]]) == [0.0]


def test_lists_of_unequal_length_are_refused() -> None:
    for call in (
        lambda: chair(["a"], [], THINGS),
        lambda: abstention_f1([True], []),
        lambda: itm_accuracy(["yes"], []),
        lambda: cider(["a"], []),
        lambda: abstention_f1([], []),
    ):
        with pytest.raises(UsageError):
            call()
