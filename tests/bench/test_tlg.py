"""TLG: how questions are put, to a model and to strategies of length; PM, FM and what stands beside them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from adhere.answer.length_control import LengthControl
from adhere.bench.asking import Settings, answers_to
from adhere.bench.base import Options, Scored, get
from adhere.bench.scored import scored_metrics
from adhere.bench.tlg import Lengths, _gamma, _rmse, _written, ask, limit, make_row, read_questions, repeated
from adhere.constraints.ruler import TARGETS
from adhere.errors import DataError
from adhere.models.base import Request, Sampling
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Response, Usage


def graded(target: str, words: int) -> Scored:
    row = make_row("What is snow?", target, f"{target}/{words}")
    response = Response(" ".join(f"w{n}" for n in range(words)))
    return Scored(row, 0, response, None, asyncio.run(Lengths().score(row, response)))


def parts(target: str, words: int) -> dict[str, float | None]:
    return {part.name: part.value for part in graded(target, words).score.parts}


@pytest.mark.parametrize(
    ("target", "words", "pm", "fm"),
    [
        ("10", 0, 0, 0),
        ("10", 20, 1, 1),
        ("30", 20, 0, 0),
        ("80", 61, 0, 1),
        ("150", 170, 1, 1),
        ("150", 200, 0, 1),
        ("700", 800, 0, 1),
        (">800", 800, 0, 0),
        (">800", 801, 1, 1),
    ],
)
def test_the_ranges_of_the_papers_table_open_below_and_closed_above(target: str, words: int, pm: int, fm: int) -> None:
    found = parts(target, words)
    assert (found["pm"], found["fm"]) == (pm, fm)


def test_exact_lengths_leave_out_the_target_that_names_no_number() -> None:
    assert parts("30", 30)["exact"] == 1.0
    assert "exact" not in parts(">800", 900)


def test_the_figures_come_by_level_and_target_and_the_distance_in_words() -> None:
    scored = [graded("10", 13), graded("30", 26), graded("150", 150), graded(">800", 12)]
    found = scored_metrics(get("tlg"), scored, Options())
    assert found["pm"]["value"] == 0.75
    assert found["by_level"]["Level 0"]["fm"]["value"] == 1.0
    assert found["by_target"][">800"]["fm"]["value"] == 0.0
    assert found["rmse"]["value"] == pytest.approx(((9 + 16 + 0) / 3) ** 0.5, abs=1e-5)
    assert found["rmse"]["n"] == 3
    assert found["exact"]["value"] == pytest.approx(1 / 3, abs=1e-5)


@settings(max_examples=15)
@given(lists(tuples(sampled_from(TARGETS[:8]), integers(0, 1500)), min_size=2, max_size=40))
def test_stopping_an_answer_that_is_too_long_changes_no_figure(answers: list[tuple[str, int]]) -> None:
    whole = [graded(target, words) for target, words in answers]
    stopped = [graded(target, min(words, limit(target) or words)) for target, words in answers]
    assert scored_figures(whole) == scored_figures(stopped)


def scored_figures(rows: list[Scored]) -> dict[str, object]:
    """The figures without their intervals, which take a hundred times as long."""
    written = [_written(row) for row in rows]
    verdicts = [{part.name: part.value for part in row.score.parts if part.name != "repeated"} for row in rows]
    return {"verdicts": verdicts, "rmse": _rmse(written), "correlation": _gamma(written)}


def test_a_model_that_always_writes_on_shows_no_correlation_and_one_that_heeds_shows_all_of_it() -> None:
    on = [graded(target, limit(target) or 0) for target in TARGETS[:8] for _ in range(3)]
    assert scored_figures(on)["correlation"] is None
    heeds = [graded(target, int(target) + more) for target in TARGETS[:8] for more in range(3)]
    assert scored_figures(heeds)["correlation"] == 1.0
    draw = random.Random(1)
    blind = [graded(draw.choice(TARGETS[:8]), draw.randrange(1, 1200)) for _ in range(600)]
    assert scored_figures(blind)["correlation"] == pytest.approx(0, abs=0.25)  # its standard error is 0.07


class Rambler:
    """Writes as many tokens as it may; in its first answers few of them are words."""

    def __init__(self, wordless: int) -> None:
        self.caps: list[int] = []
        self.wordless = wordless
        self.info, self.concurrency = Echo().info, 1

    async def generate(self, request: Request) -> Response:
        self.caps.append(cap := request.sampling.max_tokens)
        return Response("word " * max(0, cap - self.wordless), "rambler", "length", Usage(5, cap))


def test_an_answer_is_stopped_where_its_length_cannot_count_any_more_and_no_earlier() -> None:
    quick, slow = Rambler(0), Rambler(50)
    for backend in (quick, slow):
        model = Model(backend, sampling=Sampling(max_tokens=1152))
        response = asyncio.run(ask(Options(model), make_row("Why?", "10", "a")))
        assert response.finish_reason == "too long" and len(response.text.split()) >= 25
    assert quick.caps == [69] and slow.caps == [69, 138]
    model = Model(endless := Rambler(0), sampling=Sampling(max_tokens=1152))
    assert asyncio.run(ask(Options(model), make_row("Why?", ">800", "a"))).finish_reason == "length"
    model = Model(Rambler(0), sampling=Sampling(max_tokens=20))
    assert asyncio.run(ask(Options(model), make_row("Why?", "10", "a"))).finish_reason == "length"
    assert endless.caps == [1152]


def test_our_questions_hold_every_target_in_every_nine() -> None:
    rows = get("tlg").instructions()
    assert len(rows) == get("tlg").size == 90
    for start in range(0, 90, 9):
        assert {row.meta["target"] for row in rows[start : start + 9]} == set(TARGETS)
    assert len({row.meta["question"] for row in rows}) == 90
    assert Counter(row.meta["level"] for row in rows) == {"Level 0": 40, "Level 1": 30, "Level 2": 20}


def test_a_model_is_asked_in_the_papers_words() -> None:
    assert make_row("Why?", "30", "a").prompt == "Why?\nThe response should have a word count of 30 words."
    assert make_row("Why?", ">800", "a").prompt.endswith("a word count of more than 800 words.")


def test_a_strategy_of_length_gets_the_plain_question_and_the_rows_target() -> None:
    question = "Why do ten words make a question that is answered?"
    model = Model(Echo())
    strategy = LengthControl(model, 500, told=False)
    row = make_row(question, "10", "a")
    assert asyncio.run(ask(Options(strategy), row)).text == question
    assert strategy.words == 500
    (answer,) = asyncio.run(answers_to([row], strategy, Settings(), ask=ask))
    assert answer.response is not None and answer.response.text == question
    assert asyncio.run(ask(Options(model), row)).text == row.prompt != question


def test_a_questions_file_is_read_in_both_forms_and_gets_targets_where_it_has_none(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    given = [
        {"id": 1, "Instruction": "Why?", "TargetLength": ">800"},
        {"id": 2, "instruction": "How?", "target_words": 50},
        *({"id": n, "Instruction": f"What is {n}?"} for n in range(3, 60)),
    ]
    path.write_text("\n".join(map(json.dumps, given)))
    rows = read_questions(path)
    assert [row.meta["target"] for row in rows[:2]] == [">800", "50"]
    assert {row.meta["target"] for row in rows[2:]} == set(TARGETS)
    assert rows == read_questions(path)


@pytest.mark.parametrize(
    ("row", "said"),
    [({"Instruction": "Why?", "TargetLength": 42}, "none of the nine"), ({"TargetLength": "10"}, "no question")],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, row: dict, said: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(DataError, match=f"q.jsonl:1: .*{said}"):
        read_questions(path)


def test_loops_are_seen_as_repetition() -> None:
    assert repeated("one two three four five") == 0
    assert repeated("too short") is None
    assert repeated("again and again and " * 50) > 0.9
