"""FollowRAG: the published rows, alternatives, sets of our own, and the two halves of its score."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.followrag.build import build_set
from adhere.bench.followrag.rows import KINDS, alternatives, fair, read_rows, to_instruction
from adhere.bench.followrag.scoring import FollowRAGScorer, summary
from adhere.bench.instruct_qa import synthetic_questions
from adhere.bench.instruct_qa.rows import Question
from adhere.constraints import build_all, contradictions, kinds, verify
from adhere.errors import DataError
from adhere.records import Failure, Instruction, Response

ROW = {
    "key": 3, "type": "ifnq", "prompt": "Given …\nWho built it?", "question": "Who built it?",
    "answer_gold": "Pia Lindqvist/Lindqvist", "instruction_id_list": ["format_no_commas", "length_words"],
    "kwargs": [{}, {"relation": "less than", "num_words": 8}], "passages": [{"title": "t", "content": "c"}],
}  # fmt: skip


def test_the_sample_is_read_whole(data_dir: Path) -> None:
    rows = read_rows(data_dir / "followrag/sample.jsonl")
    assert len(rows) == 150
    assert Counter(r.meta["instructions"] for r in rows) == {1: 45, 2: 54, 3: 23, 4: 28}
    assert len({c.kind for r in rows for c in r.constraints}) == 21
    assert all(r.references for r in rows)


def test_every_category_has_a_checker() -> None:
    assert len(KINDS) == 22
    assert set(KINDS.values()) <= set(kinds())


def test_the_names_of_ifeval_are_taken_as_well() -> None:
    theirs = to_instruction(ROW | {"instruction_id_list": [KINDS[k] for k in ROW["instruction_id_list"]]})
    assert theirs == to_instruction(ROW)
    assert theirs.id == "ifnq-3"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer_gold": ""}, "`answer_gold` is missing"),
        ({"kwargs": [{}]}, "`kwargs` has 1 entries"),
        ({"instruction_id_list": ["format_no_commas", "length_letters"]}, "length_letters"),
        ({"kwargs": [{}, {"relation": "about", "num_words": 8}]}, "about"),
    ],
)
def test_a_row_of_another_shape_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "followRAG_ifnq.json"
    path.write_text(json.dumps([ROW, ROW | {"key": 4} | change]))
    with pytest.raises(DataError, match=said) as error:
        read_rows(path)
    assert "row 2" in str(error.value)


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("1999/2001", ("1999", "2001")),
        ("2001/16 seasons", ("2001", "16 seasons")),
        ("4/5/2010", ("4/5/2010",)),
        ("9/11/September 11", ("9/11", "September 11")),
        ("AC/DC", ("AC/DC",)),
        ("US/U.S./United States", ("US", "U.S.", "United States")),
        ("on Flag Day in 1954/1954", ("on Flag Day in 1954", "1954")),
        ("October\u00a012,\u00a02017/October 12, 2017", ("October 12, 2017",)),
        ("Paris/ /Paris", ("Paris",)),
    ],
)
def test_alternatives_are_told_from_dates_and_names(gold: str, answers: tuple[str, ...]) -> None:
    assert alternatives(gold) == answers


def test_any_beginning_of_the_fair_order_is_a_fair_sample() -> None:
    rows = [to_instruction(ROW | {"key": n, "type": "big" if n % 4 else "small"}) for n in range(80)]
    ordered = fair(rows)
    assert sorted(r.id for r in ordered) == sorted(r.id for r in rows)
    assert Counter(r.meta["type"] for r in ordered[:20]) == {"big": 15, "small": 5}


def test_a_set_of_our_own_asks_for_what_it_grades_and_for_nothing_that_cannot_be() -> None:
    rows = build_set(synthetic_questions(), rounds=2)
    assert len(rows) == 80
    assert Counter(r.meta["instructions"] for r in rows) == {1: 27, 2: 27, 3: 13, 4: 13}
    assert build_set(synthetic_questions(), rounds=2) == rows
    assert build_set(synthetic_questions(), rounds=2, seed=1) != rows
    for row in rows:
        checkers = build_all(row.constraints)
        assert len(checkers) == row.meta["instructions"] == len({c.kind for c in checkers})
        assert not contradictions(checkers)
        assert row.prompt.count("Passage-") == 3
        assert row.meta["question"] in row.prompt
    with pytest.raises(DataError, match="no question stands alone"):
        build_set([Question("1", "?")])


def grade(text: str, judge: Any = None, row: Instruction | None = None) -> Any:
    return asyncio.run(FollowRAGScorer(judge).score(row or to_instruction(ROW), Response(text)))


def test_the_two_halves_are_graded_apart() -> None:
    right = grade("Pia Lindqvist built it")
    parts = {p.name: p.value for p in right.parts}
    assert parts.pop("words") == 4
    assert parts == {
        "average": 1,
        "rag": 1,
        "prompt_loose": 1,
        "prompt_strict": 1,
        "format_no_commas": 1,
        "length_words": 1,
    }
    assert right.passed is True
    off = {p.name: p.value for p in grade("Well, it was built by somebody whose name is Pia").parts}
    assert off.pop("words") == 10
    assert off == {
        "average": 0.25, "rag": 0.5, "prompt_loose": 0, "prompt_strict": 0, "format_no_commas": 0, "length_words": 0
    }  # fmt: skip


def test_a_loose_reading_forgives_a_first_line() -> None:
    parts = {p.name: p.value for p in grade("Sure, here it is:\nLindqvist").parts}
    assert (parts["prompt_strict"], parts["prompt_loose"], parts["format_no_commas"]) == (0, 1, 1)


class Letters:
    """A judge whose first token is one letter, or none of the three."""

    def __init__(self, letter: str) -> None:
        from adhere.models.base import ModelInfo

        self.info = ModelInfo("letters", "fake", "0", capabilities=("chat", "complete", "token_logprobs"))
        self.concurrency = 4
        self.letter = letter
        self.prompt = ""

    async def generate(self, request: Any) -> Response:
        from adhere.records import TokenLogprob

        self.prompt = request.messages[-1].text
        top = ((self.letter, -0.1), ("Z", -3.0))
        return Response(self.letter, logprobs=(TokenLogprob(*top[0], top=top),))

    async def close(self) -> None: ...


@pytest.mark.parametrize(("letter", "value"), [("A", 1.0), ("B", 0.5), ("C", 0.0), ("Well", None)])
def test_a_judge_rates_in_three_steps_or_not_at_all(letter: str, value: float | None) -> None:
    from adhere.models.model import Model

    backend = Letters(letter)
    found = grade("Lindqvist", Model(backend))  # pyrefly: ignore
    parts = {p.name: p.value for p in found.parts}
    assert parts["rag"] == value
    assert parts["average"] == (None if value is None else (1 + value) / 2)
    assert found.passed is (None if value is None else value == 1)
    assert "Pia Lindqvist / Lindqvist" in backend.prompt


def test_the_papers_average_is_over_instructions_and_a_failed_row_keeps_none() -> None:
    one = to_instruction(ROW | {"key": 1})
    two = to_instruction(ROW | {"key": 2, "instruction_id_list": ["format_no_commas"], "kwargs": [{}]})
    answer = "Lindqvist, as far as anybody can tell, built it herself"
    scored = [Scored(one, 0, Response(answer), None, grade(answer, row=one)),
              Scored(two, 0, None, Failure("model", "ModelError", "down"), None)]  # fmt: skip
    found = summary(scored, Options())
    assert (found["instruction_loose"]["value"], found["instruction_loose"]["n"]) == (0.0, 3)
    assert found["paper_average"]["value"] == pytest.approx((0 / 3 + (1 + 0) / 2) / 2)


def test_published_answers_of_upstream_would_be_graded_as_ifeval_grades(data_dir: Path) -> None:
    """The parts are IFEval's verdicts, one for one."""
    rows = read_rows(data_dir / "followrag/sample.jsonl")[:30]
    text = "Gravity\n\n* one\n* two\n\n<<Title>> [place] *highlight*\nP.S. Let me know if you have any questions."
    for row in rows:
        verdict = verify(text, build_all(row.constraints))
        parts = grade(text, row=row).parts[5:]
        assert [p.passed for p in parts] == list(verdict.loose)


def test_both_benchmarks_load(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    assert len(get("followrag").instructions()) == 150
    assert len(get("followrag-synthetic").instructions()) == get("followrag-synthetic").size == 80
    assert len({i.id for i in get("followrag-synthetic").instructions()}) == 80
