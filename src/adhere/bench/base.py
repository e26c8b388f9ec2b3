"""What a benchmark is: instructions, how they are put to a model, what grades the answers, and what the table shows.

Most are a loader and a scorer:

    @benchmark("capitals", about="capitals of countries", size=50, licence="CC0-1.0",
               metrics={"exact": Metric("exact answers")}, scorer=lambda options: ExactMatch(), groups=("continent",))
    def load() -> list[Instruction]: …

Without a scorer the instructions' own constraints are checked, in a dialect, at two levels and two readings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from adhere.constraints import Dialect
from adhere.data.sets import DataFile
from adhere.errors import UsageError
from adhere.records import Failure, Instruction, Response, Score, digest
from adhere.registry import find, register
from adhere.roles import Answerer, Scorer

__all__ = ["Benchmark", "Metric", "Options", "Scored", "benchmark", "get"]


class Metric(NamedTuple):
    """A figure of a benchmark.

    Attributes:
        label: What it says, for people: "prompts, all constraints hold".
        unit: "share" is shown as a percentage; anything else ("points", "words", "") as a number.
        better: Which way is the better one.
    """

    label: str
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"


class Options(NamedTuple):
    """What a command line adds for the benchmarks that need it.

    Attributes:
        answerer: What is evaluated; None where nothing is generated.
        judge: Spec of a judge (`openai:…`, `revis(model=…)`).
        scorer: Spec of the scorer under test, where a benchmark tests one.
        against: Run directory whose answers stand on the other side.
        seed: The run's seed.
        unsafe_sandbox: Run generated code although it cannot be isolated here.
    """

    answerer: Answerer | None = None
    judge: str | None = None
    scorer: str | None = None
    against: Path | None = None
    seed: int = 0
    unsafe_sandbox: bool = False


class Scored(NamedTuple):
    """One answer with its grade; `response` is None where the row failed, `score` where nothing could be graded."""

    instruction: Instruction
    sample: int
    response: Response | None
    failure: Failure | None
    score: Score | None


Loader = Callable[[], Sequence[Instruction]]
MakeScorer = Callable[[Options], Scorer]
Ask = Callable[[Options, Instruction], Awaitable[Response]]
Summary = Callable[[Sequence[Scored], Options], dict[str, Any]]

NO_METRICS: Mapping[str, Metric] = MappingProxyType({})


class Benchmark(NamedTuple):
    """A named set of instructions.

    Attributes:
        name: What users type.
        about: What it measures, in one line.
        load: Reads the instructions; raises DataError where the data are missing. The first N are a fair sample.
        dialect: How its constraints are graded unless the user says otherwise.
        headline: The metric to put first.
        size: Number of prompts.
        licence: Of the data.
        files: The public data files behind it; empty where the data ship with Adhere.
        paper: Slug of the method card.
        metrics: Names and labels of its figures, the headline first: those that the scorer's parts are named by, and
            those of `summary`. Empty: the constraints' accuracies.
        scorer: Makes what grades an answer, from the instruction and the response (its trace included) alone.
        ask: Puts one instruction; None: `answerer.answer(instruction)`.
        summary: Figures over all rows, by name, as `adhere.bench.figures` makes them.
        groups: Keys of `Instruction.meta`; each of their values gets its own figures, `by_<key>.<value>.<metric>`.
        judge: Whether it needs a judge.
        needs_model: False where nothing is generated: a scorer or a judge is what is tested, or `tested`.
        tested: What is tested where nothing is generated and no scorer is named: "logged answers".
        max_tokens: The cap on an answer that its paper uses.
        calls: Model calls a prompt, for the estimate of what a run costs.
        suite: Suites that it belongs to; every benchmark is in "all".
        synthetic: The data are our own.
    """

    name: str
    about: str
    load: Loader
    dialect: Dialect = "ifeval"
    headline: str = "prompt_strict"
    size: int = 0
    licence: str = ""
    files: tuple[DataFile, ...] = ()
    paper: str | None = None
    metrics: Mapping[str, Metric] = NO_METRICS
    scorer: MakeScorer | None = None
    ask: Ask | None = None
    summary: Summary | None = None
    groups: tuple[str, ...] = ()
    judge: Literal["", "optional", "required"] = ""
    needs_model: bool = True
    tested: str = ""
    max_tokens: int | None = None
    calls: float = 1.0
    suite: tuple[str, ...] = ()
    synthetic: bool = False

    def instructions(self, limit: int | None = None) -> list[Instruction]:
        """The first `limit` instructions, or all."""
        return list(self.load())[:limit]

    def check(self, options: Options) -> None:
        """See to it, before anything is generated, that there is what this benchmark needs.

        Raises:
            UsageError: if a judge is needed and none was named.
        """
        if self.judge == "required" and options.judge is None:
            raise UsageError(
                f"benchmark '{self.name}' needs a judge",
                hint="Add --judge openai:MODEL@https://host/v1, or --judge smollm2",
            )


def benchmark(
    name: str,
    *,
    about: str,
    size: int,
    licence: str,
    metrics: Mapping[str, Metric] = NO_METRICS,
    headline: str | None = None,
    **more: Any,
) -> Callable[[Loader], Loader]:
    """Register a loader as a benchmark.

    Args:
        name, about, size, licence, metrics, headline: As the attributes of `Benchmark`; the headline is by default the
            first of the metrics.
        more: Its other attributes.

    Raises:
        TypeError: for one that there is not.
    """
    first = headline or next(iter(metrics), "prompt_strict")

    def add(load: Loader) -> Loader:
        made = Benchmark(name, about, load, headline=first, size=size, licence=licence, metrics=metrics, **more)
        register(name, paper=made.paper, room="bench")(made)
        return load

    return add


def get(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        UnknownNameError: with the nearest names.
    """
    return find("bench", name).target


def fingerprint(instructions: Sequence[Instruction]) -> str:
    """SHA-256 over the instructions: what exactly was asked."""
    return digest([digest(i) for i in instructions])
