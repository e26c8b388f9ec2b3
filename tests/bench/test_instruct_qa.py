"""instruct-qa: readers of every form, the prompt, what of an output is the answer, settings, and grading."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.bench.base import Options, Scored, get
from adhere.bench.instruct_qa import instructions, synthetic_questions
from adhere.bench.instruct_qa.asking import ask, clean, prompt, shortened
from adhere.bench.instruct_qa.rows import Question, read_questions
from adhere.bench.instruct_qa.scoring import QAScorer, qa_metrics, summary
from adhere.errors import ContextError, DataError
from adhere.records import Document, Instruction, Message, Response
from adhere.score.texts.faithfulness import shown_passages
from adhere.score.texts.overlap import strict_recall

HOTPOT = {
    "_id": "h1", "question": "Which came first?", "answer": "Harl", "type": "comparison",
    "supporting_facts": [["Harl", 0]],
    "context": [["Verrin", ["Verrin opened in 1974."]], ["Harl", ["Harl opened in 1931. ", "It shows clocks."]]],
}  # fmt: skip
HUB = HOTPOT | {
    "id": "h1", "supporting_facts": {"title": ["Harl"], "sent_id": [0]},
    "context": {"title": ["Verrin", "Harl"],
                "sentences": [["Verrin opened in 1974."], ["Harl opened in 1931. ", "It shows clocks."]]},
}  # fmt: skip
TOPIO = {
    "Conversation_no": 4, "Turn_no": 2, "Question": "How deep?", "Answer": "86 metres",
    "Additional_answers": [{"Annotator_no": 1, "Answer": "86 m"}], "Context": ["Where is it?", "In Verrin."],
    "Gold_passage": {"id": "9", "title": "Verrin", "text": "It is 86 metres deep."},
}  # fmt: skip
DPR = {"question": "When?", "answers": ["1931"], "ctxs": [
    {"id": "7", "title": "Harl", "text": "Opened in 1931.", "has_answer": True},
    {"id": "8", "title": "Verrin", "text": "Opened in 1974.", "has_answer": False}]}  # fmt: skip
OWN = {"id": "a", "question": "When?", "history": [{"role": "user", "text": "Hi"}, {"role": "agent", "text": "Hello"}],
       "passages": [{"title": "Harl", "text": "Opened in 1931."}], "answers": "1931"}  # fmt: skip


def written(tmp_path: Path, *rows: Any, array: bool = False) -> Path:
    path = tmp_path / "questions.json"
    text = json.dumps(rows) if array else "\n".join(json.dumps(r) for r in rows)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("row", [HOTPOT, HUB])
@pytest.mark.parametrize("array", [False, True])
def test_hotpotqa_is_read_in_both_of_its_forms(tmp_path: Path, row: dict[str, Any], array: bool) -> None:
    (found,) = read_questions(written(tmp_path, row, array=array))
    assert (found.id, found.answers, found.gold) == ("h1", ("Harl",), (False, True))
    assert found.passages[1].text == "Harl opened in 1931. It shows clocks."


def test_topiocqa_natural_questions_and_our_own_form_are_read(tmp_path: Path) -> None:
    (topio,) = read_questions(written(tmp_path, TOPIO))
    assert (topio.id, topio.history, topio.answers) == ("4-2", ("Where is it?", "In Verrin."), ("86 metres", "86 m"))
    assert (topio.gold, topio.passages[0].title) == ((True,), "Verrin")
    (dpr,) = read_questions(written(tmp_path, DPR))
    assert (dpr.id, dpr.gold, len(dpr.passages)) == ("1", (True, False), 2)
    (bare,) = read_questions(written(tmp_path, {"question": "When?", "answer": ["1931", "in 1931"]}))
    assert (bare.passages, bare.gold, bare.answers) == ((), None, ("1931", "in 1931"))
    (own,) = read_questions(written(tmp_path, OWN))
    assert (own.history, own.answers, own.gold) == (("Hi", "Hello"), ("1931",), None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "?"}, "no form of question that is known"),
        ({"question": " "}, "`question` is missing"),
        ({"question": "?", "passages": "a text"}, "`passages` is not a list"),
        ({"question": "?", "passages": [{"title": "x"}]}, "a passage has no text"),
        ({"question": "?", "answers": [1]}, "`answers` is not a list of texts"),
        ({"question": "?", "history": ["one turn"]}, "do not end with the agent's"),
        ({"Conversation_no": 1, "Question": "?"}, "lacks 'Turn_no'"),
    ],
)
def test_a_row_of_another_shape_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        read_questions(written(tmp_path, row))
    assert "questions.json:1" in str(error.value)


def test_what_is_missing_is_said_and_not_graded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (unanswered, _) = read_questions(written(tmp_path, {"id": "x", "question": "?", "answers": []}, OWN))
    assert "1 questions have no answers" in caplog.text
    assert "1 rows have one text" in caplog.text
    assert unanswered.answers == ()
    assert qa_metrics("something", []) == {}
    assert {n for n in qa_metrics("something", [], ["a passage"]) if not n.startswith("k_")} == set()


def test_two_questions_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the id 'a' occurs twice"):
        read_questions(written(tmp_path, OWN, OWN))


def test_our_own_questions_can_be_answered_from_their_passage_and_no_other() -> None:
    questions = synthetic_questions()
    assert len(questions) == 60
    assert sum(bool(q.history) for q in questions) == 20
    for q in questions:
        right = [p for p, gold in zip(q.passages, q.gold or (), strict=True) if gold]
        assert len(right) == 1
        if q.id != "teval-1":  # a reason, which the passage says in other words
            assert strict_recall(right[0].text, q.answers)


def test_each_question_is_put_in_three_settings_of_which_one_lacks_the_answer() -> None:
    rows = instructions(synthetic_questions(), "own")
    assert Counter(r.meta["setting"] for r in rows) == {"answer": 60, "irrelevant": 60, "relevant": 60}
    assert [r.meta["setting"] for r in rows[:6]] == ["answer", "irrelevant", "relevant"] * 2
    for row in rows:
        text = " ".join(d.text for d in row.documents)
        if row.meta["setting"] == "irrelevant":
            assert not strict_recall(text, row.references)
            assert len(row.documents) == 1
    assert {r.meta["kind"] for r in rows[:9]} == {"single", "follow-up"}  # any beginning is a fair sample


def test_without_a_known_right_passage_a_question_is_only_asked() -> None:
    rows = instructions(
        [Question("1", "When?", passages=(Document("x"),), answers=("y",)), Question("2", "Who?")], "own"
    )
    assert [r.meta["setting"] for r in rows] == ["answer", "answer"]


def test_the_prompt_has_the_passages_first_and_the_question_last() -> None:
    row = instructions(synthetic_questions(), "own")[0]
    text = prompt(row, row.documents)
    assert text.index("- Title: Harl Clock Museum") < text.index("Question: In which year")
    assert text.endswith("Answer:")
    assert "I don't know" not in text
    irrelevant = instructions(synthetic_questions(), "own")[1]
    assert '"I don\'t know"' in prompt(irrelevant, irrelevant.documents)


def test_long_conversations_lose_pairs_from_their_middle() -> None:
    turns = [Message(("user", "assistant")[n % 2], str(n)) for n in range(15)]
    kept = [int(m.text) for m in shortened(turns)]
    assert len(kept) <= 10
    assert kept[:3] == [0, 1, 2]
    assert kept[-3:] == [12, 13, 14]
    assert all(m.role == ("user", "assistant")[n % 2] for n, m in enumerate(shortened(turns)))
    assert shortened(turns[:9]) == turns[:9]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris.", "Paris."),
        ("\n\nParis.\n\nIt is large.", "Paris.\nIt is large."),
        ("Paris\nUser: And Spain?", "Paris"),
        ("Paris\nQuestion: And Spain?\nAnswer: Madrid", "Paris"),
        ("Answer: Paris\nAnswer: Madrid", "Answer: Paris"),
        ("Agent: Paris\nagent: Madrid", "Agent: Paris"),
        ("- Title: Paris", ""),
        ("", ""),
    ],
)
def test_an_output_ends_where_it_plays_anothers_turn(text: str, answer: str) -> None:
    assert clean(text) == answer


@given(st.text(max_size=200))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


class Narrow:
    """Answers, but has no room for more than so many passages."""

    def __init__(self, room: int) -> None:
        self.room = room

    async def answer(self, instruction: Instruction) -> Response:
        if instruction.prompt.count("- Title:") > self.room:
            raise ContextError("too long")
        return Response("1931")


def test_passages_that_do_not_fit_are_left_out_from_the_end_and_are_no_knowledge() -> None:
    row = instructions(synthetic_questions(), "own")[0]
    response = asyncio.run(ask(Options(Narrow(1)), row))
    assert (response.trace[0]["step"], len(response.trace[0]["items"]), response.trace[0]["of"]) == ("passages", 1, 3)
    assert shown_passages(row, response) == [f"{row.documents[0].title} {row.documents[0].text}"]
    with pytest.raises(ContextError):
        asyncio.run(ask(Options(Narrow(-1)), row))


def grade(row: Instruction, text: str) -> Any:
    return asyncio.run(QAScorer().score(row, Response(text)))


def test_an_answer_is_graded_for_what_it_says_and_for_what_it_rests_on() -> None:
    row = instructions(synthetic_questions(), "own")[0]
    verbose = grade(row, "The museum opened its doors in 1931.")
    parts = {p.name: p.value for p in verbose.parts}
    assert (verbose.passed, parts["recall"], parts["exact_match"], parts["declined"]) == (True, 1.0, 0.0, 0.0)
    assert parts["k_precision"] == pytest.approx(5 / 6)  # of "museum opened its doors in 1931" all but the doors
    wrong = {p.name: p.value for p in grade(row, "1932").parts}
    assert (wrong["recall"], wrong["k_precision"], wrong["words"]) == (0, 0, 1)
    refused = {p.name: p.value for p in grade(row, "I don't know").parts}
    assert refused["declined"] == 1
    assert "k_precision_answered" not in refused


def test_refusing_is_right_for_an_irrelevant_passage_and_wrong_for_the_right_one() -> None:
    _, irrelevant, relevant = instructions(synthetic_questions(), "own")[:3]
    assert grade(irrelevant, "I don't know").passed is True
    assert grade(irrelevant, "In 1974.").passed is False
    assert grade(relevant, "I don't know").passed is False
    assert grade(relevant, "In 1931.").passed is True


def test_always_refusing_is_right_half_the_time() -> None:
    rows = instructions(synthetic_questions(), "own")
    scored = [Scored(r, 0, Response("I don't know"), None, grade(r, "I don't know")) for r in rows]
    found = summary(scored, Options())["knows_when"]
    assert (found["value"], found["n"], found["clusters"]) == (0.5, 120, 60)


def test_the_benchmark_without_its_data_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="no question files in"):
        get("instruct-qa").instructions()
    (tmp_path / "instruct-qa").mkdir()
    written(tmp_path / "instruct-qa", DPR, DPR | {"question": "Who?", "ctxs": [
        {"title": "Pia", "text": "Built by Pia.", "has_answer": True}], "answers": ["Pia"]})  # fmt: skip
    rows = get("instruct-qa").instructions()
    assert [r.id for r in rows][:3] == [f"questions/1/{s}" for s in ("answer", "irrelevant", "relevant")]
    assert rows[1].documents[0].title == "Pia"
