"""The answer in a text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.score.extract import KINDS, after_trigger, extract_answer, normalise, same_answer


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


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown kind"):
        extract_answer("5", "roman")  # type: ignore[arg-type]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_number_survives_however_it_is_written(value: Decimal) -> None:
    plain = extract_answer(f"The answer is {value}.", "number")
    assert plain == extract_answer(f"The answer is {value:,}", "number")
    assert plain is not None
    assert Decimal(plain) == value
    assert normalise(plain, "number") == plain


@given(st.text(max_size=300), st.sampled_from(KINDS))
def test_any_text_gives_an_answer_in_normal_form_or_none(text: str, kind: str) -> None:
    found = extract_answer(text, kind)  # type: ignore[arg-type]
    if found is not None and kind != "text":
        assert normalise(found, kind) == found  # type: ignore[arg-type]


def test_a_million_triggers_are_read_at_once() -> None:
    assert extract_answer("the answer is " * 1_000_000 + "5", "number") == "5"
    assert after_trigger("no such words") is None
