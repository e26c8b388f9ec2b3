"""A judge behind HTTP, through the command line: what is said before anything is generated, and how a run ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from judging_models import hosted, prefers
from misbehaving import Misbehaving

RULE = prefers("Paris")
PAIRS = [{"instruction": f"Name city {n}.", "a": "Paris", "b": "Lyon", "label": "a"} for n in range(3)]


class Done(NamedTuple):
    status: int
    stdout: str
    stderr: str


def adhere(place: Path, *args: str, server: Misbehaving | None = None) -> Done:
    """Run the command beside the server, whose address stands for {url}; the cache is the test's own."""

    async def main() -> Done:
        async with server or Misbehaving() as up:
            given = [arg.format(url=up.url) for arg in args]
            env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "adhere", *given, cwd=place, stdout=-1, stderr=-1,
                env=env | {"ADHERE_CACHE": str(place / "cache")},
            )  # fmt: skip
            out, err = await asyncio.wait_for(child.communicate(), 240)
            return Done(child.returncode or 0, out.decode(), err.decode())

    return asyncio.run(main())


def judging(*script: str, key: str | None = None, rule: Any = RULE) -> Misbehaving:
    server = Misbehaving(list(script))
    server.answer, server.key = hosted(rule), key
    return server


EVAL = ("eval", "alpaca-synthetic", "-m", "echo", "--limit", "2", "--no-report", "--out", "run")
JUDGE = ("--judge", "openai:tiny@{url}")


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    return tmp_path


@pytest.mark.parametrize(
    ("judge", "key", "says"),
    [
        ("openai:tiny@http://127.0.0.1:9/v1", None, "cannot reach http://127.0.0.1:9/v1; is the server running?"),
        ("openai:tiny@{url}", "sk-right", "Set ADHERE_API_KEY or OPENAI_API_KEY"),
        ("pairwise(model=openai:tinny@{url})", None, "has no model 'tinny'"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_one_line_before_anything_is_generated(
    gold: Path, judge: str, key: str | None, says: str
) -> None:
    for command in (EVAL, ("judge", "meta", "gold.jsonl")):
        server = judging(key=key)
        done = adhere(gold, *command, "--judge", judge, server=server)
        assert done.status == 2 and not done.stdout
        (line,) = done.stderr.splitlines()
        assert line.startswith("adhere: the judge cannot be asked: ") and says in line
        assert not server.posts and not (gold / "run" / "run.json").exists()


def test_a_judge_of_an_unknown_name_ends_a_run_of_judges_and_fails_no_row(tmp_path: Path) -> None:
    done = adhere(tmp_path, "eval", "llmbar-synthetic", "--judge", "pairwisse", "--limit", "2", "--no-report")
    assert done.status == 2 and "neither a judge nor a model. Did you mean 'pairwise'" in done.stderr


def test_answers_whose_judge_failed_are_counted_named_and_no_ties(tmp_path: Path) -> None:
    """Of two comparisons one order is refused for good; its answer is kept and is in no rate."""
    done = adhere(tmp_path, *EVAL, *JUDGE, server=judging("shape"))
    assert done.status == 1, done.stderr
    assert "2 answers to 2 prompts: 1 failed" in done.stdout and "first failure: alpaca/" in done.stdout
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["counts"]["failed"] == 1
    assert run["metrics"]["win_rate"]["n"] == 1 and run["metrics"]["no_verdict"]["value"] == 0.5


def test_a_checklist_whose_judge_failed_ends_with_status_1_and_keeps_what_programs_decided(tmp_path: Path) -> None:
    server = judging(*["shape"] * 50)
    done = adhere(tmp_path, "eval", "realinstruct-synthetic", *EVAL[2:], *JUDGE, server=server)
    assert done.status == 1 and "2 failed" in done.stdout and "the judge failed: " in done.stdout
    metrics = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]
    assert metrics["checked"]["n"] > 0 and "undecided" not in metrics["checked"]
    assert metrics["judged"]["undecided"] == metrics["judged"]["n"] > 0


def test_meta_counts_and_names_the_pairs_that_failed(gold: Path) -> None:
    meta = ("judge", "meta", "gold.jsonl", *JUDGE)
    well = json.loads(adhere(gold, *meta, "--json", server=judging()).stdout)
    assert (well["failed"], well["figures"]["accuracy"]["value"]) == (0, 1.0)
    done = adhere(gold, *meta, server=judging("shape"))
    assert done.status == 1 and "1 pairs failed and count as wrong; the first" in done.stderr
    assert "33.3%" in done.stdout  # without a verdict


def test_ratings_that_failed_are_counted_and_end_with_status_1(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}.", "response": "x" * n, "rating": n} for n in range(1, 5)]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = judging("shape", rule=lambda prompt: {"4": 0.5, "5": 0.5})
    done = adhere(tmp_path, "judge", "ratings", "gold.jsonl", *JUDGE, server=server)
    assert done.status == 1 and "1 of 4 answers could not be rated and take no part; the first, " in done.stderr
