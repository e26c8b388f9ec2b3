"""Critics: scorers that say of each constraint whether an answer meets it.

DeCRIM (arXiv 2410.06458) compares several: the checking program, the model itself ("self", too lenient), another model
("judge"), one trained on the program's verdicts (`judges/weak_critic.py`). SPaR (arXiv 2412.11605) samples a written
judgement
of the whole request and lets several of them vote (`reasoning_judge`). All are scorers; a constraint's text is what
`wording` says of it.

What differs: the judges read Yes or No off the probabilities of the first token instead of parsing prose, since small
models seldom write a clean verdict. SPaR's reference looks for "Yes" anywhere behind a heading, and so takes "(Yes or
No)" for a Yes; here only a last line that says nothing else counts, and where there is none the two words' odds decide.
"""

from __future__ import annotations

import asyncio
import random
import re

from adhere.constraints import Checker, Dialect, Text
from adhere.constraints.plain import find_in
from adhere.constraints.scorer import ConstraintScorer, checker, combine
from adhere.engine.run import FATAL
from adhere.errors import AdhereError, ModelError
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer, Scorer
from adhere.score.judges.base import judge_failed
from adhere.score.labels import Labels, label_probabilities

__all__ = ["Judge", "Oracle", "Program", "ReasoningJudge", "criticise", "wording"]

YES, NO = "Yes", "No"
WHOLE = "request"  # the name of a verdict on everything at once
LONGEST_REASON = 2_000  # characters of a written judgement that are kept
_FINAL = re.compile(r"(?:.{0,200}final judge?ment[^:]{0,40}:)?[\s*\"'.]*(yes|no)[\s*\"'.!]*", re.IGNORECASE)


def wording(constraint: Constraint) -> str:
    """A constraint as a sentence, always the same one; what was told in plain words stays as it was told.

    Raises:
        UnknownNameError, DataError: if there is no such constraint.
    """
    made = checker(constraint, "fixed")
    return constraint.args["text"].strip() if constraint.kind == "told" else made.describe(random.Random(0))


async def criticise(critic: Scorer, instruction: Instruction, response: Response) -> Score:
    """The critic's score; a critic that fails gives an undecided one, whose reason says what happened.

    Raises:
        StoreError, CapabilityError, DependencyError, UsageError, WeightsError: since no row could go well.
    """
    try:
        return await critic.score(instruction, response)
    except FATAL:
        raise
    except Exception as error:  # a critic may be anybody's: its crash must not pass for a verdict, nor end the run
        said = error.message if isinstance(error, AdhereError) else f"{type(error).__name__}: {error}"
        reason = f"the critic failed: {said}"[:LONGEST_REASON]
        parts = tuple(Score(c.kind, reason=reason) for c in instruction.constraints)
        return Score("critic", parts=parts, reason=reason)


@register("constraints", paper="ifeval")
@register("program", paper="decrim")
class Program:
    """The checkers themselves, on `instruction.constraints`, or where there are none on those found in its text.

    `value` is the share that holds; `passed` whether all do, None while some are undecided (`told`) and none fails, or
    where no constraint is known at all.

    Args:
        dialect: "fixed" grades what the instruction says, "ifeval" as the published references do.
        loose: Let a constraint pass if some clean-up of the answer passes.
    """

    def __init__(self, dialect: Dialect = "fixed", loose: bool = False) -> None:
        self.dialect: Dialect = dialect
        self.loose = loose

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dialect={self.dialect!r}, loose={self.loose!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            UnknownNameError, DataError: for a constraint that cannot be built.
        """
        wanted = self._wanted(instruction)
        checkers = [checker(c, self.dialect) for c in wanted]
        try:
            asked = Instruction(instruction.id, instruction.messages, wanted)
            return ConstraintScorer(self.dialect, self.loose).judge(asked, response.text)
        except Exception:  # one that crashed: the others' verdicts are worth having
            text = Text(response.text)
            return combine(tuple(_check(one, text) for one in checkers))

    def _wanted(self, instruction: Instruction) -> tuple[Constraint, ...]:
        return instruction.constraints or find_in(instruction.prompt).constraints


def _check(one: Checker, text: Text) -> Score:
    try:
        return one.check(text)
    except Exception as error:
        return one.undecided(f"the checker failed: {type(error).__name__}: {error}")


@register("oracle", paper="decrim")
class Oracle(Program):
    """The checkers that a benchmark grades with, on `instruction.constraints` alone; undecided where there are none."""

    def __init__(self, dialect: Dialect = "ifeval", loose: bool = False) -> None:
        super().__init__(dialect, loose)

    def _wanted(self, instruction: Instruction) -> tuple[Constraint, ...]:
        return instruction.constraints


@register("self", paper="decrim")
@register("judge", paper="decrim")
class Judge:
    """A model asked of each constraint by itself whether the answer meets it (all of them side by side).

    A part's `value` is the probability of Yes against No, its `passed` whether that is above a half; the score's
    `value` is the mean, the share of constraints that the model expects to hold. Without constraints it is asked once
    about the whole request, which is the critic of plain self-refinement.

    Args:
        model: Who judges; as `self` the answering model.
    """

    def __init__(self, model: Answerer) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self.model, 'name', self.model)!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            CapabilityError: if the model gives no log-probabilities.
        """
        given = {"request": _asked(instruction), "answer": response.text}
        if not instruction.constraints:
            return await self._ask(WHOLE, Template.of("adhere.score", "critic_request").render(**given))
        template = Template.of("adhere.score", "critic_constraint")
        questions = [template.render(constraint=wording(c), **given) for c in instruction.constraints]
        kinds = [c.kind for c in instruction.constraints]
        parts = tuple(await asyncio.gather(*map(self._ask, kinds, questions)))
        whole = combine(parts, "judge")
        return Score("judge", sum(p.value or 0.0 for p in parts) / len(parts), whole.passed, parts, whole.reason)

    async def _ask(self, name: str, question: str) -> Score:
        try:
            return _verdict(name, await label_probabilities(base_model(self.model), question, (YES, NO)))
        except ModelError as error:
            return judge_failed(name, error)


def _verdict(name: str, found: Labels) -> Score:
    yes = found.probabilities[YES]
    if yes is None:
        return Score(name, reason="the model said neither Yes nor No")
    return Score(name, yes, yes > 0.5, reason=f"P({YES}) = {yes:.2f}")


def _asked(instruction: Instruction) -> str:
    """The request as a judge reads it; turns before the last are told apart by their roles."""
    if len(instruction.messages) == 1:
        return instruction.prompt
    return "\n\n".join(f"[{message.role}] {message.text}" for message in instruction.messages)


@register("reasoning_judge", paper="spar")
class ReasoningJudge:
    """A model that goes through the requirements in writing and ends with Yes or No: SPaR's judgement (its step 2).

    At a temperature above 0 each draw is another judgement, so that several can vote (`stochastic`). `reason` is the
    judgement, `passed` its verdict, `value` 1.0 or 0.0.

    Args:
        model: Who judges.
    """

    stochastic = True

    def __init__(self, model: Answerer) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self.model, 'name', self.model)!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            ModelError: if the model failed.
            CapabilityError: if it wrote no verdict and gives no log-probabilities either.
        """
        model = base_model(self.model)
        template = Template.of("adhere.score", "critic_reasoned")
        asked = Message("user", template.render(request=_asked(instruction), answer=response.text))
        judgement = (await model.generate((asked,))).text.strip()[:LONGEST_REASON]
        verdict = final_verdict(judgement)
        if verdict is None:
            again = Message("user", Template.of("adhere.score", "critic_verdict").text)
            said = (asked, Message("assistant", judgement), again) if judgement else (asked, again)
            verdict = _verdict(WHOLE, await label_probabilities(model, said, (YES, NO))).passed
        return Score("reasoning_judge", None if verdict is None else float(verdict), verdict, reason=judgement)


def final_verdict(judgement: str) -> bool | None:
    """What the last line says; None where it is anything but a Yes or No, with or without its heading.

    >>> final_verdict("All is well.\\nFinal judgement: Yes."), final_verdict("Final judgement (Yes or No): Not sure")
    (True, None)
    """
    lines = judgement.strip().splitlines()
    found = _FINAL.fullmatch(lines[-1].strip()) if lines else None
    return None if found is None else found[1].lower() == "yes"
