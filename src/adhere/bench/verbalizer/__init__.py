"""Verbalizer manipulation (Li et al. 2023, arXiv 2307.10558): does a model follow a rule that goes against its habits?

A prompt names the word to answer for each class. The words agree with habit (natural: positive|negative), are unrelated
(neutral: foo|bar) or swapped (unnatural: negative|positive). Whoever follows instructions is as good under all three;
whoever follows habit falls below chance under the last, and the flips say so.

`verbalizer` has two sets of our own, 60 review sentences and 60 sentence pairs, under 12 verbalizers each, read by the
two words' probabilities, raw and calibrated; `verbalizer-text` reads what is written, as the paper; `verbalizer-files`
takes any sets from the data folder's `verbalizer-manipulation/` (see `tasks.py` for the format). The paper's nine sets
are public and not shipped. Not here: its chain-of-thought variant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.verbalizer.reading import VerbalizerScorer, ask
from adhere.bench.verbalizer.tasks import GROUPS, instructions, read_folder
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

__all__ = ["summary"]

FOLDER = Path(__file__).parent
TASKS = DataFile(
    "verbalizer-manipulation/tasks.json", "9695199ec7ecdfcab458684adae1a97b4524825ab0ba733881da262bd402aecd"
)
_READ = {
    "accuracy": Metric("answers right, all verbalizers"),
    "natural": Metric("right, words that agree with habit"),
    "neutral": Metric("right, unrelated words"),
    "unnatural": Metric("right, swapped words"),
    "gap": Metric("natural minus unnatural", unit="", better="lower"),
    "flip": Metric("the other word", better="lower"),
    "first_word": Metric("the first rule's word, whatever is right (0.5: no bias)", unit=""),
    "invalid": Metric("neither word", better="lower"),
}
METRICS = {
    **_READ,
    "calibrated": Metric("right after the content-free prior is subtracted"),
    "mass": Metric("probability of both words together", unit=""),
    "whole_words": Metric("prompts where both words begin alike or were unseen, and were scored whole", unit=""),
}


def _accuracy(scored: Sequence[Scored]) -> list[float]:
    return [float(s.score is not None and bool(s.score.passed)) for s in scored]


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """Accuracy by group, the gap between natural and unnatural words, and how often words were scored whole."""
    from adhere.bench.figures import mean, share, statistic

    found: dict[str, Any] = {}
    for group in GROUPS:
        rows = [s for s in scored if s.instruction.meta["group"] == group]
        found[group] = share(_accuracy(rows), _clusters(rows))
    both = [s for s in scored if s.instruction.meta["group"] != "neutral"]
    pairs = [(s.instruction.meta["group"], right) for s, right in zip(both, _accuracy(both), strict=True)]
    found["gap"] = statistic(_gap, pairs, _clusters(both))
    steps = [step for s in scored if s.response for step in s.response.trace if step.get("step") == "choices"]
    if steps:
        found["whole_words"] = mean([float(step["read"] == "whole words") for step in steps])
    return found


def _gap(rows: Sequence[tuple[str, float]]) -> float | None:
    natural = [right for group, right in rows if group == "natural"]
    unnatural = [right for group, right in rows if group == "unnatural"]
    return sum(natural) / len(natural) - sum(unnatural) / len(unnatural) if natural and unnatural else None


def _clusters(scored: Sequence[Scored]) -> list[str]:
    return [s.instruction.meta["cluster"] for s in scored]


def _own() -> list[Instruction]:
    return instructions(read_folder(FOLDER))


def _files() -> list[Instruction]:
    return instructions(read_folder(locate(TASKS).path.parent))


def _register(name: str, about: str, size: int, load: Callable[[], list[Instruction]], **more: Any) -> None:
    common: dict[str, Any] = {"metrics": METRICS, "ask": ask, "calls": 1.5, "max_tokens": 1}
    benchmark(
        name,
        about=about,
        size=size,
        licence="Apache-2.0",
        scorer=lambda options: VerbalizerScorer(),
        summary=summary,
        groups=("group", "verbalizer", "dataset"),
        paper="verbalizer-manipulation",
        **common | more,
    )(load)


_register(
    "verbalizer",
    "whether swapped class words are followed: sentiment and inference under 12 word pairs, by probabilities",
    1440,
    _own,
    suite=("habit",),
    synthetic=True,
)
_register(
    "verbalizer-text",
    "the same, by what the model writes, as in the paper",
    1440,
    _own,
    metrics=_READ,
    ask=None,
    calls=1.0,
    max_tokens=8,
    synthetic=True,
)
_register(
    "verbalizer-files",
    "the same on any classification set: NAME.jsonl and tasks.json in the data folder",
    576,
    _files,
    files=(TASKS,),
)
