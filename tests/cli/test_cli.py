"""The command line as a user meets it: real processes, their output, their exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROMPTS = [
    {"id": "a", "prompt": "hello there", "constraints": ["no commas", "at most 5 words"]},
    {"id": "b", "prompt": "one, two", "constraints": [{"kind": "no_commas"}]},
]


@pytest.fixture
def adhere(tmp_path: Path) -> Any:
    """Runs `adhere` in a folder of its own, with a cache of its own."""
    environment = {**os.environ, "ADHERE_CACHE": str(tmp_path / "cache"), "ADHERE_OFFLINE": "1", "COLUMNS": "120"}
    environment.pop("ADHERE_DATA", None)

    def run(*arguments: str, stdin: str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "adhere", *arguments],
            cwd=tmp_path,
            env=environment | extra,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def test_help_lists_every_command_and_imports_nothing_heavy(adhere: Any) -> None:
    done = adhere("--help")
    assert done.returncode == 0
    for name in ("eval", "score", "compare", "check", "models", "methods", "constraints"):
        assert name in done.stdout
    code = (
        "import sys; sys.argv = ['adhere', '--help']\n"
        "from adhere.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pyarrow', 'rich', 'torch', 'xllamacpp', 'httpx2', 'scipy', 'langdetect'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_check_says_what_holds_and_what_does_not(adhere: Any, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("- one\n- two, three\n- four\n")
    done = adhere("check", "no commas, at least 3 bullets", "answer.txt")
    assert done.returncode == 1
    assert "✗ no_commas" in done.stdout
    assert "✓ bullets(at_least=3)" in done.stdout


def test_check_reads_stdin_and_kinds_with_arguments(adhere: Any) -> None:
    done = adhere("check", "words:at_most=2", "--json", stdin="two words")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["passed"] is True
    assert found["constraints"][0]["kind"] == "words"


def test_check_admits_what_it_did_not_understand(adhere: Any) -> None:
    done = adhere("check", "no commas, make it sparkle", stdin="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not understood" in done.stderr
    assert "sparkle" in done.stderr


def test_eval_of_a_file_with_a_fake_model_writes_a_run(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    done = adhere("eval", "mine.jsonl", "--model", "echo", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metrics"]["prompt_strict"]["value"] == 0.5
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "report.html", "rows.parquet", "run.json", "verdicts.parquet",
    ]  # fmt: skip


def test_eval_says_that_a_fake_model_is_no_result(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    done = adhere("eval", "mine.jsonl", "--model", "echo", "--out", "run")
    assert "fake model" in done.stdout
    assert "50.0%" in done.stdout


def test_a_gate_that_does_not_hold_exits_1(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    arguments = ("eval", "mine.jsonl", "--model", "echo", "--out", "run", "--no-report", "--gate")
    assert adhere(*arguments, "prompt_strict>=0.5").returncode == 0
    done = adhere(*arguments, "prompt_strict>=0.6", "--junit", "junit.xml")
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert (tmp_path / "junit.xml").read_bytes().startswith(b"<?xml")


def test_rows_that_fail_exit_1_and_are_counted(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    jsonl(tmp_path / "said.jsonl", {"id": "a", "prompt": "hello there", "response": "hi"})
    done = adhere("eval", "mine.jsonl", "--model", "scripted:said.jsonl", "--out", "run", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["counts"]["failed"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("eval", "ifevil"), "Did you mean 'ifeval'"),
        (("eval", "core", "--model", "smolm2"), "smollm2"),
        (("constraints", "show", "no_comas"), "Did you mean 'no_commas'"),
        (("methods", "show", "decrimm"), "Did you mean 'decrim'"),
        (("eval", "missing.jsonl"), "there is no file missing.jsonl"),
        (("compare", "a", "b"), "no run at a"),
        (("evil",), "Did you mean 'eval'"),
        (("eval", "ifeval", "--model", "echo"), "--data-dir"),
        (("check", "wrods:at_most=3", "x"), "No such file"),
    ],
)
def test_a_mistake_gets_one_line_and_status_2(adhere: Any, arguments: tuple[str, ...], said: str) -> None:
    done = adhere(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{oops", "mine.jsonl:2"),
        ({"id": "c"}, "mine.jsonl:2"),
        ({"id": "a", "prompt": "again"}, "mine.jsonl:2"),
        ({"id": "c", "prompt": "x", "constraints": [{"kind": "wrods"}]}, "words"),
        ({"id": "c", "prompt": "x", "constraints": ["make it sparkle"]}, "sparkle"),
        ({"id": "c", "prompt": 7}, "mine.jsonl:2"),
    ],
)
def test_a_bad_row_is_found_before_any_model_call(adhere: Any, tmp_path: Path, line: Any, said: str) -> None:
    jsonl(tmp_path / "mine.jsonl", PROMPTS[0], line)
    done = adhere("eval", "mine.jsonl", "--model", "openai:m@http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert said in done.stderr
    assert "127.0.0.1" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_is_down_is_one_line(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    done = adhere("eval", "mine.jsonl", "--model", "openai:m@http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "127.0.0.1:9" in done.stderr


def test_score_writes_each_row_back_with_its_verdicts(adhere: Any, tmp_path: Path) -> None:
    row = {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
           "kwargs": [{}, {}], "response": "*a* b", "extra": [1]}  # fmt: skip
    jsonl(tmp_path / "rows.jsonl", row)
    done = adhere("score", "rows.jsonl", "--dialect", "ifeval", "--out", "out.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.jsonl").read_text())
    assert written == row | {"strict": [True, False], "loose": [True, False]}
    assert json.loads(done.stdout)["metrics"]["instruction_strict"]["value"] == 0.5


def test_compare_names_the_flips(adhere: Any, tmp_path: Path) -> None:
    jsonl(tmp_path / "mine.jsonl", *PROMPTS)
    jsonl(tmp_path / "said.jsonl", *({"id": p["id"], "prompt": p["prompt"], "response": "fine"} for p in PROMPTS))
    adhere("eval", "mine.jsonl", "--model", "echo", "--out", "a")
    adhere("eval", "mine.jsonl", "--model", "scripted:said.jsonl", "--out", "b")
    done = adhere("compare", "a", "b", "--json", "--html", "flips.html")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(f["id"], f["gained"]) for f in found["flips"]] == [("b", True)]
    assert (tmp_path / "flips.html").stat().st_size > 10_000
    assert "1 gained, 0 lost" in adhere("compare", "a", "b").stdout


def test_methods_lists_the_62_papers(adhere: Any) -> None:
    found = json.loads(adhere("methods", "list", "--json").stdout)
    assert sum(not m["extra"] for m in found) == 62
    assert {m["state"] for m in found} <= {"planned", "in part", "working"}
    assert "62 papers" in adhere("methods", "list").stdout


def test_constraints_show_tells_arguments_and_phrasings(adhere: Any) -> None:
    found = json.loads(adhere("constraints", "show", "words", "--json").stdout)
    assert "at_most?" in found["arguments"]
    assert found["asked_as"]
    kinds = {c["kind"] for c in json.loads(adhere("constraints", "list", "--json").stdout)}
    assert {"words", "keywords:existence", "count:conjunctions"} <= kinds


def test_every_list_takes_json(adhere: Any) -> None:
    for arguments in (("eval", "list"), ("models", "list"), ("methods", "list"), ("constraints", "list")):
        done = adhere(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
