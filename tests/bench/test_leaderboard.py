"""Several runs as one table: who is best only where it is more than noise, and what is missing stays missing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from adhere.bench.leaderboard import Leaderboard, leaderboard
from adhere.bench.metrics import counts, metrics
from adhere.bench.run_dir import Row, Run, VerdictRow
from adhere.errors import UsageError
from adhere.records import encode
from adhere.score.statistics import compare, holm


def made_run(model: str, passed: list[bool], benchmark: str = "core", **manifest: Any) -> Run:
    """A run of constraint checks: one prompt a verdict."""
    verdicts = [
        VerdictRow(str(n), 0, 0, "words", "length", "{}", ok, ok, "checked", "[]") for n, ok in enumerate(passed)
    ]
    rows = [
        Row(str(n), 0, f"prompt {n}", "[]", "[]", "an answer", "stop", 1, 1, "", "", "", ok, ok, "[]", "{}")
        for n, ok in enumerate(passed)
    ]
    return Run(_manifest(model, benchmark, rows, verdicts, metrics(rows, verdicts)) | manifest, rows, verdicts)


def scored_run(
    model: str, values: Sequence[float | None], benchmark: str, unit: str = "share", better: str = "higher"
) -> Run:
    """A run of a benchmark that declares one figure of its own."""
    from adhere.bench.figures import mean, share

    verdicts = [VerdictRow(str(n), 0, 0, "skill", "skill", "{}", None, None, "", "[]", v) for n, v in enumerate(values)]
    rows = [
        Row(str(n), 0, f"prompt {n}", "[]", "[]", "an answer", "stop", 1, 1, "", "", "", None, None, "[]", "{}")
        for n in range(len(values))
    ]
    found = {"skill": (share if unit == "share" else mean)(values, [r.id for r in rows])}
    made = _manifest(model, benchmark, rows, verdicts, found)
    declared = [{"name": "skill", "label": "skilful answers", "unit": unit, "better": better}]
    made["benchmark"] |= {"headline": "skill", "metrics": declared}
    return Run(made, rows, verdicts)


def _manifest(model: str, benchmark: str, rows: Any, verdicts: Any, found: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "benchmark": {"name": benchmark, "about": "", "headline": "prompt_strict", "prompts": len(rows),
                      "fingerprint": f"{benchmark}{len(rows)}"},
        "model": {"name": model, "engine": "llama.cpp"}, "strategy": None,
        "sampling": {"temperature": 0.0, "max_tokens": 256}, "settings": {"seed": 0, "samples": 1, "limit": None},
        "counts": counts(rows, verdicts), "metrics": found,
    }  # fmt: skip


def cell(board: Leaderboard, model: str, benchmark: str) -> Any:
    j = [c.benchmark for c in board.columns].index(benchmark)
    return board.cells[board.models.index(model)][j]


def test_a_clear_lead_is_marked_and_a_small_one_is_not() -> None:
    weak, strong = [n < 20 for n in range(100)], [n < 60 for n in range(100)]
    close = [n < 62 for n in range(98)] + [False, False]
    board = leaderboard([
        made_run("weak", weak), made_run("strong", strong), made_run("strong", strong, "other"),
        made_run("close", close, "other"),
    ])  # fmt: skip
    core, other = board.columns
    assert (core.leader, core.best) == ("strong", "strong")
    assert cell(board, "strong", "core").best
    assert not cell(board, "weak", "core").best
    assert (other.leader, other.best) == ("close", None)
    assert cell(board, "weak", "other") is None


def test_the_best_must_beat_every_other_model() -> None:
    """The leader is far above the third and a hair above the second: no claim."""
    runs = [made_run(m, [n < k for n in range(100)]) for m, k in (("first", 62), ("second", 60), ("third", 10))]
    (column,) = leaderboard(runs).columns
    assert column.leader == "first"
    assert column.best is None
    first, second = ([float(n < k) for n in range(100)] for k in (62, 60))
    assert column.p_value == pytest.approx(compare(second, first).p_value)
    assert {line.model for line in column.comparisons} == {"second", "third"}


def test_p_values_are_corrected_over_the_columns() -> None:
    """Six flips of six are p = 0.031 by McNemar: enough alone, not beside another column."""
    base, better = [False] * 50, [n < 6 for n in range(50)]
    alone = leaderboard([made_run("a", base), made_run("b", better)])
    assert alone.columns[0].best == "b"
    both = leaderboard([
        made_run("a", base), made_run("b", better),
        made_run("a", [n < 25 for n in range(50)], "other"), made_run("b", [n < 26 for n in range(50)], "other"),
    ])  # fmt: skip
    p_values = [c.p_value or 0.0 for c in both.columns]
    assert [c.adjusted_p for c in both.columns] == holm(p_values)
    assert [c.best for c in both.columns] == [None, None]


def test_where_lower_is_better_the_lowest_leads_and_leads_by_a_positive_difference() -> None:
    rng = random.Random(0)
    short, long = [rng.gauss(40, 5) for _ in range(60)], [rng.gauss(90, 5) for _ in range(60)]
    board = leaderboard([
        scored_run("long", long, "lengths", "words", "lower"), scored_run("short", short, "lengths", "words", "lower")
    ])  # fmt: skip
    (column,) = board.columns
    (line,) = column.comparisons
    assert (column.best, column.unit) == ("short", "words")
    assert line.difference == pytest.approx(sum(long) / 60 - sum(short) / 60)
    assert 0 < (line.low or 0) < (line.difference or 0) < (line.high or 0)
    assert (cell(board, "short", "lengths").level, cell(board, "long", "lengths").level) == (1.0, 0.0)
    assert board.models == ("short", "long")


def test_nobody_is_best_alone_or_among_equals() -> None:
    (alone,) = leaderboard([made_run("a", [True] * 9)]).columns
    assert (alone.leader, alone.best, alone.p_value) == (None, None, None)
    (equal,) = leaderboard([made_run("a", [True] * 9), made_run("b", [True] * 9)]).columns
    assert (equal.best, equal.p_value) == (None, 1.0)


def test_different_prompts_are_compared_where_they_are_shared_and_said() -> None:
    (column,) = leaderboard([made_run("a", [False] * 40), made_run("b", [True] * 20)]).columns
    assert column.best == "b"
    assert column.comparisons[0].n == 20
    assert "not the same prompts (sets of 20, 40)" in column.notes[0]


def test_what_cannot_be_compared_is_no_claim() -> None:
    one, two = made_run("a", [False] * 40), made_run("b", [True] * 40)
    other = Run(two.manifest, [msgspec.structs.replace(r, messages='["changed"]') for r in two.rows], two.verdicts)
    (column,) = leaderboard([one, other]).columns
    assert (column.leader, column.best, column.p_value) == ("b", None, None)
    assert column.comparisons[0].verdict.startswith("not compared: 40 instructions differ")


def test_a_model_that_ran_twice_has_a_row_for_each_setting() -> None:
    warm = {"sampling": {"temperature": 0.7, "max_tokens": 256}}
    board = leaderboard([made_run("a", [True] * 5), made_run("a", [False] * 5, **warm), made_run("a", [True] * 5)])
    assert set(board.models) == {"a (temperature 0.0)", "a (temperature 0.7)", "a (temperature 0.0) #2"}


def test_undecided_rows_stay_in_the_denominator_and_are_shown() -> None:
    board = leaderboard([scored_run("a", [1.0, None, 1.0, 0.0], "skills"), scored_run("b", [1.0] * 4, "skills")])
    found = cell(board, "a", "skills")
    assert (found.value, found.n, found.undecided, found.level) == (0.5, 4, 1, 0.5)


def test_it_is_json() -> None:
    board = leaderboard([made_run("a", [True] * 5), made_run("b", [False] * 5)])
    assert msgspec.json.decode(encode(board))["columns"][0]["benchmark"] == "core"


def test_without_runs_there_is_none() -> None:
    with pytest.raises(UsageError, match="no runs"):
        leaderboard([])
