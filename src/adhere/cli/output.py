"""What all commands share: options, JSON on stdout, tables, and how a rate is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from adhere.records import encode

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["data_dir_option", "json_option", "print_json", "print_table", "rate_text", "say", "table"]

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")


def _set_data_dir(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ["ADHERE_DATA"] = value


def _accept_data(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        os.environ["ADHERE_ACCEPT_DATA"] = "1"


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data-dir DIR`: where public data sets lie (ADHERE_DATA). `--accept-data`: also of another version."""
    command = click.option(
        "--accept-data",
        is_flag=True,
        expose_value=False,
        callback=_accept_data,
        help="Read a data file of another version than the published one.",
    )(command)
    return click.option(
        "--data-dir",
        type=click.Path(exists=True, file_okay=False),
        expose_value=False,
        callback=_set_data_dir,
        help="Folder of public data sets (default: ADHERE_DATA, else they are downloaded).",
    )(command)


def print_json(document: Any) -> None:
    """One JSON document on stdout, in UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(encode(document) + b"\n")
    sys.stdout.buffer.flush()


def say(message: str) -> None:
    """A line for people, on stderr, where it disturbs no pipe."""
    print(message, file=sys.stderr)


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """A plain table; columns named in `right` are aligned right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def print_table(*made: Any) -> None:
    """Print tables, or whatever rich prints, on stdout: wide where nobody's terminal limits it."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=False)
    with console.capture() as printed:  # written by ourselves: rich would leave with status 1 when the reader has gone
        for part in made:
            console.print(part)
    click.echo(printed.get(), nl=False)


def rate_text(rate: dict[str, Any]) -> tuple[str, str, str]:
    """(value, interval, n) of a rate, ready for a table."""
    if rate["value"] is None:
        return "n/a", "", str(rate["n"])
    return f"{100 * rate['value']:.1f}%", f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}", str(rate["n"])
