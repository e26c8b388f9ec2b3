"""One run of `adhere eval`, or many: makes the model, runs, writes, prints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.figures import run_table
from adhere.cli.output import print_json, print_table, say
from adhere.cli.strategy import dress
from adhere.errors import AdhereError

if TYPE_CHECKING:
    from adhere.bench.base import Benchmark
    from adhere.bench.run_dir import Run

__all__ = ["Finished", "run_all"]

CAP = 256  # tokens an answer, where neither the user nor the benchmark says


@dataclass
class Finished:
    """A run of one model on one benchmark; without a run where an error ended it."""

    benchmark: str
    model: str
    run: Run | None = None
    document: dict[str, Any] | None = None
    good: bool = False
    error: str = ""


def run_all(plan: Sequence[tuple[Benchmark, str]], options: dict[str, Any]) -> list[Finished]:
    """Run each pair of the plan; of several, one that an error ends does not end the others.

    Raises:
        AdhereError: of a single run.
    """
    if len(plan) == 1:
        return [_one(*plan[0], options, alone=not options["suite"])]
    finished = []
    for benchmark, model in plan:
        try:
            finished.append(_one(benchmark, model, options, alone=False))
        except AdhereError as error:
            say(f"{benchmark.name} · {model}: {error.message}")
            finished.append(Finished(benchmark.name, model, error=error.message))
    return finished


def _one(benchmark: Benchmark, model: str, options: dict[str, Any], *, alone: bool) -> Finished:
    from adhere.bench.gates import check_gates, check_names, parse_gate, write_junit
    from adhere.bench.run_dir import load, writable
    from adhere.data.files import shown

    gates = [parse_gate(g) for g in options["gate"]]
    if gates:
        check_names(gates, benchmark, benchmark.instructions(options["limit"]))
    if options["junit"]:
        writable(options["junit"].parent)
    baseline = load(options["baseline"]) if options["baseline"] else None
    started = time.perf_counter()
    run, out, stats = _run(benchmark, model, options, alone=alone)
    seconds = time.perf_counter() - started
    results = check_gates(run, gates)
    report = None
    if not options["no_report"]:
        from adhere.web.report import write_report

        report = out / "report.html"
        write_report(run, report)
    if options["junit"]:
        write_junit(run, results, options["junit"])
    extra: dict[str, Any] = {"out": shown(out), "report": shown(report) if report else None}
    extra |= {"seconds": round(seconds, 3), "calls": stats.get("calls"), "cached": stats.get("cached")}
    if baseline is not None:
        from adhere.bench.compare import compare_runs

        extra["comparison"] = compare_runs(baseline, run).metrics
    document = run.manifest | extra | {"gates": [_gate_document(r) for r in results]}
    if not options["as_json"]:
        _print(run, out, report, seconds, stats)
        if baseline is not None:
            from adhere.cli.compare import print_comparison

            print_comparison(baseline, run, str(options["baseline"]), str(out), flips=0)
        for result in results:
            click.echo(f"gate {result.gate}: found {result.value} → {'passed' if result.passed else 'FAILED'}")
    elif alone:
        print_json(document)
    good = not run.manifest["counts"]["failed"] and all(r.passed for r in results)
    return Finished(benchmark.name, model, run, document, good)


def _run(benchmark: Benchmark, name: str, options: dict[str, Any], *, alone: bool) -> tuple[Run, Path, dict[str, Any]]:
    from adhere.bench.base import Options
    from adhere.bench.run import Settings, evaluate
    from adhere.engine import Progress
    from adhere.engine.sync import call

    temperature = options["temperature"]
    if temperature is None:
        temperature = 0.7 if options["samples"] > 1 else 0.0
    make = _MakeModel(name, options, temperature, options["max_tokens"] or benchmark.max_tokens or CAP)
    settings = Settings(options["limit"], options["samples"], options["seed"], options["dialect"], options["oracle"])
    added = Options(
        judge=options["judge"], scorer=options["scorer"], against=options["against"], seed=options["seed"],
        unsafe_sandbox=options["unsafe_sandbox"],
    )  # fmt: skip
    model = make() if benchmark.needs_model else None
    run_name = _run_name(benchmark, name, make, settings, added)
    out = Path("runs") / run_name
    if options["out"]:
        out = options["out"] if alone else options["out"] / run_name
    try:
        run = evaluate(
            benchmark,
            model,
            settings,
            options=added,
            out=out,
            progress=Progress(f"{benchmark.name} · {_who(benchmark, name, added)}"),
            max_failures=options["max_errors"],
            ray_model=make if options["on"] == "ray" else None,
        )
    finally:
        stats = _stats(model) if options["on"] == "local" else {}  # Ray's workers have models of their own
        if not alone and hasattr(model, "close"):
            call(model.close())
    return run, out, stats


class _MakeModel:
    """Makes the model of the command line; picklable, since Ray's workers make their own."""

    def __init__(self, name: str, options: dict[str, Any], temperature: float, max_tokens: int) -> None:
        self.name, self.max_tokens, self.top_p = name, max_tokens, options["top_p"]
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


def _who(benchmark: Benchmark, model: str, added: Any) -> str:
    """What is tested, in one word: the model, or the scorer or judge where nothing is generated."""
    return model if benchmark.needs_model else benchmark.tested or added.scorer or added.judge or ""


def _run_name(benchmark: Benchmark, model: str, make: _MakeModel, settings: Any, added: Any) -> str:
    """The same command gives the same directory, so that a run can be resumed; other settings give another."""
    import re

    from adhere.records import digest

    chosen = {k: v for k, v in settings._asdict().items() if k != "oracle" or v}
    extra = {k: str(v) for k in ("judge", "scorer", "against") if (v := getattr(added, k)) is not None}
    asked = {"settings": chosen, "sampling": make.fields(), "model": model} | ({"options": extra} if extra else {})
    who = (_who(benchmark, model, added), make.strategy if benchmark.needs_model else None)
    safe = re.sub(r"[^\w.-]+", "-", f"{benchmark.name}-{'-'.join(filter(None, who))}").strip("-")
    return f"{safe[:80]}-{digest(asked)[:8]}"


def _print(run: Run, out: Path, report: Path | None, seconds: float, stats: dict[str, Any]) -> None:
    m, counts = run.manifest, run.manifest["counts"]
    model = m["model"]
    own = "metrics" in m["benchmark"]
    engine = " ".join(str(model.get(k, "")) for k in ("engine", "quantization") if model.get(k))
    who = f"{model['name']}" + (f" ({engine})" if engine else "") + (f" · {m['strategy']}" if m["strategy"] else "")
    judged = f" · judge {m['settings']['judge']}" if m["settings"].get("judge") else ""
    print_table(
        run_table(m, f"{m['benchmark']['name']} · {who}{judged if own else ' · dialect ' + m['settings']['dialect']}")
    )
    if model.get("engine") == "fake":
        click.echo("This is a fake model for dry runs: its figures say nothing about any real model.")
    cap = m["sampling"].get("max_tokens")
    cut = f", {100 * m['cut_share']:.0f}% cut at {cap} tokens" if cap else ""
    what = "grades" if own else "verdicts"
    click.echo(
        f"{counts['answers']} answers to {counts['prompts']} prompts: {counts['failed']} failed, "
        f"{counts['undecided']} {what} undecided{cut}"
    )
    written = stats.get("completion_tokens", 0)
    speed = f", {written / seconds:.0f} tokens/s" if written and seconds > 0 else ""
    calls = f": {stats['calls']} model calls, {stats['cached']} from the cache" if stats else ""
    click.echo(f"{seconds:.1f} s{calls}{speed}")
    if m["strategy"]:
        seen = "; it was shown the constraints that it is graded by" if m["settings"]["oracle"] else ""
        click.echo(f"strategy: {m['strategy']}{seen}")
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
