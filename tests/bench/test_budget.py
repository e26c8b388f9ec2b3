"""A finished best-of-n run, read again at every budget."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from adhere.answer.best_of_n import BestOfN
from adhere.bench.base import Benchmark
from adhere.bench.budget import of_run
from adhere.bench.run import Settings, evaluate
from adhere.cli.budget import command
from adhere.engine import context
from adhere.errors import DataError, ModelError, UsageError
from adhere.records import Constraint, Instruction, Response, Score


class Improving:
    """The first two draws have a comma, the third fails, the rest have none."""

    async def answer(self, instruction: Instruction) -> Response:
        sample = context.current().sample
        if sample == 2:
            raise ModelError("gone")
        return Response("one, two" if sample < 2 else "one two")


class Blind:
    """Likes the draws that have a comma."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        return Score("blind", float("," in response.text))


def benchmark() -> Benchmark:
    rows = [
        Instruction.of(f"Say {n}. Do not use any commas.", Constraint("punctuation:no_comma")) for n in ("a", "b", "c")
    ]
    return Benchmark("tiny", "three sayings", lambda: rows)


def made(strategy, tmp_path):
    return evaluate(benchmark(), strategy, Settings(), out=tmp_path / "run")


def test_every_budget_is_counted_from_one_run(tmp_path) -> None:
    found = of_run(made(BestOfN(Improving(), 4, early_stop=False), tmp_path))
    # Candidate 0 is always there; the only good one is the last of the three others.
    assert [round(b.picked.value, 3) for b in found] == [0, 0.333, 0.667, 1]
    assert [round(b.oracle.value, 3) for b in found] == [0, 0.333, 0.667, 1]
    shown = CliRunner().invoke(command, [str(tmp_path / "run")], catch_exceptions=False)
    assert shown.output.splitlines()[4].split()[:3] == ["4", "100.0", "100.0"]


def test_a_scorer_that_likes_the_wrong_ones_loses_to_chance(tmp_path) -> None:
    found = of_run(made(BestOfN(Improving(), 4, Blind(), early_stop=False), tmp_path))
    assert found[3].picked.value == 0
    assert found[3].gain.value == pytest.approx(-0.25)


def test_alike_draws_are_exchangeable(tmp_path) -> None:
    strategy = BestOfN(Improving(), 4, early_stop=False, plain_first=False)
    found = of_run(made(strategy, tmp_path))
    assert [round(b.picked.value, 3) for b in found] == [0.25, 0.5, 0.75, 1]


def test_other_runs_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="no candidates"):
        of_run(made(Improving(), tmp_path))

    class Sometimes(Improving):
        async def answer(self, instruction: Instruction) -> Response:
            return Response("fine") if instruction.prompt.startswith("Say a") else await super().answer(instruction)

    with pytest.raises(UsageError, match="early_stop=false"):
        of_run(made(BestOfN(Sometimes(), 4), tmp_path))


def test_a_row_whose_candidates_all_failed_stays_in_the_denominator(tmp_path) -> None:
    class Broken(Improving):
        async def answer(self, instruction: Instruction) -> Response:
            if instruction.prompt.startswith("Say a"):
                raise ModelError("gone")
            return Response("fine")

    found = of_run(made(BestOfN(Broken(), 2, early_stop=False), tmp_path))
    assert found[1].picked.value == pytest.approx(2 / 3)
    assert found[1].picked.n == 3
