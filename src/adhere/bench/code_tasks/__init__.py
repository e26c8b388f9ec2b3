"""Code comprehension and generation (Yuan et al. 2023, arXiv 2308.01240): four tasks, without and with demonstrations.

Defect detection and clone detection (yes or no), assertion generation and summarisation, asked zero-shot, or with the
one solved item that is nearest by BM25. `code-tasks` and `code-tasks-bm25` have 120 items of our own;
`code-tasks-files` and `code-tasks-files-bm25` read the public sets (see `rows.py`). Yes or no is read both from what is
written and from the words' probabilities; of these also after contextual calibration (Zhao et al. 2021), by what the
same prompt gives them without code in it.

What differs: the prompts are ours (the paper's are not public), and one-shot is the only number of shots here; fixed
and random demonstrations and other numbers are in the reproduction. Not here: fine-tuning on a task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adhere.bench.base import benchmark
from adhere.bench.code_tasks.rows import Item, Split, instruction_of, own_items, published_items
from adhere.bench.code_tasks.scoring import METRICS, CodeTaskScorer, summary
from adhere.data.sets import DataFile
from adhere.records import Instruction

__all__: list[str] = []

FILES = DataFile("code-tasks/defect/test.jsonl", "")  # or one of the other tasks' files


def _register(name: str, about: str, size: int, items: Callable[[Split], list[Item]], k: int, **more: Any) -> None:
    async def ask(options: Any, instruction: Instruction) -> Any:
        from adhere.bench.code_tasks.asking import asker

        if name not in _asking:
            _asking[name] = asker(lambda: items("train"), k=k)
        return await _asking[name](options, instruction)

    def load() -> list[Instruction]:
        return [instruction_of(item) for item in items("test")]

    benchmark(
        name, about=about, size=size, metrics=METRICS, scorer=lambda options: CodeTaskScorer(), ask=ask,
        summary=lambda scored, options: summary(scored), paper="code-instruct-eval", max_tokens=48, **more,
    )(load)  # fmt: skip


_asking: dict[str, Any] = {}
_ABOUT = "defects, clones, assertions and summaries of functions"
_OWN: dict[str, Any] = {"licence": "Apache-2.0", "synthetic": True, "suite": ("code",)}
_PUBLIC: dict[str, Any] = {"licence": "of each set", "files": (FILES,)}
# Calls a row: an answer; where it is classified the words' probabilities; and three content-free prompts for each new
# set of demonstrations (38 sets for our own 80 classified rows; of a large pool nearly every row has its own).
_register("code-tasks", f"{_ABOUT}, zero-shot", 120, own_items, 0, calls=1.75, **_OWN)
_register("code-tasks-bm25", f"{_ABOUT}, with the nearest solved one", 120, own_items, 1, calls=2.65, **_OWN)
_FROM_FILES = "the same on Devign, BigCloneBench, ATLAS, CodeSearchNet"
_register("code-tasks-files", _FROM_FILES, 0, published_items, 0, calls=1.5, **_PUBLIC)
_register(
    "code-tasks-files-bm25", "the same, each with the nearest solved one", 0, published_items, 1, calls=3.0, **_PUBLIC
)
