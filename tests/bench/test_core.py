"""The built-in benchmark's prompts: sound, satisfiable, and not passed by saying nothing or by echoing the prompt."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

import adhere.bench
from adhere.constraints.base import build_all, conflict, kinds, verify
from adhere.constraints.plain import find_in
from adhere.records import Instruction, decode

FOLDER = Path(adhere.bench.__file__).parent / "core"


@pytest.fixture(scope="module")
def rows() -> list[Instruction]:
    lines = (FOLDER / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [decode(line, Instruction) for line in lines]


@pytest.fixture(scope="module")
def quick(rows: list[Instruction]) -> list[Instruction]:
    return [row for row in rows if row.meta.get("quick")]


def passed(row: Instruction, answer: str) -> bool:
    return all(score.passed for score in verify(answer, build_all(row.constraints, "fixed")).strict)


def test_ids_and_prompts_are_unique(rows: list[Instruction]) -> None:
    assert len(rows) >= 160
    assert len({row.id for row in rows}) == len({row.messages for row in rows}) == len(rows)


def test_every_reference_passes_strictly(rows: list[Instruction]) -> None:
    for row in rows:
        (reference,) = row.references
        failed = [s for s in verify(reference, build_all(row.constraints, "fixed")).strict if not s.passed]
        assert not failed, f"{row.id}: {failed}"


def test_no_two_constraints_of_a_prompt_conflict(rows: list[Instruction]) -> None:
    for row in rows:
        for one, other in combinations(build_all(row.constraints, "fixed"), 2):
            assert not conflict(one, other), f"{row.id}: {one.kind} and {other.kind}"


def test_every_native_kind_occurs_at_least_twice(rows: list[Instruction]) -> None:
    counts = Counter(constraint.kind for row in rows for constraint in row.constraints)
    gradable = {kind for kind in kinds() if ":" not in kind} - {"told"}  # no program decides what was only told
    assert gradable == set(counts)
    assert min(counts.values()) >= 2


def test_the_meta_data_tell_family_and_level(rows: list[Instruction]) -> None:
    for row in rows:
        families = list(dict.fromkeys(kinds()[c.kind].family for c in row.constraints))
        assert row.meta["families"] == families
        assert row.meta["family"] == families[0]
        assert row.meta["level"] == len(row.constraints)


def test_all_levels_conversations_and_documents_are_there(rows: list[Instruction]) -> None:
    levels = Counter(row.meta["level"] for row in rows)
    assert set(levels) == {1, 2, 3, 4}
    assert min(levels.values()) >= 12
    assert sum(len(row.messages) > 1 for row in rows) >= 12
    assert sum(bool(row.documents) for row in rows) >= 12
    assert len({row.meta["language"] for row in rows}) >= 5


def test_documents_stand_in_the_prompt_that_the_model_reads(rows: list[Instruction]) -> None:
    for row in rows:
        assert row.messages[-1].role == "user"
        assert all(document.text in row.prompt for document in row.documents)


def test_the_quick_subset_is_stratified_and_short(rows: list[Instruction], quick: list[Instruction]) -> None:
    assert len(quick) == 40
    assert {c.kind for row in quick for c in row.constraints} == {c.kind for row in rows for c in row.constraints}
    assert {f for row in quick for f in row.meta["families"]} == {f for row in rows for f in row.meta["families"]}
    assert all(count >= 4 for count in Counter(row.meta["level"] for row in quick).values())
    assert {row.meta["level"] for row in quick} == {1, 2, 3, 4}
    assert any(row.documents for row in quick)
    assert any(len(row.messages) > 1 for row in quick)
    # A token is at least three characters in these languages, give or take: 450 characters stay under 150 tokens.
    assert max(len(row.references[0]) for row in quick) <= 450


def test_saying_nothing_fails_everything(rows: list[Instruction]) -> None:
    for row in rows:
        assert not any(score.passed for score in verify("", build_all(row.constraints, "fixed")).strict)


def test_echoing_the_prompt_mostly_fails(rows: list[Instruction]) -> None:
    assert sum(passed(row, row.prompt) for row in rows) / len(rows) < 0.2


def test_english_prompts_say_what_is_graded(rows: list[Instruction]) -> None:
    """The plain-words parser is no judge of style, but what it finds in the prompts is nearly always what is graded."""
    right = found = wanted = 0
    for row in rows:
        if row.meta["language"] != "en":
            continue
        seen, graded = (Counter(c.kind for c in cs) for cs in (find_in(row.prompt).constraints, row.constraints))
        right += (seen & graded).total()
        found += seen.total()
        wanted += graded.total()
    assert right / found >= 0.95
    assert right / wanted >= 0.85


@pytest.mark.parametrize("answer", ["", None, "OK.", "I am sorry, but I cannot help with that."])
def test_the_card_states_the_base_rates(rows: list[Instruction], answer: str | None) -> None:
    verdicts = [
        verify(row.prompt if answer is None else answer, build_all(row.constraints, "fixed")).strict for row in rows
    ]
    prompts = sum(all(score.passed for score in scores) for scores in verdicts)
    constraints = sum(bool(score.passed) for scores in verdicts for score in scores)
    total = sum(map(len, verdicts))
    label = {"": "nothing at all", None: "the prompt itself"}.get(answer, f'"{answer}"')
    row = f"| {label} | {prompts} of {len(rows)} | {constraints} of {total} |"
    assert row in (FOLDER / "card.md").read_text(encoding="utf-8")


def test_the_card_states_the_composition(rows: list[Instruction]) -> None:
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    levels = Counter(row.meta["level"] for row in rows)
    assert f"| prompts | {levels[1]} | {levels[2]} | {levels[3]} | {levels[4]} | {len(rows)} |" in card
    families, quick = Counter(), Counter()
    for row in rows:
        for constraint in row.constraints:
            family = kinds()[constraint.kind].family
            families[family] += 1
            quick[family] += bool(row.meta.get("quick"))
    for family, count in families.items():
        assert f"| {family} | {count} | {quick[family]} |" in card
    for kind, count in Counter(c.kind for row in rows for c in row.constraints).items():
        assert f"{kind} {count}" in card
