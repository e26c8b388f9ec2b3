"""What a found prompt is worth: it and no instruction at all, on the same pairs that no search has seen."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import NamedTuple

from adhere.answer.base import draw
from adhere.answer.prompt_program import Prompted, PromptProgram
from adhere.records import Instruction
from adhere.roles import Answerer
from adhere.score.statistics import Rate, bootstrap_mean
from adhere.write.instructions.metrics import grade
from adhere.write.instructions.scoring import InstructionScorer
from adhere.write.instructions.search import evaluate_instruction
from adhere.write.instructions.tasks import Pair

__all__ = ["HeldOut", "held_out_marks", "held_out_score"]


class HeldOut(NamedTuple):
    """A measure on held-out pairs.

    Attributes:
        measure: What was measured.
        without: Mean without the found prompt.
        found: Mean with it.
        difference: Found minus without, paired by pair, with a 95% interval of the bootstrap.
    """

    measure: str
    without: float
    found: float
    difference: Rate


async def held_out_marks(
    program: PromptProgram, bare: PromptProgram, pairs: Sequence[Pair], answerer: Answerer, metric: str, max_tokens: int
) -> HeldOut:
    """The task's metric on greedy answers: the prompt as it will be applied, against the bare question.

    Raises:
        ModelError: if a call fails for good.
    """

    async def mark(asked: PromptProgram, pair: Pair) -> float:
        strategy = Prompted(answerer, asked)
        response = await draw(strategy, Instruction.of(pair.input), temperature=0.0, max_tokens=max_tokens)
        return grade(metric, response.text, pair.outputs)

    found = await asyncio.gather(*(mark(program, pair) for pair in pairs))
    without = await asyncio.gather(*(mark(bare, pair) for pair in pairs))
    return _compared(metric, without, found)


async def held_out_score(instruction: str, pairs: Sequence[Pair], scorer: InstructionScorer) -> HeldOut:
    """The search's own score."""
    without = await evaluate_instruction("", pairs, scorer)
    return _compared(scorer.name, without, await evaluate_instruction(instruction, pairs, scorer))


def _compared(measure: str, without: Sequence[float], found: Sequence[float]) -> HeldOut:
    n = len(found)
    difference = bootstrap_mean([b - a for a, b in zip(without, found, strict=True)])
    return HeldOut(measure, math.fsum(without) / n, math.fsum(found) / n, difference)
