"""The AlpacaEval benchmark: what answers are compared with, what counts, what is refused before anything is asked."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from adhere.bench import alpaca
from adhere.bench.alpaca.other_side import OtherSide, other_side, outputs_of
from adhere.bench.alpaca.scoring import Compared, summary_with
from adhere.bench.base import Options, get
from adhere.bench.run import Settings, evaluate
from adhere.bench.run_dir import write
from adhere.errors import DataError, ModelError, UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.score.judges.base import Order, Preference, preference


class Says:
    """An answerer with one answer for everything, or one that fails on some instructions."""

    def __init__(self, text: str = "An answer.", failing: str = "") -> None:
        self.text, self.failing = text, failing

    async def answer(self, instruction: Instruction) -> Response:
        if self.failing and instruction.meta["dataset"] == self.failing:
            raise ModelError("the endpoint is gone")
        return Response(self.text, "says")


class Longer:
    """Prefers the longer answer, surely, in both orders; without a verdict where the answers hold NOTHING."""

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        assert not instruction.references  # the other side's answer must not be shown as a reference
        if "NOTHING" in b:
            return Preference(None, None, "it would not say")
        p = 0.5 if len(a) == len(b) else float(len(b) > len(a))
        return preference([Order("a", p), Order("b", p)])


def run_with(
    model: Any, judge: Any, other: OtherSide | None = None, benchmark: str = "alpaca-synthetic", **settings: Any
):
    tested = get(benchmark)
    rows = tested.instructions()
    side = other or other_side(None, rows)
    return evaluate(
        tested._replace(scorer=lambda options: Compared(judge, side)),
        model,
        Settings(**settings),
        options=Options(judge="given"),
    )


def value(run: Any, name: str) -> Any:
    return run.metrics[name]["value"]


def test_the_judges_mean_preference_is_the_win_rate():
    assert value(run_with(Says("x" * 10_000), Longer()), "win_rate") == 1.0
    run = run_with(Says("x"), Longer())
    assert value(run, "win_rate") == value(run, "discrete") == 0.0
    assert (value(run, "orders_agree"), value(run, "no_verdict"), value(run, "characters")) == (1.0, 0.0, 1.0)
    assert run.metrics["by_dataset"]["explain"]["win_rate"]["n"] == 8


def test_no_verdict_is_counted_apart_and_is_no_draw():
    run = run_with(Says("NOTHING"), Longer())
    assert value(run, "no_verdict") == 1.0
    assert (run.metrics["win_rate"]["n"], run.metrics["win_rate"]["undecided"]) == (0, 40)
    assert run.manifest["counts"]["undecided"] >= 40


def test_an_answer_that_failed_is_lost():
    run = run_with(Says("x" * 10_000, failing="write"), Longer())
    assert value(run, "win_rate") == pytest.approx(32 / 40)
    assert run.metrics["win_rate"]["n"] == 40
    assert run.manifest["counts"]["failed"] == 8


def test_where_the_other_side_has_no_answer_there_is_nothing_to_compare():
    rows = get("alpaca-synthetic").instructions()
    half = OtherSide("half", {i.prompt: "word" for i in rows[:20]} | {rows[20].prompt: None})
    run = run_with(Says("x" * 10_000), Longer(), half)
    assert run.metrics["win_rate"]["n"] == 20
    assert value(run, "win_rate") == 1.0


def test_equal_lengths_are_asked_of_a_hundred_comparisons_only():
    run = run_with(Says(), Longer(), limit=10)
    assert run.metrics["length_controlled"]["value"] is None
    assert "10 judged rows are too few" in run.metrics["length_controlled"]["why"]


def test_length_control_sees_through_a_judge_that_likes_length(data_dir, monkeypatch):
    """Over all 805 instructions, against answers of many lengths: raw the model wins most, at equal lengths half."""
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    rows = get("alpaca").instructions()
    draw = random.Random(0)
    lengths = {i.prompt: (draw.randint(200, 1500), draw.randint(500, 1800)) for i in rows}

    class Long:
        async def answer(self, instruction: Instruction) -> Response:
            return Response("x" * lengths[instruction.prompt][1])

    other = OtherSide("other", {p: "x" * short for p, (short, _) in lengths.items()})

    class Tends:
        async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
            return preference([Order("a", 1 / (1 + math.exp((len(a) - len(b)) / 400)))])

    run = run_with(Long(), Tends(), other, "alpaca")
    controlled = run.metrics["length_controlled"]
    assert value(run, "win_rate") > 0.6
    assert controlled["value"] == pytest.approx(0.5, abs=0.02)
    assert controlled["weights"]["length"] < -1
    assert controlled["formula"] == "length + difficulty + model"


def test_the_other_side_is_a_run(tmp_path):
    answers = get("alpaca-synthetic")._replace(scorer=lambda options: alpaca._Length(), judge="", summary=None)
    write(evaluate(answers, Says("a baseline"), Settings()), tmp_path / "baseline")
    side = other_side(tmp_path / "baseline", get("alpaca-synthetic").instructions())
    assert set(side.answers.values()) == {"a baseline"}
    assert len(side.answers) == 40


def written(tmp_path: Path, rows: list[dict], name: str = "outputs.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(rows) if name.endswith("json") else "".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.mark.parametrize("name", ["outputs.json", "outputs.jsonl"])
def test_the_other_side_is_a_file_of_outputs(tmp_path, name):
    rows = [{"instruction": "Add.", "input": "1 + 1", "output": "2", "generator": "m"},
            {"instruction": "Say hi.", "input": "", "output": "Hi", "generator": "m"}]  # fmt: skip
    assert outputs_of(written(tmp_path, rows, name)) == OtherSide("m", {"Add.\n\n1 + 1": "2", "Say hi.": "Hi"})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"instruction": "a", "output": "1"}, {"instruction": "a", "output": "2"}], "row 2: a second answer to 'a'"),
        ([{"instruction": "a"}], "row 1: the row needs `instruction` and `output`"),
        (
            [
                {"instruction": "a", "output": "1", "generator": "x"},
                {"instruction": "b", "output": "1", "generator": "y"},
            ],
            "outputs of 2 models: x, y",
        ),
    ],
)
def test_a_file_that_cannot_stand_on_the_other_side_is_named(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        outputs_of(written(tmp_path, rows))


def test_an_other_side_of_another_set_is_refused(tmp_path):
    path = written(tmp_path, [{"instruction": "a", "output": "1"}])
    with pytest.raises(DataError, match="answers none of the benchmark's instructions"):
        other_side(path, get("alpaca-synthetic").instructions())
    with pytest.raises(UsageError, match="no run and no file"):
        other_side(tmp_path / "nowhere", [])


def test_without_a_judge_or_an_other_side_nothing_is_generated(data_dir, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))

    class Never:
        async def answer(self, instruction: Instruction) -> Response:
            raise AssertionError("asked")

    with pytest.raises(UsageError, match="'alpaca-synthetic' needs a judge"):
        evaluate(get("alpaca-synthetic"), Never(), Settings(limit=2))
    with pytest.raises(UsageError, match="nothing to compare the answers with"):
        evaluate(get("alpaca"), Never(), Settings(limit=2), options=Options(judge="overlap"))


def test_the_805_instructions_come_in_turns_over_their_five_sources(data_dir, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    rows = get("alpaca").instructions()
    assert len(rows) == len({i.prompt for i in rows}) == 805
    assert len({i.meta["dataset"] for i in rows[:5]}) == 5
    assert len(alpaca._difficulties()) == 805


def test_a_repeated_instruction_is_refused(tmp_path):
    path = written(tmp_path, [{"instruction": "a"}, {"instruction": "a"}], "rows.jsonl")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: the same instruction stands at .*rows\.jsonl:1"):
        alpaca.instructions(path)


def test_simulated_annotators_judge_it_too():
    from adhere.score.preferences.annotators import SimulatedAnnotators

    noise = SimulatedAnnotators(Model(Echo()), p_flip=0.5)  # every label a coin: no model is asked
    run = run_with(Says(), noise)
    assert 0.2 < value(run, "win_rate") < 0.8
    assert "orders_agree" not in run.metrics


def test_the_summary_of_no_rows_has_no_figures():
    found = summary_with({})([], Options())
    assert found["win_rate"]["value"] is None
