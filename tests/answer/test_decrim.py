"""DeCRIM: when it refines, what it asks for, when it stops, and what it keeps."""

from __future__ import annotations

import asyncio

import pytest

from adhere.answer import DeCRIM, build
from adhere.errors import CapabilityError, DataError, ModelError, UnknownNameError, UsageError
from adhere.models.base import Sampling
from adhere.models.llamacpp import LlamaCpp
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Message, Response, Score

LOWER, NO_COMMAS = Constraint("lowercase"), Constraint("no_commas")
HAIKU = Instruction.of("Write a haiku about rain, no commas, all lowercase")


class Teller:
    """Answers with one text after the other (an exception among them is raised) and remembers what it was asked."""

    def __init__(self, *texts: str | Exception) -> None:
        self.texts = texts
        self.asked: list[Instruction] = []

    async def answer(self, instruction: Instruction) -> Response:
        self.asked.append(instruction)
        said = self.texts[len(self.asked) - 1]
        if isinstance(said, Exception):
            raise said
        return Response(said)


class Fixed:
    """A critic with one verdict for every answer; an exception is raised."""

    def __init__(self, *scores: Score | Exception) -> None:
        self.scores = list(scores)
        self.seen: list[Instruction] = []

    async def score(self, instruction: Instruction, response: Response) -> Score:
        self.seen.append(instruction)
        score = self.scores[min(len(self.seen), len(self.scores)) - 1]
        if isinstance(score, Exception):
            raise score
        return score


def run(model: Teller, instruction: Instruction = HAIKU, **options) -> Response:
    return asyncio.run(DeCRIM(model, **options).answer(instruction))


def steps(response: Response, name: str) -> list[dict]:
    return [step for step in response.trace if step["step"] == name]


def stopped(response: Response) -> str:
    return steps(response, "choose")[0]["stopped"]


def test_an_answer_that_meets_everything_is_not_refined():
    model = Teller("soft rain on the roof")
    response = run(model)
    assert response.text == "soft rain on the roof"
    assert (len(model.asked), stopped(response)) == (1, "all_met")
    assert [s["step"] for s in response.trace] == ["decompose", "draft", "critique", "choose", "cost"]


def test_a_refinement_is_asked_for_the_unmet_constraints_only_and_repeats_the_request_last():
    model = Teller("Soft rain", "soft rain")
    response = run(model)
    assert (response.text, stopped(response)) == ("soft rain", "all_met")
    prompt = model.asked[1].prompt
    assert "capital letters" in prompt and "comma." not in prompt
    assert "Soft rain" in prompt
    assert prompt.endswith(HAIKU.prompt)
    assert steps(response, "refine") == [
        {"step": "refine", "feedback": "- Do not use any capital letters.", "text": "soft rain"}
    ]


def test_each_verdict_is_in_the_trace_with_its_constraint_source_and_reason():
    verdicts = steps(run(Teller("Soft rain", "soft rain")), "critique")[0]["verdicts"]
    assert [(v["constraint"], v["met"], v["source"]) for v in verdicts] == [
        ("Your answer must not contain a comma.", True, "program"),
        ("Do not use any capital letters.", False, "program"),
    ]
    assert verdicts[1]["reason"].startswith("1 capital letter")


def test_the_earliest_of_the_best_answers_is_kept():
    model = Teller("Rain, rain", "Rain rain", "rain, rain", "RAIN, RAIN")
    assert run(model).text == "Rain rain"


def test_keep_last_may_return_an_answer_that_refining_has_damaged():
    texts = ("Rain rain", "RAIN, RAIN")
    assert run(Teller(*texts), keep="last", max_rounds=1).text == "RAIN, RAIN"
    assert run(Teller(*texts), keep="best", max_rounds=1).text == "Rain rain"


def test_it_gives_up_after_the_last_round():
    model = Teller("A,", "B,", "C,", "never asked for")
    response = run(model, max_rounds=2)
    assert (len(model.asked), stopped(response)) == (3, "max_rounds")


def test_without_rounds_the_first_answer_is_judged_and_returned():
    response = run(Teller("A,"), max_rounds=0)
    assert (response.text, stopped(response)) == ("A,", "max_rounds")


@pytest.mark.parametrize("repeated", ["Rain,", "  Rain,\n"])
def test_a_repeated_answer_ends_the_loop(repeated: str):
    model = Teller("Rain,", repeated, "never asked for")
    response = run(model)
    assert (len(model.asked), stopped(response)) == (2, "no_change")


def test_a_request_without_constraints_gets_the_plain_answer_and_says_so():
    model = Teller("Paris")
    response = run(model, Instruction.of("What is the capital of France?"))
    assert (response.text, len(model.asked), stopped(response)) == ("Paris", 1, "no_constraints")
    assert "names no constraint" in steps(response, "choose")[0]["because"]


def test_given_constraints_count_before_those_in_the_text():
    response = run(Teller("RAIN"), Instruction.of("Shout, no commas", Constraint("uppercase")))
    assert (steps(response, "decompose")[0]["source"], stopped(response)) == ("gold", "all_met")


def test_contradictions_are_named_and_no_round_is_spent_on_them():
    model = Teller("Rain")
    response = run(model, Instruction.of("Write about rain.", LOWER, Constraint("uppercase")))
    assert "cannot both hold" in steps(response, "note")[0]["text"]
    assert response.trace[0]["step"] == "note"
    assert (len(model.asked), stopped(response)) == (1, "no_change")


def test_beside_a_contradiction_the_other_constraints_are_still_mended():
    model = Teller("Rain,", "rain")
    response = run(model, Instruction.of("Write about rain.", LOWER, Constraint("uppercase"), NO_COMMAS))
    assert steps(response, "refine")[0]["feedback"] == "- Your answer must not contain a comma."
    assert (response.text, stopped(response)) == ("rain", "no_change")


def test_strict_refuses_contradictions_before_any_call():
    model = Teller("never asked for")
    with pytest.raises(UsageError, match=r"contradicting constraints: .* cannot both hold"):
        run(model, Instruction.of("Write in all lowercase and in all caps."), strict=True)
    assert not model.asked


def test_a_constraint_that_cannot_be_built_is_refused_before_any_call():
    model = Teller("never asked for")
    with pytest.raises(DataError, match="words"):
        run(model, Instruction.of("Write.", Constraint("words", {"at_leest": 3})))
    with pytest.raises(UnknownNameError):
        run(model, Instruction.of("Write.", Constraint("wrods", {"at_least": 3})))
    assert not model.asked


def test_a_critic_that_fails_is_unknown_and_never_met():
    response = run(Teller("rain"), critic=Fixed(ModelError("the judge is away")))
    verdicts = steps(response, "critique")[0]["verdicts"]
    assert [v["met"] for v in verdicts] == [None, None]
    assert "the judge is away" in verdicts[0]["reason"]
    assert stopped(response) == "undecided"


def test_a_critic_that_fails_once_still_improves_the_rest():
    good = Score("x", 1.0, True, (Score("a", 1.0, True), Score("b", 1.0, True)))
    bad = Score("x", 0.5, False, (Score("a", 1.0, True), Score("b", 0.0, False)))
    response = run(Teller("one", "two", "three"), critic=Fixed(bad, good))
    assert (response.text, stopped(response)) == ("two", "all_met")


def test_a_critic_that_cannot_run_at_all_ends_the_run():
    with pytest.raises(CapabilityError):
        run(Teller("rain"), critic=Fixed(CapabilityError("no log-probabilities")))


def test_what_no_checker_covers_stays_undecided_for_the_program():
    instruction = Instruction.of("Write about rain, no commas. It must be funny.")
    response = run(Teller("Rain"), instruction)
    assert [v["met"] for v in steps(response, "critique")[0]["verdicts"]] == [True, None]
    assert stopped(response) == "undecided"


def test_a_critic_that_knows_only_the_whole_names_every_constraint():
    model = Teller("one", "two")
    run(model, critic=Fixed(Score("reward", 0.2, False), Score("reward", 0.9, True)))
    assert "comma" in model.asked[1].prompt and "capital letters" in model.asked[1].prompt


def test_a_reward_without_a_verdict_refines_to_the_end_and_keeps_the_highest():
    values = [Score("reward", v) for v in (-3.0, -1.0, -2.0)]
    response = run(Teller("one", "two", "three"), critic=Fixed(*values), max_rounds=2)
    assert (response.text, stopped(response)) == ("two", "max_rounds")


def test_without_a_critic_every_round_refines_and_the_last_answer_counts():
    model = Teller("rain", "more rain", "no rain")
    response = run(model, critic=None, max_rounds=2)
    assert (response.text, len(model.asked)) == ("no rain", 3)
    assert not steps(response, "critique")


def test_without_decomposition_the_critic_sees_the_whole_request_and_no_list_of_failures_is_made():
    model, critic = Teller("one", "two"), Fixed(Score("judge", 0.1, False), Score("judge", 0.9, True))
    instruction = Instruction.of("Write about rain, no commas.", NO_COMMAS)
    response = run(model, instruction, decomposer=None, critic=critic)
    assert [i.constraints for i in critic.seen] == [(), ()]
    assert "requirements are not met" not in model.asked[1].prompt
    assert steps(response, "critique")[0]["verdicts"][0]["constraint"] == "the whole request"
    assert not steps(response, "decompose")


def test_the_request_is_decomposed_once():
    helper = Teller("- no commas\n- be funny", "a second list")
    model = Teller("A,", "B,", "C,")
    response = run(model, decomposer=helper, max_rounds=2)
    assert len(helper.asked) == 1
    assert steps(response, "decompose")[0]["constraints"][1] == "be funny"


def test_a_decomposer_that_writes_no_list_is_reported():
    response = run(Teller("rain"), decomposer=Teller("I am happy to help you with that."))
    assert "wrote no list" in steps(response, "note")[0]["text"]
    assert stopped(response) == "no_constraints"


def test_a_refinement_that_cannot_be_made_leaves_what_was_reached():
    response = run(Teller("Rain,", ModelError("the context ran out")))
    assert (response.text, stopped(response)) == ("Rain,", "model_failed")
    assert "the context ran out" in steps(response, "note")[0]["text"]


def test_an_endpoint_that_is_down_fails_the_row_so_that_another_run_can_mend_it():
    with pytest.raises(ModelError, match="503"):
        run(Teller("Rain,", ModelError("503", retryable=True)))


def test_earlier_turns_stay_in_the_conversation():
    turns = (
        Message("system", "Be brief."),
        Message("user", "Hello."),
        Message("assistant", "Hi."),
        Message("user", "Now write about rain in all lowercase."),
    )
    model = Teller("Rain", "rain")
    run(model, Instruction("1", turns))
    assert model.asked[1].messages[:3] == turns[:3]
    assert len(model.asked[1].messages) == 4


def test_braces_in_answers_and_requests_are_harmless():
    model = Teller("{unmet} Rain", "rain")
    run(model, Instruction.of("Write {request} in all lowercase"))
    assert "{unmet} Rain" in model.asked[1].prompt and "{request}" in model.asked[1].prompt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rounds": -1}, "max_rounds is -1"),
        ({"keep": "all"}, "keep is 'all'"),
        ({"temperature": -1.0}, "temperature"),
        ({"critic": "programm"}, "program"),
        ({"decomposer": "no-such-model"}, "no-such-model"),
    ],
)
def test_wrong_arguments_are_refused_when_it_is_made(options: dict, message: str):
    with pytest.raises((UsageError, UnknownNameError), match=message):
        DeCRIM(Teller(), **options)


def test_it_is_built_from_text_and_nests():
    model = Teller("Rain,", "Rain", "rain", "never asked for")
    strategy = build("decrim(decrim(max_rounds=1, critic=program), decomposer=rules, keep=last)", model)
    assert isinstance(strategy, DeCRIM) and isinstance(strategy.model, DeCRIM)
    response = asyncio.run(strategy.answer(HAIKU))
    assert response.text == "rain"


@pytest.mark.weights
def test_with_a_real_model_it_is_never_worse_than_the_plain_answer_and_repeats_itself(smollm2):
    async def both() -> tuple[Response, Response, Response]:
        async with Model(LlamaCpp(smollm2, slots=2, context=1024), sampling=Sampling(max_tokens=24)) as model:
            strategy = DeCRIM(model, max_rounds=1)
            return await model.answer(HAIKU), await strategy.answer(HAIKU), await strategy.answer(HAIKU)

    plain, first, second = asyncio.run(both())
    assert (first.text, first.trace) == (second.text, second.trace)
    assert steps(first, "draft")[0]["text"] == plain.text
    met = [sum(v["met"] is True for v in s["verdicts"]) for s in steps(first, "critique")]
    assert steps(first, "choose")[0]["index"] == met.index(max(met))
    assert steps(first, "cost")[0]["calls"] == 1 + len(steps(first, "refine"))
    assert first.usage.completion_tokens >= plain.usage.completion_tokens
