"""`adhere eval BENCHMARK…`: measure how well a model follows instructions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from adhere.cli.output import data_dir_option, json_option, print_json, say
from adhere.cli.strategy import prompt_option, strategy_option
from adhere.errors import AdhereError, UsageError

if TYPE_CHECKING:
    from adhere.bench.base import Benchmark
    from adhere.cli.eval_run import Finished

# What names one file or one gate cannot be told of several runs.
SINGLE = ("gate", "junit", "baseline")


class _Number(click.FloatRange):
    """A FloatRange without NaN, which no comparison refuses."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@click.command("eval")
@click.argument("benchmarks", nargs=-1, metavar="BENCHMARK…|FILE|list|from-logs FILE")
@click.option("--suite", help="All benchmarks of a suite, or `all`; those that cannot run here are named.")
@click.option(
    "-m", "--model", "models", multiple=True, default=["smollm2"], show_default=True,
    help="Name, path, hf:org/name or openai:model@url; repeatable.",
)  # fmt: skip
@strategy_option
@prompt_option
@click.option("--oracle", is_flag=True, help="Show the strategy the constraints that it is graded by.")
@click.option("--judge", metavar="SPEC", help="What judges, where a benchmark needs it: openai:…, smollm2, revis(…).")
@click.option("--scorer", metavar="SPEC", help="The scorer under test, where a benchmark tests one.")
@click.option(
    "--against", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A run whose answers stand on the other side of a judged pair.",
)  # fmt: skip
@click.option(
    "--decompose", metavar="MODEL", default="rules", show_default=True,
    help="What finds the constraints in logged requests (from-logs): rules, or a model.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1), help="Only the first N prompts.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers per prompt.")
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Cap on each answer.  [default: the benchmark's own, else 256]"
)
@click.option("--temperature", type=_Number(0, 100), help="0 is greedy, the default; 0.7 with several samples.")
@click.option("--top-p", type=_Number(0, 1, min_open=True), default=1.0, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Every random choice derives from it.")
@click.option("--dialect", type=click.Choice(["ifeval", "fixed"]), help="How constraints are graded.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Run directory (default: under runs/).")
@click.option("--gate", multiple=True, metavar="METRIC>=X", help="Exit 1 unless it holds; repeatable.")
@click.option("--max-errors", type=click.IntRange(0), help="Stop once more rows than this have failed.")
@click.option(
    "--compare", "baseline", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A run directory to compare with, paired: runs/plain.",
)  # fmt: skip
@click.option("--power", is_flag=True, help="Say first what difference so many prompts can show.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Also write JUnit XML.")
@click.option("--on", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where to run.")
@click.option("--threads", type=click.IntRange(1), help="Threads of an in-process model (default: by the load).")
@click.option("--fresh", is_flag=True, help="Ask again what is in the cache.")
@click.option("--unsafe-sandbox/--sandbox", default=False,
              help="Run generated code even where it cannot be isolated, or only isolated: the default.")  # fmt: skip
@click.option("--no-report", is_flag=True, help="Do not write report.html.")
@data_dir_option
@json_option
def command(benchmarks: tuple[str, ...], **options: Any) -> None:
    """Measure how well a model follows instructions.

    BENCHMARK is a name (`adhere eval list` shows them) or a file of your own prompts: JSONL rows with `prompt` and
    `constraints` (plain words or kind and args), IFEval's format, or one prompt a line. `from-logs FILE` takes real
    requests and answers from a server's log, finds the constraints in them and grades the answers.

    What was answered is cached: the same command after an interruption goes on where it stopped.
    """
    if benchmarks[:1] == ("list",):
        from adhere.cli.eval_list import show_list

        show_list(options["as_json"])
        return
    if options["oracle"] and not options["strategy"]:
        raise UsageError("--oracle shows constraints to a strategy, and there is none", hint="Add --strategy decrim")
    chosen, left_out = _chosen(benchmarks, options)
    from adhere.cli import eval_run
    from adhere.models.names import check

    for name in options["models"]:
        check(name)  # all of them now: not the third one an hour after the first was loaded
    plan = [(benchmark, model) for benchmark in chosen for model in options["models"]]
    if len(plan) > 1 and (clash := next((name for name in SINGLE if options[name]), None)):
        flag = "--compare" if clash == "baseline" else f"--{clash}"
        raise UsageError(f"{flag} belongs to one run, and this command makes {len(plan)}", hint="Run them one by one")
    if options["power"]:
        from adhere.cli.eval_list import show_power

        for benchmark in chosen:
            show_power(benchmark, options["limit"], options["baseline"])
    finished = eval_run.run_all(plan, options)
    if len(plan) > 1 or options["suite"]:
        _conclude(finished, left_out, options)
    if any(not one.good for one in finished):
        raise click.exceptions.Exit(1)


def _chosen(names: tuple[str, ...], options: dict[str, Any]) -> tuple[list[Benchmark], list[tuple[str, str]]]:
    """The benchmarks to run, all that can be known of them checked; of a suite also those that cannot run, and why."""
    if bool(names) == bool(options["suite"]):
        raise UsageError("name benchmarks, a file or a suite", hint="adhere eval list shows what there is")
    if options["suite"]:
        return _suite(options["suite"], options)
    if names[0] == "from-logs":
        from adhere.bench.from_logs import from_logs

        if len(names) < 2:
            raise UsageError("from-logs needs a file", hint="adhere eval from-logs traffic.jsonl")
        answers = "model" if _given("models") else "logged"
        found = [from_logs(Path(name), answers=answers, decompose=options["decompose"]) for name in names[1:]]
        for benchmark in found:
            click.echo(f"{benchmark.name}: {benchmark.about}", err=True)
    else:
        found = [_benchmark(name) for name in names]
    for benchmark in found:
        benchmark.check(_bench_options(options))
    return found, []


def _given(option: str) -> bool:
    """Whether the user gave an option, even with its default's value."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _benchmark(name: str) -> Benchmark:
    from adhere.bench.base import get
    from adhere.bench.files import from_file, looks_like_a_file

    return from_file(Path(name)) if looks_like_a_file(name) else get(name)


def _suite(suite: str, options: dict[str, Any]) -> tuple[list[Benchmark], list[tuple[str, str]]]:
    from adhere.registry import parts

    known = [p.target for p in parts("bench").values()]
    wanted = [b for b in known if suite == "all" or suite in b.suite]
    if not wanted:
        suites = sorted({s for b in known for s in b.suite} | {"all"})
        raise UsageError(f"there is no suite '{suite}'", hint=f"There are: {', '.join(suites)}")
    ready, left_out = [], []
    for benchmark in wanted:
        try:
            benchmark.check(_bench_options(options))
            benchmark.instructions(1)
        except AdhereError as error:
            left_out.append((benchmark.name, f"{error.message}. {error.hint or ''}".strip()))
        else:
            ready.append(benchmark)
    if not ready:
        raise UsageError(f"none of the suite '{suite}' can run here", hint="; ".join(why for _, why in left_out[:3]))
    return ready, left_out


def _bench_options(options: dict[str, Any]) -> Any:
    from adhere.bench.base import Options

    return Options(
        judge=options["judge"],
        scorer=options["scorer"],
        against=options["against"],
        seed=options["seed"],
        unsafe_sandbox=options["unsafe_sandbox"],
    )


def _conclude(finished: list[Finished], left_out: list[tuple[str, str]], options: dict[str, Any]) -> None:
    """The table over all runs, and what of a suite did not run."""
    from adhere.bench.leaderboard import leaderboard
    from adhere.cli.leaderboard import print_leaderboard

    board = leaderboard([one.run for one in finished if one.run is not None])
    failures = [(f"{one.benchmark} · {one.model}", one.error) for one in finished if one.error]
    if options["as_json"]:
        runs = [one.document for one in finished]
        print_json({"runs": runs, "leaderboard": board, "not_run": [*left_out, *failures]})
        return
    print_leaderboard(board)
    for name, why in [*left_out, *failures]:
        say(f"not run: {name}: {why}")


__all__ = ["command"]
