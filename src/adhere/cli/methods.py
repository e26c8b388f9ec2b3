"""`adhere methods list|show SLUG`: the state of the mission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from adhere.cli.output import json_option, print_json, print_table, table
from adhere.methods import Method, get, methods


def summary(found: Sequence[Method]) -> str:
    """How many of the papers are in which state."""
    states = Counter(m.state for m in found if not m.extra)
    return f"{states.total()} papers, {states['working']} working, {states['in part']} in part"


@click.group("methods")
def command() -> None:
    """The 62 papers: state, parts, results."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """All methods with their roles, parts, and whether their claim held on small models."""
    found = methods()
    if as_json:
        print_json([_document(m) for m in found])
        return
    made = table("slug", "name", "roles", "state", "parts", "claim", right=("parts",),
                 title=summary(found))  # fmt: skip
    for m in found:
        parts, holds = sum(map(len, m.parts.values())), m.result["holds"] if m.result else ""
        name = m.name + (" (extra)" if m.extra else "")
        made.add_row(m.slug, name, " ".join(m.roles), m.state, str(parts or ""), holds)
    print_table(made)
    click.echo("adhere methods show SLUG: the claim, and the figures that were measured")


@command.command("show")
@click.argument("slug")
@json_option
def show(slug: str, as_json: bool) -> None:
    """One method: its paper, its parts, what its reproduction found."""
    m = get(slug)
    if as_json:
        print_json(_document(m))
        return
    click.echo(f"{m.name}: {m.title}")
    if m.arxiv:
        click.echo(f"  paper   arXiv {m.arxiv}")
    click.echo(f"  roles   {', '.join(m.roles)}\n  does    {m.about}\n  state   {m.state}")
    if m.to_come:
        click.echo(f"  to come {m.to_come}")
    for room, names in m.parts.items():
        more = f" … ({len(names)} in all)" if len(names) > 6 else ""
        click.echo(f"  {room:<7} {', '.join(names[:6])}{more}")
    if not m.result:
        click.echo("  result  none yet")
        return
    for result in (m.result, *m.further):
        click.echo(f"  claim   {result['claim']}\n  result  {result['holds']} at scale {result['scale']}: "
                   f"{result['headline']}\n  again   {result['command']}")  # fmt: skip
        for line in result["lines"]:
            click.echo(f"          {line}")


def _document(m: Method) -> dict[str, Any]:
    return m._asdict() | {"state": m.state}
