"""`adhere eval from-logs traffic.jsonl`: how well real requests were answered, constraint by constraint.

RealInstruct's evaluation (arXiv 2410.06458) on the reader's own traffic: what people asked is decomposed into single
constraints (by rules, or by a model where one is named), and the logged answers, or a new model's, are scored against
them. The system prompt counts: what an operator demands of every answer is read together with the last user message.

    run = evaluate(from_logs("traffic.jsonl"), None)                       # the logged answers
    run = evaluate(from_logs("traffic.jsonl", answers="model"), model)     # another model's, for `adhere compare`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from adhere.bench.base import Benchmark, Options
from adhere.bench.from_logs_rows import Logged, read_traffic
from adhere.bench.real_instruct import METRICS, checklist_scorer, checklist_summary
from adhere.errors import DataError, ModelError, UsageError
from adhere.records import Instruction, Message, Response

__all__ = ["from_logs"]

_HINT = "Let a model look for them: --decompose MODEL"


def from_logs(
    path: str | Path,
    *,
    answers: Literal["logged", "model"] = "logged",
    decompose: str = "rules",
    progress: Any = None,
) -> Benchmark:
    """A benchmark over a log. It is read, and its requests are decomposed, here and now.

    Args:
        path: See `from_logs_rows` for the forms that are read.
        answers: Score the "logged" answers, or a "model"'s.
        decompose: "rules", or the name of a model that lists each request's constraints.
        progress: Shows how far a decomposing model is.

    Returns:
        A benchmark whose `needs_model` says whether anything is generated. It holds the requests in which a constraint
        was found; `about` says how many those are of how many.

    Raises:
        DataError: `file:line` and what is wrong with the log, or that no request in it has a constraint.
        UsageError, UnknownNameError, WeightsError: for a decomposer that there is not.
    """
    from adhere.data.files import shown
    from adhere.engine.sync import call

    if answers not in ("logged", "model"):
        raise UsageError(f"answers='{answers}'", hint="There are: logged, model")
    place = Path(path)
    traffic = read_traffic(place)
    instructions = call(_decomposed(traffic.rows, decompose, progress))
    kept = [i for i in instructions if i.constraints]
    if not kept:
        raise DataError(f"{path}: no constraint was found in any of its {len(instructions)} requests", hint=_HINT)
    logged = {row.instruction.id: row for row in traffic.rows}
    found = sum(len(i.constraints) for i in kept)
    about = f"{len(kept)} of {len(instructions)} logged requests, with {found} constraints found by {decompose}"
    about += f"; {traffic.skipped} lines were no requests" if traffic.skipped else ""

    async def replay(options: Options, instruction: Instruction) -> Response:
        row = logged[instruction.id]
        if row.response is None:
            raise ModelError(row.error)
        return row.response

    return Benchmark(
        shown(place.stem),
        about,
        lambda: kept,
        dialect="fixed",
        headline="checked",
        size=len(kept),
        metrics=METRICS,
        scorer=checklist_scorer,
        ask=replay if answers == "logged" else None,
        summary=checklist_summary,
        judge="optional",
        needs_model=answers == "model",
        tested="" if answers == "model" else "logged answers",
        calls=1.0 if answers == "model" else 0.0,
        paper="decrim",
    )


async def _decomposed(rows: Sequence[Logged], kind: str, progress: Any) -> list[Instruction]:
    """The instructions with their constraints; a model that fails on a request leaves it to the rules."""
    from adhere import engine
    from adhere.answer.decompose import decomposer

    nobody: Any = None  # rules ask no model
    rules = decomposer("rules", nobody)
    chosen = rules if kind == "rules" else decomposer(_named(kind), nobody)

    async def one(instruction: Instruction) -> Instruction:
        asked = _as_one(instruction)
        found = await chosen(asked)
        if found.problem:
            found = await rules(asked)
        return msgspec.structs.replace(
            instruction, constraints=found.constraints, meta=instruction.meta | {"decomposed_by": found.source}
        )

    instructions = [row.instruction for row in rows]
    made: list[Instruction | None] = [None] * len(rows)
    async for outcome in engine.run(one, instructions, concurrency=16, progress=progress):
        made[outcome.index] = outcome.result
        if outcome.failure is not None:
            raise ModelError(f"request '{outcome.item.id}' could not be decomposed: {outcome.failure.message}")
    return [i for i in made if i is not None]


def _named(kind: str) -> str:
    if kind in ("auto", "gold", "self"):
        raise UsageError(f"requests from a log cannot be decomposed by '{kind}'", hint="Take rules, or a model's name")
    return kind


def _as_one(instruction: Instruction) -> Instruction:
    """The system prompt and the last user message as one request, which is what decomposers read."""
    system = [m.text for m in instruction.messages if m.role == "system"]
    text = "\n\n".join((*system, instruction.prompt))
    return Instruction(instruction.id, (Message("user", text),))
