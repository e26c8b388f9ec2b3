"""`adhere strategies`: what --strategy takes, and what scores the answers inside it."""

from __future__ import annotations

import inspect
from typing import Any

import click

from adhere.cli.output import json_option, print_json, print_table, table

ROOMS = (("answer", "strategy"), ("score", "scorer"))


@click.command("strategies")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List what --strategy takes, with its arguments; or show one in full.

    \b
    adhere strategies
    adhere strategies best_of_n
    """
    found = described() if name is None else [_one(name)]
    if as_json:
        print_json(found)
        return
    if name is not None:
        (part,) = found
        click.echo(f"{part['name']}({part['arguments']})    {part['kind']}, {part['paper'] or 'our own'}\n")
        click.echo(part["doc"])
        return
    for room, noun in ROOMS:
        made = table(noun, "arguments", "what it does")
        for part in found:
            if part["room"] == room:
                made.add_row(part["name"], part["arguments"].replace("[", "\\["), part["about"].replace("[", "\\["))
        print_table(made)


def described() -> list[dict[str, Any]]:
    """Strategies, then scorers: name, arguments as text, first sentence and whole docstring, paper."""
    from adhere.registry import parts

    return [_describe(part, noun) for room, noun in ROOMS for part in parts(room).values()]


def _one(name: str) -> dict[str, Any]:
    from adhere.errors import UnknownNameError, did_you_mean

    known = {part["name"]: part for part in reversed(described())}
    if name not in known:
        raise UnknownNameError(f"unknown strategy or scorer '{name}'", hint=did_you_mean(name, known))
    return known[name]


def _describe(part: Any, noun: str) -> dict[str, Any]:
    doc = inspect.getdoc(part.target) or ""
    about = " ".join(doc.split("\n\n")[0].split())
    return {
        "name": part.name, "room": part.room, "kind": noun, "arguments": _arguments(part.target), "about": about,
        "doc": doc, "paper": part.paper,
    }  # fmt: skip


def _arguments(target: Any) -> str:
    """`n=8, scorer=constraints`: without the model, which every strategy gets."""
    shown = []
    for name, parameter in inspect.signature(target).parameters.items():
        if name == "model" and parameter.default is inspect.Parameter.empty:
            continue
        default = parameter.default
        shown.append(name if default is inspect.Parameter.empty else f"{name}={default}")
    return ", ".join(shown)


__all__ = ["command", "described"]
