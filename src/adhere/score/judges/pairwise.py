"""A model that compares two answers, in both orders, its verdict read off the probabilities of two letters.

    judge = PairwiseJudge(adhere.load("openai:gpt-4o@https://…"))
    (await judge.compare(instruction, a, b)).probability_b

The set-up is MT-Bench's (Zheng et al. 2023, arXiv 2306.05685: both orders, reference-guided, reasons first) with
AlpacaEval 2's continuous preference: P(B) / (P(A) + P(B)) of the first token instead of a parsed verdict. What differs:
MT-Bench calls a pair whose orders disagree a tie, here the probabilities are averaged and the disagreement is kept; and
there is no letter for a tie. The prompts are ours.
"""

from __future__ import annotations

import asyncio

from adhere.errors import UsageError
from adhere.models.base import Sampling
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import Order, Preference, Side, preference, tie
from adhere.score.judges.verdict import VerdictReader, fitted, question_text

__all__ = ["PairwiseJudge"]

NAME = "pairwise"
FIRST, SECOND = "A", "B"
REASON_TOKENS = 300
LONGEST_REASON = 2_000  # characters of a written comparison that are kept


@register(NAME)
class PairwiseJudge:
    """Compares two answers.

    As a scorer it compares the response with the instruction's first reference: `value` is the probability that the
    response is the better one.

    Args:
        model: Who judges.
        reasons: Let it compare in writing first; the verdict is then asked for in the next turn.
        swap: Ask in both orders; without it, only in the given one, whose position bias goes into the verdict.
        with_reference: Show the instruction's first reference, as an answer that is known to be good.

    Raises:
        UsageError: without a model.
    """

    def __init__(
        self, model: Answerer | None = None, reasons: bool = False, swap: bool = True, with_reference: bool = False
    ) -> None:
        if model is None:
            raise UsageError(f"{NAME} needs a model", hint=f"Write {NAME}(model=smollm2), or the model's name alone")
        self.model = model
        self.reasons = reasons
        self.swap = swap
        self.with_reference = with_reference
        self._reader = VerdictReader(base_model(model))

    def __repr__(self) -> str:
        given = {"reasons": self.reasons, "with_reference": self.with_reference}
        said = "".join(f", {name}=True" for name, value in given.items() if value)
        return f"PairwiseJudge({base_model(self.model).name!r}{said}{'' if self.swap else ', swap=False'})"

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """As the class says; two equal answers are a tie without a call.

        Raises:
            ContextError: if the question alone does not fit into the model's context; long answers are cut.
            ModelError: if the call failed for good.
        """
        if a == b:
            return tie("the two answers are the same text")
        sides: tuple[Side, ...] = ("a", "b") if self.swap else ("a",)
        asked = (self._ask(instruction, a, b, first) for first in sides)
        found = await asyncio.gather(*asked)
        cut = max(cut for _, cut in found)
        return preference([order for order, _ in found], **({"cut_at": cut} if cut else {}))

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """How probably the response is better than the reference; undecided where there is none."""
        if not instruction.references:
            return Score(NAME, reason="the instruction has no reference to compare with")
        found = await self.compare(instruction, instruction.references[0], response.text)
        return Score(NAME, found.probability_b, None, reason=found.reason)

    async def _ask(self, instruction: Instruction, a: str, b: str, first: Side) -> tuple[Order, int]:
        """One order, and to how many characters the answers were cut for it."""
        texts = (a, b) if first == "a" else (b, a)
        reference = instruction.references[:1] if self.with_reference else ()

        async def attempt(given: tuple[str, ...]) -> Order:
            return await self._once(question_text(instruction), given, first)

        return await fitted((*texts, *reference), attempt)

    async def _once(self, question: str, given: tuple[str, ...], first: Side) -> Order:
        turns = [Message("user", _prompt(question, given, self.reasons))]
        reasons = ""
        if self.reasons:
            model = base_model(self.model)
            sampling = Sampling(max_tokens=REASON_TOKENS)
            reasons = (await model.generate(turns, sampling)).text.strip()[:LONGEST_REASON]
            turns += [Message("assistant", reasons)] if reasons else []
            turns.append(Message("user", Template.of("adhere.score", "judge_pair_verdict").text))
        found = await self._reader.read(turns, (FIRST, SECOND))
        if found.probabilities is None:
            return Order(first, None, found.way, found.note)
        second = found.probabilities[SECOND]
        return Order(first, second if first == "a" else 1 - second, found.way, reasons)


def _prompt(question: str, given: tuple[str, ...], reasons: bool) -> str:
    """Args: given: first answer, second answer, and the reference where one is shown."""
    fields = {"question": question, "first": given[0], "second": given[1]}
    ending = Template.of("adhere.score", "judge_pair_reasons" if reasons else "judge_pair_verdict").text
    if len(given) == 2:
        return Template.of("adhere.score", "judge_pair").render(**fields, ending=ending)
    return Template.of("adhere.score", "judge_pair_reference").render(**fields, reference=given[2], ending=ending)
