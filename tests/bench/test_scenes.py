"""Scenes with exact truth."""

from __future__ import annotations

import random

import pytest

from adhere.bench.scenes import COLOURS, TASKS, VOCABULARY, Scene, check_disjoint, sample, split
from adhere.errors import UsageError
from adhere.score.texts.grounding import ABSTAIN, mentions

EACH = [random.Random(seed) for seed in range(200)]


@pytest.mark.parametrize("task", TASKS)
def test_pool_and_tests_share_no_question_and_repeat(task: str) -> None:
    pool, tests = split(task, pool=20, tests=30, seed=3)  # type: ignore[arg-type]
    check_disjoint(pool, tests)
    assert (len(pool), len(tests)) == (20, 30)
    assert split(task, pool=20, tests=30, seed=3) == (pool, tests)  # type: ignore[arg-type]
    assert split(task, pool=20, tests=30, seed=4)[0] != pool  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 of the test questions"):
        check_disjoint(pool, [*tests, pool[0]])


def test_captions_name_what_is_there_and_nothing_else() -> None:
    for rng in EACH:
        made = sample("caption", rng)
        assert sorted(mentions(made.instruction.references[0], VOCABULARY)) == sorted(made.instruction.meta["objects"])
        assert sorted(mentions(made.instruction.prompt, VOCABULARY)) == sorted(made.instruction.meta["objects"])


def test_a_question_can_be_answered_exactly_if_its_object_is_there() -> None:
    kinds = []
    for rng in EACH:
        made = sample("vqa", rng)
        scene, question = made.instruction.prompt.split("\n")
        (asked,) = mentions(question, VOCABULARY)
        there = asked in made.instruction.meta["objects"]
        answer = made.instruction.references[0]
        assert made.instruction.meta["answerable"] is there
        assert f"{answer} {asked}" in scene if there else answer == ABSTAIN
        kinds.append(there)
    assert 60 < sum(kinds) < 140


def test_a_foil_differs_from_the_scene_and_a_match_does_not() -> None:
    for rng in EACH:
        made = sample("matching", rng)
        scene, question = made.instruction.prompt.split("\n")
        things = scene.removeprefix("Scene: ").rstrip(".").split(", ")
        true = all(" ".join(thing.split()[:3]) in question.lower() for thing in things)
        assert made.instruction.references[0] == ("yes" if true else "no")
        assert (made.instruction.meta["foil"] is None) is true


def test_explanations_hold_their_facts() -> None:
    for rng in EACH:
        made = sample("explanation", rng)
        assert all(fact in made.instruction.references[0] for fact in made.instruction.meta["facts"])
        assert made.instruction.meta["facts"][2] in COLOURS


def test_names_are_not_parts_of_each_other() -> None:
    names = [name for thing, synonyms in VOCABULARY.items() for name in (thing, *synonyms)]
    assert len(names) == len(set(names))
    assert Scene.draw(random.Random(1)) == Scene.draw(random.Random(1))


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match="caption, vqa"):
        sample("poem", random.Random(0))  # type: ignore[arg-type]
