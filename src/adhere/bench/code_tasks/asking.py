"""How an item is put: demonstrations in front, and for yes or no also the probabilities of the two words.

With `Priors` those words' probabilities are also read with nothing in the code's place, once for each task and set of
demonstrations, so that `scoring.py` can calibrate them (`adhere.score.calibration`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from adhere.answer.base import Trace
from adhere.answer.in_context import Layout, ask_with_shots, until
from adhere.answer.prompt_program import Demonstration
from adhere.bench.base import Ask, Options
from adhere.bench.code_tasks.rows import Item, blank_code, question
from adhere.bench.code_tasks.shots import Method, Shots
from adhere.errors import ContextError
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response
from adhere.score.calibration import Priors
from adhere.score.labels import Labels, label_probabilities

__all__ = ["LABELS", "TOKENS", "asker"]

LABELS = ("yes", "no")
TOKENS = {"defect": 8, "clone": 8, "assertion": 48, "summary": 32}
_LAYOUT = Layout("icl")


def asker(pool: Callable[[], list[Item]], method: Method = "bm25", k: int = 0) -> Ask:
    """How the items of a set are put.

    Args:
        pool: Reads the solved items of all tasks, when first needed.
        method: How demonstrations are chosen.
        k: How many; 0: none.
    """

    priors = Priors()

    @lru_cache(maxsize=8)
    def shots(task: str, seed: int) -> Shots[Item]:
        return Shots([item for item in pool() if item.task == task], method, k, lambda item: item.code, seed)

    async def ask(options: Options, instruction: Instruction) -> Response:
        picked = await shots(instruction.meta["task"], options.seed).pick(instruction.meta["code"]) if k else []
        return await put(options.answerer, instruction, picked, priors)

    return ask


async def put(answerer: Any, instruction: Instruction, picked: list[Item], priors: Priors | None = None) -> Response:
    """One answer, after these demonstrations, and for classification the probabilities in its trace.

    Args:
        answerer: A model or a strategy; probabilities are read of a model only.
        instruction: An item as a row.
        picked: The demonstrations.
        priors: Where what content-free prompts give is kept; None: they are not put.
    """
    task, trace = instruction.meta["task"], Trace()
    shown = [Demonstration(item.question, item.target) for item in picked]
    if shown:
        trace.add("demonstrations", items=[item.id for item in picked], selection="")
    answer = await ask_with_shots(answerer, instruction, shown, _LAYOUT, trace, max_tokens=TOKENS[task])
    if task in ("defect", "clone") and isinstance(answerer, Model):
        await _add_probabilities(answerer, instruction, shown, trace, priors)
    return msgspec.structs.replace(answer, text=until(answer.text), trace=(*answer.trace, *trace))


async def _add_probabilities(
    model: Model, instruction: Instruction, shown: list[Demonstration], trace: Trace, priors: Priors | None
) -> None:
    """What the first token says of yes and no, where the model tells its probabilities."""
    if "token_logprobs" not in model.info.capabilities:
        return
    program, task = _LAYOUT.program(shown, model), instruction.meta["task"]

    async def blank(text: str) -> list[float]:
        turns = (Message("user", question(task, blank_code(task, text))),)
        return _masses(await label_probabilities(model, program.messages(turns), LABELS))

    try:
        found = await label_probabilities(model, program.messages(instruction.messages), LABELS)
        given = {} if priors is None else {"content_free": await priors.of(model, (task, tuple(shown)), blank)}
    except ContextError:
        return
    trace.add("choices", probabilities=found.probabilities, mass=found.mass, **given)


def _masses(found: Labels) -> list[float]:
    """Each label's share of all probability."""
    return [found.mass * (found.probabilities[label] or 0.0) for label in LABELS]
