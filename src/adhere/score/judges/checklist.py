"""Checklist scoring: every constraint of a request judged by itself, by a program where one can, else by a judge.

RealInstruct's evaluation (Ferraz et al. 2024, DeCRIM, arXiv 2410.06458): a request is split into single constraints and
each is judged apart from the others, after some reasoning. What differs: a constraint that a program can check is never
left to a model; the judge's verdict is read off the probabilities of Yes and No; and without a judge what only a judge
could decide stays undecided, which is no pass.
"""

from __future__ import annotations

import asyncio

import msgspec

from adhere.constraints import Dialect
from adhere.constraints.scorer import combine
from adhere.constraints.told import SHOWN
from adhere.errors import ModelError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import judge_failed
from adhere.score.judges.critics import NO, YES, Program, wording
from adhere.score.judges.pairwise import LONGEST_REASON, REASON_TOKENS
from adhere.score.judges.verdict import VerdictReader, fitted, question_text

__all__ = ["TOLD", "Checklist", "resolve_checklist"]

NAME = "checklist"
TOLD = "told"  # the kind of what no program can check


@register(NAME, paper="decrim")
class Checklist:
    """Scores a response constraint by constraint; `parts` are in the order of `instruction.constraints`.

    `value` is the share that holds, `passed` whether all do, None while some are undecided and none fails. A request
    without constraints is undecided: decompose it first (`adhere eval from-logs` does).

    Args:
        model: The judge of what no program can check; None leaves that undecided.
        reasons: Let it reason in writing first, as the paper's judge does; the verdict is asked for in the next turn.
        dialect: How programs check: "fixed" as the constraint says, "ifeval" as the published references do.
    """

    def __init__(self, model: Answerer | None = None, reasons: bool = False, dialect: Dialect = "fixed") -> None:
        self.model = model
        self.reasons = reasons
        self.dialect: Dialect = dialect
        self._program = Program(dialect)
        self._reader = None if model is None else VerdictReader(base_model(model))

    def __repr__(self) -> str:
        who = "" if self.model is None else f"{base_model(self.model).name!r}, "
        return f"Checklist({who}reasons={self.reasons}, dialect={self.dialect!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says. A judge that fails leaves its constraint undecided.

        Raises:
            UnknownNameError, DataError: for a constraint that cannot be built.
        """
        if not instruction.constraints:
            return Score(NAME, reason="the instruction has no constraints")
        parts = await asyncio.gather(*(self._one(instruction, c, response) for c in instruction.constraints))
        return combine(tuple(parts), NAME)

    async def _one(self, instruction: Instruction, constraint: Constraint, response: Response) -> Score:
        if constraint.kind == TOLD and self._reader is not None and response.text.strip():
            return await self._judged(instruction, constraint, response.text)
        alone = msgspec.structs.replace(instruction, constraints=(constraint,))
        return (await self._program.score(alone, response)).parts[0]

    async def _judged(self, instruction: Instruction, constraint: Constraint, answer: str) -> Score:
        fields = {"question": question_text(instruction), "constraint": wording(constraint)}

        async def attempt(given: tuple[str, ...]) -> Score:
            return await self._asked(constraint.kind, {**fields, "answer": given[0]})

        try:
            found = (await fitted((answer,), attempt))[0]
            return msgspec.structs.replace(found, reason=f"'{fields['constraint'][:SHOWN]}': {found.reason}")
        except ModelError as error:
            return judge_failed(constraint.kind, error)

    async def _asked(self, kind: str, fields: dict[str, str]) -> Score:
        assert self._reader is not None
        verdict = Template.of("adhere.score", "judge_constraint_verdict").text
        ending = Template.of("adhere.score", "judge_constraint_reasons").text if self.reasons else verdict
        prompt = Template.of("adhere.score", "judge_constraint").render(**fields, ending=ending)
        turns = [Message("user", prompt)]
        said = ""
        if self.reasons:
            sampling = Sampling(max_tokens=REASON_TOKENS)
            said = (await self._reader.model.generate(turns, sampling)).text.strip()[:LONGEST_REASON]
            turns += [Message("assistant", said)] if said else []
            turns.append(Message("user", verdict))
        found = await self._reader.read(turns, (YES, NO))
        if found.probabilities is None:
            return Score(kind, reason=f"no verdict: {found.note}")
        yes = found.probabilities[YES]
        # The verdict is the value: a share of constraints is no mean of probabilities.
        return Score(kind, float(yes > 0.5), yes > 0.5, reason=f"{said} P({YES}) = {yes:.2f}".strip())


def resolve_checklist(spec: str | None, answerer: Answerer | None = None) -> Checklist:
    """The checklist of a `--judge` option.

    Args:
        spec: A model's name, `checklist(model=…, reasons=true)`, "self" (the answering model judges itself), or None:
            no judge.
        answerer: The answering model.

    Raises:
        UsageError: for a judge that cannot judge a single constraint.
        UnknownNameError, WeightsError: for a model that there is not, or that cannot be had.
    """
    from adhere.models.names import load
    from adhere.partspec import parse
    from adhere.registry import parts
    from adhere.score.resolve import resolve

    if spec is None:
        return Checklist()
    call = parse(spec)
    if call.name == NAME:
        found = resolve(call, answerer)
        assert isinstance(found, Checklist)
        return found
    if spec == "self":
        return Checklist(answerer)
    if call.name in parts("score"):
        raise UsageError(
            f"'{call.name}' does not judge single constraints",
            hint="Name the judge's model, or write checklist(model=…, reasons=true)",
        )
    return Checklist(load(spec))
