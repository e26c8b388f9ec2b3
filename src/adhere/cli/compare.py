"""`adhere compare A B`: two runs, paired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adhere.cli.figures import figure
from adhere.cli.output import json_option, print_json, print_table, say, table

if TYPE_CHECKING:
    from adhere.bench.compare import Comparison
    from adhere.bench.run_dir import Run


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page with the flips side by side."
)
@click.option("--flips", type=click.IntRange(0), default=10, show_default=True, help="How many flips to print.")
@json_option
def command(a: Path, b: Path, html: Path | None, flips: int, as_json: bool) -> None:
    """Compare run B with run A: which instructions flipped, the difference, its interval, the p-value."""
    from adhere.bench.compare import compare_runs
    from adhere.bench.run_dir import load

    run_a, run_b = load(a), load(b)
    found = compare_runs(run_a, run_b)
    if html is not None:
        from adhere.web.report import write_comparison

        write_comparison(run_a, run_b, html, found)
    if as_json:
        print_json(found._asdict() | {"flips": [f._asdict() for f in found.flips], "a": str(a), "b": str(b)})
        return
    print_comparison(run_a, run_b, str(a), str(b), flips=flips, found=found)
    if html is not None:
        click.echo(f"page: {html}")


def print_comparison(
    run_a: Run, run_b: Run, a: str, b: str, *, flips: int = 10, found: Comparison | None = None
) -> None:
    """The table of two runs, and their first flips."""
    from adhere.bench.compare import compare_runs
    from adhere.bench.metrics import labels, unit

    found = found or compare_runs(run_a, run_b)
    for warning in found.warnings:
        say(f"not the same settings: {warning}")
    if found.only_a or found.only_b:
        say(f"left out: {len(found.only_a)} instructions only in A, {len(found.only_b)} only in B")
    columns = (
        "figure" if "metrics" in run_b.manifest["benchmark"] else "accuracy",
        "A",
        "B",
        "B − A",
        "95% interval",
        "p",
        "n",
        "verdict",
    )
    made = table(*columns, right=("A", "B", "B − A", "p", "n"), title=f"A = {a}   B = {b}")
    names = labels(run_b.manifest)
    for name, m in found.metrics.items():
        kind = unit(run_b.manifest, name)
        p = "" if m["p_value"] is None else f"{m['p_value']:.3g}"
        interval = "" if m["low"] is None else f"{figure(m['low'], kind, '+')} to {figure(m['high'], kind, '+')}"
        change = figure(m["difference"], kind, "+")
        made.add_row(
            names[name], figure(m["a"], kind, mark=True), figure(m["b"], kind, mark=True), change, interval, p,
            str(m["n"]), m["verdict"],
        )  # fmt: skip
    print_table(made)
    gained = sum(f.gained for f in found.flips)
    click.echo(f"{len(found.flips)} instructions flipped: {gained} gained, {len(found.flips) - gained} lost")
    for flip in found.flips[:flips]:
        prompt = " ".join(flip.prompt.split())
        click.echo(f"  {'+' if flip.gained else '-'} {flip.id}  [{', '.join(flip.kinds)}]  {prompt[:80]}")
    if 0 < flips < len(found.flips):
        click.echo(f"  … {len(found.flips) - flips} more (--flips {len(found.flips)})")
