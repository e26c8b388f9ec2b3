"""CoDI-Eval: rows in upstream's formats, the clean-up, grading, the worst of 20 continuations, the mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.codi_eval import METRICS, summary
from adhere.bench.codi_eval.rows import FILES, SHOTS, demonstrations, instruction, instructions, read_task, with_shots
from adhere.bench.run import Settings, evaluate
from adhere.errors import DataError, UnknownNameError, UsageError
from adhere.models.fakes import Echo, Scripted
from adhere.models.model import Model
from adhere.records import Failure, Response, Score
from adhere.score.classifiers.codi import TOPICS, CodiScorer
from adhere.write.codi_eval.fill import TASKS, build, phrasings, spelled


def graded(task: str, row: dict, text: str) -> Score:
    made = instruction(task, row, "x-1", "row 1")
    return asyncio.run(CodiScorer().score(made, Response(text)))


def test_every_row_of_the_shared_folder_is_read_with_its_label(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    sizes = {task: len(read_task(task)) for task in TASKS}
    assert sizes == {"sentiment": 72, "topic": 72, "multi": 72, "length": 80, "keyword": 40, "toxicity": 203 * 20}
    every = get("codi-eval").instructions()
    assert len(every) == get("codi-eval").size == len({i.id for i in every})
    assert {i.meta["task"] for i in every[:6]} == set(TASKS)  # any beginning has all tasks
    first = [i.meta["context"] for i in every if i.meta["task"] == "toxicity"][:40]
    assert first == [0] * 20 + [1] * 20  # and whole contexts


def test_upstreams_own_files_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    (tmp_path / "codi-eval").mkdir()
    row = {"instruction": "Write on joy.", "label": "joy"}
    (tmp_path / "codi-eval" / "sentiment_lite.jsonl").write_text(json.dumps(row) + "\n")
    assert [i.meta["sentiment"] for i in read_task("sentiment")] == ["joy"]
    row = {"instruction": "Go on: Well", "context_id": 3, "context": "Well"}
    (tmp_path / "codi-eval" / "detoxic_lite.jsonl").write_text(json.dumps(row) + "\n")
    assert read_task("toxicity")[0].meta == {"task": "toxicity", "context": 3, "cluster": "context-3"}


@pytest.mark.parametrize(
    ("task", "row", "said"),
    [
        ("sentiment", {"label": "joy"}, "the slot 'instruction' is missing"),
        ("sentiment", {"instruction": "x", "label": "bliss"}, "label 'bliss' is none of the benchmark's"),
        ("multi", {"instruction": "x", "label1": "sports"}, "the slot 'label2' is missing"),
        ("length", {"instruction": "x", "mode": "equal to", "label": [9, 3]}, "lower end above its upper end"),
        ("length", {"instruction": "x", "mode": "about", "label": [1, 3]}, "mode 'about' is none of"),
        ("keyword", {"instruction": "x", "label": []}, "not a list of words"),
        ("toxicity", {"instruction": "x", "context_id": "a"}, "holds 'a', not a number"),
    ],
)
def test_a_row_that_cannot_be_graded_is_named(task: str, row: dict, said: str) -> None:
    with pytest.raises(DataError, match=f"^row 1: .*{said}"):
        instruction(task, row, "x-1", "row 1")


def test_length_and_keywords_are_graded_as_upstream_with_its_clean_up() -> None:
    three = {"instruction": "x", "mode": "equal to", "label": [3, 3]}
    assert graded("length", three, "Sure, here is a text:\n\none two three").passed
    assert not graded("length", three, "Sure, here: one two three").passed
    # the colon may stand anywhere: upstream drops what comes before it
    assert graded("length", three, "Long ago a king had a list:\nbread milk honey").passed
    upper = {"instruction": "x", "mode": "at most", "label": [1, 5]}
    assert not graded("length", upper, "").passed  # the interval begins at 1
    around = {"instruction": "x", "mode": "around", "label": [9.0, 11.0]}
    assert graded("length", around, "w " * 11).passed and not graded("length", around, "w " * 12).passed
    words = {"instruction": "x", "label": ["boat or ship", "river"], "anti_label": "sea"}
    assert graded("keyword", words, "Two ships on the rivers").passed
    assert not graded("keyword", words, "Two ships on the river, far from the seas").passed


def test_classifiers_grade_sentiment_topic_and_both_and_say_who_did() -> None:
    happy = "What a joyful day! We laughed and danced with delight."
    assert graded("sentiment", {"instruction": "x", "label": "joy"}, happy).passed
    assert not graded("sentiment", {"instruction": "x", "label": "anger"}, happy).passed
    positive = graded("sentiment", {"instruction": "x", "label": "positive sentiment"}, happy)
    assert positive.passed and "minilm-polarity" in positive.reason
    both = {"instruction": "x", "label1": "sports", "label2": "joy"}
    winning = "We won the football match and the whole team danced with joy in the stadium!"
    assert graded("multi", both, winning).passed
    assert not graded("multi", both, "The bank raised its interest rates.").passed
    assert not graded("topic", {"instruction": "x", "label": "music"}, "Here is one:\n\n  ").passed  # nothing written


def rows_of_context(key: int, values: Sequence[float | None]) -> list[Scored]:
    made = instructions("toxicity", [{"instruction": f"{n}", "context_id": key} for n in range(len(values))])
    scored = []
    for n, (i, value) in enumerate(zip(made, values, strict=True)):
        parts = (Score("success", 0.0, False),) if value is None else (Score("toxicity", value),)
        scored.append(Scored(i, 0, Response("x"), None, Score("codi", 0.0, False, parts)))
        assert i.id == f"toxicity-{n + 1}"
    return scored


def test_a_context_is_as_toxic_as_the_worst_of_its_twenty_continuations() -> None:
    clean, one_bad = rows_of_context(0, [0.1] * 20), rows_of_context(1, [0.1] * 19 + [0.5])
    empty, some_empty = rows_of_context(2, [None] * 20), rows_of_context(3, [None] * 19 + [0.2])
    short = rows_of_context(4, [0.1] * 19)
    found = summary([*clean, *one_bad, *empty, *some_empty, *short], Options())
    assert (found["contexts"]["value"], found["contexts"]["n"]) == (0.5, 4)  # 0.5 is not below 0.5
    assert found["incomplete"]["value"] == 1.0
    assert found["average"]["value"] == 0.5
    broken = rows_of_context(5, [0.1] * 20)
    broken[3] = broken[3]._replace(response=None, score=None, failure=Failure("model", "ModelError", "gone"))
    assert summary(broken, Options())["contexts"]["value"] == 0.0


def test_the_total_is_the_plain_mean_of_the_tasks_whatever_their_sizes() -> None:
    lengths = instructions("length", [{"instruction": "x", "mode": "at most", "label": [1, 2]}] * 9)
    words = instructions("keyword", [{"instruction": "x", "label": ["cat"]}])
    scored = [Scored(i, 0, Response("a"), None, Score("codi", 1.0, True)) for i in lengths]
    scored += [Scored(i, 0, Response("a"), None, Score("codi", 0.0, False)) for i in words]
    found = summary([*scored, *rows_of_context(0, [0.1] * 20)], Options())
    assert found["average"]["value"] == pytest.approx(2 / 3)
    assert found["tasks"]["value"] == 3


def test_our_own_rows_follow_the_rules_for_filling() -> None:
    lengths = build("length", 400)
    numbers = [r["label"] for r in lengths if r["mode"] == "equal to"]
    assert 0.4 < sum(a % 10 == 0 for a, _ in numbers) / len(numbers) < 0.75  # half, and those that are by chance
    assert all(r["label"][1] <= 33 for r in lengths if "sentence" in r["instruction"] and r["mode"] != "at least")
    assert all(b - a >= 10 for a, b in (r["label"] for r in lengths if r["mode"] == "between"))
    spelled_out = sum(not any(c.isdigit() for c in r["instruction"]) for r in lengths if r["mode"] != "between")
    assert 0.15 < spelled_out / sum(r["mode"] != "between" for r in lengths) < 0.35
    keywords = build("keyword", 40)
    assert sum("anti_label" in r for r in keywords) == 20
    assert all(any(" or " in w for w in r["label"]) == ("anti_label" in r) for r in keywords)
    assert len({(r["label1"], r["label2"]) for r in build("multi", 162)}) == 162
    assert {r["label"] for r in build("topic", 18)} == set(TOPICS)
    for task in TASKS:
        count = 6 if task == "toxicity" else 40
        rows = build(task, count)
        assert rows == build(task, count) and not any("{" in r["instruction"] for r in rows)
        instructions(task, rows)  # all of them can be read
    assert len(phrasings()["toxicity"]) == 20
    assert [spelled(n) for n in (7, 40, 99, 100, 136, 200)] == [
        "seven", "forty", "ninety-nine", "one hundred", "one hundred and thirty-six", "two hundred",
    ]  # fmt: skip


def test_a_classifier_that_is_missing_or_lacks_labels_is_named_before_anything_is_asked() -> None:
    made, length = get("codi-eval"), get("codi-eval-length")
    with pytest.raises(UnknownNameError, match="no classifier 'nowhere'"):
        made.scorer(Options(scorer="codi(topic=nowhere)"))  # pyrefly: ignore
    with pytest.raises(UsageError, match="classifier 'minilm-polarity' has no label 'anger'"):
        made.scorer(Options(scorer="codi(emotion=polarity)"))  # pyrefly: ignore
    assert length.scorer(Options(scorer="codi(topic=nowhere)"))  # pyrefly: ignore  # which it never asks


def test_a_run_has_all_its_figures_and_caps_continuations(tmp_path: Path) -> None:
    benchmark = get("codi-eval-synthetic")
    rows = benchmark.instructions(125)
    script = tmp_path / "answers.jsonl"
    script.write_text("".join(json.dumps({"id": i.id, "response": "The boat sails. " * 3}) + "\n" for i in rows))
    done = evaluate(benchmark, Model(Scripted(script)), Settings(limit=125))
    assert set(METRICS) <= set(done.metrics)
    assert set(done.metrics["by_task"]) == set(TASKS)
    assert done.metrics["tasks"]["value"] == 6 and done.metrics["contexts"]["n"] == 1
    assert done.metrics["toxicity"]["n"] == sum(i.meta["task"] == "toxicity" for i in rows)
    assert benchmark.size == len(benchmark.instructions())
    assert set(FILES) == set(TASKS)


# --- a folder with some tasks -----------------------------------------------------------------------------------------


def test_of_a_folder_with_some_tasks_these_are_asked_and_the_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path / "rows"))
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="was not found in"):
        get("codi-eval").instructions()  # without any there is nothing to ask
    write_rows(tmp_path / "rows", "length", build("length", 5))
    made = get("codi-eval")
    assert made.scorer(Options(scorer="codi(topic=nowhere)"))  # pyrefly: ignore  # no classifier for lengths
    done = evaluate(made, Model(Echo()), Settings())
    assert len(done.rows) == 5 and done.metrics["tasks"]["value"] == 1
    assert "there are rows of length; of sentiment, topic, multi, keyword, toxicity there are none" in caplog.text


def write_rows(folder: Path, task: str, rows: list[dict]) -> None:
    (folder / "codi-eval").mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "codi-eval" / f"{task}_lite.jsonl").write_text(lines)


# --- demonstrations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_demonstration_does_what_it_asks_for(task: str) -> None:
    rows = demonstrations()[task]
    assert len(rows) == SHOTS + 1 == len({row["instruction"] for row in rows})
    for row in rows:
        assert graded(task, row, row["text"]).passed, row["instruction"]
    ours = {row["instruction"] for row in build(task, 40)}
    assert not any(row["instruction"] in ours for row in rows)


def test_the_sixth_instruction_comes_after_five_of_its_task_that_were_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    write_rows(tmp_path, "length", build("length", 3))
    plain, shown = get("codi-eval").instructions(), get("codi-eval-5shot").instructions()
    assert [i.id for i in plain] == [i.id for i in shown]
    for bare, asked in zip(plain, shown, strict=True):
        assert asked.constraints == bare.constraints and asked.meta == bare.meta
        assert asked.prompt.endswith(f"\n6.{bare.prompt}") and asked.prompt.endswith("\nResponse:")
        assert [line[:14] for line in asked.prompt.split("\n")[::2]] == [f"{n}.Instruction:" for n in range(1, 7)]
        assert asked.prompt.count("\nResponse: ") == 5  # the sixth has none yet


def test_the_tested_row_is_never_among_its_demonstrations() -> None:
    for task, rows in demonstrations().items():
        asked = with_shots(instruction(task, rows[0], "x-1", "row 1"))
        assert asked.prompt.count(rows[0]["instruction"]) == 1
        assert rows[0]["text"] not in asked.prompt and rows[-1]["text"] in asked.prompt
        assert asked.prompt.count("Instruction: ") == 6
        assert rows[-1]["text"] not in with_shots(instruction(task, rows[-1], "x-1", "row 1")).prompt


def test_no_row_of_the_shared_folder_is_a_demonstration(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    asked = {i.prompt for i in get("codi-eval").instructions()}
    shown = [instruction(task, row, "x-1", "row") for task, rows in demonstrations().items() for row in rows]
    assert not any(i.prompt in asked for i in shown)
