"""Best-of-n: which candidate is kept, how many are drawn, and what the trace tells."""

from __future__ import annotations

import asyncio

import pytest

import adhere
from adhere.answer import build
from adhere.answer.best_of_n import BestOfN
from adhere.constraints.scorer import ConstraintScorer
from adhere.engine import context
from adhere.errors import CapabilityError, ModelError, UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Response, Score


class Numbered:
    """Answers draw i with `texts[i]`; an exception in the list is raised. Remembers what was drawn."""

    def __init__(self, *texts: str | Exception) -> None:
        self.texts = texts
        self.drawn: list[tuple[int, dict]] = []

    async def answer(self, instruction: Instruction) -> Response:
        run = context.current()
        self.drawn.append((run.sample, dict(run.overrides)))
        await asyncio.sleep(0)
        text = self.texts[run.sample]
        if isinstance(text, Exception):
            raise text
        return Response(text)


class Graded:
    """Scores a text by a table; what is missing is undecided."""

    def __init__(self, table: dict[str, float | bool | Exception]) -> None:
        self.table = table
        self.asked: list[str] = []

    async def score(self, instruction: Instruction, response: Response) -> Score:
        self.asked.append(response.text)
        found = self.table.get(response.text)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, bool):
            return Score("graded", None, found)
        return Score("graded", found, None if found is None else found >= 1)


def answered(strategy: BestOfN, *constraints: Constraint) -> Response:
    return asyncio.run(strategy.answer(Instruction.of("Say something.", *constraints)))


def steps(response: Response, name: str) -> list[dict]:
    return [step for step in response.trace if step["step"] == name]


def test_the_candidate_with_the_highest_value_is_kept() -> None:
    model = Numbered("low", "high", "middle")
    response = answered(BestOfN(model, 3, Graded({"low": 0.1, "high": 0.9, "middle": 0.5})))
    assert response.text == "high"
    assert [c["value"] for c in steps(response, "candidate")] == [0.1, 0.9, 0.5]
    assert steps(response, "choose")[0]["index"] == 1


def test_a_perfect_first_answer_costs_one_call() -> None:
    model = Numbered(*["perfect"] * 8)
    assert answered(BestOfN(model, 8, Graded({"perfect": 1.0}))).text == "perfect"
    assert len(model.drawn) == 1


def test_waves_double_until_one_is_perfect() -> None:
    texts = [f"t{i}" for i in range(16)]
    drawn = []
    for perfect in range(16):
        model = Numbered(*texts)
        response = answered(BestOfN(model, 16, Graded(dict.fromkeys(texts, 0.5) | {f"t{perfect}": 1.0})))
        assert response.text == f"t{perfect}"
        drawn.append(len(model.drawn))
    assert drawn == [1, 2, 4, 4, 8, 8, 8, 8, *[16] * 8]


def test_without_early_stop_all_are_drawn() -> None:
    model = Numbered(*["perfect"] * 8)
    answered(BestOfN(model, 8, Graded({"perfect": 1.0}), early_stop=False))
    assert len(model.drawn) == 8


def test_a_high_value_that_did_not_pass_does_not_stop_the_drawing() -> None:
    class Unbounded:
        async def score(self, instruction: Instruction, response: Response) -> Score:
            return Score("reward", 40.0)

    model = Numbered(*"abcd")
    answered(BestOfN(model, 4, Unbounded()))
    assert len(model.drawn) == 4


def test_the_first_candidate_is_the_plain_answer_and_the_others_are_drawn() -> None:
    model = Numbered(*"abc")
    answered(BestOfN(model, 3, Graded({}), temperature=0.9, top_p=0.8))
    assert sorted(model.drawn, key=lambda d: d[0]) == [
        (0, {}),
        (1, {"temperature": 0.9, "top_p": 0.8}),
        (2, {"temperature": 0.9, "top_p": 0.8}),
    ]


def test_alpaca_farms_form_draws_all_alike() -> None:
    model = Numbered(*"ab")
    answered(BestOfN(model, 2, Graded({}), temperature=1.0, top_p=0.9, plain_first=False))
    assert [sampling for _, sampling in model.drawn] == [{"temperature": 1.0, "top_p": 0.9}] * 2


def test_undecided_never_beats_decided() -> None:
    assert answered(BestOfN(Numbered("unknown", "bad"), 2, Graded({"bad": 0.0}))).text == "bad"
    assert answered(BestOfN(Numbered("nan", "bad"), 2, Graded({"nan": float("nan"), "bad": 0.0}))).text == "bad"


def test_a_verdict_without_a_value_counts() -> None:
    assert (
        answered(BestOfN(Numbered("failed", "passed"), 2, Graded({"failed": False, "passed": True}))).text == "passed"
    )


def test_ties_go_to_the_earlier() -> None:
    assert answered(BestOfN(Numbered("a", "b", "c"), 3, Graded({"a": 0.2, "b": 0.7, "c": 0.7}))).text == "b"


def test_an_empty_answer_is_kept_only_when_all_are_empty() -> None:
    assert answered(BestOfN(Numbered("", "poor"), 2, Graded({"": 1.0, "poor": 0.1}))).text == "poor"
    response = answered(BestOfN(Numbered(" ", ""), 2, Graded({})))
    assert response.text == " "
    assert steps(response, "choose")[0]["because"] == "every candidate is empty"


def test_identical_candidates_are_flagged_and_scored_once() -> None:
    scorer = Graded({"same": 0.4})
    response = answered(BestOfN(Numbered(*["same"] * 4), 4, scorer))
    assert steps(response, "choose")[0]["no_choice"] is True
    assert scorer.asked == ["same"]
    assert "no_choice" not in steps(answered(BestOfN(Numbered("a", "b"), 2, Graded({}))), "choose")[0]


def test_a_failing_candidate_is_noted_and_left_out() -> None:
    response = answered(BestOfN(Numbered(ModelError("broken pipe"), "fine"), 2, Graded({"fine": 0.1})))
    assert response.text == "fine"
    assert steps(response, "candidate")[0]["reason"] == "failed: broken pipe"
    assert steps(response, "candidate")[0]["failed"] is True


def test_when_all_fail_the_error_says_so() -> None:
    with pytest.raises(ModelError, match="all 2 candidates failed; the first: broken"):
        answered(BestOfN(Numbered(ModelError("broken"), ModelError("worse")), 2, Graded({})))


def test_a_failing_scorer_leaves_its_candidate_undecided() -> None:
    response = answered(BestOfN(Numbered("crash", "bad"), 2, Graded({"crash": ValueError("no"), "bad": 0.0})))
    assert response.text == "bad"
    assert "ValueError: no" in steps(response, "candidate")[0]["reason"]
    assert steps(response, "candidate")[0]["passed"] is None


def test_a_scorer_that_cannot_work_at_all_is_an_error() -> None:
    with pytest.raises(CapabilityError):
        answered(BestOfN(Numbered("a", "b"), 2, Graded({"a": CapabilityError("no logits")})))


def test_a_comparing_scorer_sees_all_candidates_at_once() -> None:
    class LeastLike:
        seen: list[list[str]] = []

        async def score(self, instruction: Instruction, response: Response) -> Score:
            raise AssertionError("alone")

        async def rank(self, instruction: Instruction, responses: list[Response]) -> list[Score]:
            self.seen.append([r.text for r in responses])
            return [Score("rare", -sum(r.text == o.text for o in responses), True) for r in responses]

    scorer = LeastLike()
    assert answered(BestOfN(Numbered("a", "a", ModelError("x"), "b"), 4, scorer)).text == "b"
    assert scorer.seen == [["a", "a", "b"]]


def test_cost_and_inner_traces_are_told() -> None:
    model = Model(Echo())
    inner = BestOfN(model, 2, Graded({}))
    response = answered(BestOfN(inner, 3, Graded({}), early_stop=False))
    assert steps(response, "cost")[0]["calls"] == 6
    assert [s["step"] for s in steps(response, "candidate")[0]["trace"]] == ["candidate", "candidate", "choose", "cost"]


def test_it_satisfies_the_instructions_constraints() -> None:
    model = Numbered("one, two", "one two", "ONE")
    response = answered(BestOfN(model, 3), Constraint("punctuation:no_comma"))
    assert response.text == "one two"
    assert len(model.drawn) == 2
    assert "drawing stopped at 2 of 3" in steps(response, "choose")[0]["because"]


def test_it_is_built_from_text() -> None:
    made = build("best_of_n(best_of_n(n=2), n=3, scorer=constraints, early_stop=false)", Model(Echo()))
    assert isinstance(made, BestOfN) and isinstance(made.model, BestOfN)
    assert (made.n, made.model.n, made.early_stop) == (3, 2, False)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 2.5}, {"temperature": 0}])
def test_arguments_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match="best_of_n"):
        BestOfN(Model(Echo()), **wrong)


@pytest.mark.weights
def test_more_candidates_satisfy_more_constraints(smollm2) -> None:
    """Best-of-4 includes the plain answer, so it can lose nothing; the runs share their cache entries."""
    model = adhere.load("smollm2", max_tokens=24)
    asked = [Instruction.of(f"Name three {t}.", Constraint("punctuation:no_comma")) for t in ("rivers", "tools")]
    scorer = ConstraintScorer()

    async def shares(answerer) -> list[float]:
        responses = await asyncio.gather(*(answerer.answer(i) for i in asked))
        return [(await scorer.score(i, r)).value for i, r in zip(asked, responses, strict=True)]

    async def both() -> tuple[list[float], list[float]]:
        return await shares(model), await shares(BestOfN(model, 4, scorer))

    plain, best = asyncio.run(both())
    assert all(b >= p for p, b in zip(plain, best, strict=True))
