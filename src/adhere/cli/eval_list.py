"""`adhere eval list`: what can be measured, with what data, at what cost; and what so many prompts can show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import print_json, say

if TYPE_CHECKING:
    from adhere.bench.base import Benchmark

__all__ = ["prompts", "show_list", "show_power"]


def show_list(as_json: bool) -> None:
    """Every benchmark: its size, what it measures, its data, its state here, and what it costs."""
    from adhere.registry import parts

    found = [p.target for p in parts("bench").values()]
    if as_json:
        print_json([_row(b) for b in found])
        return
    for b in sorted(found, key=lambda b: b.name):
        here = _here(b)
        facts = " · ".join(filter(None, (prompts(b), here["state"], _cost(b), b.paper and f"paper {b.paper}")))
        click.echo(f"{click.style(b.name, bold=True):40} {facts}")
        click.echo(f"    {b.about[:1].upper()}{b.about[1:]}.")
        click.echo(f"    Data: {here['source']}, {b.licence}." + (f" Suites: {', '.join(b.suite)}." if b.suite else ""))
    click.echo(f"\n{len(found)} benchmarks. ready: the data are here; download: fetched once, by digest.")
    click.echo("Several at once: adhere eval NAME NAME …, or adhere eval --suite NAME")


def prompts(b: Benchmark) -> str:
    """How many prompts it has, in words."""
    return f"{b.size:,} prompts" if b.size else "as many prompts as your files hold"


def _row(b: Benchmark) -> dict[str, Any]:
    """Its line for programs; `size` and `calls` are null where they depend on the user's files."""
    keys = ("name", "about", "licence", "dialect", "headline", "paper", "suite", "judge", "synthetic")
    size = {"size": b.size or None, "calls": round(b.size * b.calls) if b.needs_model and b.size else None}
    return {k: getattr(b, k) for k in keys} | size | _here(b) | {"cost": _cost(b)}


def _here(b: Benchmark) -> dict[str, str]:
    """Where its data come from, and whether it could run now; opens no connection."""
    from adhere.data.sets import at_hand

    if not b.files:
        source = "our own, built in" if b.size else "yours"
        state = "ready" if b.size or _has_rows(b) else "needs --data-dir"
    else:
        source = b.files[0].path
        missing = [f for f in b.files if not at_hand(f)]
        state = "ready" if not missing else "download" if all(f.url for f in missing) else "needs --data-dir"
    needs = {"required": "needs --judge"}.get(b.judge, "")
    if not b.needs_model and not b.tested and not needs:
        needs = "needs --scorer"
    return {"source": source, "state": ", ".join(filter(None, (state, needs)))}


def _has_rows(b: Benchmark) -> bool:
    from adhere.errors import AdhereError

    try:
        return bool(b.instructions(1))
    except AdhereError:
        return False


def _cost(b: Benchmark) -> str:
    """Model calls, in all or (where files decide how many that are) a prompt, and how long an answer may be."""
    if not b.needs_model:
        return f"{b.size} pairs to score" if b.size else "a pair to score each"
    if b.size:
        calls = f"{b.size * b.calls:.0f} calls"
    elif b.calls == 1:
        calls = "1 call a prompt"
    else:
        calls = f"{'about ' if b.calls % 1 else ''}{b.calls:.2g} calls a prompt"
    return calls + (f", ≤ {b.max_tokens} tokens" if b.max_tokens else "")


def show_power(benchmark: Benchmark, limit: int | None, baseline: Path | None) -> None:
    """Before a run: the smallest difference that it would probably show, on stderr."""
    from adhere.bench.run_dir import load
    from adhere.bench.scored import cluster
    from adhere.score.statistics import minimum_detectable

    clusters = len({cluster(i) for i in benchmark.instructions(limit)})
    declared: Any = benchmark.metrics.get(benchmark.headline)
    if declared is not None and declared.unit != "share":
        say(f"{benchmark.name}: its headline is no share, so that its spread must be seen first; {clusters} prompts")
        return
    base, whence = 0.5, "where a rate varies most, 50%"
    if baseline is not None and (known := load(baseline).metrics.get(benchmark.headline, {}).get("value")) is not None:
        base, whence = known, f"{100 * known:.1f}% in {baseline}"
    found = minimum_detectable(clusters, base)
    what = "any difference" if found != found else f"a difference under {100 * found:.1f} points"
    say(f"{benchmark.name}: {clusters} prompts will probably not show {what} from {whence} (80% power, 5% level)")
