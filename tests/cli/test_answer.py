"""`adhere answer`, and `adhere eval` with a strategy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def adhere(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "adhere", *arguments], cwd=cwd, input=stdin, capture_output=True, timeout=120
    )


def test_the_answer_goes_to_stdout_and_its_verdicts_to_stderr(tmp_path: Path) -> None:
    done = adhere("answer", "Say hello, no commas", "--model", "echo", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.decode() == "Say hello, no commas\n"
    assert "✗ no_commas: 1 comma" in done.stderr.decode()


def test_a_prompt_may_come_from_stdin(tmp_path: Path) -> None:
    done = adhere("answer", "-", "--model", "echo", cwd=tmp_path, stdin="Grüße\n".encode())
    assert done.stdout.decode().strip() == "Grüße"
    done = adhere("answer", "-", "--model", "echo", cwd=tmp_path, stdin=b"\xff")
    assert (done.returncode, b"not UTF-8" in done.stderr) == (2, True)


def test_the_trace_tells_how_the_answer_came_about(tmp_path: Path) -> None:
    done = adhere("answer", "Write, no commas", "--model", "echo", "--strategy", "decrim(decomposer=rules)",
                  "--show-trace", cwd=tmp_path)  # fmt: skip
    said = done.stderr.decode()
    assert "── draft: Write, no commas" in said
    assert "── cost: " in said
    assert said.index("── draft") < said.index("── critique")


def test_json_holds_text_verdicts_usage_and_trace(tmp_path: Path) -> None:
    done = adhere("answer", "Write, no commas", "--model", "echo", "--strategy", "best_of_n(n=2)", "--json",
                  "--constraint", "at most 5 words", cwd=tmp_path)  # fmt: skip
    found = json.loads(done.stdout)
    assert {c["kind"]: c["passed"] for c in found["constraints"]} == {"words": True, "no_commas": False}
    assert found["trace"][-1]["step"] == "cost"
    assert found["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no prompt is given"),
        (("",), "the prompt is empty"),
        (("x", "--strategy", "decrimm"), "position 1: there is no strategy 'decrimm'. Did you mean 'decrim'"),
        (("x", "--strategy", "best_of_n(n=)"), "position 13"),
        (("x", "--constraint", "gibberish flux"), "gibberish flux"),
        (("x", "--file", "p.txt"), "not both"),
        (("--file", "p.txt"), "--file needs --out"),
        (("Use all capital letters and write in all lowercase.", "--strict"), "no answer can satisfy both"),
        (("x", "--prompt", "bad.json"), "bad.json"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "p.txt").write_text("one\ntwo\n")
    (tmp_path / "bad.json").write_text("{")
    done = adhere("answer", "--model", "echo", *arguments, cwd=tmp_path)
    lines = done.stderr.decode().strip().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in lines[-1]
    assert len(lines) == 1


def test_contradicting_constraints_are_a_warning_by_default(tmp_path: Path) -> None:
    done = adhere("answer", "Use all capital letters and write in all lowercase.", "--model", "echo", cwd=tmp_path)
    assert done.returncode == 0
    assert "warning: no answer can satisfy both" in done.stderr.decode()


def test_a_file_of_prompts_becomes_a_file_that_score_reads(tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}", "constraints": ["no commas"]} for n in range(5)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = adhere("answer", "--file", "p.jsonl", "--out", "a.jsonl", "--model", "echo", "--strategy", "best_of_n(n=2)",
                  cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [a["response"] for a in answers] == [f"Say {n}" for n in range(5)]
    scored = adhere("score", "a.jsonl", "--json", cwd=tmp_path)
    assert json.loads(scored.stdout)["metrics"]["prompt_strict"]["value"] == 1.0


def test_a_failing_row_is_written_and_the_status_is_1(tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"prompt": "known", "response": "yes"}\n')
    (tmp_path / "p.txt").write_text("known\nunknown\n")
    done = adhere("answer", "--file", "p.txt", "--out", "a.jsonl", "--model", "scripted:script.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [r["response"] for r in rows] == ["yes", None]
    assert "no response" in rows[1]["error"]["message"]


def test_an_evaluated_strategy_does_not_see_what_it_is_graded_by(tmp_path: Path) -> None:
    row = {"prompt": "Say, hello", "constraints": ["no commas"], "id": "a"}
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    common = ("eval", "p.jsonl", "--model", "echo", "--no-report", "--json", "--strategy", "decrim(decomposer=gold)")
    hidden = json.loads(adhere(*common, "--out", "h", cwd=tmp_path).stdout)
    shown = json.loads(adhere(*common, "--oracle", "--out", "s", cwd=tmp_path).stdout)
    assert (hidden["settings"]["oracle"], shown["settings"]["oracle"]) == (False, True)
    assert hidden["cost"]["calls"] < shown["cost"]["calls"]  # without constraints there is nothing to refine
    assert shown["strategy"].startswith("DeCRIM('echo'")
    assert shown["model"]["name"] == "echo"


def test_eval_compares_with_an_earlier_run(tmp_path: Path) -> None:
    common = ("eval", "core-quick", "--limit", "6", "--model", "echo", "--no-report")
    assert adhere(*common, "--out", "plain", cwd=tmp_path).returncode == 0
    done = adhere(*common, "--strategy", "best_of_n(n=2)", "--compare", "plain", cwd=tmp_path)
    said = done.stdout.decode()
    assert "B − A" in said and "strategy: BestOfN('echo', n=2" in said
    assert "cost an answer: " in said
    assert next(p.name for p in (tmp_path / "runs").iterdir()).startswith("core-quick-echo-best_of_n")
    wrong = adhere(*common, "--compare", "nowhere", cwd=tmp_path)
    assert wrong.returncode == 2


def test_oracle_without_a_strategy_is_refused(tmp_path: Path) -> None:
    done = adhere("eval", "core-quick", "--model", "echo", "--oracle", cwd=tmp_path)
    assert (done.returncode, b"--oracle" in done.stderr) == (2, True)


def test_strategies_are_listed_and_shown_with_their_arguments(tmp_path: Path) -> None:
    found = {p["name"]: p for p in json.loads(adhere("strategies", "--json", cwd=tmp_path).stdout)}
    assert found["best_of_n"]["arguments"].startswith("n=8, scorer=constraints")
    assert (found["decrim"]["room"], found["constraints"]["room"]) == ("answer", "score")
    assert all(part["about"] for part in found.values())
    shown = adhere("strategies", "decrim", cwd=tmp_path).stdout.decode()
    assert "max_rounds=3" in shown and "critic: Any scorer" in shown
    wrong = adhere("strategies", "decrimm", cwd=tmp_path)
    assert (wrong.returncode, b"'decrim'" in wrong.stderr) == (2, True)
