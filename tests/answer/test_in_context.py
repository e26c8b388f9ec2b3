"""Chain-of-Hindsight, Self-Correct and Multitask: EvALign's text-only forms."""

from __future__ import annotations

import asyncio
import re

import pytest

from adhere.answer import build
from adhere.answer.hindsight import ChainOfHindsight
from adhere.answer.in_context import first_phrase, until
from adhere.answer.multitask import SIDE_TASKS, Multitask
from adhere.answer.self_correct import ABSTAIN, SelfCorrect, answerable
from adhere.engine import context
from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Response
from pupils import Pupil, solved

COLOURS = [solved(f"Why is ball {n} red?", f"Because. It was painted {n}.") for n in range(6)]
QUESTION = Instruction.of("Why is the box red?")


# Chain of Hindsight --------------------------------------------------------------------------------------------------


def test_examples_show_the_models_own_answer_as_the_bad_one() -> None:
    pupil = Pupil(lambda text: "Good answer: It is. Bad answer: no." if "Bad answer" in text else "I see. Red.")
    answer = asyncio.run(ChainOfHindsight(pupil, COLOURS, n=2).answer(QUESTION))
    final = pupil.seen[-1].messages
    assert re.fullmatch(r"Good answer: Because It was painted \d\. Bad answer: I see Red\.", final[1].text)
    assert answer.text == "It is."
    assert [item["bad"] for item in answer.trace[0]["items"]] == ["I see. Red."] * 2


def test_the_text_form_ends_at_the_marker_of_the_examples() -> None:
    pupil = Pupil(lambda text: " It is painted. Bad answer: no" if "Bad answer" in text else "Hm.")
    answer = asyncio.run(ChainOfHindsight(pupil, COLOURS, n=2, form="text").answer(QUESTION))
    assert pupil.seen[-1].messages[0].text.endswith("Why is the box red?\nGood answer:")
    assert answer.text == "It is painted."


def test_pass_one_leaves_out_the_example_that_it_answers_and_runs_once() -> None:
    pupil = Pupil(lambda text: "Hm.")
    strategy = ChainOfHindsight(pupil, COLOURS, n=5, selection="bm25")
    for name in "abc":
        asyncio.run(strategy.answer(Instruction.of(f"Why is {name} red?")))
    first_pass = [i for i in pupil.seen if i.prompt.startswith("Why is ball")]
    assert len(first_pass) == len({i.prompt for i in first_pass}) <= 6
    assert all([m.text for m in i.messages].count(i.prompt) == 1 for i in first_pass)


def test_an_own_answer_that_is_the_good_one_is_not_shown_as_bad() -> None:
    pupil = Pupil(lambda text: "Because. It was painted 3.")
    asyncio.run(ChainOfHindsight(pupil, COLOURS, n=5).answer(QUESTION))
    shown = [m.text for m in pupil.seen[-1].messages if m.role == "assistant"]
    assert ["Bad answer" in text for text in shown].count(False) >= ("painted 3" in " ".join(shown))
    assert not any(text.count("painted 3") > 1 for text in shown)


def test_the_cost_of_pass_one_is_nobodys_and_its_answers_do_not_depend_on_the_draw() -> None:
    draws = []

    class Spy(Pupil):
        async def answer(self, instruction: Instruction) -> Response:
            draws.append((instruction.prompt.startswith("Why is ball"), context.current().sample))
            return await super().answer(instruction)

    async def ask() -> Response:
        with context.use(seed=1, sample=3):
            return await ChainOfHindsight(Spy(lambda text: "Hm."), COLOURS, n=2).answer(QUESTION)

    answer = asyncio.run(ask())
    assert answer.usage.prompt_tokens == 1
    assert {sample for first, sample in draws if first} == {0}
    assert {sample for first, sample in draws if not first} == {3}


# Self-Correct --------------------------------------------------------------------------------------------------------

MIXED = [solved(f"There is a box.\nColour of ball {n}?", ABSTAIN) for n in range(4)]
MIXED += [solved(f"There is ball {n}.\nColour of ball {n}?", "red, very") for n in range(4)]


def _classifies(verdict: str) -> Pupil:
    return Pupil(lambda text: verdict if "yes or no?" in text else "Blue, I say")


@pytest.mark.parametrize(
    ("verdict", "text", "met"),
    [("No, it cannot", ABSTAIN, False), ("yes", "Blue", True), ("nothing northern", "Blue", None)],
)
def test_an_answer_stands_unless_the_model_denies_that_there_can_be_one(
    verdict: str, text: str, met: bool | None
) -> None:
    answer = asyncio.run(SelfCorrect(_classifies(verdict), MIXED, n=2, short=True).answer(QUESTION))
    assert answer.text == text
    steps = {step["step"]: step for step in answer.trace}
    assert steps["critique"]["verdicts"][0]["met"] is met
    assert steps["draft"]["text"] == "Blue"


def test_the_classifier_sees_the_examples_verdicts() -> None:
    pupil = _classifies("yes")
    asyncio.run(SelfCorrect(pupil, MIXED, n=2).answer(QUESTION))
    last = pupil.seen[-1].messages
    assert len(last) == 2 * len(MIXED) + 1  # 32 were asked for
    for question, verdict in zip(last[0:-1:2], last[1:-1:2], strict=True):
        assert verdict.text == ("yes" if "There is ball" in question.text else "no")
    assert len(pupil.seen[0].messages) == 5


def test_whether_an_example_can_be_answered_is_marked_or_seen_from_its_answer() -> None:
    assert not answerable(solved("q", "DoesNotApply "))
    assert answerable(solved("q", ABSTAIN, answerable=True))
    assert not answerable(solved("q", "red", answerable=False))


def test_a_pool_of_one_kind_teaches_nothing_and_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be answered"):
        SelfCorrect(Pupil(str), COLOURS)
    with pytest.raises(DataError, match="can be answered"):
        SelfCorrect(Pupil(str), MIXED[:4])


# Multitask -----------------------------------------------------------------------------------------------------------

SCENES = [solved(f"Scene {n}", "A ball.", objects=[f"ball {n}", "box"], explanation=["it rolls."]) for n in range(5)]


@pytest.mark.parametrize(
    ("side_task", "shown"),
    [
        ("objects", r"A ball\. Nothing else is there but: (ball \d, box|box, ball \d)\."),
        ("answerable", r"A ball\. Does the question fit what is said above\? Yes\."),
        ("because", r"A ball, because nothing else is there but: (ball \d, box|box, ball \d)\."),
        ("explanation", r"A ball, because it rolls\."),
    ],
)
def test_examples_carry_the_side_task_and_the_answer_loses_it(side_task: str, shown: str) -> None:
    assert side_task in SIDE_TASKS
    pupil = Pupil(lambda text: text.split("\n")[1].replace("A ball", "A cube"))
    answer = asyncio.run(Multitask(pupil, SCENES, side_task, n=2).answer(QUESTION))
    assert re.fullmatch(shown, pupil.seen[0].messages[1].text)
    assert answer.text.rstrip(".") == "A cube"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataError, match="no 'objects'"):
        Multitask(Pupil(str), COLOURS, "objects")
    with pytest.raises(DataError, match="no 'explanation'"):
        Multitask(Pupil(str), COLOURS, "explanation")


def test_an_unknown_side_task_is_named_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="'objects'"):
        Multitask(Pupil(str), SCENES, "object")


# Tidying, and building from text -------------------------------------------------------------------------------------


def test_texts_are_cut_at_the_first_marker_whatever_its_case() -> None:
    assert until("a. bad answer: b. Bad answer: c", "Bad answer") == "a."
    assert until("İİİ stop here", "STOP") == "İİİ"
    assert until('"quoted"') == "quoted"
    assert until("red\n Question 2: what?") == "red"
    assert first_phrase(" 3.5, or so") == "3.5"
    assert first_phrase("'Red'. Not blue") == "Red"


def test_they_are_built_from_their_text(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "pool.jsonl"
    rows = [
        '{"question": "a", "answer": "b", "answerable": true, "objects": ["x"]}',
        '{"question": "c", "answer": "doesnotapply", "objects": []}',
    ]
    file.write_text("\n".join(rows))
    for text in (
        f"chain_of_hindsight(pool='{file}', n=1)",
        f"self_correct(few_shot(pool='{file}', n=1), pool='{file}', n=1, classifier_shots=2)",
        f"multitask(pool='{file}', side_task=objects, n=1)",
    ):
        assert asyncio.run(build(text, Pupil(lambda said: "yes")).answer(QUESTION)).text == "yes"
    with pytest.raises(UsageError, match="at least 2"):
        build(f"self_correct(pool='{file}', classifier_shots=1)", Pupil(str))
