"""The commands, one file a verb; thin. Each loads only when it is called, so that `adhere --help` is instant.

Exit status: 0 done; 1 the run finished with failed rows or a failed gate; 2 usage or bad input; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any

import click

from adhere import __version__
from adhere.errors import AdhereError, did_you_mean

__all__ = ["main"]

# command → (module, one line of help); here and not in the modules, so that --help imports none of them.
COMMANDS = {
    "eval": ("eval", "Measure how well a model follows instructions."),
    "answer": ("answer", "Answer a prompt, with a strategy that makes the answer obey."),
    "strategies": ("strategies", "What --strategy takes, and the scorers inside it."),
    "score": ("score", "Grade answers that exist already."),
    "judge": ("judge", "How far a judge agrees with people."),
    "compare": ("compare", "Two runs, paired: what flipped and whether it is more than noise."),
    "leaderboard": ("leaderboard", "One table of several runs, with what is more than noise."),
    "check": ("check", "Check a text against constraints in plain words."),
    "report": ("report", "Write the HTML report of a run again."),
    "budget": ("budget", "What fewer candidates of a best-of-n run would have given."),
    "write": ("write", "Write instructions and examples with a model."),
    "optimize": ("optimize", "Search the instruction or the demonstrations that a task needs."),
    "route": ("route", "Train a router over several models or strategies."),
    "serve": ("serve", "Serve models and strategies to any OpenAI client."),
    "sandbox": ("sandbox", "Run a program in isolation: one verdict."),
    "models": ("models", "List, fetch and show models."),
    "reproduce": ("reproduce", "Measure a paper's claim against its baseline."),
    "methods": ("methods", "The 62 papers: state, parts, results."),
    "constraints": ("constraints", "List and show the constraints that can be checked."),
}


class _ReaderLeft(Exception):
    """Who read our output has gone (`adhere … | head`): nothing is left to say."""


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"adhere.cli.{COMMANDS[cmd_name][0]}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No such command '{args[0]}'. {did_you_mean(args[0], COMMANDS)}".strip(), ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click would leave with 1, which means failed rows here
            raise _ReaderLeft from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="adhere")
def cli() -> None:
    """Adhere makes language models do what they are told.

    Start with:  adhere eval core-quick --model smollm2
    """


def main() -> None:
    """Entry point: errors become one line on stderr and an exit status, never a traceback."""
    _prepare_streams()
    try:
        # Not standalone, click hands an Exit's status back instead of leaving with it.
        sys.exit(cli.main(standalone_mode=False) or 0)
    except AdhereError as error:
        _fail(str(error), error.exit_status)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        said = error.format_message()
        more = f" Try: {error.ctx.command_path} --help" if error.ctx else ""
        _fail(said + ("" if said.endswith((".", "?")) else ".") + more, 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("stopped; what was answered is kept: run the same command again to go on from there", 130)
    except (_ReaderLeft, BrokenPipeError):
        _discard_stdout()
        sys.exit(141)
    except OSError as error:
        _discard_stdout()
        _fail(f"{error.filename or 'output'}: {error.strerror or error}", 2)
    except UnicodeEncodeError as error:  # bytes of a file name or an option that are not UTF-8
        _fail(f"{error.object!a} is not UTF-8. Rename the file, or set a UTF-8 locale (LC_ALL=C.UTF-8)", 2)
    except MemoryError:
        _fail("out of memory. Use a smaller --limit, fewer --slots or a smaller model", 2)


def _prepare_streams() -> None:
    """A closed stream swallows; what the terminal's encoding lacks is an escape: a tick mark must not end a run."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """Let what is still buffered go nowhere: Python would try again to write it at the end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, status: int) -> None:
    print("adhere:", " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(status)
