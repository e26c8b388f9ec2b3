"""OPT-IML's three levels: the rules of the split, leaks between tasks, and figures by level."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adhere
from adhere.bench.base import Options, Scored, get
from adhere.bench.opt_iml import TaskScorer, ask, instructions, level_average, prompt, summary
from adhere.bench.opt_iml.bank import Pair, Split, Task, clustered, fresh_test, leakage, read_bank, split
from adhere.bench.opt_iml.strings import TASKS, strings
from adhere.errors import DataError, UsageError
from adhere.records import Failure, Instruction, Message, Response, Score
from tiny_llama import save_tiny_llama


def task(id: str, category: str, cluster: str = "", texts: list[str] | None = None, **more: Any) -> Task:
    pairs = tuple(Pair(f"{id} {text}", "out") for text in texts or ["one", "two"])
    return Task(id, category, more.get("definition", f"Do {id}."), (), pairs, pairs, cluster or id)


BANK = [task("a1", "A"), task("a2", "A"), task("b1", "B"), task("b2", "B"), task("b3", "B"), task("c1", "C")]


def test_the_three_levels_are_told_apart_by_category_task_and_instance() -> None:
    levels = Split(("A",), ("b2",)).levels(BANK)
    assert levels == {"a1": "fully_held_out", "a2": "fully_held_out", "b1": "supervised", "b2": "partially_supervised",
                      "b3": "supervised", "c1": "supervised"}  # fmt: skip


def test_what_is_left_of_a_held_out_data_set_is_neither_trained_on_nor_measured() -> None:
    bank = [*BANK[:5], task("c1", "C", cluster="a1"), task("c2", "C")]
    assert Split(("A",), ("b2",)).levels(bank)["c1"] == "excluded"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=4, max_size=24), st.integers(0, 9), st.randoms()
)
def test_a_drawn_split_never_trains_on_what_it_holds_out(rows: list[tuple[int, int]], seed: int, shuffle: Any) -> None:
    bank = [task(f"t{n}", f"C{category}", cluster=f"d{cluster}") for n, (category, cluster) in enumerate(rows)]
    try:
        drawn = split(bank, seed=seed)
    except UsageError:
        return
    levels = drawn.levels(bank)
    by_id = {t.id: t for t in bank}
    trained = [by_id[id] for id, level in levels.items() if level == "supervised"]
    held = [by_id[id] for id, level in levels.items() if level in ("fully_held_out", "partially_supervised")]
    assert trained and {t.cluster for t in trained}.isdisjoint(t.cluster for t in held)
    assert {t.category for t in trained}.isdisjoint(drawn.held_out_categories)
    mixed = bank.copy()
    shuffle.shuffle(mixed)
    assert split(mixed, seed=seed) == drawn


def test_a_category_of_one_data_set_has_nothing_to_hold_out_partially() -> None:
    with pytest.raises(UsageError, match="each of these categories has one data set: C"):
        split([task("a1", "A"), task("c1", "C")], held_out_categories=["A"])
    with pytest.raises(UsageError, match=r"no category 'D'.*There are: A, B, C"):
        split(BANK, held_out_categories=["D"])
    with pytest.raises(UsageError, match="cannot hold 3 of 3 categories out"):
        split(BANK, held_out_categories=3)


def test_a_shared_run_of_thirteen_words_and_a_shared_definition_are_leaks() -> None:
    long = " ".join(f"w{n}" for n in range(13))
    one = Task("one", "A", "Do it.", (), (Pair(f"x {long}", "y"),), (), "one")
    same_text = Task("two", "B", "Do that.", (), (), (Pair(f"{long} z", "q"), Pair("other", "q")), "two")
    same_definition = Task("three", "B", " do  IT.", (), (), (Pair("nothing alike", "q"),), "three")
    near = Task("four", "B", "Do this.", (), (), (Pair(long.replace("w5", "other"), "q"),), "four")
    levels = {"one": "supervised", "two": "partially_supervised", "three": "fully_held_out", "four": "fully_held_out"}
    found = {leak.test: leak.share for leak in leakage([one, same_text, same_definition, near], levels)}  # type: ignore
    assert found == {"two": 0.5, "three": 1.0}
    with pytest.raises(DataError, match="100% of 'three' in 'one'"):
        instructions([one, same_text, same_definition, near], levels)  # type: ignore
    clusters = {t.id: t.cluster for t in clustered([one, same_text, same_definition, near])}
    assert clusters["two"] == clusters["three"] == clusters["one"] != clusters["four"]


def test_a_supervised_task_is_measured_on_instances_that_it_was_not_trained_on() -> None:
    bank = [Task("t", "A", "d", (), (Pair("Seen ", "x"),), (Pair("seen", "x"), Pair("new", "x")), "t")]
    assert fresh_test(bank[0]) == (Pair("new", "x"),)
    assert [row.prompt for row in instructions(bank, {"t": "supervised"})] == ["d\n\nInput: new\nOutput:"]


def test_examples_stand_between_definition_and_input() -> None:
    made = Task("t", "A", "Add.", (Pair("1 1", "2"), Pair("2 2", "4"), Pair("3 3", "6")), (), (), "t")
    assert prompt(made, "4 4", 2) == "Add.\n\nInput: 1 1\nOutput: 2\n\nInput: 2 2\nOutput: 4\n\nInput: 4 4\nOutput:"


def row(category: str, task: str, level: str, value: float | None) -> Scored:
    made = Instruction("i", (Message("user", "q"),), meta={"category": category, "task": task, "level": level})
    failure = Failure("model", "X", "x") if value is None else None
    return Scored(made, 0, None, failure, None if value is None else Score("score", value))


def test_a_level_is_the_mean_over_categories_of_tasks_of_rows_and_a_failed_row_scores_nothing() -> None:
    rows = [row("A", "a1", "supervised", 1.0)] * 8 + [
        row("A", "a2", "supervised", 0.5),
        row("A", "a2", "supervised", None),
    ]
    rows += [row("B", "b1", "supervised", 0.0)]
    assert level_average(rows) == pytest.approx(((1.0 + 0.25) / 2 + 0.0) / 2)
    found = summary([*rows, row("C", "c1", "fully_held_out", 1.0)], Options())
    assert found["supervised"]["clusters"] == 3 and found["fully_held_out"]["value"] == 1.0
    assert "partially_supervised" not in found
    assert found["average"]["value"] == pytest.approx((0.3125 + 1.0) / 2)  # of the levels that there are


def test_the_string_tasks_are_forty_of_eight_categories_and_their_answers_follow_from_their_rules() -> None:
    bank = strings()
    assert len(bank) == 40 and set(Counter(t.category for t in bank).values()) == {5}
    assert strings() == bank != strings(seed=1)
    for made in bank:
        rule = TASKS[made.category][1][made.id.removeprefix(f"{made.category}_")][1]
        assert len(made.train) == 40 and len(made.test) == 6 and len(made.examples) == 2
        assert all(pair.output == rule(pair.input.split()) for pair in (*made.examples, *made.train, *made.test))
        assert len({pair.input for pair in (*made.examples, *made.train, *made.test)}) == 48
    by_id = {t.id: t for t in bank}
    assert by_id["classification_ends"].candidates == ("no", "yes")
    assert by_id["order_sort"].candidates == ()


def test_its_first_rows_are_of_all_three_levels() -> None:
    first = Counter(i.meta["level"] for i in get("opt-iml-synthetic").instructions(21))
    assert set(first.values()) == {7}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return adhere.load(str(save_tiny_llama(tmp_path_factory.mktemp("tiny"), context=1024)), store=None)


def test_few_answers_are_chosen_and_others_written(tiny: Any) -> None:
    rows = list(get("opt-iml-synthetic").load())
    picked = [next(r for r in rows if r.meta["kind"] == kind) for kind in ("choice", "text")]

    async def run() -> list[tuple[Response, Score]]:
        responses = [await ask(Options(tiny), r) for r in picked]
        return [(a, await TaskScorer().score(r, a)) for r, a in zip(picked, responses, strict=True)]

    (chosen, choice_score), (written, text_score) = asyncio.run(run())
    assert chosen.text in picked[0].meta["options"]
    assert "\n" not in written.text
    assert {p.name for p in choice_score.parts} == {"accuracy", "score"}
    assert {p.name for p in text_score.parts} == {"rouge_l", "score"}


def save(folder: Path, bank: list[Task]) -> None:
    folder.mkdir(parents=True)
    for t in bank:
        rows = {name: [pair._asdict() for pair in getattr(t, name)] for name in ("train", "test")}
        content = {"task": t.id, "category": t.category, "definition": t.definition, **rows}
        (folder / f"{t.id}.json").write_text(json.dumps(content))


def test_a_folder_is_measured_by_the_split_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    save(tmp_path / "opt-iml/tasks", [t._replace(test=(Pair(f"new {t.id}", "x"),)) for t in BANK])
    (tmp_path / "opt-iml/split.json").write_text('{"held_out_categories": ["C"], "held_out_tasks": ["a2"]}')
    levels = {r.meta["task"]: r.meta["level"] for r in get("opt-iml").load()}
    assert levels["c1"] == "fully_held_out" and levels["a2"] == "partially_supervised" and len(levels) == 6
    (tmp_path / "opt-iml/split.json").write_text('{"held_out_categories": ["X"]}')
    with pytest.raises(DataError, match="'X' is no category and no task"):
        get("opt-iml").load()
    (tmp_path / "opt-iml/tasks/bad.json").write_text('{"task": "bad"}')
    with pytest.raises(DataError, match=r"bad\.json: no task"):
        get("opt-iml").load()


def test_the_public_collection_shares_data_sets_that_only_the_text_gives_away(data_dir: Path) -> None:
    """Known from Super-NaturalInstructions: 1612 and 1615 are both made of SICK, 641 and 642 of ESNLI."""
    bank = clustered(read_bank(data_dir / "quick-learners/tasks"))
    clusters = {t.id: t.cluster for t in bank}
    assert len(bank) == 66
    assert clusters["task1612"] == clusters["task1615"] and clusters["task641"] == clusters["task642"]
    assert clusters["task1612"] != clusters["task641"]
    for seed in random.Random(0).sample(range(1000), 5):
        drawn = split(bank, held_out_categories=3, seed=seed)
        assert not leakage(bank, drawn.levels(bank))
