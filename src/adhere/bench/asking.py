"""Putting the instructions of a run to what is evaluated: one answer or failure for each instruction and sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from adhere.bench.base import Ask, Options
from adhere.constraints import Dialect
from adhere.records import Failure, Instruction, Response

__all__ = ["Answer", "Settings", "answers_to"]


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


async def answers_to(
    instructions: Sequence[Instruction],
    model: Any,
    settings: Settings,
    progress: Any = None,
    max_failures: int | None = None,
    ray_model: Any = None,
    *,
    ask: Ask | None = None,
    options: Options | None = None,
) -> list[Answer]:
    """One answer or failure for each instruction and sample, in order.

    Args:
        instructions, model, settings, progress, max_failures, ray_model: As `evaluate_async`'s.
        ask: How one instruction is put; None: `model.answer`.
        options: For `ask`; its answerer is set here.
    """
    from adhere import engine

    cells = [(i, s) for i in instructions for s in range(settings.samples)]
    watch: dict[str, Any] = {"progress": progress, "max_failures": max_failures}
    chosen = options or Options(seed=settings.seed)
    if ray_model is None:
        slots = getattr(model, "concurrency", 16)
        outcomes = engine.run(_answering(model, settings, ask, chosen), cells, concurrency=slots, **watch)
    else:
        from adhere.engine import on_ray

        outcomes = on_ray.run(_RayAnswering(ray_model, settings, ask, chosen), cells, **watch)
    answers: list[Answer | None] = [None] * len(cells)
    async for outcome in outcomes:
        answers[outcome.index] = Answer(*cells[outcome.index], outcome.result, outcome.failure)
    return [a for a in answers if a is not None]


class _Blind:
    """A strategy that is not shown what it is graded by: constraints and references stay outside."""

    def __init__(self, strategy: Any) -> None:
        self.model = strategy

    async def answer(self, instruction: Instruction) -> Response:
        return await self.model.answer(msgspec.structs.replace(instruction, constraints=(), references=()))


def _answering(model: Any, settings: Settings, ask: Ask | None, options: Options) -> Any:
    from adhere.answer.base import Strategy
    from adhere.engine import context

    seen = _Blind(model) if isinstance(model, Strategy) and not settings.oracle else model
    options = options._replace(answerer=seen)

    async def answer(cell: tuple[Instruction, int]) -> Response:
        instruction, sample = cell
        with context.use(seed=settings.seed, sample=sample):
            return await (seen.answer(instruction) if ask is None else ask(options, instruction))

    return answer


class _RayAnswering(NamedTuple):
    """Makes the answering function on a Ray worker."""

    make_model: Any
    settings: Settings
    ask: Ask | None
    options: Options

    def __call__(self) -> Any:
        return _answering(self.make_model(), self.settings, self.ask, self.options)
