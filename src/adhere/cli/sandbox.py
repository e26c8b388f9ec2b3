"""`adhere sandbox run` and `adhere sandbox check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import json_option, print_json, say

if TYPE_CHECKING:
    from adhere.sandbox import Outcome


@click.group("sandbox")
def command() -> None:
    """Run code that nobody has read, isolated and limited."""


@command.command("run", context_settings={"ignore_unknown_options": False})
@click.argument("program", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@click.option("--stdin", type=click.File("rb"), help="What the program reads; - is this command's own stdin.")
@click.option("--cpu", type=float, default=10.0, show_default=True, help="Seconds of processor time, each process.")
@click.option("--wall", type=float, default=15.0, show_default=True, help="Seconds from start to end.")
@click.option("--memory", type=int, default=512, show_default=True, help="MiB, all its processes together.")
@click.option("--python", help="Another interpreter, e.g. of a virtual environment.")
@click.option("--unsafe-sandbox", is_flag=True, help="Where code cannot be isolated, run it all the same.")
@json_option
def run_command(program: Path, argv: tuple[str, ...], stdin: Any, as_json: bool, **options: Any) -> None:
    """Run a Python PROGRAM in the sandbox and give one verdict.

    Verdicts: passed, failed, timeout, memory, forbidden, crashed. Exit status 0 if passed, 1 otherwise.
    """
    from adhere.sandbox import Limits, run_sync

    limits = Limits(cpu=options["cpu"], wall=options["wall"], memory=options["memory"] * 2**20)
    outcome = run_sync(
        program,
        argv=argv,
        stdin=stdin.read() if stdin else b"",
        limits=limits,
        python=options["python"],
        unsafe=options["unsafe_sandbox"],
    )
    if outcome.isolation == "none":
        say("warning: not isolated (--unsafe-sandbox): the program could reach everything that you can")
    if as_json:
        print_json(_document(outcome))
    else:
        sys.stdout.write(outcome.stdout)
        sys.stdout.flush()
        sys.stderr.write(outcome.stderr)
        say(f"{outcome.verdict}{': ' if outcome.reason else ''}{outcome.reason} ({outcome.seconds:.2f} s)")
    if not outcome.passed:
        raise click.exceptions.Exit(1)


def _document(outcome: Outcome) -> dict[str, Any]:
    shown = ("verdict", "reason", "stdout", "stderr", "exit_code", "seconds", "isolation")
    return {name: getattr(outcome, name) for name in shown}


@command.command("check")
@json_option
def check_command(as_json: bool) -> None:
    """Say which isolation is to be had on this machine, and why not more. Exit status 1 if there is none."""
    from adhere.sandbox import isolation, run_sync

    found = isolation()
    lines = [f"bubblewrap {found.version}, {found.bwrap}"] if found.bwrap else []
    lines += found.notes
    works = ""
    if found.mode is not None:
        outcome = run_sync("print('here')")
        works = outcome.verdict if outcome.stdout == "here\n" else f"{outcome.verdict}: {outcome.reason}"
        lines.append(f"a program in the sandbox, {outcome.seconds:.3f} s: {works}")
        lines.append(_memory_note())
    isolated = works == "passed"
    if as_json:
        print_json({"isolated": isolated, "mode": found.mode, "bubblewrap": found.version, "notes": lines})
    else:
        click.echo("\n".join([*lines, f"isolated: {'yes' if isolated else 'no'}"]))
    if not isolated:
        raise click.exceptions.Exit(1)


def _memory_note() -> str:
    from adhere.sandbox.cgroup import memory_groups
    from adhere.sandbox.process import LOOK_EVERY

    found = memory_groups()
    looked = f"looked at every {1000 * LOOK_EVERY:.0f} ms"
    held = f"{found.note}, and {looked}" if found.place else f"{looked} ({found.note})"
    return f"memory of all processes together: {held}"


__all__ = ["command"]
