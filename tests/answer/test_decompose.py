"""Decomposers: what the rules and a model's list become, and what of a hostile list is let in."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer.decompose import LONGEST_LINE, MOST, Decomposition, contradictions, decomposer, read_list
from adhere.records import Constraint, Instruction, Response


class Says:
    """A model with one answer; remembers the prompt."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.prompt = ""

    async def answer(self, instruction: Instruction) -> Response:
        self.prompt = instruction.prompt
        return Response(self.text)


def decompose(kind, instruction: Instruction | str) -> Decomposition:
    asked = Instruction.of(instruction) if isinstance(instruction, str) else instruction
    return asyncio.run(decomposer(kind, Says(""))(asked))


def test_the_rules_find_what_can_be_checked_and_leave_the_task_alone():
    found = decompose("rules", "Write a haiku about rain, no commas, all lowercase")
    assert [c.kind for c in found.constraints] == ["no_commas", "lowercase"]
    assert found.texts == ("Your answer must not contain a comma.", "Do not use any capital letters.")
    assert found.source == "rules"


def test_demands_that_no_checker_covers_are_kept_clause_by_clause_in_the_users_words():
    found = decompose("rules", "Write a story about a dog. It must be funny and suit small children. No commas.")
    told = [c.args["text"] for c in found.constraints if c.kind == "told"]
    assert told == ["It must be funny", "suit small children"]
    assert "no_commas" in [c.kind for c in found.constraints]


def test_auto_takes_the_given_constraints_and_otherwise_reads_the_text():
    given_ones = Instruction.of("Write, no commas.", Constraint("lowercase"))
    assert decompose("auto", given_ones).source == "gold"
    assert [c.kind for c in decompose("auto", given_ones).constraints] == ["lowercase"]
    assert decompose("auto", "Write, no commas.").source == "rules"


def test_gold_knows_nothing_where_nothing_is_given():
    assert decompose("gold", "Write, no commas.").constraints == ()


def test_no_decomposer_finds_nothing():
    assert decompose(None, "Write, no commas.") == Decomposition((), (), "none")


def test_a_given_constraint_twice_counts_once():
    twice = Instruction.of("Write.", Constraint("no_commas"), Constraint("no_commas"))
    assert len(decompose("gold", twice).constraints) == 1


def test_a_models_list_becomes_checkers_where_the_rules_understand_it():
    model = Says("- at most 50 words\n- the tone is cheerful\n- no commas")
    found = decompose(model, "Write an ad.")
    assert found.constraints == (
        Constraint("words", {"at_most": 50}),
        Constraint("told", {"text": "the tone is cheerful"}),
        Constraint("no_commas"),
    )
    assert found.texts[1] == "the tone is cheerful"
    assert found.source == "model"
    assert model.prompt.endswith("Request: Write an ad.\nRequirements:")


@pytest.mark.parametrize(
    ("output", "items"),
    [
        ("- a cat\n- a dog", ["a cat", "a dog"]),
        (
            "Here are the requirements:\n\n1. a cat\n2) a dog\n(3) a cow\n\nI hope this helps!",
            ["a cat", "a dog", "a cow"],
        ),
        ("* **a cat**\n• a   dog", ["a cat", "a dog"]),
        ('["a cat", "a dog"]', ["a cat", "a dog"]),
        ('- "no commas"\n- use the word "oak"', ["no commas", 'use the word "oak"']),
        ("- a cat\n- a cat", ["a cat"]),
        ("- none", []),
        ("None.", []),
        ("  no requirements ", []),
    ],
)
def test_lists_are_read_in_the_forms_that_models_write(output: str, items: list[str]):
    assert read_list(output) == items


@pytest.mark.parametrize("output", ["", "Certainly, I can help.", "-", "[1, 2]", '["a"', "[" * 5000, '{"a": 1}'])
def test_what_is_no_list_is_none(output: str):
    assert read_list(output) is None


def test_a_model_that_writes_no_list_is_named_as_the_problem():
    found = decompose(Says("Certainly!"), "Write an ad.")
    assert found.constraints == () and "wrote no list but 'Certainly!'" in found.problem


@given(st.text(alphabet="-*1.)[]\"'ab,\n \ud800\u2028", max_size=300))
def test_any_output_gives_a_bounded_list_of_single_lines(output: str):
    items = read_list(output) or []
    assert len(items) == len(set(items)) <= MOST
    assert all(0 < len(item) <= LONGEST_LINE and "\n" not in item for item in items)


def test_an_endless_output_is_cut():
    assert len(read_list("\n".join(f"- item {n}" for n in range(100_000))) or []) == MOST
    assert read_list("- " + "x" * 1_000_000) == []


def test_contradictions_name_both_sides():
    clash, *others = contradictions([Constraint("lowercase"), Constraint("no_commas"), Constraint("uppercase")])
    assert (clash.one, clash.other, others) == (0, 2, [])
    assert "capital" in clash.reason and "cannot both hold" in clash.reason


def test_statements_in_plain_words_contradict_nothing():
    assert contradictions([Constraint("told", {"text": "be brief"}), Constraint("told", {"text": "be long"})]) == []
