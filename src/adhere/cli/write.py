"""`adhere write WRITER`: instructions and examples from a model.

The commands are the writers of the registry, and a command's options are the arguments of the writer's class behind the
answerer: a writer joins by being registered. What it writes goes into a folder: by its own `save(folder)`, where it has
a format of its own, else as examples, one JSON object a line.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from adhere.cli.output import json_option, print_json, say
from adhere.records import Example

TYPES = (int, float, str, bool)  # of arguments that are options


OUT = click.Path(file_okay=False, path_type=Path)


class _Writers(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_writers())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        from adhere.errors import UnknownNameError, suggest

        known = _writers()
        if cmd_name not in known:
            raise UnknownNameError(f"unknown writer '{cmd_name}'", hint=suggest(cmd_name, sorted(known)))
        target = known[cmd_name]
        doc = inspect.getdoc(target) or ""
        made = click.Command(cmd_name, callback=_callback(target), help=doc.split("\n\nArgs:")[0])
        model = click.Option(["-m", "--model"], default="smollm2", show_default=True, help="Who writes.")
        out = click.Option(["--out"], type=OUT, required=True, help="Folder for what is written.")
        made.params = [model, *_options(target, doc), out]
        return json_option(made)


def _writers() -> dict[str, Any]:
    """The room's parts that write examples, by command; it also has searches, which belong to `adhere optimize`."""
    from adhere.registry import parts

    return {
        name.replace("_", "-"): part.target for name, part in parts("write").items() if hasattr(part.target, "write")
    }


@click.group("write", cls=_Writers)
def command() -> None:
    """Write instructions and examples with a model."""


def _options(target: Any, doc: str) -> list[click.Option]:
    """An option for each argument of a plain type; its help is the argument's line in the docstring."""
    hints = get_type_hints(target.__init__)
    made = []
    for name, parameter in list(inspect.signature(target).parameters.items())[1:]:
        kind = hints.get(name)
        if get_origin(kind) is Literal:
            kind = click.Choice(get_args(kind))
        elif kind not in TYPES:
            continue
        line = re.search(rf"^ +{name}: (.+)$", doc, re.M)
        about: dict[str, Any] = {"type": kind, "is_flag": kind is bool, "help": line[1] if line else None}
        if parameter.default is inspect.Parameter.empty:
            about["required"] = True
        else:
            about |= {"default": parameter.default, "show_default": True}
        made.append(click.Option([f"--{name.replace('_', '-')}"], **about))
    return made


def _callback(target: Any) -> Any:
    def run(model: str, out: Path, as_json: bool, **options: Any) -> None:
        from adhere.bench.run_dir import writable
        from adhere.engine import Progress
        from adhere.engine.sync import call
        from adhere.models.names import load

        if "progress" in inspect.signature(target).parameters:
            options["progress"] = partial(Progress, unit="calls")
        answerer = load(model, notify=say)
        writer = target(answerer, **options)
        writable(out)
        say("writing; what was answered is kept, so the same command goes on where it was stopped")
        examples = call(_written(writer))
        files = [str(path) for path in _save(writer, out, examples, click.get_current_context().info_name or "rows")]
        stats = {"calls": answerer.stats.calls, "cached": answerer.stats.cached}
        report = getattr(getattr(writer, "written", None), "report", {})
        if as_json:
            print_json({"rows": len(examples), "files": files, "report": report} | stats)
            return
        for line in _lines(report):
            click.echo(line)
        click.echo(f"{stats['calls']} model calls, {stats['cached']} from the cache")
        for file in files:
            click.echo(f"written: {file}")

    return run


async def _written(writer: Any) -> list[Example]:
    return [example async for example in writer.write(_no_seeds())]


async def _no_seeds() -> AsyncIterator[Example]:
    for example in ():
        yield example


def _save(writer: Any, out: Path, examples: list[Example], name: str) -> list[Path]:
    if hasattr(writer, "save"):
        return writer.save(out)
    from adhere.data.jsonl import write

    write(out / f"{name}.jsonl", examples)
    return [out / f"{name}.jsonl"]


def _lines(report: dict[str, Any], at: str = "") -> list[str]:
    """A report as lines: nested names with slashes, the numbers of a level together."""
    plain = {k: v for k, v in report.items() if not isinstance(v, dict)}
    lines = [f"{at}{', '.join(f'{k} {v}' for k, v in plain.items())}"] if plain else []
    for name, inner in report.items():
        if isinstance(inner, dict):
            lines += _lines(inner, f"{at}{name}: ")
    return lines


__all__ = ["command"]
