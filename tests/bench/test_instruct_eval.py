"""INSTRUCTEVAL: its sets, its rules of grading, its means, and its published tables recomputed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adhere
from adhere.bench.base import Options, Scored, get
from adhere.bench.instruct_eval import (
    PROBLEMS,
    SuiteScorer,
    ask,
    begins_with,
    likert,
    problem_solving,
    suite_of,
    summary,
)
from adhere.bench.instruct_eval.published import PROBLEM_COLUMNS, mean_of, read_table, tuned_pairs
from adhere.bench.instruct_eval.sets import SETS
from adhere.bench.run import evaluate
from adhere.bench.scored import scored_metrics
from adhere.errors import AdhereError, DataError
from adhere.records import Failure, Instruction, Message, Response, Score
from tiny_llama import save_tiny_llama


def rows_of(part: str) -> list[Instruction]:
    return [row for row in get("instruct-eval-synthetic").load() if row.meta["part"] == part]


def asked(row: Instruction) -> str:
    return row.meta["header"] + "".join(row.meta["shots"]) + row.prompt


def test_the_synthetic_suite_has_all_seven_parts_and_begins_with_one_of_each() -> None:
    rows = get("instruct-eval-synthetic").instructions()
    assert Counter(row.meta["part"] for row in rows) == {
        "mmlu": 16, "bbh": 20, "drop": 6, "crass": 10, "humaneval": 6, "writing": 20, "hhh": 60}  # fmt: skip
    assert {row.meta["part"] for row in rows[:7]} == set(SETS)
    assert len({row.id for row in rows}) == len(rows)


def test_mmlu_shows_five_solved_questions_of_the_subject_under_its_header() -> None:
    text = asked(rows_of("mmlu")[0])
    assert text.startswith(
        "The following are multiple choice questions (with answers) about elementary mathematics.\n\n"
    )
    assert text.count("\nAnswer: ") == 5 and text.endswith("\nAnswer:")


def test_bbh_takes_the_first_three_rows_of_a_task_as_examples_and_asks_the_others(data_dir: Path) -> None:
    rows = list(SETS["bbh"](data_dir / "instruct-eval"))
    assert len(rows) == 6511 - 27 * 3
    snarks = [row for row in rows if row.meta["task"] == "snarks"]
    assert len(snarks) == 175 and snarks[0].meta["chance"] == 0.5
    assert asked(snarks[0]).count("\nAnswer: (") == 3
    by_task = {row.meta["task"]: row.meta["chance"] for row in rows}
    assert by_task["boolean_expressions"] == 0.5 and by_task["word_sorting"] == 0.0
    assert by_task["logical_deduction_seven_objects"] == pytest.approx(1 / 7)


def test_drop_asks_only_rows_with_one_answer_and_never_about_the_passages_of_its_examples() -> None:
    rows = rows_of("drop")
    examples = "".join(rows[0].meta["shots"])
    assert len(rows[0].meta["shots"]) == 3
    assert all(row.prompt.split(".")[0] not in examples for row in rows)
    assert not any("choir" in row.prompt for row in rows)  # its answers are two different spans


def test_drops_original_file_is_read_too(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"number": "", "date": {}, "spans": []}
    pairs = [{"question": "How many?", "answer": nothing | {"number": "7"}},
             {"question": "When?", "answer": nothing | {"date": {"day": "", "month": "May", "year": "1900"}}},
             {"question": "Who?", "answer": nothing | {"spans": ["Ann", "Ben"]}}]  # fmt: skip
    passages = {f"p{n}": {"passage": f"Text {n}.", "qa_pairs": pairs} for n in range(5)}
    (tmp_path / "drop_dataset_dev.json").write_text(json.dumps(passages))
    rows = list(SETS["drop"](tmp_path))
    assert {row.meta["label"] for row in rows} == {"7", "May 1900"}


def test_crass_shuffles_the_options_and_keeps_the_right_one_in_sight() -> None:
    rows = rows_of("crass")
    labels = Counter(row.meta["label"] for row in rows)
    assert len(labels) > 1
    dry = next(row for row in rows if "umbrella" in row.prompt)
    assert f"{dry.meta['label']}. He would have stayed dry." in dry.prompt
    assert {row.meta["chance"] for row in rows} == {1 / 3, 1 / 4}


@pytest.mark.parametrize(
    "prediction, label, right",
    [(" A", "A", True), ("A lot of them", "A", True), ("(A)", "A", False), ("a", "A", False), ("(B) red", "(B)", True),
     ("", "A", False), ("\n\nYes.", "Yes", True)],
)  # fmt: skip
def test_a_prediction_is_right_if_it_begins_with_the_label(prediction: str, label: str, right: bool) -> None:
    assert begins_with(prediction, label) is right


@pytest.mark.parametrize(
    "review, ours, theirs",
    [("4", 4, 4), ("4 out of 5", 4, 5), ("Level 3. It has 2 gaps", 3, 2), ("excellent", None, 1), ("0", None, 1),
     ("10 of 10", 1, 1), ("A 4, not 9", 4, 1)],
)  # fmt: skip
def test_the_published_parser_takes_the_last_digit_and_ours_the_first(
    review: str, ours: int | None, theirs: int
) -> None:
    assert likert(review) == ours
    assert likert(review, published=True) == theirs


@given(st.text(max_size=200))
def test_a_level_is_always_one_of_five(review: str) -> None:
    assert likert(review) in (None, 1, 2, 3, 4, 5)
    assert likert(review, published=True) in (1, 2, 3, 4, 5)


def graded(row: Instruction, text: str, options: Options | None = None, **more: Any) -> Score:
    return asyncio.run(SuiteScorer(options or Options()).score(row, Response(text, **more)))


def test_every_synthetic_problem_is_solved_by_its_own_solution_and_by_no_early_exit() -> None:
    from adhere.sandbox import isolation

    if isolation().mode is None:
        pytest.skip("code cannot be isolated here")
    source = Path(adhere.__file__).parent / "bench/instruct_eval/synthetic/HumanEval.jsonl"
    solutions = {row["task_id"]: row["canonical_solution"] for row in map(json.loads, source.read_text().splitlines())}
    for row in rows_of("humaneval"):
        assert graded(row, solutions[row.id]).passed is True
    assert graded(row, "    import os; os._exit(0)").passed is False
    assert graded(row, "    return None").passed is False


def test_hhh_is_right_if_both_orders_together_prefer_the_better_reply() -> None:
    row = rows_of("hhh")[0]
    for margins, right in (([0.5, 0.1], True), ([2.0, -1.5], True), ([1.0, -1.5], False), ([1.0, -1.0], False)):
        step = {"step": "choices", "set": "replies", "margins": margins}
        assert graded(row, "", trace=(step,)).passed is right


def test_without_a_judge_writing_is_undecided_and_the_rest_is_graded() -> None:
    score = graded(rows_of("writing")[0], "Some text.")
    assert [part.value for part in score.parts] == [None, None] and "--judge" in score.parts[0].reason


def scored(part: str, task: str, right: bool | None, chance: float = 0.25) -> Scored:
    made = Instruction("i", (Message("user", "q"),), meta={"part": part, "task": task, "chance": chance})
    failure = Failure("model", "X", "x") if right is None else None
    return Scored(made, 0, None, failure, None if right is None else Score(part, float(right), right))


def test_the_problem_solving_mean_weighs_sets_equally_and_bbh_its_tasks() -> None:
    rows = [scored("mmlu", "a", True)] * 3 + [scored("mmlu", "b", False)]  # 0.75, over questions
    rows += [scored("bbh", "x", True)] * 9 + [scored("bbh", "x", None)] + [scored("bbh", "y", False)]  # (0.9 + 0) / 2
    rows += [scored("drop", "drop", True), scored("crass", "crass", False), scored("humaneval", "humaneval", False)]
    assert problem_solving(rows) == pytest.approx((0.75 + 0.45 + 1 + 0 + 0) / 5)
    found = summary(rows, Options())
    assert found["problem_solving"]["value"] == pytest.approx(0.44) and "problem_solving_partial" not in found
    assert found["bbh"]["value"] == pytest.approx(0.45)


def test_a_mean_over_fewer_sets_is_never_called_the_mean_of_five() -> None:
    rows = [scored("mmlu", "a", True), scored("bbh", "x", False)]
    assert problem_solving(rows) is None
    found = summary(rows, Options())
    assert found["problem_solving"]["value"] is None
    assert found["problem_solving_partial"]["value"] == 0.5


def test_missing_sets_are_named_with_what_they_are_in_public(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="hendrycks/test"):
        suite_of(tmp_path)
    (tmp_path / "bbh.jsonl").write_text(
        "".join(json.dumps({"task": "t", "input": f"q{n}", "target": "a"}) + "\n" for n in range(5))
    )
    assert len(suite_of(tmp_path)) == 2
    assert "6 of INSTRUCTEVAL's 7 sets are not in" in caplog.text and "apergo-ai/CRASS-data-set" in caplog.text


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("bbh.jsonl", '{"task": "t", "input": "q"}\n', "bbh.jsonl:1: `task`, `input` and `target`"),
        ("crass.csv", "a;b\n1;1;only;three\n", "crass.csv:2: 4 columns"),
        ("hhh/other/task.json", '{"examples": [{"input": "q", "target_scores": {"a": 1}}]}', "no two replies"),
        ("HumanEval.jsonl", '{"task_id": "x"}\n', "HumanEval.jsonl:1: no problem"),
        ("mmlu/test/s_test.csv", "q,a,b,A\n", "s_dev.csv is missing"),
        ("drop.jsonl", '{"passage": "p"}\n', "DROP cannot be read"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        suite_of(tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return adhere.load(str(save_tiny_llama(tmp_path_factory.mktemp("tiny"), context=1100)), store=None)


def test_every_part_is_asked_and_graded_with_a_real_model(tiny: Any) -> None:
    from adhere.models.model import Model

    options = Options(Model(tiny.backend, chat=False), judge=None)
    rows = [rows_of(part)[0] for part in ("mmlu", "bbh", "drop", "crass", "hhh")]

    async def run() -> list[Scored]:
        found = []
        for row in rows:
            response = await ask(options, row)
            found.append(Scored(row, 0, response, None, await SuiteScorer(options).score(row, response)))
        return found

    found = asyncio.run(run())
    margins = found[-1].response.trace[0]["margins"]  # type: ignore
    assert len(margins) == 2 and found[-1].score.passed is (sum(margins) > 0)  # type: ignore
    metrics = scored_metrics(get("instruct-eval-synthetic"), found, options)
    assert metrics["problem_solving_partial"]["n"] == 4
    assert set(metrics["by_part"]) == {"mmlu", "bbh", "drop", "crass", "hhh"}


def test_swapping_the_replies_turns_the_sign_of_the_margin_only(tiny: Any) -> None:
    """What the model thinks of A and B as such cancels out: a pair of equal replies has no margin."""
    row = rows_of("hhh")[0]
    equal = Instruction(row.id, row.messages, meta=row.meta | {"rejected": row.meta["chosen"]})
    response = asyncio.run(ask(Options(tiny), equal))
    assert sum(response.trace[0]["margins"]) == pytest.approx(0, abs=1e-4)


# The published tables ------------------------------------------------------------------------------------------------


def test_the_published_averages_are_the_means_of_the_five_sets_but_for_starcoders(data_dir: Path) -> None:
    lines = read_table(data_dir / "instruct-eval/problem_solving_leaderboard.csv")
    off = {}
    complete = 0
    for line in lines:
        mean = mean_of(line, PROBLEM_COLUMNS)
        if mean is not None and "Average" in line.figures:
            complete += 1
            if abs(mean - line.figures["Average"]) > 0.1:  # a few are cut, not rounded
                off[line.model] = (round(mean, 1), line.figures["Average"])
    assert complete > 40
    assert off == {"StarCoder": (29.8, 27.5)}


def test_the_published_alignment_and_writing_averages_are_plain_means(data_dir: Path) -> None:
    for line in read_table(data_dir / "instruct-eval/alignment_leaderboard.csv"):
        assert mean_of(line, ("Harmless", "Helpful", "Honest", "Others")) == pytest.approx(line.figures["Avg"], abs=0.1)
    for line in read_table(data_dir / "instruct-eval/writing_leaderboard.csv"):
        for aspect in ("Rel.", "Coh."):
            columns = [f"{category} {aspect}" for category in ("Inf", "Pro", "Arg", "Cre")]
            assert mean_of(line, columns) == pytest.approx(line.figures[f"Avg {aspect}"], abs=0.006)


def test_tuned_models_stand_beside_their_foundation_of_the_same_size(data_dir: Path) -> None:
    pairs = tuned_pairs(read_table(data_dir / "instruct-eval/problem_solving_leaderboard.csv"))
    by_name = {(p.tuned.model, p.tuned.texts["Parameters (B)"]): p.foundation.model for p in pairs}
    assert by_name[("Flan-T5-XXL", "11.0")] == "T5 XXL LM" and by_name[("OPT IML", "30.0")] == "OPT"
    assert all(p.tuned.texts["Parameters (B)"] == p.foundation.texts["Parameters (B)"] for p in pairs)
    random.Random(0).shuffle(pairs)
    assert len(pairs) == len({(p.tuned.model, p.tuned.texts["Parameters (B)"]) for p in pairs})
    assert set(PROBLEMS) == {column.lower() for column in PROBLEM_COLUMNS}


def test_a_judge_that_there_is_not_is_refused_before_anything_is_generated() -> None:
    class Never:
        async def answer(self, instruction: Instruction) -> Response:
            raise AssertionError("asked")

    with pytest.raises(AdhereError, match="no-such-judge"):
        evaluate(get("instruct-eval-synthetic"), Never(), options=Options(judge="no-such-judge"))
