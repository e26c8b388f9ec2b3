"""Judges behind HTTP: how a verdict is read of what a server offers, and what becomes of one that it does not give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adhere.engine.patience import Patience
from adhere.errors import ModelError
from adhere.models.model import Model
from adhere.models.names import load
from adhere.models.openai_http import OpenAIEndpoint
from adhere.records import Constraint, Failure, Instruction, Response, Score
from adhere.score.judges.base import Preference
from adhere.score.judges.checklist import Checklist
from adhere.score.judges.gold import Pair
from adhere.score.judges.meta import Meta, judge_pairs
from adhere.score.judges.pairwise import PairwiseJudge
from adhere.score.judges.pointwise import PointwiseJudge
from adhere.score.judges.ready import check_endpoints
from judging_models import hosted, prefers
from misbehaving import Misbehaving
from serving import running

ASKED = Instruction.of("Name the capital of France.")
GOOD, BAD = "Paris", "Lyon"
RULE = prefers(GOOD, sure=0.7)
QUICK = Patience(attempts=3, first_wait=0.01, timeout=20.0)


def judged(server: Misbehaving, work: Callable[[Model], Awaitable[Any]], **options: Any) -> Any:
    """Run `work(model)` with the server up; the model has no store and waits little between attempts."""

    async def main() -> Any:
        async with server, Model(OpenAIEndpoint("tiny", server.url, **options), patience=QUICK) as model:
            return await work(model)

    return asyncio.run(main())


def serving(*script: str, **options: Any) -> Misbehaving:
    """A server that judges, after it has done what the script says."""
    server = Misbehaving(list(script))
    server.answer = hosted(options.pop("rule", RULE), **options)
    return server


def compare(server: Misbehaving, times: int = 1, **options: Any) -> Preference:
    """The last of some comparisons by one judge."""

    async def work(model: Model) -> Preference:
        judge = PairwiseJudge(model)
        return [await judge.compare(ASKED, BAD, GOOD) for _ in range(times)][-1]

    return judged(server, work, **options)


def ways(server: Misbehaving) -> list[str]:
    """How each call asked."""
    found = ("logprobs" if p.get("logprobs") else "schema" if "response_format" in p else "prose" for p in server.posts)
    return list(found)


# Which way a server can be read -------------------------------------------------------------------------------------


def test_where_the_server_gives_log_probabilities_one_token_an_order_is_asked() -> None:
    server = serving()
    found = compare(server)
    assert (found.verdict, found.probability_b) == ("b", pytest.approx(0.7))
    assert [o.first for o in found.orders] == ["a", "b"] and {o.way for o in found.orders} == {"logprobs"}
    assert [(p["max_tokens"], p["top_logprobs"]) for p in server.posts] == [(1, 20)] * 2


@pytest.mark.parametrize("options", [{"refuses": ("logprobs",)}, {"silent": True}])
def test_without_log_probabilities_the_answer_is_held_to_a_schema_and_known_to_be_from_then_on(options: Any) -> None:
    server = serving(**options)
    found = compare(server, times=2)
    assert (found.verdict, found.probability_b, found.orders[0].way) == ("b", 1.0, "constrained")
    assert ways(server) == ["logprobs"] * 2 + ["schema"] * 4
    form = server.posts[-1]["response_format"]["json_schema"]["schema"]
    assert form["properties"]["verdict"] == {"enum": ["A", "B"]}


def test_where_the_schema_is_refused_too_prose_is_read() -> None:
    server = serving(refuses=("logprobs", "json_schema"), prose="A names a river town.\n\n[[{verdict}]]")
    found = compare(server, times=2)
    assert (found.verdict, {o.way for o in found.orders}) == ("b", {"parsed"})
    assert ways(server)[-2:] == ["prose"] * 2


def test_a_model_that_opens_with_a_marker_thinks_first_and_is_read_another_way() -> None:
    server = serving(rule=lambda prompt: {"<think>": 1.0})
    server.answer = _thinking(server.answer)
    assert compare(server).orders[0].way == "constrained"


def _thinking(otherwise: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    judges = hosted(RULE)
    return lambda body: otherwise(body) if body.get("logprobs") else judges(body)


def test_a_question_that_is_refused_in_every_way_is_no_fault_of_one() -> None:
    """A filter of content, say: the next pair is asked by log-probabilities again."""

    def filtered(body: dict[str, Any]) -> Any:
        refused = "forbidden" in body["messages"][0]["content"]
        return (400, {"error": {"message": "content policy"}}) if refused else hosted(RULE)(body)

    server = Misbehaving()
    server.answer = filtered

    async def work(model: Model) -> Preference:
        judge = PairwiseJudge(model)
        with pytest.raises(ModelError, match="content policy"):
            await judge.compare(ASKED, "forbidden", GOOD)
        return await judge.compare(ASKED, BAD, GOOD)

    assert judged(server, work).orders[0].way == "logprobs"


def test_answers_too_long_for_the_server_are_cut_and_read_by_log_probabilities_all_the_same() -> None:
    server = serving(context=3_000)

    async def work(model: Model) -> Preference:
        return await PairwiseJudge(model).compare(ASKED, BAD + " and so on" * 1_000, GOOD)

    found = judged(server, work)
    assert (found.verdict, found.orders[0].way) == ("b", "logprobs")
    assert 200 <= found.details["cut_at"] < 3_000


# What is no verdict -------------------------------------------------------------------------------------------------


def test_json_that_the_token_limit_cut_is_no_verdict_and_the_next_is_asked_the_same_way() -> None:
    cut = serving(refuses=("logprobs",), cut=("json_schema",))
    found = compare(cut)
    assert (found.verdict, found.probability_b, found.flipped) == (None, None, None)
    assert "cut off at 1024 tokens" in found.reason and "prose" not in ways(cut)


def test_prose_that_the_token_limit_cut_is_no_verdict_though_it_names_one_answer() -> None:
    server = serving(refuses=("logprobs", "json_schema"), cut=("prose",), prose="B is better. " * 2 + "{verdict}")
    found = compare(server)
    assert found.verdict is None and "cut off" in found.reason


def test_an_answer_that_was_withheld_is_no_verdict_and_the_way_is_kept() -> None:
    server = serving(refuses=("logprobs",))
    judges = server.answer

    def withheld(body: dict[str, Any]) -> Any:
        made = judges(body)
        if isinstance(made, dict):
            made["choices"][0] |= {"message": {"content": "I cannot say."}, "finish_reason": "content_filter"}
        return made

    server.answer = withheld
    found = compare(server, times=2)
    assert found.verdict is None and "withheld (content_filter)" in found.reason
    assert "prose" not in ways(server)


def test_one_order_without_a_verdict_leaves_none_and_is_no_tie() -> None:
    def half(prompt: str) -> dict[str, float]:
        return RULE(prompt) if GOOD in prompt.split("[Answer B]")[0] else {"Well": 1.0}

    found = compare(serving(rule=half))
    assert [o.verdict is None for o in found.orders] == [True, False]
    assert (found.verdict, found.probability_b) == (None, None)


# A server that misbehaves -------------------------------------------------------------------------------------------

EMPTY = {"model": "tiny", "choices": []}


@pytest.mark.parametrize("word", ["busy:0.05", "status:500:kaboom", "half", "reset", "garbage", "silence"])
def test_what_goes_wrong_once_is_tried_again_by_the_engine_and_the_verdict_stands(word: str) -> None:
    server = serving(word)
    found = compare(server, timeout=0.5 if word == "silence" else 20)
    assert (found.verdict, found.orders[0].way) == ("b", "logprobs")
    assert ways(server) == ["logprobs"] * 3


def test_an_answer_without_a_choice_is_tried_again() -> None:
    server = serving()
    judges, empty = server.answer, [EMPTY]
    server.answer = lambda body: empty.pop() if empty else judges(body)
    assert compare(server).verdict == "b" and len(server.posts) == 3


@pytest.mark.parametrize(
    ("word", "says", "calls"),
    [
        ("busy:0.01", "429", 3),
        ("status:500:kaboom", "kaboom", 3),
        ("half", "broke off", 3),
        ("garbage", "not JSON", 3),
        ("silence", "no answer", 3),
        ("empty", "no choice", 3),
        ("shape", "not a completion", 1),
        ("status:401:no such key", "refused our key", 1),
    ],
)
def test_a_judge_that_finally_fails_is_an_error_and_its_pair_a_counted_one(word: str, says: str, calls: int) -> None:
    """Two pairs, one order each: the first uses up its attempts, the second has a verdict."""
    server = serving(*([] if word == "empty" else [word] * calls))
    judges, empty = server.answer, [EMPTY] * 3
    if word == "empty":
        server.answer = lambda body: empty.pop() if empty else judges(body)

    async def work(model: Model) -> tuple[Meta, int]:
        model.backend.concurrency = 1  # one after the other, so that the script meets the first
        judge = PairwiseJudge(model, swap=False)
        pairs = [Pair(Instruction.of(f"Question {n}"), BAD, GOOD, "b") for n in range(2)]
        return await judge_pairs(judge, pairs), model.stats.retries

    found, retries = judged(server, work, timeout=0.2 if word == "silence" else 20)
    assert [row.verdict for row in found.rows] == [None, "b"]
    (failure,) = found.failures.values()
    assert isinstance(failure, Failure) and says in failure.message
    assert retries == calls - 1


def test_a_checklist_keeps_what_programs_decide_and_says_that_its_judge_failed() -> None:
    asked = Instruction.of("Say hello.", Constraint("told", {"text": "it is friendly"}), Constraint("no_commas"))

    async def work(model: Model) -> Score:
        return await Checklist(model).score(asked, Response("Hello"))

    found = judged(serving(*["status:500:kaboom"] * 3), work)
    assert [(p.passed, p.value) for p in found.parts] == [(None, None), (True, 1.0)]
    assert found.passed is None and "kaboom" in found.parts[0].reason
    yes = judged(serving(rule=lambda prompt: {"Yes": 0.6, "No": 0.2}), work)
    assert (yes.passed, yes.parts[0].reason) == (True, "'it is friendly': P(Yes) = 0.75")


def test_a_rating_is_the_mean_by_probability_and_a_single_number_by_schema() -> None:
    def rate(**options: Any) -> float | None:
        async def work(model: Model) -> Score:
            return await PointwiseJudge(model).score(ASKED, Response(GOOD))

        return judged(serving(rule=lambda prompt: {"4": 0.6, "5": 0.2}, **options), work).value

    assert rate() == pytest.approx(4.25)
    assert rate(refuses=("logprobs",)) == 4.0
    assert rate(refuses=("logprobs",), cut=("json_schema",)) is None


# Before a run -------------------------------------------------------------------------------------------------------


def test_an_endpoint_is_asked_before_a_run_however_deep_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ADHERE_API_KEY", raising=False)

    async def check(spec: str, **fields: Any) -> str:
        async with Misbehaving() as server:
            vars(server).update(fields)
            try:
                await check_endpoints(None, spec.format(url=server.url))
            except ModelError as error:
                return str(error)
            return ""

    assert asyncio.run(check("openai:tiny@{url}")) == ""
    assert asyncio.run(check("overlap")) == ""
    wrong = asyncio.run(check("revis(by=judge, model=smollm2, judge=openai:tinny@{url})"))
    assert wrong.startswith("the judge cannot be asked") and "Did you mean 'tiny'" in wrong
    keyless = asyncio.run(check("pairwise(model=openai:tiny@{url})", key="sk-right"))
    assert "refused our key" in keyless and "Set ADHERE_API_KEY" in keyless
    down = asyncio.run(check("checklist(openai:tiny@http://127.0.0.1:9/v1)"))
    assert "cannot reach http://127.0.0.1:9/v1; is the server running?" in down


# The real model behind our own server -------------------------------------------------------------------------------

PAIRS = [
    ("Name the capital of France.", "Paris", "Lyon is a city, and I like cheese."),
    ("What is 2 + 2?", "4", "The sea is blue."),
    ("Write one word that rhymes with cat.", "hat", "Dogs bark at night, as everybody knows."),
]


def test_smollm2_behind_our_server_prefers_in_each_order_what_it_prefers_in_this_process(smollm2: object) -> None:
    async def orders(model: Model) -> list[tuple[str | None, str]]:
        judge = PairwiseJudge(model)
        found = [await judge.compare(Instruction.of(q), a, b) for q, a, b in PAIRS]
        assert all(f.probability_b is not None for f in found)
        return [(order.verdict, order.way) for f in found for order in f.orders]

    async def both(url: str) -> None:
        async with load("smollm2", store=None) as here, Model(OpenAIEndpoint("smollm2", url)) as there:
            # A server gives 20 alternatives of the first token, a process 200: the shares differ, not what is first.
            assert await orders(there) == await orders(here)

    with running("smollm2") as url:
        asyncio.run(both(url))
