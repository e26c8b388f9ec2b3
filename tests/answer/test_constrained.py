"""The heart: random answers of the compiled grammars, of which the checkers must pass every single one."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adhere.answer.constrained import gbnf, plan_of
from adhere.answer.constrained.rules import PARTLY, RULES
from adhere.constraints.base import build, kinds
from adhere.constraints.case import Lowercase, Uppercase
from adhere.records import Constraint, Instruction
from grammar_walks import Walker

KINDS = sorted(k for k in kinds() if k in RULES)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # a failing text says enough, and shrinking takes minutes
ASKED = Instruction.of("Write about rivers.")
HALVES = {"change_case:english_lowercase": Lowercase(), "change_case:english_capital": Uppercase()}


def verdicts(constraint: Constraint, text: str) -> list[bool]:
    """What the checkers of both dialects say; of a kind that is compiled by half, of that half."""
    if constraint.kind in PARTLY:
        return [HALVES[constraint.kind].passes(text)]
    return [build(constraint, "fixed").passes(text), build(constraint, "ifeval").passes(text)]


def check_walks(constraints: list[Constraint], rng: random.Random, texts: int, limit: int = 1500) -> int:
    """Walk the grammar of some constraints; returns how many of them were compiled."""
    plan = plan_of(ASKED, constraints, limit=limit)
    if plan.machine is None:
        return 0
    walker = Walker(gbnf.Grammar(plan.machine).text())
    for _ in range(texts):
        text = walker.text(rng, rng.choice((0, 15, 60, 250)))
        assert plan.machine.accepts(text), f"the grammar and the machine disagree on {text!r}"
        for constraint in plan.compiled:
            assert all(verdicts(constraint, text)), f"{constraint} does not hold in {text!r}"
    return len(plan.compiled)


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_of_a_grammar_passes_the_checkers(kind: str) -> None:
    rng = random.Random(kind)
    compiled = 0
    for _ in range(3):
        compiled += check_walks([kinds()[kind].sample(rng).to_constraint()], rng, texts=5, limit=6000)
    assert compiled, f"{kind} was never compiled"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_of_several_constraints_at_once_passes_them_all(seed: int) -> None:
    rng = random.Random(seed)
    picked = rng.sample(KINDS, rng.randint(2, 4))
    check_walks([kinds()[kind].sample(rng).to_constraint() for kind in picked], rng, texts=4)


@given(
    phrase=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None, phases=NO_SHRINKING)
def test_phrases_of_any_characters_are_held_or_left_but_never_broken(phrase: str, seed: int) -> None:
    rng = random.Random(seed)
    for constraint in (
        Constraint("starts_with", {"phrase": phrase}),
        Constraint("ends_with", {"phrase": phrase}),
        Constraint("postscript", {"marker": phrase}),
        Constraint("keywords", {"keywords": [phrase]}),
        Constraint("forbidden", {"words": [phrase]}),
    ):
        if phrase.strip():
            check_walks([constraint], rng, texts=3)


@pytest.mark.parametrize(
    ("word", "compiled"), [("Iris", 1), ("Straße", 1), ("σίγμας", 1), ("kısa", 0), ("İstanbul", 0)]
)
def test_a_word_is_forbidden_only_where_all_agree_what_its_small_and_capital_letters_are(
    word: str, compiled: int
) -> None:
    constraint = Constraint("forbidden", {"words": [word]})
    assert check_walks([constraint], random.Random(word), texts=5) == compiled


@pytest.mark.parametrize(
    "phrase",
    ['say "yes" [now]', "back\\slash", "a^b-c]d", "two\nlines", "ends in a quote\"", "Größe", "naïve café", "🙂 smile",
     "c0 ::= s1", "{}|()*+?.$", "Так и есть", "お願いします", "İstanbul", "  spaced  out  "],
)  # fmt: skip
def test_marks_of_the_grammar_inside_a_phrase_are_only_characters(phrase: str) -> None:
    rng = random.Random(phrase)
    assert check_walks([Constraint("starts_with", {"phrase": phrase})], rng, texts=8)
    assert check_walks([Constraint("ends_with", {"phrase": phrase})], rng, texts=8)


@pytest.mark.parametrize(
    "constraints",
    [
        [("no_commas", {}), ("lowercase", {}), ("bullets", {"exactly": 3}), ("words", {"at_most": 40})],
        [("json", {}), ("lowercase", {}), ("keywords", {"keywords": ["river", "sea"]})],
        [("quoted", {}), ("sentences", {"exactly": 2}), ("no_commas", {})],
        [("starts_with", {"phrase": "In my opinion"}), ("ends_with", {"phrase": "That is all."}), ("uppercase", {})],
        [("paragraphs", {"exactly": 3, "separator": "***"}), ("bullets", {"exactly": 2}), ("postscript", {})],
        [("several_responses", {}), ("title", {}), ("punctuation:no_comma", {})],
        [("sections", {"exactly": 2, "marker": "PART"}), ("highlights", {"at_least": 2}), ("no_commas", {})],
        [("nth_paragraph", {"n": 2, "first_word": "water", "paragraphs": 3}), ("keywords", {"keywords": ["sea"]})],
        [("numbered", {"exactly": 3}), ("words", {"at_least": 20, "at_most": 30}), ("title_case", {})],
    ],
)  # fmt: skip
def test_what_people_ask_for_together_composes_whole(constraints: list[tuple[str, dict]]) -> None:
    wanted = [Constraint(kind, args) for kind, args in constraints]
    assert check_walks(wanted, random.Random(7), texts=8, limit=6000) == len(wanted)


def test_constraints_that_no_answer_can_hold_together_are_left_with_a_reason() -> None:
    plan = plan_of(ASKED, [Constraint("options", {"options": ["yes", "no"]}), Constraint("words", {"at_least": 50})])
    assert [c.kind for c in plan.compiled] == ["options"]
    assert [(left.constraint.kind, left.because) for left in plan.left] == [
        ("words", "no answer can hold it together with the others")
    ]


def test_of_two_that_contradict_each_other_the_first_is_held() -> None:
    plan = plan_of(ASKED, [Constraint("lowercase", {}), Constraint("uppercase", {})])
    assert [c.kind for c in plan.compiled] == ["lowercase"]
    assert plan.left[0].because == "contradicts lowercase"


def test_lists_of_what_a_benchmark_does_not_combine_are_no_contradictions() -> None:
    wanted = [Constraint("detectable_format:json_format", {}), Constraint("change_case:english_lowercase", {})]
    plan = plan_of(ASKED, wanted)
    assert [c.kind for c in plan.compiled] == [c.kind for c in wanted]
    assert "English" in plan.left[0].because


def test_what_no_grammar_can_hold_is_left() -> None:
    plan = plan_of(ASKED, [Constraint("language", {"language": "fr"}), Constraint("no_commas", {})])
    assert [left.because for left in plan.left] == ["no grammar can hold it"]
    assert [c.kind for c in plan.compiled] == ["no_commas"]


def test_more_words_than_the_token_limit_allows_are_not_promised() -> None:
    wanted = [Constraint("words", {"at_least": 300})]
    assert plan_of(ASKED, wanted, tokens=600).compiled
    assert plan_of(ASKED, wanted, tokens=200).left[0].because == "300 words do not fit into 200 tokens"


def test_an_answer_in_another_script_is_possible_where_the_request_is_in_it() -> None:
    machine = plan_of(Instruction.of("川について書いてください。"), [Constraint("no_commas", {})]).machine
    assert machine is not None
    assert machine.accepts("川は海に流れます。")
    assert not machine.accepts("川、海。")


def test_lookalikes_of_a_forbidden_character_are_forbidden_too() -> None:
    machine = plan_of(Instruction.of("川 مرحبا"), [Constraint("no_commas", {})]).machine
    assert machine is not None
    assert machine.accepts("one two") and not any(machine.accepts(f"one{c} two") for c in ",，、،﹐､")


def test_a_schema_stands_alone() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    plan = plan_of(ASKED, [Constraint("json", {"schema": schema}), Constraint("no_commas", {})])
    assert plan.schema == schema and plan.machine is None
    assert [left.constraint.kind for left in plan.left] == ["no_commas"]


def test_a_bounded_completion_fits_its_budget_and_completes_the_answer() -> None:
    rng = random.Random(1)
    wanted = [Constraint("postscript", {}), Constraint("ends_with", {"phrase": "Good bye."})]
    machine = plan_of(ASKED, wanted).machine
    assert machine is not None
    begun = "Rivers flow to the sea."
    state = machine.run(begun)
    assert state is not None
    for budget in (0, machine.distance[state], 40, 80):
        walker = Walker(gbnf.within(machine, state, budget))
        for _ in range(10):
            rest = walker.text(rng, rng.choice((0, 30, 200)))
            assert machine.accepts(begun + rest)
            assert len(rest) <= max(budget, machine.distance[state])
            assert all(all(verdicts(c, begun + rest)) for c in wanted)
