"""`adhere optimize prompts`: a prompt file comes out, and what goes wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adhere.answer.prompt_program import PromptProgram
from adhere.cli.optimize import command
from adhere.errors import AdhereError
from adhere.records import decode


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "task.jsonl"
    words = ["ant", "bee", "cat", "dog", "eel", "fly", "gnu", "hen", "owl", "pig", "rat", "yak"]
    path.write_text("".join(json.dumps({"input": w, "output": w + "s"}) + "\n" for w in words))
    return path


def run(*arguments: Any, ok: bool = True) -> Result:
    found = CliRunner().invoke(command, ["prompts", *map(str, arguments)])
    if ok and found.exception is not None:
        raise found.exception
    return found


def said(*arguments: Any) -> str:
    """The error that the command line would print as one line."""
    error = run(*arguments, ok=False).exception
    assert isinstance(error, AdhereError), error
    assert error.exit_status == 2
    return str(error)


BANK = ("--model", "echo", "--proposer", "bank", "--scorer", "accuracy", "--candidates", 4, "--budget", 8)


def test_ape_writes_a_prompt_file_and_a_table(task: Path, tmp_path: Path) -> None:
    out = tmp_path / "prompt.json"
    shown = run(task, *BANK, "--out", out, "--test", 2).stdout
    program = PromptProgram.load(out)
    assert (program.method, program.answerer, program.n) == ("ape", "echo", 3)
    assert "8 scoring calls" in shown and f"instruction: {program.instruction}" in shown
    assert "held out, em: 0.000 with the prompt, 0.000 without" in shown and "n=2" in shown


def test_json_is_one_document_with_the_program_the_table_and_the_held_out_figures(task: Path, tmp_path: Path) -> None:
    found = json.loads(run(task, *BANK, "--out", tmp_path / "p.json", "--test", 1, "--json").stdout)
    assert decode(json.dumps(found["program"]), PromptProgram) == PromptProgram.load(tmp_path / "p.json")
    assert found["calls"] == 8 and len(found["table"]) == 4
    assert found["held_out"][0]["difference"]["n"] == 1


def test_without_test_pairs_nothing_more_is_asked(task: Path, tmp_path: Path) -> None:
    assert "held out" not in run(task, *BANK, "--out", tmp_path / "p.json", "--test", 0).stdout


def test_bad_input_is_named_before_any_model_is_asked(task: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text('{"input": "a", "output": "b"}\n' * 3)
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"input": "a"}\n')
    out = ("--out", tmp_path / "p.json")
    assert "at least 6 pairs (5 to show and 1 to score), got 1" in said(few, *BANK, *out)
    assert f"{broken}:1: no 'output'" in said(broken, *BANK, *out)
    assert "missing.jsonl" in said(tmp_path / "missing.jsonl", *BANK, *out)
    assert "unknown metric 'emm'" in said(task, *BANK, *out, "--metric", "emm")
    assert "few_shot" in said(task, *BANK, *out, "--proposer", "fewshot")
    assert "there is no folder" in said(task, *BANK, "--out", tmp_path / "no" / "p.json")
    assert not (tmp_path / "p.json").exists()


def test_instinct_needs_a_budget_and_a_writer_in_torch(task: Path, tmp_path: Path) -> None:
    options = (task, "--method", "instinct", "--model", "echo", "--out", tmp_path / "p.json")
    assert "--method ape" in said(*options, "--writer", "echo")
    assert "budget of 1 must be above" in said(*options, "--writer", "echo", "--budget", 1)


@pytest.mark.weights
def test_a_search_on_smollm2_ends_in_a_prompt_that_says_what_it_was_scored_with(
    task: Path, tmp_path: Path, smollm2: Path
) -> None:
    out = tmp_path / "prompt.json"
    shown = run(task, "--proposer", "bank", "--candidates", 4, "--budget", 6, "--test", 2, "--out", out).stdout
    program = PromptProgram.load(out)
    assert program.answerer == "smollm2" and program.trace[0]["scorer"] == "likelihood"
    assert program.score is not None and program.score < 0
    assert "held out, likelihood" in shown and "held out, em" in shown
