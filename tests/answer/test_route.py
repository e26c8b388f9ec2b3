"""Routing between candidates that are good at different things, with a bag-of-words embedder; once with MiniLM."""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer import Route, Strategy, Trace
from adhere.answer.routing.aptitude import (
    Bank,
    Capability,
    Correctness,
    aptitude_test,
    capability_text,
    default_bank,
    read_bank,
)  # fmt: skip
from adhere.answer.routing.baselines import arms, cost_quality, neighbours
from adhere.answer.routing.groups import Groups, across_candidates, across_instructions, group_loss
from adhere.answer.routing.llm_router import LLMRouter, orders_of
from adhere.answer.routing.pool import read_pool
from adhere.answer.routing.router import CapabilityRouter, Outcome
from adhere.answer.routing.training import collect, held_out
from adhere.errors import DataError, ModelError, UsageError
from adhere.models.base import ModelInfo, Request
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Message, Response, TokenLogprob


class Words:
    """Embeds a text as its bag of words, hashed."""

    concurrency = 1
    info = ModelInfo("words", "fake", "1", capabilities=("embed",))

    async def embed(self, texts: Sequence[str]) -> Any:
        made = np.zeros((len(texts), 256), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"[a-z]+", text.lower()):
                made[row, zlib.crc32(word.encode()) % 256] += 1
            made[row] /= np.linalg.norm(made[row]) or 1
        return made

    async def generate(self, request: Request) -> Response:
        raise NotImplementedError

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Knows:
    """Answers with the reference where the prompt holds a word that it knows; fails on "broken"."""

    def __init__(self, *words: str) -> None:
        self.words = words

    async def answer(self, instruction: Instruction) -> Response:
        if "broken" in instruction.prompt:
            raise ModelError("no")
        known = any(word in instruction.prompt for word in self.words)
        return Response(instruction.references[0] if known else "no idea", model="/".join(self.words))


SUBJECTS = {"sums": "Add the numbers {n} and {m}", "rivers": "Which river flows through town {n} of land {m}",
            "poems": "Recall line {n} of the poem called {m}"}  # fmt: skip


def questions(start: int, count: int, subjects: Sequence[str] = tuple(SUBJECTS)) -> list[Instruction]:
    return [
        Instruction(f"{s}-{n}", (Message("user", SUBJECTS[s].format(n=n, m=n + 7)),), references=(f"ref {n}",))
        for s in subjects
        for n in range(start, start + count)
    ]


BANK = Bank({s: tuple(questions(1000, 10, (s,))) for s in SUBJECTS})
ZOO = {"adder": Knows("Add"), "reader": Knows("river", "poem"), "nobody": Knows("nothing")}


async def trained(zoo: dict[str, Any] = ZOO) -> CapabilityRouter:
    capabilities = {name: await aptitude_test(a, BANK, name) for name, a in zoo.items()}
    items = questions(0, 12)
    outcomes, _ = await collect(zoo, items)
    return await CapabilityRouter.train(outcomes, items, capabilities, BANK, Model(Words()))


@pytest.fixture(scope="module")
def router() -> CapabilityRouter:
    return asyncio.run(trained())


def test_the_aptitude_test_counts_right_answers_by_group_and_failures_as_wrong() -> None:
    broken = Bank({**BANK.groups, "broken": (Instruction.of("broken"),) * 2})
    broken = Bank({g: tuple(q if q.references else Instruction(f"b{n}", q.messages, references=("x",))
                            for n, q in enumerate(qs)) for g, qs in broken.groups.items()})  # fmt: skip
    found = asyncio.run(aptitude_test(ZOO["adder"], broken, "adder"))
    assert found.groups == {"sums": 1.0, "rivers": 0.0, "poems": 0.0, "broken": 0.0}
    assert found.failed == 2
    assert found.mean == 0.25


class Obeys(Strategy):
    """Answers with the keyword that a constraint names, where it sees one."""

    def __init__(self) -> None:
        self.model = Model(Echo())

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        return Response(
            " ".join(w for c in instruction.constraints for w in c.args["keywords"]) or "none", model="obeys"
        )


def test_a_strategy_is_tested_without_seeing_what_grades_it() -> None:
    asked = Instruction("q", (Message("user", "Say it"),), (Constraint("keywords", {"keywords": ["river"]}),))
    assert asyncio.run(Obeys().answer(asked)).text == "river"
    assert asyncio.run(aptitude_test(Obeys(), Bank({"g": (asked,)}))).mean == 0.0
    outcomes, failed = asyncio.run(collect({"obeys": Obeys()}, [asked]))
    assert (outcomes[0].score, failed) == (0.0, 0)


def test_a_question_that_cannot_be_checked_is_named_before_any_answer() -> None:
    with pytest.raises(DataError, match="'odd'"):
        asyncio.run(aptitude_test(ZOO["adder"], Bank({"g": (Instruction.of("Hm?", id="odd"),)})))


@pytest.mark.parametrize(
    ("text", "reference", "right"),
    [("It is 12.", "12", True), ("120", "12", False), ("12.5", "12", False), ("1,012", "12", False),
     ("I know", "no", False), ("No, never", "no", True), ("(Rome)", "rome", True), ("a, b, c", "a, b", True),
     ("5.12", "12", False)],
)  # fmt: skip
def test_a_reference_counts_only_where_it_stands_by_itself(text: str, reference: str, right: bool) -> None:
    row = Instruction("a", (Message("user", "?"),), references=(reference,))
    assert asyncio.run(Correctness().score(row, Response(text))).passed is right


def test_constraints_count_by_the_share_that_holds() -> None:
    row = Instruction.of("Hm?", Constraint("no_commas"), Constraint("lowercase"))
    assert asyncio.run(Correctness().score(row, Response("a, b"))).value == 0.5


def test_the_capability_text_has_every_group_in_the_order_asked_for() -> None:
    record = Capability("m", {"sums, numbers": 0.75, "rivers": 1.0})
    assert capability_text(record) == (
        'The model achieves accuracy 75.0% on the task of "sums, numbers", accuracy 100.0% on the task of "rivers".'
    )
    assert capability_text(record, [1, 0]).index("rivers") < capability_text(record, [1, 0]).index("sums")


def test_the_built_in_bank_has_twelve_checkable_groups_without_repeats() -> None:
    bank = default_bank()
    assert len(bank.groups) == 12
    assert {len(rows) for rows in bank.groups.values()} == {20}
    rows = [row for group in bank.groups.values() for row in group]
    assert len({row.id for row in rows}) == 240
    assert all(row.constraints or row.references for row in rows)
    assert default_bank() == bank


def test_a_bank_is_read_from_prompts_with_a_group(tmp_path: Path) -> None:
    file = tmp_path / "bank.jsonl"
    file.write_text('{"prompt": "2+2?", "references": ["4"], "group": "sums"}\n')
    assert list(read_bank(file).groups) == ["sums"]
    file.write_text('{"id": "x", "prompt": "2+2?", "references": ["4"]}\n')
    with pytest.raises(DataError, match="'x' has no group"):
        read_bank(file)


def test_groups_have_the_solved_one_first_and_skip_candidates_that_solve_all_or_nothing() -> None:
    scores = np.array([[1, 1, 0.0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0]])
    found = across_instructions(scores)
    assert found.skipped == 2
    assert sorted(found.members[:, 0].tolist()) == [0, 12]
    assert all(sorted(group[1:]) == [3, 6, 9] for group in found.members.tolist())


def test_pairs_count_by_how_much_the_better_is_ahead_and_leave_out_what_is_unknown() -> None:
    found = across_candidates(np.array([[0.9, 0.4], [0.5, 0.5], [np.nan, 1.0]]))
    assert found.members.tolist() == [[0, 1]]
    assert found.weights.tolist() == pytest.approx([0.5])
    assert found.skipped == 2


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6))
def test_the_gradient_of_the_group_loss_is_its_slope(values: list[float]) -> None:
    groups = Groups(np.array([[0, 1, 2], [3, 1, 5]]), np.array([1.0, 0.5]), 0)
    at = np.array(values)
    _, slope = group_loss(at, groups)
    for i in range(6):
        step = np.eye(6)[i] * 1e-5
        rise = (group_loss(at + step, groups)[0] - group_loss(at - step, groups)[0]) / 2e-5
        assert slope[i] == pytest.approx(rise, abs=1e-6)


def test_the_router_chooses_who_is_good_at_the_subject(router: CapabilityRouter) -> None:
    found = asyncio.run(router.judge_all(questions(500, 5)))
    best = [max(j.scores, key=lambda name, s=j.scores: s[name]) for j in found]
    assert best == ["adder"] * 5 + ["reader"] * 10
    assert all(0 <= p <= 1 for j in found for p in j.scores.values())
    assert not any(j.far for j in found)


def test_a_candidate_that_joins_by_its_test_alone_is_chosen_where_it_is_best(router: CapabilityRouter) -> None:
    fresh = asyncio.run(trained({"adder": ZOO["adder"], "nobody": ZOO["nobody"]}))
    fresh.add(asyncio.run(aptitude_test(ZOO["reader"], BANK, "newcomer")))
    scores = asyncio.run(fresh.scores(questions(600, 1, ("poems",))[0]))
    assert max(scores, key=lambda name: scores[name]) == "newcomer"
    with pytest.raises(DataError, match="another aptitude test"):
        fresh.add(Capability("late", {"other": 0.5}))


def test_a_saved_router_scores_the_same(router: CapabilityRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "r")
    again = CapabilityRouter.load(tmp_path / "r", Model(Words()))
    row = questions(700, 1)[0]
    assert asyncio.run(again.scores(row)) == pytest.approx(asyncio.run(router.scores(row)))
    with pytest.raises(DataError, match=r"scorer\.json"):
        CapabilityRouter.load(tmp_path, Model(Words()))


def test_only_the_chosen_candidate_answers_and_the_trace_says_why(router: CapabilityRouter) -> None:
    strategy = Route(router=router, zoo=ZOO)
    found = asyncio.run(strategy.answer(questions(800, 1, ("rivers",))[0]))
    assert (found.text, found.model) == ("ref 800", "river/poem")
    step = found.trace[0]
    assert (step["step"], step["chosen"], step["because"]) == ("route", "reader", "best score")
    assert set(step["scores"]) == set(ZOO)


def test_what_is_far_from_the_test_goes_to_the_best_mean(router: CapabilityRouter) -> None:
    far = Instruction("z", (Message("user", "xyzzy plugh qwerty"),), references=("?",))
    step = asyncio.run(Route(router=router, zoo=ZOO).answer(far)).trace[0]
    assert step["chosen"] == "reader"
    assert "far from the aptitude test" in step["because"]


def test_a_cost_can_outweigh_a_small_lead(router: CapabilityRouter) -> None:
    strategy = Route(router=router, zoo=ZOO, cost_weight=1.0)
    strategy.costs = {"adder": 5.0, "reader": 5.0, "nobody": 0.0}
    assert asyncio.run(strategy.answer(questions(900, 1)[0])).trace[0]["chosen"] == "nobody"


def test_a_candidate_without_a_record_names_the_command(router: CapabilityRouter) -> None:
    with pytest.raises(UsageError, match="adhere route test stranger"):
        Route(router=router, zoo={**ZOO, "stranger": Knows("x")})
    with pytest.raises(UsageError, match="adhere route test a"):
        asyncio.run(CapabilityRouter.train([Outcome("i", "a", 1.0)], questions(0, 1), {}, BANK, Model(Words())))


def test_outcomes_that_teach_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot teach"):
        asyncio.run(trained({"one": Knows("x"), "two": Knows("y")}))


def test_the_comparison_has_the_oracle_above_and_the_baselines_beside_the_router() -> None:
    async def main() -> dict[str, Any]:
        items = questions(0, 20)
        outcomes, _ = await collect(ZOO, items)
        capabilities = {name: await aptitude_test(a, BANK, name) for name, a in ZOO.items()}
        return await held_out(outcomes, items, capabilities, BANK, Model(Words()), costs=[1, 2, 3])

    found = asyncio.run(main())
    got = {arm: rate["value"] for arm, rate in found["arms"].items()}
    assert got["random"] == pytest.approx(1 / 3)
    assert got["oracle"] == got["router"] == 1.0
    assert got["best single"] < 1
    assert found["router minus best single"]["low"] > 0
    assert [p["cost"] for p in found["curve"]] == sorted((p["cost"] for p in found["curve"]), reverse=True)


def test_the_baselines_by_hand() -> None:
    train, test = np.array([[1, 0], [1, 0], [0, 1.0]]), np.array([[0, 1], [1, 0.0]])
    vectors = np.eye(2)
    near = neighbours(vectors, np.array([[0, 1], [0, 1], [1, 0.0]]), train, count=1)
    assert near.tolist() == [1, 0]
    found = {arm: values.tolist() for arm, values in arms(train, test, np.array([0, 0]), near).items()}
    assert found == {"random": [0.5, 0.5], "best single": [0, 1], "neighbours": [1, 1], "router": [0, 1],
                     "oracle": [1, 1]}  # fmt: skip
    free, dear = cost_quality(np.array([[0.2, 0.9], [0.6, 0.5]]), test, [1, 5], [0, 1])
    assert (free.cost, free.quality) == (3, 1)
    assert (dear.cost, dear.quality) == (1, 0.5)


class YesSayer:
    """Says Yes with a probability that depends on what stands first in the record."""

    concurrency = 4
    info = ModelInfo("yes", "fake", "2", capabilities=("chat", "token_logprobs"))

    async def generate(self, request: Request) -> Response:
        yes = 0.6 if 'accuracy 90.0% on the task of "sums"' in request.messages[-1].text.split(",")[0] else 0.2
        return Response("Yes", logprobs=(TokenLogprob("Yes", 0, top=(("Yes", math.log(yes)), ("No", math.log(0.2)))),))

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        raise NotImplementedError

    async def embed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def test_the_language_model_router_normalises_with_no_and_averages_over_orders() -> None:
    record = Capability("m", {"sums": 0.9, "rivers": 0.1})
    router = LLMRouter(Model(YesSayer()), {"m": record}, orders=4, seed=1)
    by_order = asyncio.run(router.by_order(Instruction.of("Hm?"), "m"))
    assert by_order == pytest.approx([0.75 if order[0] == 0 else 0.5 for order in orders_of(2, 4, 1)])
    assert asyncio.run(router.scores(Instruction.of("Hm?"))) == pytest.approx({"m": sum(by_order) / 4})


@pytest.mark.parametrize(
    ("text", "said"),
    [("[candidates.a]\n", "1 candidate"), ("[candidates.a]\nmodle = 'x'\n[candidates.b]\n", "modle"),
     ("a = [", "pool.toml")],
)  # fmt: skip
def test_a_bad_pool_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pool.toml").write_text(text)
    with pytest.raises(DataError, match=said):
        read_pool(tmp_path / "pool.toml")


@pytest.mark.weights
def test_the_commands_train_a_router_let_a_candidate_join_and_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smollm2: Path
) -> None:
    """With MiniLM, on fakes: one candidate echoes the question, one knows its references."""
    import adhere.cli.route as cli
    from adhere.answer import build

    monkeypatch.setattr("adhere.answer.routing.pool.cache_dir", lambda: tmp_path / "cache")
    pool, rows, bank = tmp_path / "pool.toml", tmp_path / "questions.jsonl", tmp_path / "bank.jsonl"
    pool.write_text('[candidates.echo]\nmodel = "echo"\n[candidates.half]\nmodel = "obedient:p=0.5"\ncost = 2.0\n')
    rows.write_text("".join(
        f'{{"id": "{i}", "prompt": "Say {w} {i} {n}", "references": ["{w if i % 2 else "other"} {i}"]}}\n'
        for i, (w, n) in enumerate((w, n) for w in ("red", "blue") for n in range(15))
    ))  # fmt: skip
    bank.write_text("".join(
        f'{{"id": "b{n}", "prompt": "Say {w} {n}!", "references": ["{w}"], "group": "{w}"}}\n'
        for n, w in enumerate(["red", "blue"] * 4)
    ))  # fmt: skip
    out = str(tmp_path / "router")
    done = CliRunner().invoke(cli.command, ["train", str(pool), str(rows), "--bank", str(bank), "--out", out])
    assert done.exit_code == 0, done.output
    assert "best single" in done.output
    joined = CliRunner().invoke(cli.command, ["test", "third", "--model", "obedient:p=1", "--json"])
    assert joined.exit_code == 0, joined.output
    assert '"mean":1.0' in joined.output
    strategy = build("route", Model(Echo()))
    assert isinstance(strategy, Route)
    assert set(strategy.candidates) == {"echo", "half", "third"}
    found = asyncio.run(strategy.answer(Instruction("q", (Message("user", "Say red 77"),), references=("red",))))
    assert found.trace[0]["step"] == "route"


def test_route_without_a_router_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adhere.answer import build

    monkeypatch.setattr("adhere.answer.routing.pool.cache_dir", lambda: tmp_path)
    with pytest.raises(UsageError, match="adhere route train"):
        build("route", Model(Echo()))
