"""Task files of prompt optimisers: what is read, what is refused and how, and how answers are graded."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import DataError, UsageError
from adhere.write.instructions.metrics import METRICS, grade, interquartile_mean, normalise
from adhere.write.instructions.tasks import Pair, read_task, split


def jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


PLAIN = [{"input": f"word {i}", "output": f"drow {i}"} for i in range(30)]


def test_a_file_of_pairs_is_split_the_same_way_by_the_same_seed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "task.jsonl", PLAIN)
    task, again, other = read_task(path), read_task(path), read_task(path, seed=1)
    assert task == again != other
    assert (len(task.induce), len(task.execute)) == (20, 10)
    assert {p.input for p in task.induce} | {p.input for p in task.execute} == {row["input"] for row in PLAIN}


def test_several_accepted_outputs_and_other_names_of_the_columns_are_read(tmp_path: Path) -> None:
    rows = [{"input": "hot", "outputs": ["cold", "chilly"]}, {"question": "1+1?", "answer": "2"}]
    task = read_task(jsonl(tmp_path / "task.jsonl", rows), metric="number")
    assert set(task.induce) == {Pair("hot", ("cold", "chilly")), Pair("1+1?", ("2",))}
    assert task.metric == "number"


def test_pairs_to_show_and_pairs_to_score_are_disjoint_and_cover_all() -> None:
    pairs = [Pair(str(i), ("x",)) for i in range(11)]
    parts = split(pairs)
    assert sorted(parts.shown + parts.scoring) == sorted(pairs)
    assert (len(parts.shown), len(parts.scoring)) == (5, 6)


def test_too_few_pairs_say_how_many_are_needed() -> None:
    with pytest.raises(DataError, match=r"at least 6 pairs \(5 to show and 1 to score\), got 5"):
        split([Pair(str(i), ("x",)) for i in range(5)])
    assert len(split([Pair(str(i), ("x",)) for i in range(6)]).scoring) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"output": "x"}, "no 'input'"),
        ({"input": "x"}, "no 'output'"),
        ({"input": 3, "output": "x"}, "'input' must be text, not int"),
        ({"input": "x", "output": None}, "'output' must be text, not NoneType"),
        ({"input": "x", "outputs": []}, "'outputs' is empty"),
        ({"input": "x", "output": "  "}, "'output' is empty"),
        ({"input": "x", "outputs": ["y", 2]}, "must be text, not int"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, row: object, said: str) -> None:
    path = jsonl(tmp_path / "task.jsonl", [PLAIN[0], row])
    with pytest.raises(DataError) as caught:
        read_task(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"induce": 3}', '{"induce": [3]}', '{"name": "x"}', "\x00"])
def test_a_broken_task_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "task.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"task\.json"):
        read_task(path)


def test_an_unknown_task_or_metric_gets_a_suggestion(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    with pytest.raises(DataError, match="antonyms"):
        read_task("antonym")
    with pytest.raises(UsageError, match="contains"):
        read_task("antonyms", metric="contain")
    with pytest.raises(DataError, match=r"no\.jsonl"):
        read_task(tmp_path / "no.jsonl")


def test_copies_in_a_file_and_inputs_in_both_splits_are_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "adhere"):
        task = read_task(jsonl(tmp_path / "task.jsonl", [*PLAIN, PLAIN[0], PLAIN[1]]))
    assert len(task.induce) + len(task.execute) == len(PLAIN)
    assert "2 rows repeat" in caplog.text
    both = {"task": "t", "induce": PLAIN[:10], "execute": PLAIN[9:12]}
    (tmp_path / "task.json").write_text(json.dumps(both))
    with caplog.at_level(logging.WARNING, "adhere"):
        read_task(tmp_path / "task.json")
    assert "1 inputs are in both splits, e.g. 'word 9'" in caplog.text


def test_cause_and_effect_shows_both_orders_and_asks_for_the_cause(tmp_path: Path) -> None:
    rows = [{"cause": f"It rained {i}.", "effect": "They got wet.", "outputs": [f"It rained {i}."]} for i in range(20)]
    (tmp_path / "task.json").write_text(json.dumps({"task": "cause_and_effect", "induce": rows}))
    task = read_task(tmp_path / "task.json")
    first = [pair.input.startswith("Sentence 1: It rained") for pair in task.induce + task.execute]
    assert 0 < sum(first) < len(first)
    assert all(pair.outputs[0].startswith("It rained") for pair in task.induce)


def test_big_bench_choices_are_shown_and_the_best_marked_are_right(tmp_path: Path) -> None:
    example = {"input": "Which is a bird?", "target_scores": {"hen": 1, "cow": 0, "owl": 1}}
    (tmp_path / "birds.json").write_text(json.dumps({"name": "birds", "examples": [example]}))
    assert read_task(tmp_path / "birds.json").induce == (
        Pair("Which is a bird?\nchoice: hen\nchoice: cow\nchoice: owl", ("hen", "owl")),
    )


def test_every_public_task_is_read_and_its_own_answers_are_right(data_dir: Path) -> None:
    files = [
        *(data_dir / "ape" / "instruction_induction").glob("*.json"),
        *(data_dir / "instinct" / "instruction_induction").glob("*.json"),
        *(data_dir / "ape" / "bigbench_ii").glob("*.json"),
    ]
    assert len(files) == 24 + 7 + 22
    for file in files:
        task = read_task(file)
        for pair in (*task.induce, *task.execute):
            assert grade(task.metric, pair.outputs[-1], pair.outputs) == 1, (file, pair)
            assert grade(task.metric, "", pair.outputs) == 0, (file, pair)


@pytest.mark.parametrize(
    ("metric", "answer", "gold", "mark"),
    [
        ("em", " Cold.\nInput: up", "cold", 1),
        ("em", "hello !", "hello", 1),
        ("em", "3.5 apples", "3.5 apples", 1),
        ("em", "35 apples", "3.5 apples", 0),
        ("em", "well-known", "well known", 1),
        ("em", "", "+", 0),
        ("em", "+", "+", 1),
        ("em", "-", "+", 0),
        ("f1", "the red house", "a red house", 2 / 3),
        ("f1", "", "a red house", 0),
        ("es", "cat and dog, cow", "cow, cat, dog", 1),
        ("es", "cat, dog", "cow, cat, dog", 0),
        ("contains", "it is a rest, surely", "rest", 1),
        ("contains", "a forest", "rest", 0),
        ("contains", "anything", "an*", 0),
        ("number", "so 3 + 4 = 7. The answer is 7", "7.0", 1),
    ],
)
def test_answers_are_graded(metric: str, answer: str, gold: str, mark: float) -> None:
    assert METRICS[metric](answer, gold) == pytest.approx(mark)


def test_the_best_of_several_accepted_outputs_counts() -> None:
    assert grade("em", "chilly", ("cold", "chilly")) == 1
    assert grade("em", "hot", ("cold", "chilly")) == 0


@given(st.text(max_size=80), st.sampled_from(sorted(METRICS)))
def test_grading_takes_any_text_and_stays_between_0_and_1(text: str, metric: str) -> None:
    for answer, gold in ((text, "cold and 3"), ("cold", text or "x")):
        assert 0 <= METRICS[metric](answer, gold) <= 1
    assert normalise(normalise(text)) == normalise(text) or "sentence" in text.lower()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_the_interquartile_mean_is_that_of_the_middle_half(values: list[float]) -> None:
    # Four copies of each value make the quarters whole, and leave the mean of the middle half as it was.
    whole = sorted(values * 4)
    expected = math.fsum(whole[len(values) : 3 * len(values)]) / (2 * len(values))
    assert interquartile_mean(values) == pytest.approx(expected, abs=1e-9)
