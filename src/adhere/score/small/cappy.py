"""Cappy: a small trained scorer as a scorer like any other.

Tan et al. 2023, "Cappy: Outperforming and Boosting Large Multi-Task LMs with a Small Scorer" (arXiv 2311.06720). Its
parts: the scorer (`small/scorer.py`) and its training (`small/training.py`), what it learns from
(`small/data.py`) and the candidates (`small/candidates.py`). Picking is
`best_of_n(scorer=cappy(path))`; on multiple choice, `SmallScorer.classify`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from adhere.data.places import cache_dir
from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.small.candidates import prompt_text
from adhere.score.small.scorer import KIND, SmallScorer

__all__ = ["Cappy"]


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
