"""Reading verdicts: three ways, which of them is taken, and what is no verdict."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import ContextError, ModelError
from adhere.models.model import Model
from adhere.models.openai_wire import EndpointError
from adhere.records import Message
from adhere.score.judges.verdict import SHORTEST, VerdictReader, fitted, parse_label
from judging_models import judging

ASKED = (Message("user", "Which? Reply with A or B."),)


def likes_b(prompt: str) -> dict[str, float]:
    return {"A": 0.2, "B": 0.7, "Well": 0.1}


def read(model: Model, times: int = 1):
    reader = VerdictReader(model)
    for _ in range(times):
        found = asyncio.run(reader.read(ASKED, ("A", "B")))
    return found


@pytest.mark.parametrize(
    ("can", "way", "p"),
    [
        (("token_logprobs", "json_schema"), "logprobs", 0.7 / 0.9),
        (("json_schema",), "constrained", 1.0),
        (("grammar",), "constrained", 1.0),
        ((), "parsed", 1.0),
    ],
)
def test_the_best_way_that_the_backend_can_do_is_taken(can, way, p):
    model = judging(likes_b, can=can)
    found = read(model)
    assert (found.way, found.probabilities["B"]) == (way, pytest.approx(p))
    assert len(model.backend.requests) == 1


def test_an_endpoint_that_refuses_a_way_is_asked_the_next_and_not_asked_so_again():
    model = judging(likes_b, can=("token_logprobs", "json_schema"), refuses=("logprobs", "json_schema"))
    found = read(model, times=2)
    assert (found.way, found.probabilities) == ("parsed", {"A": 0.0, "B": 1.0})
    assert len(model.backend.requests) == 4  # three ways the first time, one the second


def test_an_endpoint_that_leaves_the_probabilities_out_is_asked_the_next_way():
    assert read(judging(likes_b, can=("token_logprobs", "json_schema"), silent=True)).way == "constrained"


def test_an_endpoint_that_is_down_is_not_asked_in_another_way():
    def down(prompt: str) -> dict[str, float]:
        raise EndpointError(401, "wrong key")

    with pytest.raises(ModelError, match="wrong key"):
        read(judging(down, can=("token_logprobs", "json_schema")))


def test_prose_without_a_clear_label_is_no_verdict():
    found = read(judging(likes_b, can=(), prose="Both A and B have their charm."))
    assert found.probabilities is None
    assert "charm" in found.note


def test_labels_of_a_trifling_mass_are_no_verdict():
    found = read(judging(lambda prompt: {"Hm": 1.0, "A": 1e-9, "B": 1e-8}))
    assert found.probabilities is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[A]]", "A"),
        ("I first thought [[A]], but it is [[B]]", "B"),
        ("[[C]]", None),
        ("Final verdict: **B**", "B"),
        ("A is short.\nB", "B"),
        ("Answer B is better.", "B"),
        ("A or B? Hard to say.", None),
        ("Because it is better", None),
        ("", None),
        ("tie", None),
    ],
)
def test_a_label_is_parsed_only_where_it_is_clear(text, said):
    assert parse_label(text, ("A", "B")) == said


def test_numbers_are_labels_too_and_eleven_is_no_one():
    labels = [str(n) for n in range(1, 6)]
    assert parse_label("Rating: 4", labels) == "4"
    assert parse_label("I would say 11", labels) is None


@given(st.text(max_size=200))
def test_whatever_a_model_writes_is_a_label_or_none(text):
    assert parse_label(text, ("A", "B", "Yes")) in ("A", "B", "Yes", None)


@given(st.text(alphabet="ab \n:.*[]", max_size=50), st.sampled_from(["A", "B"]))
def test_the_last_label_in_double_brackets_wins_whatever_stands_before(text, label):
    assert parse_label(f"{text} [[{label}]]", ("A", "B")) == label


def test_texts_are_halved_until_they_fit_and_no_further_than_the_shortest():
    seen = []

    def attempt_within(limit: int):
        async def attempt(texts):
            seen.append(tuple(map(len, texts)))
            if sum(map(len, texts)) > limit:
                raise ContextError("too long")
            return "done"

        return attempt

    assert asyncio.run(fitted(("x" * 4_000, "y" * 500), attempt_within(1_600))) == ("done", 1_000)
    assert seen == [(4_000, 500), (2_000, 500), (1_000, 500)]
    assert asyncio.run(fitted(("short",), attempt_within(100))) == ("done", 0)
    with pytest.raises(ContextError):
        asyncio.run(fitted(("x" * 4_000,), attempt_within(SHORTEST - 1)))
