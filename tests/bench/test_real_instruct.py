"""RealInstruct's evaluation on our own requests: the data, the figures with and without a judge, the decomposer."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from adhere.answer.decompose import decomposer
from adhere.bench.base import Options, Scored, get
from adhere.bench.real_instruct import checklist_summary, read_requests
from adhere.bench.run import Settings, evaluate
from adhere.constraints import build_all
from adhere.errors import DataError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Constraint, Failure, Instruction, Response, Score
from judging_models import judging

REQUESTS = "realinstruct-synthetic"


def test_the_requests_are_what_their_card_says_and_every_check_can_be_built():
    requests = get(REQUESTS).instructions()
    constraints = [c for r in requests for c in r.constraints]
    assert (len(requests), len(constraints), sum(c.kind != "told" for c in constraints)) == (61, 243, 137)
    assert all(len(r.constraints) >= 2 and len(r.meta["texts"]) == len(r.constraints) for r in requests)
    assert len({r.prompt for r in requests}) == 61
    for request in requests:
        build_all(request.constraints, "fixed")
    assert len({r.meta["topic"] for r in requests[:11]}) == 11


def test_what_rules_find_in_the_text_is_mostly_right_and_most_of_what_is_there():
    """docs/judges.md quotes these figures: requests as people make them are harder to read than IFEval's."""
    requests = get(REQUESTS).instructions()
    rules = decomposer("rules", None)  # type: ignore[arg-type]
    right = gold = claimed = 0
    for request in requests:
        bare = Instruction(request.id, request.messages)
        found = Counter(c.kind for c in asyncio.run(rules(bare)).constraints if c.kind != "told")
        wanted = Counter(c.kind for c in request.constraints if c.kind != "told")
        right += (found & wanted).total()
        gold, claimed = gold + wanted.total(), claimed + found.total()
    assert right / gold > 0.6
    assert right / claimed > 0.9


def test_without_a_judge_only_what_programs_check_is_in_the_figures():
    found = evaluate(get(REQUESTS), Model(Echo()), Settings(limit=10))
    assert set(found.metrics) == {"checked", "requests_checked", "by_kind"}
    assert found.manifest["counts"]["undecided"] > 0


def scored(n: int, *verdicts: bool | None, failed: bool = False) -> Scored:
    kinds = ["no_commas", "told", "lowercase"][: len(verdicts)]
    asked = Instruction.of(f"Request {n}", *(Constraint(k, {"text": "x"} if k == "told" else {}) for k in kinds))
    if failed:
        return Scored(asked, 0, None, Failure("model", "ModelError", "down"), None)
    parts = tuple(Score(k, passed=v) for k, v in zip(kinds, verdicts, strict=True))
    return Scored(asked, 0, Response("x"), None, Score("checklist", None, None, parts))


def test_figures_count_failed_rows_and_undecided_verdicts_as_not_holding():
    rows = [scored(1, True, True, True), scored(2, True, None, True), scored(3, True, True, True, failed=True)]
    found = checklist_summary(rows, Options(judge="smollm2"))
    assert {k: (v["value"], v["n"]) for k, v in found.items()} == {
        "checked": (pytest.approx(4 / 6), 6), "requests_checked": (pytest.approx(2 / 3), 3),
        "constraints": (pytest.approx(5 / 9), 9), "requests": (pytest.approx(1 / 3), 3),
        "judged": (pytest.approx(1 / 3), 3),
    }  # fmt: skip
    assert found["judged"]["undecided"] == 1


def test_a_judge_decides_what_no_program_can(monkeypatch):
    import adhere.models.names

    monkeypatch.setattr(adhere.models.names, "load", lambda name: judging(lambda prompt: {"Yes": 0.9, "No": 0.1}))
    found = evaluate(get(REQUESTS), Model(Echo()), Settings(limit=6), options=Options(judge="anybody"))
    assert found.metrics["judged"]["value"] == 1
    assert found.metrics["constraints"]["n"] == found.metrics["checked"]["n"] + found.metrics["judged"]["n"]


def test_a_request_file_with_a_mistake_is_one_line(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"id": 1, "instruction": "Write.", "constraints": [{"check": null}]}\n')
    with pytest.raises(DataError, match=r"requests.jsonl:1: no request"):
        list(read_requests(path))
