"""Pages of the site that are written from the code: benchmarks, commands, constraints, methods, strategies."""

from __future__ import annotations

import random
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the generated pages."""
    pages = {
        "benchmarks.md": benchmarks,
        "cli.md": command_line,
        "constraints.md": constraints,
        "methods.md": methods,
        "strategies.md": strategies,
    }
    for name, write in pages.items():
        files.append(File.generated(config, name, content=write()))
    return files


def benchmarks() -> str:
    """Every benchmark: what it measures, its figures, its data, its paper."""
    import inspect

    from adhere.cli.eval_list import prompts
    from adhere.registry import parts as registered

    found = sorted((p.target for p in registered("bench").values()), key=lambda b: b.name)
    made = ["# Benchmarks\n", f"{len(found)}, written from the code; `adhere eval list` adds what is ready here.\n"]
    for b in found:
        facts = [prompts(b), f"data {b.licence}"]
        facts += [f"paper [{b.paper}](methods.md)"] if b.paper else []
        facts += ["needs `--judge`"] if b.judge == "required" else []
        facts += ["with `--judge` more"] if b.judge == "optional" else []
        made.append(f"## {b.name}\n\n{b.about[:1].upper()}{b.about[1:]}. {'; '.join(facts)}.\n")
        lines = [
            f"- `{name}`: {m.label}" + (f", {m.unit}" if m.unit not in ("share", "") else "")
            for name, m in b.metrics.items()
        ]
        if lines:
            made.append("Figures: the headline is `" + b.headline + "`.\n\n" + "\n".join(lines) + "\n")
        module = inspect.getmodule(b.load)
        if module is not None and module.__doc__ and b.metrics:
            made.append(f"```text\n{inspect.cleandoc(module.__doc__)}\n```\n")
    return "\n".join(made)


def strategies() -> str:
    """Every strategy and scorer with its arguments and its docstring."""
    from adhere.cli.strategies import described

    parts = ["# Strategies and scorers\n", "Written from the code; `adhere strategies NAME` prints the same.\n"]
    noun = ""
    for part in described():
        if part["kind"] != noun:
            noun = part["kind"]
            parts.append({"strategy": "## Strategies\n", "scorer": "## Scorers\n"}[noun])
        paper = f", from [{part['paper']}](methods.md)" if part["paper"] else ""
        parts.append(f"### `{part['name']}({part['arguments']})`{paper}\n\n```text\n{part['doc']}\n```\n")
    return "\n".join(parts)


def command_line() -> str:
    """Every command's `--help`."""
    import click

    from adhere.cli import COMMANDS, cli

    parts = ["# Command line\n", "Written from `--help`.\n"]
    root = click.Context(cli, info_name="adhere")
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        parts.append(_help(command, root, name, "##"))
        if isinstance(command, click.Group):
            group = click.Context(command, info_name=name, parent=root)
            parts += [_help(sub, group, sub_name, "###") for sub_name, sub in command.commands.items()]
    return "\n".join(parts)


def _help(command: Any, parent: Any, name: str, level: str) -> str:
    import click

    context = click.Context(command, info_name=name, parent=parent, max_content_width=88, terminal_width=88)
    return f"{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"


def constraints() -> str:
    """Every constraint: kind, arguments, what it checks, how a prompt asks for it."""
    import msgspec

    from adhere.constraints import kinds

    families: dict[str, list[Any]] = {}
    for cls in kinds().values():
        families.setdefault(cls.family, []).append(cls)
    parts = [
        "# Constraints\n",
        f"{len(kinds())} kinds. Kinds without a colon are Adhere's own; the others keep the id that their benchmark "
        "published, and grade as its reference does (`--dialect ifeval`) or as the instruction says (`fixed`).\n",
    ]
    for family, members in sorted(families.items()):
        parts += [f"## {family}\n", "| kind | arguments | asked for, for example, as |", "| --- | --- | --- |"]
        for cls in sorted(members, key=lambda c: (":" in c.kind, c.kind)):
            rng = random.Random(0)
            asked = " ".join(cls.sample(rng).describe(rng).split()).replace("|", "\\|").replace("<", "&lt;")
            arguments = ", ".join(f.name + ("" if f.required else "?") for f in msgspec.structs.fields(cls))
            parts.append(f"| `{cls.kind}` | {arguments} | {asked} |")
        parts.append("")
    return "\n".join(parts)


def methods() -> str:
    """The 62 papers, their state, and what came of their claims."""
    from adhere.cli.methods import summary
    from adhere.methods import methods as all_methods

    found = all_methods()
    parts = [
        "# Methods\n",
        f"{summary(found)}; `adhere methods list` prints the same. A claim that small models do not bear out is `not "
        "shown`; where they show the opposite, the result is `against` it.\n",
        "| method | paper | roles | state | claim |",
        "| --- | --- | --- | --- | --- |",
    ]
    for m in found:
        paper = f"[{m.title}](https://arxiv.org/abs/{m.arxiv})" if m.arxiv else m.title
        holds = f"[{m.result['holds']}](#{m.slug})" if m.result else ""
        parts.append(f"| `{m.slug}` {m.name} | {paper} | {', '.join(m.roles)} | {m.state} | {holds} |")
    for m in (m for m in found if m.result):
        to_come = f"\n\nTo come: {m.to_come}." if m.to_come else ""
        parts.append(f"\n## {m.slug}{to_come}")
        for result in (m.result, *m.further):
            lines = "\n".join([result["headline"], *result["lines"]])
            parts.append(f"\nClaim: {result['claim']}. **{result['holds'].capitalize()}**, by "
                         f"`{result['command']}`.\n\n```text\n{lines}\n```")  # fmt: skip
    return "\n".join(parts) + "\n"
