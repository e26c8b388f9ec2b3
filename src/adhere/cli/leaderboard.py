"""`adhere leaderboard DIR…`: runs of several models on several benchmarks as one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adhere.cli.output import json_option, print_json, print_table, say, table
from adhere.errors import UsageError

if TYPE_CHECKING:
    from adhere.bench.leaderboard import Cell, Column, Leaderboard

__all__ = ["command", "print_leaderboard", "run_directories"]

DEEPEST = 2  # folders below a named one in which runs are looked for
WIDEST = 5  # columns that a terminal shows side by side; more models than that are rows


@click.command("leaderboard")
@click.argument("directories", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page: table, map, radar.")
@json_option
def command(directories: tuple[Path, ...], html: Path | None, as_json: bool) -> None:
    """Put the runs of several models on several benchmarks into one table.

    DIR is a run directory or a folder that holds some. A model is marked (*) as the best on a benchmark only where that
    is more than noise: paired against every other, corrected for the number of benchmarks.
    """
    from adhere.bench.leaderboard import leaderboard
    from adhere.bench.run_dir import load

    places = run_directories(directories)
    board = leaderboard([load(place) for place in places])
    if html is not None:
        from adhere.web.leaderboard import write_leaderboard

        write_leaderboard(board, html)
    if as_json:
        print_json(board)
        return
    print_leaderboard(board)
    if html is not None:
        click.echo(f"page: {html}")


def run_directories(named: tuple[Path, ...]) -> list[Path]:
    """The run directories among the named folders and below them, in order of their names.

    Raises:
        UsageError: for a folder without one.
    """
    found: list[Path] = []
    for folder in named:
        patterns = ["/".join(["*"] * depth + ["run.json"]) for depth in range(DEEPEST + 1)]
        here = [manifest.parent for pattern in patterns for manifest in sorted(folder.glob(pattern))]
        if not here:
            raise UsageError(f"no run in {folder}", hint="Give folders that `adhere eval` wrote")
        found += here
    return list(dict.fromkeys(place.resolve() for place in found))


def print_leaderboard(board: Leaderboard) -> None:
    """The table, with benchmarks down and models across where that fits, else the other way round."""
    from rich.markup import escape

    across = len(board.models) <= WIDEST
    models, benchmarks = [escape(m) for m in board.models], [escape(c.benchmark) for c in board.columns]
    heads, lines = (models, benchmarks) if across else (benchmarks, models)
    made = table("benchmark" if across else "model", *heads, right=heads, title="leaderboard")
    for i, line in enumerate(lines):
        pairs = [(j, i) if across else (i, j) for j in range(len(heads))]
        texts = [_text(board.cells[m][b], board.columns[b]) for m, b in pairs]
        label = f"{line}\n[dim]{escape(board.columns[i].label)}[/]" if across else line
        made.add_row(label, *texts)
    print_table(made)
    if any(c.comparisons for c in board.columns):
        click.echo(
            "* the best by more than noise: paired against each other model, Holm's correction over the benchmarks"
        )
    if any(cell is None for row in board.cells for cell in row):
        click.echo("– not run")
    for column in board.columns:
        for note in column.notes:
            say(f"{column.benchmark}: {note}")
    for fake in board.fakes:
        say(f"{fake} is a fake model: its figures say nothing about any language model")


def _text(cell: Cell | None, column: Column) -> str:
    from adhere.cli.figures import figure

    if cell is None:
        return "–"
    value = figure(cell.value, column.unit, mark=True)
    if cell.low is not None and cell.high is not None:
        value = f"{value} [dim]{figure(cell.low, column.unit)} to {figure(cell.high, column.unit)}[/]"
    return f"[bold]* {value}[/]" if cell.best else value
