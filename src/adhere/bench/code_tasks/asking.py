"""How an item is put: demonstrations in front, and for yes or no also the probabilities of the two words."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from adhere.answer.base import Trace
from adhere.answer.in_context import Layout, ask_with_shots, until
from adhere.answer.prompt_program import Demonstration
from adhere.bench.base import Ask, Options
from adhere.bench.code_tasks.rows import Item
from adhere.bench.code_tasks.shots import Method, Shots
from adhere.errors import ContextError
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.score.labels import label_probabilities

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

    @lru_cache(maxsize=8)
    def shots(task: str, seed: int) -> Shots[Item]:
        return Shots([item for item in pool() if item.task == task], method, k, lambda item: item.code, seed)

    async def ask(options: Options, instruction: Instruction) -> Response:
        picked = await shots(instruction.meta["task"], options.seed).pick(instruction.meta["code"]) if k else []
        return await put(options.answerer, instruction, picked)

    return ask


async def put(answerer: Any, instruction: Instruction, picked: list[Item]) -> Response:
    """One answer, after these demonstrations, and for classification the probabilities in its trace."""
    task, trace = instruction.meta["task"], Trace()
    shown = [Demonstration(item.question, item.target) for item in picked]
    if shown:
        trace.add("demonstrations", items=[item.id for item in picked], selection="")
    answer = await ask_with_shots(answerer, instruction, shown, _LAYOUT, trace, max_tokens=TOKENS[task])
    if task in ("defect", "clone") and isinstance(answerer, Model):
        await _add_probabilities(answerer, instruction, shown, trace)
    return msgspec.structs.replace(answer, text=until(answer.text), trace=(*answer.trace, *trace))


async def _add_probabilities(model: Model, instruction: Instruction, shown: list[Demonstration], trace: Trace) -> None:
    """What the first token says of yes and no, where the model tells its probabilities."""
    if "token_logprobs" not in model.info.capabilities:
        return
    messages = _LAYOUT.program(shown, model).messages(instruction.messages)
    try:
        found = await label_probabilities(model, messages, LABELS)
    except ContextError:
        return
    trace.add("choices", probabilities=found.probabilities, mass=found.mass)
