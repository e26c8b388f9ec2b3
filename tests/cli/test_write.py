"""`adhere write`: the folder it makes, its report, and what goes wrong before any model is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adhere.cli.eval import command as evaluate
from adhere.cli.write import command
from adhere.errors import AdhereError, UnknownNameError, UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(command, ["codi-eval", "--model", "echo", *map(str, arguments)])


def test_rows_a_report_and_what_was_dropped_go_into_a_folder_that_the_benchmark_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "rows"
    found = run("--task", "length", "--n", 6, "--out", out)
    assert found.exit_code == 0, found.exception
    assert "rows 6" in found.stdout and "writers: seed 6" in found.stdout and "0 from the cache" in found.stdout
    assert f"written: {out / 'codi-eval' / 'length_lite.jsonl'}" in found.stdout
    assert "rewriting the templates of length: 18 of 18 calls" in found.stderr
    rows = [json.loads(line) for line in (out / "codi-eval" / "length_lite.jsonl").read_text().splitlines()]
    assert len(rows) == 6 and all({"instruction", "mode", "label", "writer"} <= set(row) for row in rows)
    monkeypatch.setenv("ADHERE_DATA", "")  # set by --data-dir, and put back after the test
    graded = CliRunner().invoke(
        evaluate, ["codi-eval-length", "-m", "echo", "--data-dir", str(out), "--out", str(tmp_path / "run"), "--json"]
    )
    assert graded.exit_code == 0, graded.exception
    assert json.loads(graded.stdout)["metrics"]["average"]["n"] == 6


def test_json_is_one_document_with_the_report(tmp_path: Path) -> None:
    document = json.loads(run("--task", "topic", "--n", 3, "--seed", 7, "--out", tmp_path, "--json").stdout)
    assert document["rows"] == 3 and document["report"]["seed"] == 7 and len(document["files"]) == 3
    assert document["calls"] == sum(step["calls"] for step in document["report"]["steps"]["topic"].values())


def test_what_was_asked_before_comes_from_the_cache(tmp_path: Path) -> None:
    first, again = (run("--n", 2, "--out", tmp_path / name, "--json") for name in ("a", "b"))
    assert json.loads(first.stdout)["calls"] == json.loads(again.stdout)["cached"] > 0
    name = Path("codi-eval") / "length_lite.jsonl"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_unknown_writer_is_named_with_those_that_there_are() -> None:
    error = CliRunner().invoke(command, ["codi-evil"]).exception
    assert isinstance(error, UnknownNameError) and "unknown writer 'codi-evil'" in str(error)
    assert error.exit_status == 2 and "codi-eval" in str(error.hint)


def test_a_bad_order_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    wrong_task, no_out = run("--task", "poems", "--out", tmp_path), run("--n", 2)
    assert wrong_task.exit_code == no_out.exit_code == 2
    assert "'poems' is not one of" in wrong_task.stderr and "Missing option '--out'" in no_out.stderr
    assert run("--n", 2, "--out", file).exit_code == 2
    for arguments, error in ((("--n", 0, "--out", tmp_path), UsageError), (("--out", file / "in"), AdhereError)):
        found = run(*arguments)
        assert isinstance(found.exception, error) and found.exception.exit_status in (1, 2), arguments
        assert "calls" not in found.stderr


def test_help_has_the_writers_arguments_with_their_meaning() -> None:
    assert "codi-eval" in CliRunner().invoke(command, ["--help"]).stdout
    said = CliRunner().invoke(command, ["codi-eval", "--help"]).stdout
    assert "[sentiment|topic|multi|length|keyword]" in said and "Rows, at most 1,000." in said
    assert "--progress" not in said and "--answerer" not in said
