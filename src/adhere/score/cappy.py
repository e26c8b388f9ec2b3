"""Cappy: a small trained scorer as a scorer like any other, and the candidates that it learns from and picks among.

Tan et al. 2023, "Cappy: Outperforming and Boosting Large Multi-Task LMs with a Small Scorer" (arXiv 2311.06720). Parts:
the scorer and its training (`small_scorer.py`, `small_scorer_training.py`), the data builder (`small_scorer_data.py`),
and here what the repository does around them: 17 candidates an input, one deterministic and four each of four ways to
draw. Picking is `best_of_n(scorer=cappy(path))`; on multiple choice, `SmallScorer.classify`.

What differs: greedy decoding stands where the paper has a beam of 4, since no engine here searches beams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from adhere.data.places import cache_dir
from adhere.engine import context
from adhere.errors import ModelError, UsageError
from adhere.models.model import base_model
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.small_scorer import KIND, SmallScorer
from adhere.score.small_scorer_data import TaskRow

__all__ = ["DECODINGS", "Cappy", "candidates", "prompt_text", "task_row"]

# As the repository's candidates: name → what changes in `Sampling`. The first is taken once, the others in turn.
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "sampling": {"temperature": 1.0},
    "temperature": {"temperature": 0.9},
    "top_k": {"temperature": 1.0, "top_k": 40},
    "top_p": {"temperature": 1.0, "top_p": 0.95},
}


@register(KIND, paper="cappy")
class Cappy:
    """A saved small scorer.

    `value` is its raw output, about 0 to 1; `passed` stays undecided, since no threshold is part of the method.

    Args:
        path: The folder that `SmallScorer.save` wrote, or its name among the cache's `scorers`.

    Raises:
        DataError: if there is none.
    """

    def __init__(self, path: str) -> None:
        if not path:
            raise UsageError("cappy needs the folder of a trained scorer", hint="Write cappy('scorers/my-task')")
        named = cache_dir() / "scorers" / path
        self.path = path
        self.scorer = SmallScorer.load(named if (named / saved.CONFIG).is_file() else Path(path))
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Cappy({self.path!r})"

    @classmethod
    def of(cls, scorer: SmallScorer) -> Self:
        """A scorer that was just trained, without a folder."""
        made = cls.__new__(cls)
        made.path, made.scorer, made._turn = repr(scorer), scorer, asyncio.Lock()
        return made

    @classmethod
    def from_saved(cls, found: saved.Saved, model: Answerer | None = None) -> Self:
        """From what `saved.read` found."""
        made = cls.of(SmallScorer.from_saved(found))
        made.path = str(found.folder)
        return made

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        async with self._turn:  # numpy uses all cores already
            (value,) = await asyncio.to_thread(self.scorer.score, prompt_text(instruction), [response.text])
        return Score(KIND, value, reason=f"predicted quality {value:.3f}")


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
