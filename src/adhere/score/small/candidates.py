"""The candidates that a small scorer learns from and picks among, drawn as Cappy's repository draws them.

17 an input: one deterministic and four each of four ways to draw. What differs: greedy decoding stands where the
repository has a beam of 4, since no engine here searches beams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adhere.engine import context
from adhere.errors import ModelError
from adhere.models.model import base_model
from adhere.records import Instruction, Response
from adhere.roles import Answerer
from adhere.score.small.data import TaskRow

__all__ = ["DECODINGS", "candidates", "prompt_text", "task_row"]

# Name → what changes in `Sampling`. The first is taken once, the others in turn.
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "sampling": {"temperature": 1.0},
    "temperature": {"temperature": 0.9},
    "top_k": {"temperature": 1.0, "top_k": 40},
    "top_p": {"temperature": 1.0, "top_p": 0.95},
}


def prompt_text(instruction: Instruction) -> str:
    """An instruction as the scorer reads it: the texts of its messages, a line each."""
    return "\n".join(message.text for message in instruction.messages)


async def candidates(
    generator: Answerer, instruction: Instruction, n: int, decodings: Mapping[str, dict[str, Any]] = DECODINGS
) -> list[tuple[str, Response]]:
    """`n` answers with the names of their decodings: the first once, then the others in turn; failed ones are left out.

    They come one after the other, so that an engine which keeps prompts reads this one's once; several instructions
    side by side keep it busy. Their log-probabilities come along where the model gives them, for self-scoring.

    Raises:
        ModelError: if all failed.
    """
    info = base_model(generator).info
    extra = {"top_logprobs": 0} if "token_logprobs" in info.capabilities else {}
    first, *others = decodings
    made: list[tuple[str, Response]] = []
    failed: ModelError | None = None
    for index in range(n):
        name = others[(index - 1) % len(others)] if index else first
        try:
            with context.drawing(index, **decodings[name], **extra):
                made.append((name, await generator.answer(instruction)))
        except ModelError as error:
            failed = failed or error
    if failed and not made:
        raise failed
    return made


async def task_row(instruction: Instruction, generator: Answerer, n: int) -> TaskRow:
    """An instance of a task with `n` candidates, to learn from."""
    found = await candidates(generator, instruction, n)
    return TaskRow(prompt_text(instruction), instruction.references, tuple(r.text for _, r in found))
