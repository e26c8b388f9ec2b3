"""Q²: which spans are asked about, which questions count, and how answers are compared; by a scripted judge."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adhere
from adhere.bench.base import Options
from adhere.bench.instruct_qa.scoring import QAScorer
from adhere.errors import ModelError
from adhere.models.base import Request
from adhere.models.model import Model
from adhere.records import Document, Instruction, Message, Response, Score
from adhere.score.judges.q2 import MOST_SPANS, Q2, questions_in, spans
from judging_models import Judging

ROW = Instruction(
    "r", (Message("user", "When did it open?"),),
    documents=(Document("Harl opened in 1931. Pia Lund built it of brick."),), references=("1931",),
    meta={"setting": "answer"},
)  # fmt: skip
ANSWER = "Pia Lund opened Harl in 1930."


class Trades(Judging):
    """Writes the questions, answers and relations that it is told.

    Args:
        questions: By span.
        answers: By question and whether the passages ("knowledge") or the answer itself is read.
        relations: By what the first statement ends in; otherwise neutral.
    """

    def __init__(
        self,
        questions: dict[str, str],
        answers: dict[tuple[str, bool], str],
        relations: dict[str, str] | None = None,
    ) -> None:
        super().__init__(self._relation)
        self.questions, self.answers, self.relations = questions, answers, relations or {}

    def _relation(self, prompt: str) -> dict[str, float]:
        premise = prompt.split("Second statement:")[0].strip()
        said = next((label for end, label in self.relations.items() if premise.endswith(end)), "neutral")
        return {said[:3]: 0.6, "the": 0.4}

    async def generate(self, request: Request) -> Response:
        prompt = request.messages[-1].text
        if request.sampling.top_logprobs is not None:
            return await super().generate(request)
        self.requests.append(request)
        if found := re.search(r"is exactly: (.*)", prompt):
            return Response(self.questions.get(found[1], ""))
        question = re.search(r"Question: (.*)", prompt)
        assert question
        return Response(self.answers.get((question[1], "brick" in prompt), "No answer."))


def judged(judge: Trades, answer: str = ANSWER, row: Instruction = ROW) -> Score:
    return asyncio.run(Q2(Model(judge, store=None)).score(row, Response(answer)))


def figures(score: Score) -> dict[str, float | None]:
    return {part.name: part.value for part in score.parts}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSWER, ["Pia Lund", "Harl", "1930"]),
        ("It is 86 metres deep.", ["86", "86 metres deep"]),
        ("The old museum holds its clocks on the Isle of Man.", ["Isle of Man", "The old museum holds", "its clocks"]),
        ("On 3 May 1974, the U.S. paid $1,250.50 for it.", ["3 May 1974", "U.S", "1,250.50", "paid"]),
        ("She and he are not there.", []),
        ("", []),
    ],
)
def test_names_and_numbers_come_before_phrases_and_function_words_are_none(text: str, expected: list[str]) -> None:
    found = spans(text)
    assert found == expected
    assert all(span in text for span in found)


@given(st.text(max_size=300))
def test_any_text_has_spans_that_stand_in_it_and_differ(text: str) -> None:
    found = spans(text)
    assert all(span and span in text for span in found)
    assert len({span.lower() for span in found}) == len(found)


def test_questions_are_read_off_lines_without_personal_ones() -> None:
    text = "Sure!\n1. When?\n2) What is your name?\n- When?\n* Who built **it**?\nQ: Why do I?\n" + "\n".join(
        f"{n}. Number {n}?" for n in range(9)
    )
    assert questions_in(text) == ["When?", "Who built **it**?", "Number 0?", "Number 1?", "Number 2?"]
    assert questions_in("no question here") == []


def test_only_questions_that_come_back_count_and_each_is_put_to_the_passages() -> None:
    """Of three spans: one is what the passages say, one is another year, one gets no question that gives it back."""
    judge = Trades(
        {"Pia Lund": "Where?\nWho?", "Harl": "What is Harl?", "1930": "When?"},
        {
            ("Where?", False): "Harl", ("Who?", False): "pia lund", ("Who?", True): "Pia Lund",
            ("What is Harl?", False): "a museum", ("When?", False): "in 1930.", ("When?", True): "1931",
        },
        {"When? 1931.": "contradiction"},
    )  # fmt: skip
    score = judged(judge)
    assert figures(score) == {"q2": 0.5, "q2_f1": 0.5}
    assert score.passed is None
    assert "When? '1930' / '1931'" in score.reason and "Harl" not in score.reason
    assert len([r for r in judge.requests if r.sampling.top_logprobs is not None]) == 1  # equal answers need no NLI


@pytest.mark.parametrize(
    ("relation", "value"), [("entailment", 1.0), ("contradiction", 0.0), ("neutral", pytest.approx(2 / 3))]
)
def test_where_words_differ_entailment_decides_and_neutral_leaves_the_f1(relation: str, value: Any) -> None:
    judge = Trades(
        {"Pia Lund": "Who?"}, {("Who?", False): "Pia Lund", ("Who?", True): "Lund"}, {"Who? Lund.": relation}
    )
    assert figures(judged(judge, "Pia Lund.")) == {"q2": value, "q2_f1": pytest.approx(2 / 3)}
    (asked,) = [r.messages[-1].text for r in judge.requests if r.sampling.top_logprobs is not None]
    assert "First statement: Who? Lund." in asked and "Second statement: Who? Pia Lund." in asked


def test_what_the_passages_do_not_answer_is_worth_nothing_and_is_not_compared() -> None:
    judge = Trades({"Pia Lund": "Who?"}, {("Who?", False): "Pia Lund"})
    assert figures(judged(judge, "Pia Lund.")) == {"q2": 0.0, "q2_f1": 0.0}
    assert all(r.sampling.top_logprobs is None for r in judge.requests)


@pytest.mark.parametrize(("relation", "value"), [("entailment", 1.0), ("contradiction", 0.0), ("neutral", 0.5)])
def test_without_a_question_the_passages_are_compared_with_the_whole_answer(relation: str, value: float) -> None:
    judge = Trades({}, {}, {"built it of brick.": relation})
    score = judged(judge, "I do not know.")
    assert figures(score) == {"q2": value, "q2_f1": value}
    assert "no question came back" in score.reason


def test_a_long_answer_is_asked_about_a_bounded_number_of_spans() -> None:
    judge = Trades({}, {})
    judged(judge, " ".join(f"Name{n} runs." for n in range(200)))
    assert len(judge.requests) == MOST_SPANS + 1


def test_nothing_to_compare_is_no_value_and_a_broken_judge_is_said() -> None:
    judge = Trades({}, {})
    bare = Instruction("r", (Message("user", "When?"),))
    assert judged(judge, row=bare).reason == "there are no passages"
    empty = judged(judge, "  ")
    assert (empty.value, figures(empty)) == (None, {"q2": None, "q2_f1": None})
    assert judge.requests == []

    class Broken(Trades):
        async def generate(self, request: Request) -> Response:
            raise ModelError("gone")

    score = judged(Broken({}, {}))
    assert (score.value, score.reason) == (None, "the judge failed: gone")
    assert figures(score) == {"q2": None, "q2_f1": None}, "both figures are shares of the same answers"


def test_instruct_qa_takes_both_figures_as_parts() -> None:
    judge = Trades({"Pia Lund": "Who?"}, {("Who?", False): "Pia Lund", ("Who?", True): "Pia Lund"})
    graded = asyncio.run(QAScorer([Q2(Model(judge, store=None))]).score(ROW, Response("Pia Lund.")))
    assert {p.name: p.value for p in graded.parts if p.name.startswith("q2")} == {"q2": 1.0, "q2_f1": 1.0}
    assert Options().judge is None


@pytest.mark.weights
def test_a_real_model_gives_a_figure_between_nothing_and_everything(smollm2: Any) -> None:
    """SmolLM2 writes poor questions; whatever it says is read, and the figure is one."""
    model = adhere.load("smollm2", store=None)
    score = asyncio.run(Q2(model).score(ROW, Response("In 1931.")))
    assert score.value is not None and 0 <= score.value <= 1
    assert set(figures(score)) == {"q2", "q2_f1"}
    assert score.reason
