"""The measures of instruct-qa on a table worked out by hand, refusals, and the judges' verdicts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import CapabilityError, UnknownNameError, UsageError
from adhere.records import Document, Instruction, Message, Response
from adhere.score.texts.faithfulness import (
    Faithfulness,
    asked,
    declines,
    k_f1,
    k_precision,
    k_precision_pp,
    k_recall,
    shown_passages,
    spaced,
)
from adhere.score.texts.overlap import exact_match, qa_words, strict_recall, token_f1, token_precision, token_recall

# text, references → EM, F1, precision, recall, strict recall. Worked out by hand.
TABLE = [
    ("Paris", ["Paris"], 1, 1, 1, 1, 1),
    ("It is Paris.", ["Paris"], 0, 1 / 2, 1 / 3, 1, 1),
    ("The Paris", ["paris!"], 1, 1, 1, 1, 1),
    ("a an the", ["the"], 1, 1, 0, 1, 1),  # articles alone: empty equals empty
    ("", ["Paris"], 0, 0, 0, 0, 0),
    ("Paris", ["the"], 0, 0, 0, 1, 1),  # an empty reference is all there
    ("U.S.", ["us"], 1, 1, 1, 1, 1),
    ("well-known", ["well known"], 0, 0, 0, 0, 0),  # punctuation is deleted, not replaced
    ("wellknown", ["well-known"], 1, 1, 1, 1, 1),
    ("New York City", ["York New"], 0, 4 / 5, 2 / 3, 1, 0),
    ("cat cat", ["cat"], 0, 2 / 3, 1 / 2, 1, 1),
    ("cat", ["cat cat"], 0, 2 / 3, 1, 1 / 2, 0),
    ("cat cat dog", ["cat dog dog"], 0, 2 / 3, 2 / 3, 2 / 3, 0),
    ("the year 1999", ["1999", "2001"], 0, 2 / 3, 1 / 2, 1, 1),
    ("2001", ["1999", "2001"], 1, 1, 1, 1, 1),
    ("1999 2001", ["1999", "2001"], 0, 2 / 3, 1 / 2, 1, 1),
    ("party", ["art"], 0, 0, 0, 0, 1),  # a stretch of characters, as the paper has it
    ("Ärger", ["ärger"], 1, 1, 1, 1, 1),
    ("10,000 people", ["10000"], 0, 2 / 3, 1 / 2, 1, 1),
    ("10 000", ["10,000"], 0, 0, 0, 0, 0),
    ("anthem", ["them"], 0, 0, 0, 0, 1),  # "an" goes only as a whole word
    ("it's", ["its"], 1, 1, 1, 1, 1),
    ("“Paris”", ["Paris"], 0, 0, 0, 0, 1),  # only ASCII punctuation is deleted
    ("x  y\n z", ["x y z"], 1, 1, 1, 1, 1),
    ("x y", ["y z", "x q r"], 0, 1 / 2, 1 / 2, 1 / 2, 0),
]
MEASURES = (exact_match, token_f1, token_precision, token_recall, strict_recall)


@pytest.mark.parametrize(("text", "references", "expected"), [(t, r, e) for t, r, *e in TABLE])
def test_correctness_is_as_worked_out_by_hand(text: str, references: list[str], expected: list[float]) -> None:
    assert [measure(text, references) for measure in MEASURES] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "precision", "recall", "f1", "without_question"),
    [
        ("Lowmark sells pears", 2 / 3, 2 / 6, 4 / 9, 1 / 2),
        ("pears", 1, 1 / 6, 2 / 7, 1),
        ("pears pears", 1 / 2, 1 / 6, 1 / 4, 1 / 2),
        ("Lowmark", 1, 1 / 6, 2 / 7, 1),  # nothing but the question's word: nothing unsupported is left
        ("apples", 0, 0, 0, 0),
        ("", 0, 0, 0, 1),
    ],
)
def test_faithfulness_is_as_worked_out_by_hand(
    text: str, precision: float, recall: float, f1: float, without_question: float
) -> None:
    passages, question = ["The market of", "Lowmark is for pears."], "What is Lowmark known for?"
    found = [m(text, passages, question) for m in (k_precision, k_recall, k_f1, k_precision_pp)]
    assert found == pytest.approx([precision, recall, f1, without_question])


@given(st.text(max_size=60), st.lists(st.text(max_size=60), min_size=1, max_size=3), st.text(max_size=30))
def test_all_are_shares_of_any_text(text: str, passages: list[str], question: str) -> None:
    for measure in (k_precision, k_recall, k_f1, k_precision_pp):
        assert 0 <= measure(text, passages, question) <= 1


def test_a_copy_is_faithful_and_its_first_half_as_precise() -> None:
    passage = "It opened in 1931 in a former grain store on the canal of Harl."
    assert k_precision(passage, [passage]) == k_recall(passage, [passage]) == 1
    assert k_precision(passage[:30], [passage + passage]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I don't know.", True),
        ("I don\u2019t know", True),
        ("Sorry, but I do not know the answer to that.", True),
        ("The passage does not mention who built it.", True),
        ("The provided text doesn't explicitly state the year.", True),
        ("This is not mentioned in the passages.", True),
        ("I cannot answer this question.", True),
        ("There is not enough information to tell.", True),
        ("It opened in 1931.", False),
        ("He did not know her.", False),
        ("The author is not known for his poems.", False),
        ("The animal cannot be found in Europe.", False),
        ("The prize is not given every year.", False),
        ("", False),
    ],
)
def test_refusals_are_told_from_answers(text: str, said: bool) -> None:
    assert declines(text) is said


def test_scripts_without_spaces_are_counted_by_character() -> None:
    assert token_f1("東京です", ["東京"]) == 0
    assert token_f1(spaced("東京です"), [spaced("東京")]) == pytest.approx(2 / 3)
    assert spaced("Paris, 1931") == "Paris, 1931"


def test_knowledge_is_what_was_shown_with_its_titles() -> None:
    row = Instruction(
        "1", (Message("user", "Who?"),), documents=(Document("Built by Pia.", title="Bridge"), Document("x"))
    )
    assert shown_passages(row, Response("Pia")) == ["Bridge Built by Pia.", "x"]
    shown = Response("Pia", trace=({"step": "passages", "items": [{"title": "", "text": "Only this."}]},))
    assert shown_passages(row, shown) == ["Only this."]


def test_as_a_scorer_it_names_what_the_passages_lack() -> None:
    row = Instruction("1", (Message("user", "Who?"),), documents=(Document("Built by Pia."),))
    found = asyncio.run(Faithfulness().score(row, Response("Built by Nora")))
    assert (found.value, found.passed, found.reason) == (pytest.approx(2 / 3), None, "not in the passages: nora")
    without = asyncio.run(Faithfulness().score(Instruction.of("Who?"), Response("Pia")))
    assert without.value is without.passed is None
    with pytest.raises(UsageError, match="k_precision"):
        Faithfulness("k_rouge")  # pyrefly: ignore


def test_the_question_of_a_conversation_is_all_of_it() -> None:
    turns = (Message("user", "Where is Teval?"), Message("assistant", "In Garron."), Message("user", "How high?"))
    assert qa_words(asked(Instruction("1", turns))) == qa_words("Where is Teval? In Garron. How high?")


class Yes:
    """A judge that says Yes to what holds a word, with the probabilities of a first token."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []

    def model(self) -> Any:
        from adhere.models.base import ModelInfo
        from adhere.models.model import Model
        from adhere.records import TokenLogprob

        judge = self

        class Backend:
            info = ModelInfo("yes", "fake", "0", capabilities=("chat", "complete", "token_logprobs"))
            concurrency = 4

            async def generate(self, request: Any) -> Response:
                prompt = request.messages[-1].text
                judge.asked.append(prompt)
                top = (
                    (("Yes", -0.1), ("No", -2.4))
                    if judge.word in prompt.split("Prediction:")[1]
                    else (("No", -0.2), ("Yes", -1.8))
                )
                return Response(top[0][0], logprobs=(TokenLogprob(*top[0], top=top),))

            async def close(self) -> None: ...

        return Model(Backend())  # pyrefly: ignore


def test_llm_eval_asks_once_a_reference_and_keeps_the_best() -> None:
    from adhere.score.judges.faithfulness import LLMEval

    judge = Yes("1931")
    row = Instruction("1", (Message("user", "When?"),), references=("1931", "in 1931"))
    found = asyncio.run(LLMEval(judge.model()).score(row, Response("It was 1931.")))
    assert (found.name, found.passed) == ("llm_eval", True)
    assert found.value == pytest.approx(0.909, abs=0.01)
    assert len(judge.asked) == 2
    assert asyncio.run(LLMEval(judge.model()).score(Instruction.of("When?"), Response("1931"))).value is None


def test_the_critic_is_the_judges_complement_and_lower_is_better() -> None:
    from adhere.score.judges.faithfulness import FaithCritic, LLMEval

    judge = Yes("Pia")
    row = Instruction("1", (Message("user", "Who?"),), documents=(Document("Built by Pia."),))
    for text, faithful in (("Pia", True), ("Nora", False)):
        supported = asyncio.run(LLMEval(judge.model(), "passages").score(row, Response(text)))
        critic = asyncio.run(FaithCritic(judge.model()).score(row, Response(text)))
        assert supported.passed is critic.passed is faithful
        assert critic.value == pytest.approx(1 - (supported.value or 0))
    assert "Built by Pia." in judge.asked[0]


def test_a_judge_that_cannot_judge_is_refused_before_anything_is_asked() -> None:
    from adhere.score.judges.faithfulness import judging_model

    with pytest.raises(CapabilityError, match="echo"):
        judging_model("echo")
    with pytest.raises(UsageError, match="no model inside"):
        judging_model("overlap")
    with pytest.raises(UnknownNameError, match="smolm2"):
        judging_model("smolm2")
