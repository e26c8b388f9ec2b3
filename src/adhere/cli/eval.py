"""`adhere eval BENCHMARK|FILE`: measure how well a model follows instructions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import data_dir_option, headline_table, json_option, print_json, print_table, say, table
from adhere.cli.strategy import dress, prompt_option, strategy_option
from adhere.errors import UsageError

if TYPE_CHECKING:
    from adhere.bench.base import Benchmark
    from adhere.bench.run_dir import Run


class _Number(click.FloatRange):
    """A FloatRange without NaN, which no comparison refuses."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@click.command("eval")
@click.argument("benchmark", metavar="BENCHMARK|FILE|list")
@click.option(
    "-m", "--model", default="smollm2", show_default=True, help="Name, path, hf:org/name or openai:model@url."
)
@strategy_option
@prompt_option
@click.option("--oracle", is_flag=True, help="Show the strategy the constraints that it is graded by.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N prompts.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers per prompt.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Cap on each answer.")
@click.option("--temperature", type=_Number(0, 100), help="0 is greedy, the default; 0.7 with several samples.")
@click.option("--top-p", type=_Number(0, 1, min_open=True), default=1.0, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Every random choice derives from it.")
@click.option("--dialect", type=click.Choice(["ifeval", "fixed"]), help="How constraints are graded.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Run directory (default: under runs/).")
@click.option("--gate", multiple=True, metavar="METRIC>=X", help="Exit 1 unless it holds; repeatable.")
@click.option("--max-errors", type=click.IntRange(0), help="Stop once more rows than this have failed.")
@click.option(
    "--compare",
    "baseline",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A run directory to compare with, paired: runs/plain.",
)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Also write JUnit XML.")
@click.option("--on", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where to run.")
@click.option("--threads", type=click.IntRange(1), help="Threads of an in-process model (default: by the load).")
@click.option("--fresh", is_flag=True, help="Ask again what is in the cache.")
@click.option("--no-report", is_flag=True, help="Do not write report.html.")
@data_dir_option
@json_option
def command(benchmark: str, **options: Any) -> None:
    """Measure how well a model follows instructions.

    BENCHMARK is a name (`adhere eval list` shows them) or a file of your own prompts: JSONL rows with `prompt` and
    `constraints` (plain words or kind and args), IFEval's format, or one prompt a line.

    What was answered is cached: the same command after an interruption goes on where it stopped.
    """
    if benchmark == "list":
        _list(options["as_json"])
        return
    from adhere.bench.gates import check_gates, check_names, parse_gate, write_junit
    from adhere.bench.run_dir import writable
    from adhere.data.files import shown

    gates = [parse_gate(g) for g in options["gate"]]
    chosen = _benchmark(benchmark)
    if options["oracle"] and not options["strategy"]:
        raise UsageError("--oracle shows constraints to a strategy, and there is none", hint="Add --strategy decrim")
    if gates:
        check_names(gates, chosen.instructions(options["limit"]))
    if options["junit"]:
        writable(options["junit"].parent)
    baseline = _baseline(options["baseline"])
    started = time.perf_counter()
    run, out, stats = _run(chosen, options)
    seconds = time.perf_counter() - started
    results = check_gates(run, gates)
    report = None
    if not options["no_report"]:
        from adhere.web.report import write_report

        report = out / "report.html"
        write_report(run, report)
    if options["junit"]:
        write_junit(run, results, options["junit"])
    if options["as_json"]:
        extra: dict[str, Any] = {"out": shown(out), "report": shown(report) if report else None}
        extra |= {"seconds": round(seconds, 3), "calls": stats.get("calls"), "cached": stats.get("cached")}
        if baseline is not None:
            from adhere.bench.compare import compare_runs

            extra["comparison"] = compare_runs(baseline, run).metrics
        print_json(run.manifest | extra | {"gates": [_gate_document(r) for r in results]})
    else:
        _print(run, out, report, seconds, stats)
        if baseline is not None:
            from adhere.cli.compare import print_comparison

            print_comparison(baseline, run, str(options["baseline"]), str(out), flips=0)
        for result in results:
            click.echo(f"gate {result.gate}: found {result.value} → {'passed' if result.passed else 'FAILED'}")
    failed = run.manifest["counts"]["failed"]
    if failed or not all(r.passed for r in results):
        raise click.exceptions.Exit(1)


def _baseline(place: Path | None) -> Run | None:
    """The run to compare with, read before anything is asked."""
    if place is None:
        return None
    from adhere.bench.run_dir import load

    return load(place)


def _run(chosen: Benchmark, options: dict[str, Any]) -> tuple[Run, Path, dict[str, Any]]:
    from adhere.bench.run import Settings, evaluate
    from adhere.engine import Progress

    temperature = options["temperature"]
    if temperature is None:
        temperature = 0.7 if options["samples"] > 1 else 0.0
    make = _MakeModel(options, temperature)
    settings = Settings(options["limit"], options["samples"], options["seed"], options["dialect"], options["oracle"])
    model = make()
    out = options["out"] or Path("runs") / _run_name(chosen, options["model"], make, settings)
    try:
        run = evaluate(
            chosen,
            model,
            settings,
            out=out,
            progress=Progress(f"{chosen.name} · {options['model']}"),
            max_failures=options["max_errors"],
            ray_model=make if options["on"] == "ray" else None,
        )
    finally:
        stats = _stats(model) if options["on"] == "local" else {}  # Ray's workers have models of their own
    return run, out, stats


class _MakeModel:
    """Makes the model of the command line; picklable, since Ray's workers make their own."""

    def __init__(self, options: dict[str, Any], temperature: float) -> None:
        self.name, self.max_tokens, self.top_p = options["model"], options["max_tokens"], options["top_p"]
        self.temperature, self.threads, self.fresh = temperature, options["threads"], options["fresh"]
        self.strategy, self.prompt_file = options["strategy"], options["prompt_file"]

    def __call__(self) -> Any:
        from adhere.models.base import Sampling
        from adhere.models.names import load

        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        model = load(self.name, sampling=sampling, threads=self.threads, fresh=self.fresh, notify=say)
        return dress(model, self.strategy, self.prompt_file)

    def fields(self) -> dict[str, Any]:
        """What the answers depend on."""
        prompt = self.prompt_file.read_text(encoding="utf-8", errors="replace") if self.prompt_file else None
        changed = {"strategy": self.strategy, "prompt": prompt} if self.strategy or prompt else {}
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p} | changed


def _benchmark(name: str) -> Benchmark:
    from adhere.bench.base import get
    from adhere.bench.files import from_file, looks_like_a_file

    return from_file(Path(name)) if looks_like_a_file(name) else get(name)


def _run_name(chosen: Benchmark, model: str, make: _MakeModel, settings: Any) -> str:
    """The same command gives the same directory, so that a run can be resumed; other settings give another."""
    import re

    from adhere.records import digest

    chosen_settings = {k: v for k, v in settings._asdict().items() if k != "oracle" or v}
    mark = digest({"settings": chosen_settings, "sampling": make.fields(), "model": model})[:8]
    dressed = "-".join(filter(None, (model, make.strategy)))
    safe = re.sub(r"[^\w.-]+", "-", f"{chosen.name}-{dressed}").strip("-")
    return f"{safe[:80]}-{mark}"


def _print(run: Run, out: Path, report: Path | None, seconds: float, stats: dict[str, Any]) -> None:
    m, counts = run.manifest, run.manifest["counts"]
    model = m["model"]
    engine = " ".join(str(model.get(k, "")) for k in ("engine", "quantization") if model.get(k))
    who = f"{model['name']} ({engine})" + (f" · {m['strategy']}" if m["strategy"] else "")
    title = f"{m['benchmark']['name']} · {who} · dialect {m['settings']['dialect']}"
    print_table(headline_table(run.metrics, title))
    if model.get("engine") == "fake":
        click.echo("This is a fake model for dry runs: its figures say nothing about any real model.")
    cut = f"{100 * m['cut_share']:.0f}% cut at {m['sampling'].get('max_tokens', '?')} tokens"
    click.echo(
        f"{counts['answers']} answers to {counts['prompts']} prompts: {counts['failed']} failed, "
        f"{counts['undecided']} verdicts undecided, {cut}"
    )
    written = stats.get("completion_tokens", 0)
    speed = f", {written / seconds:.0f} tokens/s" if written and seconds > 0 else ""
    calls = f": {stats['calls']} model calls, {stats['cached']} from the cache" if stats else ""
    click.echo(f"{seconds:.1f} s{calls}{speed}")
    if m["strategy"]:
        shown = "; it was shown the constraints that it is graded by" if m["settings"]["oracle"] else ""
        click.echo(f"strategy: {m['strategy']}{shown}")
    if cost := m.get("cost"):
        answers = max(1, counts["answers"] - counts["failed"])
        click.echo(
            f"cost an answer: {cost['calls'] / answers:.1f} model calls, {cost['prompt_tokens'] / answers:.0f} tokens "
            f"read, {cost['completion_tokens'] / answers:.0f} written"
        )
    if counts["failed"]:
        first = next(r for r in run.rows if r.error_kind)
        click.echo(f"first failure: {first.id}: {first.error_message}")
    click.echo(f"run:    {out}")
    if report:
        click.echo(f"report: {report.resolve()}")


def _stats(model: Any) -> dict[str, Any]:
    stats = getattr(model, "stats", None)
    names = ("calls", "cached", "completion_tokens", "prompt_tokens")
    return {n: getattr(stats, n) for n in names} if stats is not None else {}


def _gate_document(result: Any) -> dict[str, Any]:
    return {"gate": str(result.gate), "value": result.value, "passed": result.passed}


def _list(as_json: bool) -> None:
    from adhere.registry import parts

    found = [p.target for p in parts("bench").values()]
    if as_json:
        keys = ("name", "about", "size", "licence", "dialect", "headline", "paper")
        print_json([{k: getattr(b, k) for k in keys} for b in found])
        return
    made = table("benchmark", "prompts", "what it measures", "data", right=("prompts",))
    for b in found:
        made.add_row(b.name, str(b.size), b.about, f"{b.licence}, " + (b.files[0].path if b.files else "built in"))
    print_table(made)


__all__ = ["command"]
