"""Draws and their cost."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from adhere.engine import context
from adhere.models.base import Sampling
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Usage


def test_draw_zero_of_the_plain_row_is_the_plain_row():
    with context.use(seed=5), context.drawing(0) as inner:
        assert (inner.seed, inner.sample) == (5, 0)


def test_nested_draws_are_all_different():
    seen = set()
    for outer in range(4):
        with context.drawing(outer):
            for inner in range(4):
                with context.drawing(inner) as made:
                    seen.add(made.sample)
    # 0-0 is 0, 0-n and n-0 share the plain indices by design: a first draw is the outer one
    assert len(seen) == 4 + 9


def test_changes_of_sampling_reach_a_model_and_end_with_the_block():
    model = Model(Echo(), sampling=Sampling(max_tokens=9))

    async def run():
        with context.drawing(1, max_tokens=1):
            inside = await model.generate("one two three")
            own = await model.generate("one two three", Sampling(max_tokens=2))
        return inside.text, own.text, (await model.generate("one two three")).text

    assert asyncio.run(run()) == ("one", "one two", "one two three")


def test_an_unknown_field_of_sampling_is_an_error():
    async def run():
        with context.drawing(0, temprature=1.0):
            await Model(Echo()).generate("x")

    with pytest.raises(TypeError):
        asyncio.run(run())


def test_meters_count_calls_of_tasks_and_of_inner_meters():
    model = Model(Echo())

    async def run():
        with context.metered() as outer:
            await model.generate("a b")
            with context.metered() as inner:
                await asyncio.gather(model.generate("c"), model.generate("d e f"))
        await model.generate("outside")
        return outer, inner

    outer, inner = asyncio.run(run())
    assert (inner.calls, inner.usage) == (2, Usage(4, 4))
    assert (outer.calls, outer.usage) == (3, Usage(6, 6))


def test_a_cached_answer_costs_as_much_as_a_fresh_one(tmp_path):
    from adhere.engine.store import Store

    model = Model(Echo(), store=Store(tmp_path / "s.sqlite"))

    async def run():
        costs = []
        for _ in range(2):
            with context.metered() as spent:
                await model.generate("a b c")
            costs.append(msgspec.to_builtins(spent))
        return costs

    first, second = asyncio.run(run())
    assert model.stats.cached == 1
    assert first == second
