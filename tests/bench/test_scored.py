"""Benchmarks with a scorer of their own: grading, figures, comparison, regrading, gates."""

import math
from pathlib import Path

import pytest

import adhere.bench.rescore
from adhere.bench.base import Benchmark, Metric, Options, Scored
from adhere.bench.compare import compare_runs
from adhere.bench.figures import mean, share, statistic
from adhere.bench.gates import check_gates, check_names, parse_gate
from adhere.bench.rescore import regrade
from adhere.bench.run import Settings, evaluate
from adhere.bench.run_dir import Run, load
from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score

COLOURS = [
    Instruction.of(f"Name a colour, prompt {n}.", id=f"c{n}", part="even" if n % 2 == 0 else "odd") for n in range(8)
]


class Saying:
    """Answers with the text of its prompt's number in a list; None fails."""

    def __init__(self, *texts: str | None) -> None:
        self.texts = texts

    async def answer(self, instruction: Instruction) -> Response:
        text = self.texts[int(instruction.id[1:])]
        if text is None:
            raise ValueError("no answer today")
        return Response(text)


class Lengths:
    """Two figures: whether "red" occurs, and the number of words; an answer of "?" is undecided."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        if response.text == "?":
            return Score("red", None, None, (Score("red", reason="cannot be told"), Score("words", None)))
        if response.text == "crash":
            raise RuntimeError("scorer fell over")
        red = "red" in response.text
        return Score(
            "red", float(red), red, (Score("red", float(red), red), Score("words", len(response.text.split())))
        )


def spread(rows: list[Scored], options: Options) -> dict:
    lengths = [len(r.response.text) for r in rows if r.response is not None]
    return {"spread": {"value": max(lengths) - min(lengths), "low": None, "high": None, "n": len(rows), "clusters": 1}}


COLOUR_BENCH = Benchmark(
    "colours-for-tests",
    "colours",
    lambda: COLOURS,
    headline="red",
    metrics={
        "red": Metric("answers that say red"),
        "words": Metric("words an answer", "words", "lower"),
        "spread": Metric("longest minus shortest", "characters"),
    },
    scorer=lambda options: Lengths(),
    summary=spread,
    groups=("part",),
)
TEXTS = ("red", "a deep red", "blue", None, "?", "red", "crash", "light blue")


def run(*texts: str | None, out: Path | None = None, settings: Settings | None = None) -> Run:
    return evaluate(COLOUR_BENCH, Saying(*texts), settings or Settings(), out=out)


def test_failed_and_undecided_rows_stay_in_the_denominator_of_shares() -> None:
    found = run(*TEXTS)
    assert found.metrics["red"]["value"] == pytest.approx(3 / 8)
    assert found.metrics["red"]["n"] == 8
    assert found.metrics["red"]["undecided"] == 1
    # The mean length is over what has one: 1, 3, 1, 1 and 2 words.
    assert found.metrics["words"]["value"] == pytest.approx(8 / 5)
    assert found.manifest["counts"]["failed"] == 2
    kinds = {r.id: (r.error_boundary, r.error_kind) for r in found.rows if r.error_kind}
    assert kinds == {"c3": ("model", "ValueError"), "c6": ("checker", "RuntimeError")}


def test_groups_and_the_summary_have_their_figures() -> None:
    found = run(*TEXTS)
    assert found.metrics["by_part"]["even"]["red"]["value"] == pytest.approx(1 / 4)
    assert found.metrics["by_part"]["odd"]["red"]["value"] == pytest.approx(2 / 4)
    assert found.metrics["spread"]["value"] == len("a deep red") - len("?")
    assert found.manifest["benchmark"]["headline"] == "red"


def test_a_run_is_read_back_and_regraded_with_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(*TEXTS, out=tmp_path)
    monkeypatch.setattr(adhere.bench.rescore, "get", lambda name: COLOUR_BENCH)
    assert load(tmp_path).metrics == found.metrics
    assert regrade(tmp_path).metrics == found.metrics
    assert [v.value for v in load(tmp_path).verdicts if v.kind == "words"] == [1, 3, 1, None, 1, 2]


def test_runs_are_compared_pairwise_figure_by_figure() -> None:
    one = run(*["blue"] * 8)
    two = run(*["red red red"] * 7, "blue")
    found = compare_runs(one, two).metrics
    assert found["red"]["difference"] == pytest.approx(7 / 8)
    assert found["red"]["verdict"] == "more than noise"
    assert found["words"]["difference"] == pytest.approx(2 * 7 / 8)
    assert found["words"]["low"] > 0
    assert found["spread"]["p_value"] is None
    assert found["spread"]["difference"] == 7


def test_a_failed_row_counts_in_a_comparison_too() -> None:
    found = compare_runs(run(*["red"] * 8), run(*["red"] * 6, None, "?")).metrics
    assert found["red"]["n"] == 8
    assert found["red"]["difference"] == pytest.approx(-2 / 8)
    assert found["words"]["n"] == 6


def test_gates_know_the_figures_before_the_run() -> None:
    good, bad = parse_gate("by_part.odd.red>=0.5"), parse_gate("by_part.od.red>=0.5")
    check_names([good], COLOUR_BENCH, COLOURS)
    with pytest.raises(UsageError, match="names no metric") as caught:
        check_names([bad], COLOUR_BENCH, COLOURS)
    assert "by_part.odd.red" in caught.value.hint
    assert [r.passed for r in check_gates(run(*TEXTS), [good, parse_gate("words<=1.5")])] == [True, False]


def test_a_benchmark_that_needs_a_judge_says_so_before_anything_is_asked() -> None:
    class Never:
        async def answer(self, instruction: Instruction) -> Response:
            raise AssertionError("asked")

    with pytest.raises(UsageError, match="needs a judge"):
        evaluate(COLOUR_BENCH._replace(judge="required"), Never())


def test_a_benchmark_may_ask_in_its_own_way() -> None:
    async def twice(options: Options, instruction: Instruction) -> Response:
        assert options.answerer is not None
        first = await options.answerer.answer(instruction)
        return Response(f"{first.text} {first.text}", trace=({"step": "note", "text": first.text},))

    found = evaluate(COLOUR_BENCH._replace(ask=twice), Saying(*["red"] * 8))
    assert {r.response for r in found.rows} == {"red red"}
    assert '"note"' in found.rows[0].trace


def test_shares_of_flags_and_of_fractions_both_keep_undecided_rows() -> None:
    assert share([1, 0, None])["value"] == pytest.approx(1 / 3)
    assert share([0.5, 1, None])["value"] == pytest.approx(1.5 / 3)
    assert share([0.5, 1, None])["undecided"] == 1
    assert mean([2, 4, None])["value"] == 3


def test_a_single_cluster_gives_no_interval() -> None:
    assert share([0.5, 0.7], clusters=["a", "a"])["low"] is None
    assert mean([3, 4], clusters=["a", "a"]) | {"value": 3.5, "low": None} == mean([3, 4], clusters=["a", "a"])


def test_the_interval_of_any_statistic_is_by_cluster() -> None:
    rows = [float(n % 10) for n in range(200)]

    def ratio(some: list[float]) -> float | None:
        return sum(some) / len(some)

    alone = statistic(ratio, rows)
    clustered = statistic(ratio, rows, clusters=[n % 10 for n in range(200)])
    assert alone["value"] == clustered["value"] == 4.5
    assert clustered["high"] - clustered["low"] > 3 * (alone["high"] - alone["low"])
    # 2.87 / sqrt(200): the textbook's standard error of this mean
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * math.sqrt(8.25 / 200), rel=0.15)


def test_a_statistic_that_rows_do_not_determine_has_no_interval() -> None:
    assert statistic(lambda rows: None, [1, 2, 3])["value"] is None
    assert statistic(lambda rows: 1.0, [1, 2], clusters=["a", "a"])["low"] is None
