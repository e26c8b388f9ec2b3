"""HumanEval: the published solutions pass, wrong ones do not, and code is found in what models say."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.humaneval import HumanEvalScorer, completed, summary
from adhere.errors import CapabilityError, DataError
from adhere.records import Instruction, Response, Score
from adhere.sandbox import isolation

needs_isolation = pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))
PROMPT = 'import math\n\n\ndef area(r: float) -> float:\n    """ Area of a circle.\n    """\n'
BODY = "    if r < 0:\n        return 0.0\n\n    return math.pi * r * r\n"
WHOLE = f"def area(r):\n{BODY}"


@pytest.fixture
def problems(data_dir, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    if not (data_dir / "instruct-eval" / "HumanEval.jsonl.gz").is_file():
        pytest.skip("HumanEval is not in the data directory")
    return get("humaneval").instructions()


def graded(instruction: Instruction, text: str) -> Score:
    return asyncio.run(HumanEvalScorer().score(instruction, Response(text)))


@needs_isolation
def test_published_solutions_pass_as_continuation_and_as_fenced_function(problems):
    assert len(problems) == 164
    for problem in problems[::8]:
        solution = problem.references[0]
        assert graded(problem, solution).passed, problem.id
        fenced = f"Sure! Here it is:\n```python\n{problem.meta['code']}{solution}```\nIt works because…"
        assert graded(problem, fenced).passed, problem.id


@needs_isolation
def test_wrong_early_and_endless_answers_do_not_pass(problems):
    assert graded(problems[0], "    return None").passed is False
    early = graded(problems[0], "    import os; os._exit(0)")
    assert (early.passed, early.reason) == (False, "failed: it ended before its tests did")
    assert graded(problems[0], "    while True: pass").reason.startswith("timeout")
    assert graded(problems[0], "I cannot do that.").passed is False
    assert graded(problems[0], "").passed is False


@pytest.mark.parametrize(
    "answer",
    [
        BODY,
        BODY.strip(),
        BODY + "\n\nprint(area(3))",
        BODY + "\n# Test\nassert area(1) == 99",
        WHOLE,
        f"{WHOLE}\nThis function returns the area of a circle.",
        f"Here is the code: {chr(10)}{WHOLE}",
        f"```python\n{WHOLE}```",
        f"```\n{PROMPT}{BODY}```\nExplanation: it's easy.",
        f"Certainly.\n\n```py\nfrom math import pi\n{WHOLE}\n```\n\n```\n3.14\n```",
        f"```python\n{WHOLE}",
        f"```python\n{BODY}```",
        WHOLE.replace("\n", "\r\n"),
    ],
)
def test_code_is_found_in_what_models_say(answer):
    program: dict[str, object] = {"__name__": "solution"}
    exec(completed(PROMPT, answer, "area"), program)
    assert program["area"](1) == pytest.approx(3.14159, abs=1e-4)
    assert program["area"](-1) == 0.0


def test_pass_at_k_comes_for_every_k_that_there_are_samples_for():
    rows = [
        Scored(Instruction.of("x", id=name), sample, Response(""), None, Score("pass@1", float(ok), ok))
        for name, marks in {"a": [True] + [False] * 9, "b": [False] * 10}.items()
        for sample, ok in enumerate(marks)
    ]
    assert summary(rows)["pass@10"]["value"] == 0.5
    assert "pass@100" not in summary(rows)
    assert summary(rows[:1]) == {}


def test_without_isolation_it_refuses_before_anything_is_generated(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    isolation.cache_clear()
    try:
        with pytest.raises(CapabilityError, match="cannot be isolated"):
            get("humaneval").scorer(Options())
        assert get("humaneval").scorer(Options(unsafe_sandbox=True)) is not None
    finally:
        isolation.cache_clear()


def test_a_row_of_another_shape_is_named_by_its_line(tmp_path, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    monkeypatch.setenv("ADHERE_ACCEPT_DATA", "1")
    (tmp_path / "instruct-eval").mkdir()
    file = tmp_path / "instruct-eval" / "HumanEval.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps({"task_id": "x"}).encode()))
    with pytest.raises(DataError, match=r"gz:1: .*missing required field"):
        get("humaneval").load()
    file.write_bytes(b"plain")
    with pytest.raises(DataError, match="not a gzip file"):
        get("humaneval").load()
