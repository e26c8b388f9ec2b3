"""A model that rates one answer from 1 to k: the mean of the ratings, weighted by how probable the model finds each.

    judge = PointwiseJudge(adhere.load("smollm2"), aspect="helpfulness")
    (await judge.score(instruction, response)).value        # 3.41 of 5

The weighted mean is G-Eval's (Liu et al. 2023, arXiv 2303.16634, section 3): finer than one sampled digit, from a
single token. Two answers are compared by their distributions of ratings: P(b is better) is the probability that a
rating of b, drawn from its distribution, is above one of a, plus half of that of equal ones.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from adhere.errors import DataError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import Order, Preference, preference
from adhere.score.judges.pairwise import LONGEST_REASON, REASON_TOKENS
from adhere.score.judges.verdict import Verdict, VerdictReader, fitted, question_text

__all__ = ["ASPECT", "PointwiseJudge"]

NAME = "pointwise"
MOST = 9  # "1" begins "10", and the first token could not tell them apart
ASPECT = "how precisely and honestly the answer does what the request asks for"


class _Rated(NamedTuple):
    """A distribution of ratings, None where there is no verdict; and what was written before or instead."""

    probabilities: dict[int, float] | None
    way: str
    reason: str

    @property
    def mean(self) -> float | None:
        if self.probabilities is None:
            return None
        return sum(rating * p for rating, p in self.probabilities.items())


@register(NAME)
class PointwiseJudge:
    """Rates an answer from 1 (worst) to k (best). `passed` is left open: a rating is no verdict.

    Args:
        model: Who judges.
        k: The best rating, 2 to 9.
        aspect: What is rated.
        reasons: Let it assess the answer in writing first; the rating is then asked for in the next turn.
        with_reference: Show the instruction's first reference, as an answer that is known to be good.

    Raises:
        UsageError: without a model, or for another k.
    """

    def __init__(
        self,
        model: Answerer | None = None,
        k: int = 5,
        aspect: str = ASPECT,
        reasons: bool = False,
        with_reference: bool = False,
    ) -> None:
        if model is None:
            raise UsageError(f"{NAME} needs a model", hint=f"Write {NAME}(model=smollm2)")
        if not 2 <= k <= MOST:
            raise UsageError(f"{NAME} rates from 1 to k, and k is {k}", hint=f"k is 2 to {MOST}")
        self.model = model
        self.k = k
        self.aspect = aspect
        self.reasons = reasons
        self.with_reference = with_reference
        self._reader = VerdictReader(base_model(model))

    def __repr__(self) -> str:
        aspect = "" if self.aspect == ASPECT else f", aspect={self.aspect!r}"
        given = {"reasons": self.reasons, "with_reference": self.with_reference}
        said = "".join(f", {name}=True" for name, value in given.items() if value)
        return f"PointwiseJudge({base_model(self.model).name!r}, k={self.k}{aspect}{said})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """The expected rating; None where the model gave no verdict.

        Raises:
            DataError: if the reference is to be shown and the row has none.
            ContextError: if the question alone does not fit into the model's context; long answers are cut.
            ModelError: if the call failed for good.
        """
        found = await self._rate(instruction, response.text)
        if found.mean is None:
            return Score(NAME, None, None, reason=f"no verdict: {found.reason}")
        return Score(NAME, found.mean, None, reason=found.reason or f"expected rating {found.mean:.2f} of {self.k}")

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """Which of two answers is rated higher; each is rated by itself, so that no position is involved.

        Raises: as `score`.
        """
        one, other = await asyncio.gather(self._rate(instruction, a), self._rate(instruction, b))
        if one.probabilities is None or other.probabilities is None:
            lacking = one if one.probabilities is None else other
            return Preference(None, None, f"no verdict: {lacking.reason}")
        above = sum(
            p * q * (1.0 if s > r else 0.5 if s == r else 0.0)
            for r, p in one.probabilities.items()
            for s, q in other.probabilities.items()
        )
        p = 0.5 if one.probabilities == other.probabilities else above  # the sum may miss a half by a rounding error
        made = preference([Order("a", p, one.way)], a=one.mean, b=other.mean)
        return Preference(p, made.verdict, f"rated a {one.mean:.2f}, b {other.mean:.2f}", (), made.details)

    async def _rate(self, instruction: Instruction, answer: str) -> _Rated:
        if self.with_reference and not instruction.references:
            raise DataError(
                f"row '{instruction.id}' has no reference for the judge to compare with",
                hint="Give it one, or judge with with_reference=false",
            )
        reference = instruction.references[:1] if self.with_reference else ()
        question = question_text(instruction)

        async def attempt(given: tuple[str, ...]) -> _Rated:
            return await self._once(question, given)

        return (await fitted((answer, *reference), attempt))[0]

    async def _once(self, question: str, given: tuple[str, ...]) -> _Rated:
        verdict = Template.of("adhere.score", "judge_point_verdict").render(highest=self.k)
        ending = Template.of("adhere.score", "judge_point_reasons").text if self.reasons else verdict
        fields = {"aspect": self.aspect, "highest": self.k, "question": question, "answer": given[0], "ending": ending}
        if len(given) == 1:
            prompt = Template.of("adhere.score", "judge_point").render(**fields)
        else:
            prompt = Template.of("adhere.score", "judge_point_reference").render(**fields, reference=given[1])
        turns = [Message("user", prompt)]
        reasons = ""
        if self.reasons:
            sampling = Sampling(max_tokens=REASON_TOKENS)
            reasons = (await base_model(self.model).generate(turns, sampling)).text.strip()[:LONGEST_REASON]
            turns += [Message("assistant", reasons)] if reasons else []
            turns.append(Message("user", verdict))
        found: Verdict = await self._reader.read(turns, [str(n) for n in range(1, self.k + 1)])
        if found.probabilities is None:
            return _Rated(None, found.way, found.note)
        return _Rated({int(n): p for n, p in found.probabilities.items()}, found.way, reasons)
