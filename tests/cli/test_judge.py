"""`adhere judge meta`: tables, JSON, the file of verdicts, exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from adhere.bench.llmbar import SYNTHETIC
from adhere.cli.judge import command
from adhere.errors import DataError, UnknownNameError, UsageError

ROW = {"instruction": "Name a river.", "a": "Rhine", "b": "Alps", "label": "a", "verdicts": {"me": ["1", "1"]}}


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    rows = [ROW, ROW | {"verdicts": {"me": ["2", "1"]}}, ROW | {"verdicts": {"me": ["2", None]}}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*args: object):
    return CliRunner().invoke(command, ["meta", *map(str, args)], standalone_mode=False)


def test_the_table_names_agreement_position_and_length(gold):
    found = run(gold, "--judge", "recorded(me)")
    assert found.exception is None
    assert "recorded(me) · 3 pairs" in found.output
    for said in ("agrees with people", "50.0%", "no verdict", "33.3%", "verdict changes with the order"):
        assert said in found.output


def test_json_has_every_figure_with_its_interval(gold):
    document = json.loads(run(gold, "--judge", "recorded(me)", "--json").stdout)
    assert document["figures"]["accuracy"]["value"] == 0.5  # right, flipped, none
    assert document["figures"]["no_verdict"]["n"] == 3
    assert document["failed"] == 0


def test_subsets_have_lines_of_their_own_and_a_limit_takes_them_in_turn():
    document = json.loads(run(SYNTHETIC, "--judge", "given_reference(by=bleu)", "--limit", 5, "--json").stdout)
    assert len(document["by_subset"]) == 5


def test_each_verdict_is_written_with_its_orders(gold, tmp_path):
    run(gold, "--judge", "recorded(me)", "--out", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in rows] == ["a", "tie", None]
    assert rows[1]["orders"][0] == {"first": "a", "probability_b": 1.0, "way": "recorded", "reason": ""}


def test_mistakes_are_one_line_before_anything_is_judged(gold, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean"):
        raise run(gold, "--judge", "pairwisse").exception
    with pytest.raises(UsageError, match="no verdict named 'you'"):
        raise run(gold, "--judge", "recorded(you)").exception
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | {"label": "?"}) + "\n")
    with pytest.raises(DataError, match=r"broken.jsonl:2: `label` is '\?'"):
        raise run(broken, "--judge", "recorded(me)").exception


def test_pairs_that_fail_end_with_status_one(gold):
    found = run(gold, "--judge", "overlap")  # no references: no verdict, which is no failure
    assert found.return_value is None and found.exception is None
    failing = run(gold, "--judge", "scripted:missing.jsonl")
    assert isinstance(failing.exception, DataError)


@pytest.mark.weights
def test_a_judge_without_a_model_takes_the_default_one(gold):
    document = json.loads(run(gold, "--judge", "pairwise", "--limit", 1, "--json").stdout)
    assert document["figures"]["order_accuracy"]["n"] == 2
