"""`adhere eval` of several benchmarks and models in one command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def adhere(*args: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, "-m", "adhere", *args], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("one", "two"):
        rows = [{"id": f"{name}-{n}", "prompt": f"Say {n}.", "constraints": ["no commas"]} for n in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    said = [{"prompt": f"Say {n}.", "response": "yes, yes"} for n in range(3)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    return ["one.jsonl", "two.jsonl"]


def test_every_model_meets_every_benchmark_and_one_table_tells_of_all(files: list[str], tmp_path: Path) -> None:
    models = ["-m", "echo", "-m", "scripted:answers.jsonl"]
    done = adhere("eval", *files, *models, "--no-report", "--out", "all", cwd=tmp_path)
    assert len(list((tmp_path / "all").glob("*/run.json"))) == 4
    board = done.stdout[done.stdout.index("leaderboard") :]
    assert "100.0%" in board and "0.0%" in board and "one" in board and "two" in board
    told = json.loads(adhere("eval", *files, *models, "--no-report", "--json", "--out", "all", cwd=tmp_path).stdout)
    rates = [(r["benchmark"]["name"], r["model"]["name"], r["metrics"]["prompt_strict"]["value"]) for r in told["runs"]]
    assert [rate for *_, rate in rates] == [1.0, 0.0, 1.0, 0.0]
    assert told["not_run"] == []


def test_one_that_cannot_run_is_told_and_ends_with_status_1(files: list[str], tmp_path: Path) -> None:
    done = adhere("eval", *files, "-m", "echo", "-m", "scripted:lost.jsonl", "--no-report", cwd=tmp_path, status=1)
    assert "not run: one · scripted:lost.jsonl" in done.stderr
    assert "100.0%" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ecko", "no model is called 'ecko'. Did you mean 'echo'"),
        ("lost/model.gguf", "no model file at lost/model.gguf"),
        ("openai:gpt", "'openai:gpt' is not an endpoint"),
        ("hf:a/b/c", "'a/b/c' is not a model of a hub"),
    ],
)
def test_a_model_that_there_is_not_is_found_before_the_first_of_them_answers(
    files: list[str], tmp_path: Path, name: str, said: str
) -> None:
    done = adhere("eval", files[0], "-m", "echo", "-m", name, "--no-report", cwd=tmp_path, status=2)
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not done.stdout and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--gate", "prompt_strict>=0.5"), "--gate belongs to one run, and this command makes 2"),
        (("--junit", "x.xml"), "--junit belongs to one run"),
    ],
)
def test_what_belongs_to_one_run_is_refused_for_two(
    files: list[str], tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    done = adhere("eval", *files, "-m", "echo", *args, cwd=tmp_path, status=2)
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_suite_names_what_cannot_run_here(tmp_path: Path) -> None:
    assert "There are: all" in adhere("eval", "--suite", "nope", cwd=tmp_path, status=2).stderr
    assert "name benchmarks" in adhere("eval", cwd=tmp_path, status=2).stderr


def test_power_is_told_before_the_run(files: list[str], tmp_path: Path) -> None:
    done = adhere("eval", files[0], "-m", "echo", "--power", "--no-report", cwd=tmp_path)
    assert "one: 3 prompts will probably not show any difference" in done.stderr
    assert done.stderr.index("will probably") < done.stderr.index("3 of 3 rows")


def test_every_benchmark_is_listed_with_size_state_cost_and_paper(tmp_path: Path) -> None:
    told = json.loads(adhere("eval", "list", "--json", cwd=tmp_path).stdout)
    assert {"core", "ifeval", "tlg", "mmmt-if", "codi-eval"} <= {row["name"] for row in told}
    for row in told:
        assert {"about", "size", "source", "state", "cost", "paper", "judge"} <= row.keys()
        assert not row["synthetic"] or row["state"].startswith("ready"), row["name"]


def test_what_depends_on_your_files_says_so_and_is_null_for_programs(tmp_path: Path) -> None:
    told = {row["name"]: row for row in json.loads(adhere("eval", "list", "--json", cwd=tmp_path).stdout)}
    assert (told["tlg-file"]["size"], told["tlg-file"]["calls"]) == (None, None)
    assert told["tlg-file"]["cost"].startswith("1 call a prompt")
    assert told["alpaca-synthetic"]["size"] == told["alpaca-synthetic"]["calls"] == 40
    listed = adhere("eval", "list", cwd=tmp_path).stdout
    line = next(line for line in listed.splitlines() if line.startswith("tlg-file"))
    assert "as many prompts as your files hold" in line and "1 call a prompt" in line
    assert "any number" not in listed and " 0 calls" not in listed


def test_what_nobody_decided_is_told_so_and_is_no_percentage(tmp_path: Path) -> None:
    asked = "Write a friendly poem about rain in exactly four lines. Sound cheerful and avoid clichés."
    row = {"messages": [{"role": "user", "content": asked}], "response": "Rain\nfalls\non\nme"}
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n")
    done = adhere("eval", "from-logs", "log.jsonl", "--no-report", cwd=tmp_path)
    found = [line.split() for line in done.stdout.partition("by kind")[2].splitlines() if line.startswith("   ")]
    kinds = {words[0]: words[1] for words in found if words}
    assert kinds == {"lines": "100.0%", "told": "undecided"}
    assert "1 of 1 logged requests" in done.stderr
