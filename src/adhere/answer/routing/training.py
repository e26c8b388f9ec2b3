"""From a pool and questions to a trained router: tests, outcomes, a held-out comparison, and the router's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.answer.routing.aptitude import Bank, Capability, Correctness, aptitude_test, overlapping, shown
from adhere.answer.routing.baselines import arms, cost_quality, neighbours
from adhere.answer.routing.pool import Candidate, answerers, kept
from adhere.answer.routing.router import CapabilityRouter, Outcome
from adhere.engine.run import run
from adhere.errors import DataError, UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.statistics import bootstrap_mean

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Trained", "add_candidate", "collect", "held_out", "train_router"]

LEAST = 20  # questions: a third of them are held out to compare with the baselines
HELD = 0.3
WEIGHTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the cost, for the curve; times 1 / the dearest candidate
Say = Callable[[str], None]


class Trained(NamedTuple):
    """A router, and what a router trained on the other questions got on those held out."""

    router: CapabilityRouter
    comparison: dict[str, Any]
    failed: int


async def collect(zoo: Mapping[str, Answerer], items: Sequence[Instruction]) -> tuple[list[Outcome], int]:
    """Every candidate's score on every item, and how many ended in an error and count as 0."""
    judge = Correctness()

    async def one(pair: tuple[str, Instruction]) -> float:
        name, item = pair
        return (await judge.score(item, await zoo[name].answer(shown(item, zoo[name])))).value or 0.0

    pairs = [(name, item) for name in zoo for item in items]
    outcomes, failed = [], 0
    async for done in run(one, pairs, concurrency=max(getattr(a, "concurrency", 16) for a in zoo.values())):
        failed += done.failure is not None
        outcomes.append((done.index, Outcome(done.item[1].id, done.item[0], done.result or 0.0)))
    return [outcome for _, outcome in sorted(outcomes, key=lambda pair: pair[0])], failed


async def train_router(
    pool: Mapping[str, Candidate],
    items: Sequence[Instruction],
    bank: Bank,
    embedder: Model,
    folder: Path,
    *,
    around: Answerer | None = None,
    seed: int = 0,
    say: Say = lambda _: None,
) -> Trained:
    """Test every candidate, ask all of them the questions, compare on a held-out part, train on all, and save.

    Args:
        pool: The candidates.
        items: Questions with constraints or references.
        bank: Of the aptitude test.
        embedder: `adhere.load("minilm")`.
        folder: Where the router goes.
        around: The model of candidates that name none.
        seed: Of the split and the groups.
        say: Told what is done next.

    Raises:
        UsageError: for too few questions, or outcomes that cannot teach a router.
        DataError: for a question without constraints or references, or one that the bank asks too.
    """
    await _check(items, bank)
    zoo = answerers(pool, around)
    capabilities: dict[str, Capability] = {}
    for name, candidate in zoo.items():
        say(f"aptitude test of '{name}': {len(bank)} questions")
        capabilities[name] = await aptitude_test(candidate, bank, name)
    say(f"{len(zoo)} candidates answer {len(items)} questions")
    outcomes, failed = await collect(zoo, items)
    costs = [pool[name].cost for name in zoo]
    comparison = await held_out(outcomes, items, capabilities, bank, embedder, costs=costs, seed=seed)
    router = await CapabilityRouter.train(outcomes, items, capabilities, bank, embedder, seed=seed)
    router.save(folder, pool=kept(pool), comparison=comparison, bank=_stored(bank))
    return Trained(router, comparison, failed + sum(c.failed for c in capabilities.values()))


async def held_out(
    outcomes: Sequence[Outcome],
    items: Sequence[Instruction],
    capabilities: Mapping[str, Capability],
    bank: Bank,
    embedder: Model,
    *,
    costs: Sequence[float],
    seed: int = 0,
) -> dict[str, Any]:
    """Train on a part of the items and compare the router with its baselines on the rest, paired by item.

    Returns:
        `arms` (mean, 95% interval, n), `router minus best single`, and `curve`: cost and quality by cost weight.
    """
    import numpy as np

    out = np.random.default_rng(seed).permutation(len(items))[: round(HELD * len(items))]
    held = {items[i].id for i in out}
    rest, tested = [i for i in items if i.id not in held], [i for i in items if i.id in held]
    names = list(dict.fromkeys(o.candidate for o in outcomes))
    router = await CapabilityRouter.train(
        [o for o in outcomes if o.item_id not in held], rest, capabilities, bank, embedder, seed=seed
    )
    table = {(o.item_id, o.candidate): o.score for o in outcomes}
    train, test = (np.array([[table[i.id, n] for n in names] for i in rows]) for rows in (rest, tested))
    places = await embedder.embed([i.prompt for i in tested])
    known = await embedder.embed([i.prompt for i in rest])
    expected = router.expected(places)
    found = arms(train, test, router.choices(places, names), neighbours(places, known, train))
    most = max(costs) or 1.0
    curve = cost_quality(expected, test, costs, [w / most for w in WEIGHTS])
    return {
        "arms": {arm: _rate(values) for arm, values in found.items()},
        "router minus best single": _rate(found["router"] - found["best single"]),
        "curve": [point._asdict() for point in curve],
        "singles": {name: _rate(test[:, k]) for k, name in enumerate(names)},
    }


async def add_candidate(
    folder: Path, name: str, candidate: Candidate, embedder: Model, *, around: Answerer | None = None
) -> Capability:
    """Let a candidate take the test that a router's candidates took, and join it. Nothing is trained.

    Raises:
        DataError: if the folder holds no router.
    """
    config = saved.read(folder).config
    router = CapabilityRouter.load(folder, embedder)
    bank = _restored(config.get("bank", {}), folder)
    zoo = answerers({name: candidate}, around)
    capability = await aptitude_test(zoo[name], bank, name)
    router.add(capability)
    more = {key: config[key] for key in ("comparison", "bank") if key in config}
    router.save(folder, pool={**config.get("pool", {}), **kept({name: candidate})}, **more)
    return capability


async def _check(items: Sequence[Instruction], bank: Bank) -> None:
    if len(items) < LEAST:
        raise UsageError(f"{len(items)} questions are too few to train a router", hint=f"It needs at least {LEAST}")
    for item in items:
        await Correctness().score(item, Response(""))
    if twice := overlapping(bank, items):
        raise DataError(
            f"{len(twice)} questions are in the aptitude test too, the first is '{twice[0]}'",
            hint="Remove them: a router must not learn from questions that describe its candidates",
        )


def _rate(values: np.ndarray) -> dict[str, float]:
    found = bootstrap_mean(values, draws=2000)
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _stored(bank: Bank) -> dict[str, Any]:
    from adhere.records import to_builtins

    return to_builtins(bank.groups)


def _restored(groups: dict[str, Any], folder: Path) -> Bank:
    import msgspec

    if not groups:
        raise DataError(f"the router in {folder} does not keep its aptitude test", hint="Train it again")
    return Bank(msgspec.convert(groups, dict[str, tuple[Instruction, ...]]))
