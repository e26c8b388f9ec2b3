"""`adhere constraints list|show KIND`: what can be checked."""

from __future__ import annotations

import random

import click
import msgspec

from adhere.cli.output import json_option, print_json, print_table, table


@click.group("constraints")
def command() -> None:
    """The constraints that can be checked."""


@command.command("list")
@click.option("--family", help="Only this family.")
@json_option
def list_(family: str | None, as_json: bool) -> None:
    """All kinds with their arguments."""
    from adhere.constraints import kinds
    from adhere.errors import UnknownNameError, suggest

    known = kinds()
    families = sorted({c.family for c in known.values()})
    if family is not None and family not in families:
        raise UnknownNameError(f"unknown family '{family}'", hint=suggest(family, families))
    found = {k: c for k, c in known.items() if family in (None, c.family)}
    if as_json:
        print_json([{"kind": k, "family": c.family, "arguments": _arguments(c)} for k, c in found.items()])
        return
    made = table("kind", "family", "arguments", title=f"{len(found)} constraints")
    for kind, cls in sorted(found.items(), key=lambda item: (":" in item[0], item[1].family, item[0])):
        made.add_row(kind, cls.family, ", ".join(_arguments(cls)))
    print_table(made)


@command.command("show")
@click.argument("kind")
@json_option
def show(kind: str, as_json: bool) -> None:
    """One constraint: what it checks, its arguments, how a prompt may ask for it."""
    from adhere.registry import find

    cls = find("constraints", kind).target
    asked = []
    for seed in range(3):
        rng = random.Random(seed)
        asked.append(cls.sample(rng).describe(rng))
    doc = (cls.__doc__ or "").strip()
    if as_json:
        fields = {"kind": kind, "family": cls.family, "arguments": _arguments(cls), "about": doc}
        print_json(fields | {"languages": cls.claims, "asked_as": asked})
        return
    click.echo(f"{kind}  ({cls.family})\n\n{doc}\n")
    click.echo(f"Arguments: {', '.join(_arguments(cls)) or 'none'}\nAsked for, for example, as:")
    for line in dict.fromkeys(asked):
        click.echo(f"  - {line}")


def _arguments(cls: type) -> list[str]:
    return [f.encode_name + ("" if f.required else "?") for f in msgspec.structs.fields(cls)]
