"""Critics: the program, judges by label probabilities, written judgements, and the one trained on verdicts."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.constraints import Checker, constraint
from adhere.errors import CapabilityError, DataError, ModelError, UsageError
from adhere.models.base import ModelInfo, Request, Sampling
from adhere.models.llamacpp import LlamaCpp
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Message, Response, Score, TokenLogprob
from adhere.registry import parts
from adhere.score.judges.critics import Judge, Oracle, Program, ReasoningJudge, criticise, final_verdict, wording
from adhere.score.judges.weak_critic import Triple, WeakCritic, label, train_weak_critic
from adhere.score.resolve import resolve

LOWER, NO_COMMAS = Constraint("lowercase"), Constraint("no_commas")
FUNNY = Constraint("told", {"text": "it is funny"})


def score(critic, text: str, *constraints: Constraint, prompt: str = "Write about rain.") -> Score:
    return asyncio.run(critic.score(Instruction.of(prompt, *constraints), Response(text)))


def verdicts(found: Score) -> list[bool | None]:
    return [part.passed for part in found.parts]


# The program ---------------------------------------------------------------------------------------------------------


def test_the_program_judges_the_given_constraints_and_otherwise_those_in_the_text():
    assert verdicts(score(Program(), "Rain", LOWER, NO_COMMAS)) == [False, True]
    found = score(Program(), "Rain", prompt="Write about rain, no commas, all lowercase")
    assert [(p.name, p.passed) for p in found.parts] == [("no_commas", True), ("lowercase", False)]
    assert (found.value, found.passed) == (0.5, False)


def test_the_oracle_looks_at_the_given_constraints_only():
    assert verdicts(score(Oracle(), "Rain", LOWER)) == [False]
    found = score(Oracle(), "Rain", prompt="Write about rain, no commas, all lowercase")
    assert (found.passed, found.value, found.parts) == (None, None, ())


def test_what_no_program_can_check_is_undecided_and_no_pass():
    found = score(Program(), "Rain", NO_COMMAS, FUNNY)
    assert (verdicts(found), found.passed, found.value) == ([True, None], None, 0.5)


def test_a_checker_that_crashes_is_undecided_and_the_others_still_count():
    @constraint("test:crashes", family="test")
    class Crashes(Checker, frozen=True):
        """Always crashes."""

        def check(self, text):
            raise RuntimeError("boom")

    try:
        found = score(Program(), "Rain", LOWER, Constraint("test:crashes"), NO_COMMAS)
        assert verdicts(found) == [False, None, True]
        assert "boom" in found.parts[1].reason
    finally:
        parts("constraints").pop("test:crashes")


def test_a_constraint_is_worded_the_same_way_every_time():
    assert wording(NO_COMMAS) == wording(Constraint("no_commas"))
    assert wording(FUNNY) == "it is funny"


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def score(self, instruction: Instruction, response: Response) -> Score:
        raise self.error


@pytest.mark.parametrize("error", [ModelError("timed out"), ZeroDivisionError("oops")])
def test_a_failing_critic_is_undecided_about_every_constraint(error: Exception):
    asked = Instruction.of("Write.", LOWER, NO_COMMAS)
    found = asyncio.run(criticise(Failing(error), asked, Response("rain")))
    assert (found.passed, found.value, verdicts(found)) == (None, None, [None, None])
    assert str(error) in found.reason


def test_a_critic_that_can_never_work_is_an_error():
    with pytest.raises(CapabilityError):
        asyncio.run(criticise(Failing(CapabilityError("no")), Instruction.of("Write."), Response("rain")))


# Judges --------------------------------------------------------------------------------------------------------------


class Opinion:
    """A backend that says Yes with a probability by what the prompt holds, and writes `text` when asked for prose."""

    concurrency = 4

    def __init__(self, chances: dict[str, float], text: str = "") -> None:
        self.info = ModelInfo("opinion", "fake", "opinion", capabilities=("chat", "seed", "token_logprobs"))
        self.chances = chances
        self.text = text
        self.requests: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        if request.sampling.top_logprobs is None:
            return Response(self.text)
        chance = next((p for piece, p in self.chances.items() if piece in request.messages[-1].text), None)
        if chance is None:
            raise ModelError("too long")
        top = (("Yes", float(np.log(chance))), ("No", float(np.log(1 - chance))))
        return Response("Yes", logprobs=(TokenLogprob("Yes", top[0][1], top),))


def test_a_judge_is_asked_of_each_constraint_by_itself():
    backend = Opinion({"comma": 0.9, "capital letters": 0.2})
    found = score(Judge(Model(backend)), "Rain", LOWER, NO_COMMAS)
    assert [(p.name, p.passed) for p in found.parts] == [("lowercase", False), ("no_commas", True)]
    assert [p.value for p in found.parts] == pytest.approx([0.2, 0.9])
    assert (found.passed, found.value) == (False, pytest.approx(0.55))
    assert len(backend.requests) == 2
    assert all("Rain" in r.messages[0].text and "Write about rain." in r.messages[0].text for r in backend.requests)


def test_without_constraints_a_judge_is_asked_about_the_whole_request():
    backend = Opinion({"everything": 0.7})
    found = score(Judge(Model(backend)), "Rain")
    assert (found.name, found.passed, found.parts) == ("request", True, ())


def test_a_judge_that_fails_on_one_constraint_is_undecided_about_that_one():
    found = score(Judge(Model(Opinion({"comma": 0.9}))), "Rain", LOWER, NO_COMMAS)
    assert (verdicts(found), found.passed) == ([None, True], None)


def test_a_judge_reads_the_turns_before_the_request():
    backend = Opinion({"everything": 0.7})
    turns = (Message("system", "Be brief."), Message("user", "Rain?"))
    asyncio.run(Judge(Model(backend)).score(Instruction("1", turns), Response("Rain")))
    assert "[system] Be brief." in backend.requests[0].messages[0].text


def test_self_is_the_answering_model_and_a_judge_may_be_another():
    model = Model(Opinion({}))
    assert resolve("self", model).model is model
    assert repr(resolve("judge", model)) == "Judge('opinion')"


@pytest.mark.parametrize(
    ("judgement", "verdict"),
    [
        ("It has commas.\nFinal judgement: No", False),
        ("Fine.\n**Final Judgment: Yes.**", True),
        ("yes", True),
        ('The answer is "Final judgement: No"', False),
        ("Final judgement (Yes or No): Not sure", None),
        ("Final judgement: None of it", None),
        ("Yes it has, and no commas", None),
        ("Final judgement: Yes\nBut I am not sure.", None),
        ("", None),
    ],
)
def test_only_a_last_line_that_is_a_verdict_counts(judgement: str, verdict: bool | None):
    assert final_verdict(judgement) is verdict


@given(st.text(alphabet="final judgement:yesno \n*.", max_size=100))
def test_a_verdict_is_never_read_from_more_than_the_last_line(judgement: str):
    last = (judgement.strip().splitlines() or [""])[-1]
    assert final_verdict(judgement) == final_verdict(last)


def test_a_written_judgement_is_the_reason_and_its_last_line_the_verdict():
    backend = Opinion({}, text="There is a comma.\nFinal judgement: No")
    found = score(ReasoningJudge(Model(backend)), "Rain,", NO_COMMAS)
    assert (found.passed, found.value) == (False, 0.0)
    assert found.reason.startswith("There is a comma.")
    assert len(backend.requests) == 1


def test_a_judgement_without_a_verdict_is_asked_for_one_with_the_judgement_in_view():
    backend = Opinion({"So, does the answer": 0.8}, text="Hm, hard to say.")
    found = score(ReasoningJudge(Model(backend)), "Rain,", NO_COMMAS)
    assert found.passed is True
    assert [m.role for m in backend.requests[1].messages] == ["user", "assistant", "user"]


@pytest.mark.weights
def test_a_real_model_judges_each_constraint_and_says_the_same_again(smollm2):
    async def twice() -> tuple[Score, Score]:
        asked = Instruction.of("Write about rain.", LOWER, NO_COMMAS)
        async with Model(LlamaCpp(smollm2, slots=2, context=512), sampling=Sampling(max_tokens=8)) as model:
            judge = Judge(model)
            return await judge.score(asked, Response("Rain, rain")), await judge.score(asked, Response("Rain, rain"))

    first, second = asyncio.run(twice())
    assert [p.name for p in first.parts] == ["lowercase", "no_commas"]
    assert all(0 < p.value < 1 and p.passed is (p.value > 0.5) for p in first.parts)
    assert [p.value for p in second.parts] == pytest.approx([p.value for p in first.parts], abs=1e-4)


# The weak critic -----------------------------------------------------------------------------------------------------

SUBJECTS = ["rain", "snow", "wind", "fire", "trees", "birds", "rivers", "bread", "music", "trains", "clouds", "stones"]
FORMS = (
    "The {} comes, and the day is over.",
    "the {} comes and the day is over.",
    "THE {} COMES AND IT IS LATE.",
    "the {} comes, as it does, late.",
)


def examples(subjects: list[str]) -> list[Triple]:
    """Verdicts of two checkers on four answers a subject."""
    instructions = [Instruction.of(f"Write about {s}.", LOWER, NO_COMMAS, id=s) for s in subjects]
    return label(instructions, {s: [f.format(s) for f in FORMS] for s in subjects})


@pytest.fixture(scope="module")
def trained():
    return asyncio.run(train_weak_critic(examples(SUBJECTS)))


def test_labels_are_the_checkers_verdicts():
    triples = examples(["rain"])
    assert len(triples) == 8
    assert [t.met for t in triples] == [False, False, True, True, False, True, True, False]
    assert {t.group for t in triples} == {"rain"}


def test_undecided_verdicts_are_no_labels():
    assert label([Instruction.of("Write.", FUNNY, id="a")], {"a": ["ha"]}) == []


@pytest.mark.weights
def test_it_learns_which_count_matters_for_which_constraint(trained):
    seen = examples(["lamps", "ships"])  # of subjects that it was not trained on
    chances = asyncio.run(trained.critic.probabilities([(t.constraint, t.answer) for t in seen]))
    assert np.mean((chances > 0.5) == [t.met for t in seen]) >= 0.9


@pytest.mark.weights
def test_its_metrics_are_of_unseen_groups_and_stand_in_its_file(trained, tmp_path):
    assert trained.metrics["n"] == 3 * 8  # a quarter of twelve subjects
    assert trained.metrics["accuracy"] > trained.metrics["majority"]
    assert {"recall_of_failures", "positive_rate", "auc"} <= set(trained.metrics)
    trained.critic.save(tmp_path)
    assert WeakCritic(tmp_path).config["held_out"] == trained.metrics


@pytest.mark.weights
def test_saved_and_loaded_by_folder_or_by_name_it_judges_the_same(trained, tmp_path):
    folder = tmp_path / "weak"
    trained.critic.save(folder)
    text = "the sea comes, as it does, late."
    before = score(trained.critic, text, LOWER, NO_COMMAS)
    for spec in (str(folder), f"weak('{folder}')"):
        again = score(resolve(spec), text, LOWER, NO_COMMAS)
        assert [p.value for p in again.parts] == pytest.approx([p.value for p in before.parts], abs=1e-9)
    assert verdicts(before) == [True, False]
    assert (before.name, before.passed) == ("weak", False)


@pytest.mark.weights
def test_it_judges_what_the_text_asks_for_and_is_undecided_where_that_is_nothing(trained):
    assert len(score(trained.critic, "rain", prompt="Write, no commas, all lowercase").parts) == 2
    assert score(trained.critic, "rain", prompt="Write about rain.").passed is None


@pytest.mark.weights
@pytest.mark.parametrize("text", ["", "\n" * 200_000, "<" * 200_000, "[" * 200_000, "!" * 200_000 + "a", "\ud800, *"])
def test_hostile_answers_are_judged_without_ado(trained, text: str):
    assert 0 <= score(trained.critic, text, NO_COMMAS).value <= 1


def test_too_few_examples_are_refused_with_how_many_are_needed():
    with pytest.raises(UsageError, match=r"0 triples are labelled 'not met'.*at least 20"):
        asyncio.run(train_weak_critic([Triple("no commas", "rain", True, str(n)) for n in range(50)]))
    one_group = [Triple("no commas", "rain" + "," * (n % 2), n % 2 == 0, "same") for n in range(60)]
    with pytest.raises(UsageError, match="1 groups"):
        asyncio.run(train_weak_critic(one_group))


@pytest.mark.weights
def test_a_scorer_of_another_kind_or_version_is_refused(trained, tmp_path):
    from adhere.score import saved

    saved.save(tmp_path, "cappy", {"version": 1}, {})
    with pytest.raises(DataError, match="kind 'cappy'"):
        WeakCritic(tmp_path)
    saved.save(tmp_path, "weak", {**trained.critic.config, "version": 0}, {})
    with pytest.raises(DataError, match="version 0"):
        WeakCritic(tmp_path)
