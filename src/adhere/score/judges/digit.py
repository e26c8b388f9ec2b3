"""A judge that grades by one number: the mean of the digits 0 to 9, weighted by how likely the model is to say each.

Self-J (Ye and Ng, arXiv 2409.00935, section 3): z = sum_k k p(k), p being the softmax over the digit tokens of the
first position after the prompt. Probabilities give a finer grade than one sampled digit, from a single token.

What differs from the authors' code: the tokens are those of the model at hand instead of Llama-2's ids; digits that are
no single tokens are scored as whole continuations; and a model that gives no digit any probability leaves the answer
unscored instead of worth 0. The prompts are ours.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from adhere.errors import CapabilityError, DataError, UsageError
from adhere.models.model import Model, base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.labels import Labels, label_probabilities

__all__ = ["SCALE", "DigitJudge", "judge_prompt", "prompt_for", "question_of"]

SCALE = (0, 9)
LEAST = 1e-6  # a model that gives no digit more than this was not grading
WIDEST = 101
NAME = "digit_judge"


@register(NAME, paper="self-j")
class DigitJudge:
    """Grades a response by the expected number.

    `value` is on the scale; None where the model gives no number any probability. `passed` is left open: a grade is no
    verdict.

    Args:
        model: Who judges; with token log-probabilities. A model without chat reads the prompt as plain text.
        scale: Lowest and highest grade.
        with_reference: Show the instruction's first reference to the judge.

    Raises:
        UsageError: for a scale without two grades.
    """

    def __init__(self, model: Answerer, scale: Sequence[int] = SCALE, with_reference: bool = False) -> None:
        self.model = model
        self.scale = _checked(scale)
        self.with_reference = with_reference
        self._whole: asyncio.Task[bool] | None = None  # whether every grade is a single token, found out at most once

    def __repr__(self) -> str:
        given = "" if self.scale == SCALE else f", scale={self.scale}"
        return f"DigitJudge({base_model(self.model).name!r}{given}, with_reference={self.with_reference})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """The expected grade.

        Raises:
            DataError: if the reference is to be shown and the row has none.
            CapabilityError: if the model gives no log-probabilities.
            ModelError: if the call failed for good.
        """
        model = base_model(self.model)
        prompt = prompt_for(instruction, response.text, self.scale, self.with_reference, chat=model.chat)
        grades = [str(n) for n in range(self.scale[0], self.scale[1] + 1)]
        found = await self._read(model, prompt, grades)
        shares = {int(grade): share for grade, share in found.probabilities.items() if share is not None}
        likeliest = max(shares.items(), key=lambda item: item[1], default=(0, 0.0))
        if likeliest[1] * found.mass < LEAST:
            seen = ", ".join(f"{token!r} {p:.2g}" for token, p in found.top) or "nothing"
            return Score(NAME, None, None, reason=f"unscored: no number from {self._range} was likely; top: {seen}")
        value = sum(grade * share for grade, share in shares.items())
        said = f"expected grade {value:.2f} of {self._range}, likeliest {likeliest[0]} ({likeliest[1]:.0%})"
        return Score(NAME, value, None, reason=said)

    @property
    def _range(self) -> str:
        return f"{self.scale[0]}-{self.scale[1]}"

    async def _read(self, model: Model, prompt: str, grades: Sequence[str]) -> Labels:
        """Probabilities of the grades: off the first token, or where some are longer, of the whole continuations."""
        if _nested(grades):
            return await self._continuations(model, prompt, grades)
        found = await label_probabilities(model, prompt, grades)
        # A grade that is not among the alternatives is either unlikely, and rightly 0, or begins with another token.
        if all(found.probabilities.values()) or "logprobs" not in model.info.capabilities:
            return found
        if self._whole is None or self._whole.get_loop() is not asyncio.get_running_loop():
            self._whole = asyncio.ensure_future(_single_tokens(model, grades))
        return found if await self._whole else await self._continuations(model, prompt, grades)

    async def _continuations(self, model: Model, prompt: str, grades: Sequence[str]) -> Labels:
        if model.chat:
            raise CapabilityError(
                f"the grades {self._range} are not single tokens of '{model.name}'",
                hint="In a chat they must be: use grades 0 to 9, or load the judge with chat=False",
            )
        # The line's end belongs to the grade: without it "1" would hold the probability of "10" too.
        tokens = await asyncio.gather(*(model.logprobs(prompt, f"{grade}\n") for grade in grades))
        found = [math.exp(sum(t.logprob for t in continuation)) for continuation in tokens]
        mass = sum(found)
        shares = {g: p / mass if mass > 0 else None for g, p in zip(grades, found, strict=True)}
        return Labels(shares, mass, ())


def prompt_for(
    instruction: Instruction, answer: str, scale: tuple[int, int], with_reference: bool, *, chat: bool = False
) -> str:
    """What the judge reads for a row; see `judge_prompt`.

    Raises:
        DataError: if the reference is wanted and the row has none.
    """
    if with_reference and not instruction.references:
        raise DataError(
            f"row '{instruction.id}' has no reference for the judge to compare with",
            hint="Give it one, or judge with with_reference=false",
        )
    reference = instruction.references[0] if with_reference else None
    return judge_prompt(question_of(instruction), answer, reference, scale, chat=chat)


def judge_prompt(question: str, answer: str, reference: str | None, scale: tuple[int, int], *, chat: bool) -> str:
    """What the judge reads; as plain text it ends where the grade begins."""
    fields = {"lowest": scale[0], "highest": scale[1], "question": question, "answer": answer}
    if reference is None:
        prompt = Template.of("adhere.score", "self_j_without_reference").render(**fields)
    else:
        prompt = Template.of("adhere.score", "self_j_with_reference").render(**fields, reference=reference)
    return prompt if chat else Template.of("adhere.score", "self_j_plain").render(prompt=prompt)


def question_of(instruction: Instruction) -> str:
    """The conversation as one text: a lone message as it is, several with their roles."""
    if len(instruction.messages) == 1:
        return instruction.messages[0].text
    return "\n".join(f"{m.role}: {m.text}" for m in instruction.messages)


def _checked(scale: Sequence[int]) -> tuple[int, int]:
    if len(scale) != 2 or not all(isinstance(n, int) for n in scale) or not 0 <= scale[0] < scale[1]:
        raise UsageError(f"the scale is {list(scale)}", hint="Give the lowest and the highest grade, e.g. [0, 9]")
    if scale[1] - scale[0] >= WIDEST:
        raise UsageError(f"the scale {scale[0]}-{scale[1]} is too wide", hint=f"It may have {WIDEST} grades")
    return scale[0], scale[1]


def _nested(grades: Sequence[str]) -> bool:
    """Whether a grade begins another one, so that the first token cannot tell them apart."""
    return any(one != other and other.startswith(one) for one in grades for other in grades)


async def _single_tokens(model: Model, grades: Sequence[str]) -> bool:
    found = await asyncio.gather(*(model.logprobs("Grade:\n", grade) for grade in grades))
    return all(len(tokens) == 1 for tokens in found)
