"""TreeRefine: the shape of the search, the gate, the votes, the budget, and which node is returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from adhere.answer import TreeRefine
from adhere.engine import context
from adhere.errors import ModelError, UsageError
from adhere.records import Constraint, Instruction, Response, Score

HAIKU = Instruction.of("Write about rain", Constraint("lowercase"), Constraint("no_commas"))


class Grower:
    """Says "0" first and then, for each refinement, what `say` makes of its number and of the prompt it got."""

    def __init__(self, say: Callable[[int, str], str] = lambda number, prompt: str(number)) -> None:
        self.say = say
        self.prompts: list[tuple[str, ...]] = []

    async def answer(self, instruction: Instruction) -> Response:
        if len(instruction.messages) == 1:
            return Response("0")
        number = context.current().sample
        self.prompts.append(tuple(m.text for m in instruction.messages))
        return Response(self.say(number, instruction.messages[0].text))


class Values:
    """A critic that looks a text's value up; everything is met at 1.0. Counts what it judged."""

    def __init__(self, values: dict[str, float | None], default: float = 0.0) -> None:
        self.values = values
        self.default = default
        self.judged: list[str] = []

    async def score(self, instruction: Instruction, response: Response) -> Score:
        self.judged.append(response.text)
        value = self.values.get(response.text, self.default)
        if value is None:
            raise ModelError("no verdict")
        return Score("values", value, value == 1.0, reason=f"it is worth {value}")


class Voters:
    """A stochastic critic: the n-th vote on a text is its n-th letter, Y, N or - (which fails)."""

    stochastic = True

    def __init__(self, ballots: dict[str, str]) -> None:
        self.ballots = ballots

    async def score(self, instruction: Instruction, response: Response) -> Score:
        vote = self.ballots.get(response.text, "N" * 100)[context.current().sample]
        if vote == "-":
            raise ModelError("spoilt")
        return Score("vote", float(vote == "Y"), vote == "Y", reason=f"I say {vote}")


def grow(critic, model: Grower | None = None, **options) -> Response:
    return asyncio.run(TreeRefine(model or Grower(), critic, **options).answer(HAIKU))


def nodes(response: Response) -> list[dict]:
    return [s for s in response.trace if s["step"] == "node"]


def chosen(response: Response) -> dict:
    return next(s for s in response.trace if s["step"] == "choose")


def test_breadth_first_refines_the_two_best_of_each_level():
    response = grow(Values({"0": 0.1, "1": 0.2, "2": 0.4, "3": 0.3}, default=0.25), depth=2)
    tree = [(n["id"], n["parent"], n["depth"]) for n in nodes(response)]
    assert tree == [(0, None, 0), (1, 0, 1), (2, 0, 1), (3, 0, 1)] + [(n, 2 if n < 7 else 3, 2) for n in range(4, 10)]
    assert response.text == "2"
    assert chosen(response)["improved"] is True


def test_the_default_search_makes_three_levels_of_three_and_twice_six():
    assert len(nodes(grow(Values({})))) == 1 + 3 + 6 + 6


def test_a_level_is_finished_before_the_gate_and_no_further_level_is_begun():
    response = grow(Values({"1": 1.0}, default=0.2))
    assert [n["id"] for n in nodes(response)] == [0, 1, 2, 3]
    assert response.text == "1"


def test_an_accepted_first_answer_is_not_refined():
    model = Grower()
    response = grow(Values({"0": 1.0}), model)
    assert (response.text, model.prompts, chosen(response)["improved"]) == ("0", [], False)


def test_with_no_better_child_the_root_is_returned_with_its_true_value():
    response = grow(Values({"0": 0.4}, default=0.4), depth=1)
    assert (response.text, chosen(response)["improved"]) == ("0", False)
    assert nodes(response)[0]["value"] == 0.4
    assert "no child is better" in chosen(response)["because"]


def test_when_every_child_fails_to_be_judged_the_root_is_returned_and_the_failures_are_counted():
    response = grow(Values({"0": 0.0, "1": None, "2": None, "3": None}))
    assert (response.text, chosen(response)["improved"]) == ("0", False)
    assert "4 nodes, 3 discarded" in chosen(response)["because"]
    assert [n["value"] for n in nodes(response)] == [0.0, None, None, None]


def test_of_equal_children_the_deeper_is_preferred():
    assert grow(Values({"0": 0.1}, default=0.5), depth=2).text == "4"


def test_depth_first_goes_down_from_the_best_child_and_comes_back_for_the_next():
    values = Values({"0": 0.0, "2": 0.4, "1": 0.3}, default=0.1)
    response = grow(values, algorithm="dfs", depth=2)
    assert [(n["id"], n["parent"]) for n in nodes(response)][4:] == [(4, 2), (5, 2), (6, 2), (7, 1), (8, 1), (9, 1)]


def test_depth_first_ends_at_the_first_accepted_child():
    response = grow(Values({"5": 1.0}, default=0.1), algorithm="dfs", depth=3)
    assert len(nodes(response)) == 1 + 3 + 3
    assert response.text == "5"


@pytest.mark.parametrize("algorithm", ["bfs", "dfs"])
@pytest.mark.parametrize("budget", [1, 2, 6])
def test_the_budget_counts_every_node_discarded_ones_too(algorithm: str, budget: int):
    response = grow(Values({"1": None, "2": None}, default=0.1), algorithm=algorithm, budget=budget)
    assert len(nodes(response)) == budget


def test_equal_texts_are_judged_once():
    critic = Values({})
    response = grow(critic, Grower(lambda number, prompt: "same"), depth=2)
    assert sorted(critic.judged) == ["0", "same"]
    assert len(nodes(response)) == 10


def test_siblings_are_different_draws_at_the_temperature_of_the_paper():
    seen = []

    class Watcher(Grower):
        async def answer(self, instruction: Instruction) -> Response:
            seen.append((context.current().sample, context.current().overrides.get("temperature")))
            return await super().answer(instruction)

    grow(Values({}), Watcher(), depth=1)
    assert seen == [(0, None), (1, 0.7), (2, 0.7), (3, 0.7)]


def test_a_refinement_is_asked_for_with_the_answer_its_critique_and_the_request_last():
    model = Grower()
    asyncio.run(TreeRefine(model, "program", depth=1).answer(HAIKU))
    asyncio.run(TreeRefine(model, Values({}), depth=1).answer(HAIKU))
    judge, critique, refine = model.prompts[-1]
    assert "The answer:\n0" in judge and "it is worth 0.0" in critique and refine.endswith(HAIKU.prompt)


def test_the_critique_lists_the_unmet_constraints_with_the_checkers_reasons():
    class Loud(Grower):
        async def answer(self, instruction: Instruction) -> Response:
            plain = await super().answer(instruction)
            return Response("Rain") if plain.text == "0" else plain

    model = Loud()
    asyncio.run(TreeRefine(model, depth=1).answer(HAIKU))
    assert "- Do not use any capital letters. (1 capital letter" in model.prompts[0][1]
    assert "comma" not in model.prompts[0][1]


def test_votes_are_counted_and_the_first_judgement_of_the_majority_is_the_critique():
    response = grow(Voters({"0": "YNNYN", "1": "NYYY-", "2": "-----"}), depth=1)
    root, first, second, third = nodes(response)
    assert root["value"] == pytest.approx(2 / 5) and root["critique"] == "I say N"
    assert first["value"] == pytest.approx(3 / 4) and first["votes"] == [False, True, True, True, None]
    assert (second["value"], third["value"]) == (None, 0.0)
    assert response.text == "1"


def test_a_tied_vote_is_repeated_and_at_last_discards_the_node():
    settled = grow(Voters({"1": "YN" + "YY"}), depth=1, votes=2, branch=1)
    assert nodes(settled)[1]["value"] == 1.0
    tied = grow(Voters({"1": "YN" * 4}), depth=1, votes=2, branch=1)
    assert nodes(tied)[1]["value"] is None
    assert tied.text == "0"


def test_a_share_of_constraints_above_the_gate_does_not_end_the_search():
    two_thirds = Score("c", 2 / 3, False, (Score("a", 1.0, True), Score("b", 1.0, True), Score("c", 0.0, False)))

    class Mostly:
        async def score(self, instruction: Instruction, response: Response) -> Score:
            return two_thirds

    assert len(nodes(grow(Mostly()))) == 16


def test_a_measure_of_quality_without_a_verdict_is_held_to_the_gate():
    class Reward:
        async def score(self, instruction: Instruction, response: Response) -> Score:
            return Score("reward", 0.6 if response.text == "2" else -4.0)

    response = grow(Reward())
    assert (len(nodes(response)), response.text) == (4, "2")


def test_a_critic_without_any_idea_leaves_the_first_answer():
    response = asyncio.run(TreeRefine(Grower(), "oracle").answer(Instruction.of("What is rain?")))
    assert (response.text, len(nodes(response))) == ("0", 1)
    assert "no verdict" in chosen(response)["because"]


def test_another_model_may_refine():
    answers, refines = Grower(), Grower(lambda number, prompt: "refined")
    response = grow(Values({"refined": 0.9}), answers, refine=refines, depth=1)
    assert (response.text, answers.prompts) == ("refined", [])


def test_a_refinement_that_fails_for_good_is_a_discarded_node_and_a_passing_failure_fails_the_row():
    def fail(retryable: bool) -> Callable[[int, str], str]:
        def say(number: int, prompt: str) -> str:
            raise ModelError("too long", retryable=retryable)

        return say

    response = grow(Values({}), Grower(fail(False)), depth=1)
    assert [n["value"] for n in nodes(response)] == [0.0, None, None, None]
    with pytest.raises(ModelError):
        grow(Values({}), Grower(fail(True)), depth=1)


@pytest.mark.parametrize(
    "options", [{"algorithm": "ids"}, {"branch": 0}, {"votes": 0}, {"gate": 1.0}, {"budget": 0}, {"depth": -1}]
)
def test_wrong_arguments_are_refused(options: dict):
    with pytest.raises(UsageError, match=next(iter(options))):
        TreeRefine(Grower(), **options)
