"""Answer only what is likely to be answered well: `selective(scorer=self_j(PATH), threshold=5)`.

Ye and Ng, "Self-Judge: Selective Instruction Following with Alignment Self-Evaluation" (arXiv 2409.00935), section 2:
the model answers, a scorer predicts the quality of the answer, and under a threshold it is declined. The threshold is
given, or follows from the share of instructions that is to be answered (coverage) and the scorer's calibration grades,
or from a wanted precision on calibration items that can be checked (`calibrated`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from adhere.answer.base import Strategy, Trace, draw
from adhere.errors import UsageError
from adhere.records import Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer, Scorer
from adhere.score.resolve import resolve
from adhere.score.selective_metrics import (
    Curve,
    Threshold,
    risk_coverage,
    threshold_for_coverage,
    threshold_for_precision,
)

__all__ = ["DECLINED", "Calibrated", "Selective", "calibrated"]

DECLINED = "declined"  # the finish reason of a response that is none
SAID = "I would rather not answer this: my answer is not likely to be good enough ({why})."


@register("selective", paper="self-j")
class Selective(Strategy):
    """The answer, or a response that declines (`finish_reason` "declined", the text says so).

    An answer that the scorer could not grade is declined: unknown is not good enough.

    Args:
        model: Who answers.
        scorer: Predicts the quality, e.g. `self_j(PATH)`.
        threshold: The lowest value that is given; in the scorer's unit.
        coverage: Instead of a threshold: the share to be answered, for scorers with calibration grades.

    Raises:
        UsageError: without just one of `threshold` and `coverage`; for a coverage outside (0, 1] or a scorer without
            calibration grades.
    """

    def __init__(
        self, model: Answerer, scorer: Scorer | str, threshold: float | None = None, coverage: float | None = None
    ) -> None:
        self.model = model
        self.scorer = resolve(scorer, model)
        self.threshold = threshold
        self.coverage = coverage
        self.lowest = _lowest(self.scorer, threshold, coverage)

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """The model's answer, or the response that declines."""
        answer = await draw(self.model, instruction)
        score = await self.scorer.score(instruction, answer)
        trace.add("candidate", index=0, text=answer.text, value=score.value, passed=score.passed, reason=score.reason)
        if score.value is not None and score.value >= self.lowest:
            return answer
        trace.add("decline", value=score.value, threshold=self.lowest)
        grade = (
            "it could not be graded" if score.value is None else f"graded {score.value:.2f}, needed {self.lowest:.2f}"
        )
        return msgspec.structs.replace(answer, text=SAID.format(why=grade), finish_reason=DECLINED, logprobs=None)


class Calibrated(NamedTuple):
    """A selective answerer, how its threshold was found, and the scorer's curve on the calibration items."""

    strategy: Selective
    threshold: Threshold
    curve: Curve


async def calibrated(
    model: Answerer, scorer: Scorer | str, instructions: Sequence[Instruction], grader: Scorer, precision: float
) -> Calibrated:
    """Find the threshold from which on answers are right often enough, on instructions whose answers can be checked.

    Args:
        model: Who answers.
        scorer: Predicts the quality.
        instructions: Calibration items, none of which the scorer was trained on.
        grader: Tells what is right: `passed` is True.
        precision: Wanted share of right answers among those given, in (0, 1].

    Returns:
        A strategy that declines everything where the precision was not reached (`threshold.reached` is False).

    Raises:
        UsageError: for a precision outside (0, 1], or without instructions.
    """
    predictor = resolve(scorer, model)

    async def one(instruction: Instruction) -> tuple[float | None, float]:
        answer = await draw(model, instruction)
        verdict = await grader.score(instruction, answer)
        return (await predictor.score(instruction, answer)).value, float(verdict.passed is True)

    rows = await asyncio.gather(*map(one, instructions))
    values, right = [value for value, _ in rows], [passed for _, passed in rows]
    found = threshold_for_precision(values, right, precision)
    curve = risk_coverage(values, [1 - passed for passed in right])
    return Calibrated(Selective(model, predictor, threshold=found.value), found, curve)


def _lowest(scorer: Scorer, threshold: float | None, coverage: float | None) -> float:
    if (threshold is None) == (coverage is None):
        raise UsageError(
            "selective answering needs either a threshold or a coverage",
            hint="E.g. selective(scorer=self_j('PATH'), threshold=5) or coverage=0.7",
        )
    if threshold is not None:
        return threshold
    grades: Sequence[float] = getattr(scorer, "calibration", ())
    if not grades:
        raise UsageError(
            f"{scorer!r} has no calibration grades to find the threshold of a coverage in",
            hint="Give a threshold, or calibrate the judge (adhere.train.self_j.calibrate)",
        )
    return threshold_for_coverage(grades, coverage or 0.0)
