"""The answer in a text."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.score.texts.extract import KINDS, after_trigger, extract_answer, normalise, same_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 12.", "12"),
        ("The answer is 12.0", "12"),
        ("The answer is: $1,234.50 in all", "1234.5"),
        ("There are 3 boxes of 4, so 12 apples.", "12"),  # no trigger: the last one
        ("The answer is 3. Then 4 more. The answer is 7 boxes of 2.", "7"),  # the last trigger, the first number
        ("the answer is -5", "-5"),
        ("the answer is \u22125", "-5"),
        ("It is 8-3", "3"),  # a minus between numbers is an operator
        ("It is (8)-3", "3"),
        ("(-3)", "-3"),
        ("-$4", "-4"),
        ("0.50", "0.5"),
        (".5", "0.5"),
        ("-0.0", "0"),
        ("007", "7"),
        ("1,2,3", "3"),  # a list, no thousands
        ("1,234,567", "1234567"),
        ("In 2,0000 ways", "0"),  # neither
        ("The answer is unknown. I counted 5.", "5"),
        ("none at all", None),
        ("", None),
    ],
)
def test_a_number_is_read_and_normalised(text: str, answer: str | None) -> None:
    assert extract_answer(text, "number") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is A.", "A"),
        ("The answer is (C) 12", "C"),
        ("The answer is b)", "B"),
        ("The answer is A because of B", "A"),
        ("The answer is **D**", "D"),
        ("Answer: Because of this, D", "D"),  # no A of "Answer", no B of "Because"
        ("A car is fast, so (B)", "B"),
        ("A car is fast, so B", "B"),
        ("Take a) or nothing", "A"),
        ("The answer is a car, hence E.", "E"),
        ("P(A) = 0.2, so the correct option is C", "C"),
        ("P : R : B = 3 : 2\nAnswer : D", "D"),
        ("The answer a man gives is (B)", "B"),
        ("C", "C"),
        ("b.", "B"),
        ("I think it is vitamin-C", None),
        ("Plan 9", None),
        ("", None),
    ],
)
def test_a_choice_is_a_letter_that_stands_alone(text: str, answer: str | None) -> None:
    assert extract_answer(text, "choice") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is yes.", "yes"),
        ("The answer is No, although yes was likely.", "no"),
        ("No, because yes is wrong.", "no"),
        ("One may say no at first, but then yes", "yes"),
        ("nothing in the north", None),
        ("Yes", "yes"),
        ("", None),
    ],
)
def test_yes_and_no_are_whole_words(text: str, answer: str | None) -> None:
    assert extract_answer(text, "yes_no") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('The answer is "nk".', "nk"),
        ("The answer is n k.", "nk"),
        ("The answer is N-K. So be it", "nk"),
        ("nk.", "nk"),
        ("n, k", "nk"),
        ("The last letter of Ann is n, then k", None),
        ("", None),
    ],
)
def test_letters_are_joined(text: str, answer: str | None) -> None:
    assert extract_answer(text, "letters") == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('So the answer is "Paris, France".\nQ: Next?', "Paris, France"),
        ("  Paris  \n", "Paris"),
        ("The answer is", None),
        ("", None),
    ],
)
def test_words_lose_quotes_and_full_stop(text: str, answer: str | None) -> None:
    assert extract_answer(text, "text") == answer


def test_a_text_without_an_answer_is_never_right() -> None:
    assert not same_answer("I do not know", "", "number")
    assert same_answer("The answer is 12.0", "12", "number")
    assert same_answer("the answer is paris.", "Paris", "text")


def test_gold_solutions_of_real_sets_give_their_answers(data_dir: Path) -> None:
    rows = {
        name: [json.loads(line) for line in (data_dir / "auto-cot" / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for name in ("gsm8k_test", "svamp", "aqua_test")
    }
    for row in rows["gsm8k_test"]:
        assert same_answer(row["solution"], row["answer"], "number")
    for row in rows["svamp"]:
        assert same_answer(f"There were some. The answer is {row['answer']}.", row["answer"], "number")
    for row in rows["aqua_test"]:
        option = row["options"]["ABCDE".index(row["answer"])]
        assert same_answer(f"Hence. The answer is {option}", row["answer"], "choice")
    # Free solutions end in many ways, some without naming a letter; the paper's bare A|B|C|D|E reads 3 in 10.
    right = [same_answer(row["solution"], row["answer"], "choice") for row in rows["aqua_test"]]
    assert sum(right) / len(right) > 0.9


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown kind"):
        extract_answer("5", "roman")  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_number_survives_however_it_is_written(value: Decimal) -> None:
    plain = extract_answer(f"The answer is {value}.", "number")
    assert plain == extract_answer(f"The answer is {value:,}", "number")
    assert plain is not None
    assert Decimal(plain) == value
    assert normalise(plain, "number") == plain


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from(KINDS))
def test_any_text_gives_an_answer_in_normal_form_or_none(text: str, kind: str) -> None:
    found = extract_answer(text, kind)  # type: ignore[arg-type]
    if found is not None and kind != "text":
        assert normalise(found, kind) == found  # type: ignore[arg-type]


def test_a_million_triggers_are_read_at_once() -> None:
    assert extract_answer("the answer is " * 1_000_000 + "5", "number") == "5"
    assert after_trigger("no such words") is None
