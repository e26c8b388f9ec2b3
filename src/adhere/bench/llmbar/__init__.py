"""LLMBar: can a judge tell which of two answers follows the instruction?

Zeng et al. 2024, "Evaluating Large Language Models at Evaluating Instruction Following" (arXiv 2310.07641): 419 pairs
with an objective winner. In `natural` the difference is as it comes; the other four subsets are adversarial, the worse
answer being the more polished one: an answer to a `neighbor`ing instruction, to one that GPT-4 changed (`gptinst`), a
worse output by GPT-4 (`gptout`), or written so by hand (`manual`). A judge is what is tested: `adhere eval llmbar
--judge smollm2`. The recorded verdicts of five judges come with the file: `--judge "recorded('GPT-4/CoT')"`.

`llmbar-synthetic` is 42 pairs of our own in five subsets, written so that the worse answer is mostly the longer one,
and in `complete` the shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.data.sets import DataFile, locate
from adhere.errors import UnknownNameError, UsageError
from adhere.records import Instruction, Response, Score, to_builtins
from adhere.roles import Scorer

__all__ = ["LLMBAR", "METRICS", "VerdictScorer", "compare_pair"]

# The files of github.com/princeton-nlp/LLMBar (MIT), joined with their recorded verdicts: not to be had by digest.
LLMBAR = DataFile("revis-eval/llmbar.jsonl", "3483b7f8725a5cab40da169605d4b27a00ea5962d7c6008acc199881805a7081")
SYNTHETIC = Path(__file__).with_name("synthetic.jsonl")
NAME = "agreement"
METRICS = {
    "accuracy": Metric("agrees with people (a tie counts half)"),
    "both_right": Metric("agrees in both orders"),
    "flipped": Metric("verdict changes with the order", better="lower"),
    "kappa": Metric("Cohen's kappa", ""),
    "no_verdict": Metric("no verdict", better="lower"),
    "order_accuracy": Metric("agrees in a single order"),
    "first_preferred": Metric("prefers the answer that stands first (50% is fair)", better="lower"),
    "prefers_longer": Metric("prefers the longer answer", better="lower"),
    "gold_prefers_longer": Metric("people prefer the longer answer", better="lower"),
    "length_coefficient": Metric("log-odds per SD of length, quality equal (0 is fair)", "", "lower"),
}


async def compare_pair(options: Options, instruction: Instruction) -> Response:
    """Ask the judge; what it said lies in the trace, so that it can be graded again without it.

    Raises:
        UsageError, WeightsError: for a judge that there is not.
        ModelError: if its model failed for good.
    """
    assert options.judge is not None
    a, b = instruction.meta["answers"]
    found = await _judge(options.judge).compare(instruction, a, b)
    return Response(found.verdict or "no verdict", options.judge, trace=({"step": "judge", **to_builtins(found)},))


@lru_cache(maxsize=4)
def _judge(spec: str) -> Any:
    """The judge, made once a run. That there is none of that name ends the run, and is no failure of a row."""
    from adhere.score.judges.base import resolve_judge

    try:
        return resolve_judge(spec)
    except UnknownNameError as error:
        raise UsageError(error.message, hint=error.hint) from error


class VerdictScorer:
    """Grades a judge's recorded verdict by the gold label: accuracy, both orders right, flipped."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; without a verdict, accuracy is undecided, which counts as 0."""
        from adhere.score.judges.agreement import credit

        row = _judged(instruction, response)
        found = row.found
        assert found is not None
        right = None if row.verdict is None else credit(row.gold, row.verdict)
        parts = [Score("accuracy", right, None if right is None else right == 1.0, reason=found.reason)]
        if len(row.orders) > 1:
            both = all(order.verdict == row.gold for order in row.orders)
            parts.append(Score("both_right", float(both), both))
        if found.flipped is not None:
            parts.append(Score("flipped", float(found.flipped), found.flipped))
        return Score(NAME, right, parts[0].passed, tuple(parts), found.reason)


def _judged(instruction: Instruction, response: Response | None) -> Any:
    from adhere.score.judges.agreement import Judged
    from adhere.score.judges.base import Preference

    found = None
    if response is not None:
        step = next(s for s in response.trace if s.get("step") == "judge")
        found = msgspec.convert({k: v for k, v in step.items() if k != "step"}, Preference)
    meta = instruction.meta
    a, b = meta["answers"]
    return Judged(meta["gold"], found, (len(a), len(b)), str(meta.get("cluster") or instruction.id), meta["subset"])


def _scorer(options: Options) -> Scorer:
    return VerdictScorer()


def _summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """What is no average over single pairs' parts."""
    from adhere.bench.figures import plain
    from adhere.score.judges.agreement import agreement

    found = agreement([_judged(s.instruction, s.response) for s in scored])
    return {name: plain(value) for name, value in found.items() if name in METRICS and name not in _OF_PAIRS}


_OF_PAIRS = ("accuracy", "both_right", "flipped")


def _read(path: Path) -> list[Instruction]:
    """Pairs of all subsets in turns, each as an instruction whose `meta` holds the answers and the gold label."""
    from adhere.score.judges.gold import read_pairs
    from adhere.score.judges.meta import fair_order

    pairs = fair_order((pair.subset, pair) for pair in read_pairs(path))
    return [
        msgspec.structs.replace(
            pair.instruction,
            meta=pair.instruction.meta | {"subset": pair.subset, "gold": pair.gold, "answers": [pair.a, pair.b]},
        )
        for pair in pairs
    ]


_COMMON: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": _scorer,
    "ask": compare_pair,
    "summary": _summary,
    "groups": ("subset",),
    "judge": "required",
    "needs_model": False,
    "calls": 2.0,
    "paper": "revis-eval",
}


@benchmark(
    "llmbar",
    about="a judge under test: 419 pairs with an objective winner, mostly adversarial (--judge)",
    size=419,
    licence="MIT",
    files=(LLMBAR,),
    suite=("judges",),
    **_COMMON,
)
def llmbar() -> list[Instruction]:
    """All pairs."""
    return _read(locate(LLMBAR).path)


@benchmark(
    "llmbar-synthetic",
    about="a judge under test: 42 pairs of our own with an objective winner (--judge)",
    size=42,
    licence="Apache-2.0",
    synthetic=True,
    suite=("judges",),
    **_COMMON,
)
def synthetic() -> list[Instruction]:
    """Our own pairs."""
    return _read(SYNTHETIC)
