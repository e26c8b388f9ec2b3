"""`adhere route train|test|show`: learn which candidate answers what, and let new ones join."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adhere.cli.output import json_option, print_json, print_table, say, table

router_option = click.option(
    "--router", type=click.Path(file_okay=False, path_type=Path), help="Router's folder (default: the last one)."
)
model_option = click.option("-m", "--model", help="For candidates that name no model of their own.")
tokens_option = click.option(
    "--max-tokens", type=click.IntRange(1), default=64, show_default=True, help="Cap on each answer."
)


@click.group("route")
def command() -> None:
    """Train a router over models and strategies; use it as --strategy route."""


@command.command("train")
@click.argument("pool", type=click.Path(path_type=Path))
@click.argument("questions", type=click.Path(path_type=Path))
@click.option("--bank", type=click.Path(path_type=Path), help='Aptitude test: prompts with a "group" (default: ours).')
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder (default: in the cache).")
@model_option
@tokens_option
@click.option("--seed", default=0, show_default=True, help="Of the split and the groups.")
@json_option
def train(
    pool: Path, questions: Path, bank: Path | None, out: Path | None, model: str | None, max_tokens: int, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Test every candidate of POOL (TOML), let all answer QUESTIONS, and train a router.

    A question has constraints or references, so that its answers can be checked.
    """
    import adhere
    from adhere.answer.routing.aptitude import default_bank, read_bank
    from adhere.answer.routing.pool import read_pool, remember
    from adhere.answer.routing.training import train_router
    from adhere.data.places import cache_dir
    from adhere.data.rows import read_prompts
    from adhere.engine.sync import call

    candidates, items = read_pool(pool), list(read_prompts(questions))
    test = read_bank(bank) if bank else default_bank()
    folder = out or cache_dir() / "routers" / pool.stem
    around = _around(model, max_tokens)
    minilm = adhere.load("minilm")
    made = call(train_router(candidates, items, test, minilm, folder, around=around, seed=seed, say=say))
    remember(folder)
    result = {"router": str(folder), "candidates": _capabilities(made.router), "failed": made.failed,
              "report": made.router.report, **made.comparison}  # fmt: skip
    if as_json:
        print_json(result)
        return
    _show(made.router, made.comparison)
    if made.failed:
        say(f"{made.failed} answers ended in an error and count as wrong")
    click.echo(f"router in {folder}; use it with: --strategy route")


@command.command("test")
@click.argument("name")
@click.option("--strategy", help="Around the candidate's model.")
@click.option("--cost", type=click.FloatRange(0), default=1.0, show_default=True, help="Of one answer.")
@model_option
@tokens_option
@router_option
@json_option
def test(
    name: str, strategy: str | None, cost: float, model: str | None, max_tokens: int, router: Path | None, as_json: bool
) -> None:
    """Let the candidate NAME take the aptitude test and join a router. Nothing is trained again."""
    import adhere
    from adhere.answer.routing.pool import Candidate, last_router
    from adhere.answer.routing.training import add_candidate
    from adhere.engine.sync import call

    folder = router or last_router()
    candidate = Candidate(model or "smollm2", strategy, cost)
    found = call(
        add_candidate(folder, name, candidate, adhere.load("minilm"), around=_around(candidate.model, max_tokens))
    )
    if as_json:
        print_json({"router": str(folder), "candidate": name, "groups": found.groups, "mean": found.mean})
        return
    made = table("group", "accuracy", right=("accuracy",))
    for group, accuracy in found.groups.items():
        made.add_row(group, f"{accuracy:.0%}")
    print_table(made)
    click.echo(f"'{name}' joined the router in {folder}: {found.mean:.0%} on average")


@command.command("show")
@router_option
@json_option
def show(router: Path | None, as_json: bool) -> None:
    """What a router knows of its candidates, and how it did on the questions that were held out."""
    import adhere
    from adhere.answer.routing.pool import last_router
    from adhere.answer.routing.router import CapabilityRouter
    from adhere.score import saved

    folder = router or last_router()
    found = CapabilityRouter.load(folder, adhere.load("minilm"))
    comparison = saved.read(folder).config.get("comparison", {})
    if as_json:
        print_json({"router": str(folder), "candidates": _capabilities(found), "report": found.report, **comparison})
    else:
        _show(found, comparison)


def _around(model: str | None, max_tokens: int) -> Any:
    """The model of candidates that name none; its cap on answers is everybody's."""
    import adhere

    return adhere.load(model or "smollm2", max_tokens=max_tokens)


def _capabilities(router: Any) -> dict[str, Any]:
    return {name: {"mean": c.mean, "groups": c.groups} for name, c in router.candidates.items()}


def _show(router: Any, comparison: dict[str, Any]) -> None:
    tested = table("group", *router.candidates, right=tuple(router.candidates), title="aptitude test")
    for group in next(iter(router.candidates.values())).groups:
        tested.add_row(group, *(f"{c.groups[group]:.0%}" for c in router.candidates.values()))
    print_table(tested)
    if not comparison:
        return
    n = comparison["arms"]["router"]["n"]
    compared = table("way of choosing", "score", "95% interval", right=("score",), title=f"{n} held-out questions")
    rows = {**comparison["arms"], "router minus best single": comparison["router minus best single"]}
    for arm, rate in rows.items():
        compared.add_row(arm, f"{rate['value']:.1%}", f"[{rate['low']:.1%}, {rate['high']:.1%}]")
    print_table(compared)
    curve = table("cost weight", "cost", "score", right=("cost", "score"), title="cost against quality")
    for point in comparison["curve"]:
        curve.add_row(f"{point['weight']:.3g}", f"{point['cost']:.2f}", f"{point['quality']:.1%}")
    print_table(curve)
