"""DeCRIM: decompose the request, criticise the answer constraint by constraint, refine what fails (arXiv 2410.06458).

    obedient = DeCRIM(model, critic="program")
    (await obedient.answer(instruction)).trace      # decompose, draft, critique, refine, critique, …, choose

The paper's algorithm, its ablations included: no decomposition (`decomposer=None`: the critic sees the whole request,
which is plain self-refinement), no critic (`critic=None`: refine in every round), the given constraints as decomposer
("gold") and the benchmark's checkers as critic ("oracle").

What differs: three rounds instead of ten by default; the best answer is kept instead of the last; constraints that
contradict each other are named before any model call, and no round is spent on them; where the critic names nothing to
repair but leaves something undecided the loop ends ("undecided"), since such an answer cannot be called good either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from adhere.answer.base import Strategy, Trace, draw
from adhere.answer.decompose import Clash, Decomposition, contradictions
from adhere.answer.decompose import decomposer as make_decomposer
from adhere.constraints.plain import find_in
from adhere.errors import ModelError, UsageError
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer, Scorer
from adhere.score.judges.critics import criticise
from adhere.score.resolve import resolve

__all__ = ["DeCRIM", "Stopped"]

Stopped = Literal["all_met", "max_rounds", "no_change", "undecided", "model_failed", "no_constraints"]

ROUNDS = 3  # the paper allows 10; small models gain nothing after the first few


class Attempt(NamedTuple):
    """An answer with what the critic said of it; `score` is None where there is no critic."""

    response: Response
    score: Score | None

    @property
    def rank(self) -> float:
        """How good it is: constraints met; for a critic without parts its verdict and value."""
        if self.score is None:
            return 0.0
        if self.score.parts:
            return sum(part.passed is True for part in self.score.parts)
        return (self.score.passed is True) + (self.score.value or 0.0)


@register("decrim", paper="decrim")
class DeCRIM(Strategy):
    """Answers, lets a critic check each constraint, and asks again with exactly the unmet ones named.

    Args:
        model: Who answers and refines.
        decomposer: "auto" (the instruction's constraints, else those that rules find in its text), "rules", "gold",
            "self" (the model), another model or its name; None for no decomposition.
        critic: Any scorer, best one with a part per constraint: "program", "self", "oracle", a judge, a trained one.
            None refines in every round without asking. Without decomposition it judges the request as a whole.
        max_rounds: Refinements at most.
        keep: The answer with most constraints met (of equals the earlier), or the last one.
        temperature: Of the refinements; the first answer is drawn as the model's own sampling says.
        strict: Refuse contradicting constraints instead of naming them in the trace.

    Raises:
        UsageError: for arguments that make no sense.
        UnknownNameError: for a critic or model that there is not.
    """

    def __init__(
        self,
        model: Answerer,
        decomposer: Answerer | str | None = "auto",
        critic: Scorer | str | None = "program",
        max_rounds: int = ROUNDS,
        keep: Literal["best", "last"] = "best",
        temperature: float = 0.7,
        strict: bool = False,
    ) -> None:
        if max_rounds < 0:
            raise UsageError(f"decrim: max_rounds is {max_rounds}", hint="Give 0 or more")
        if keep not in ("best", "last"):
            raise UsageError(f"decrim: keep is '{keep}'", hint="Give best or last")
        if temperature < 0:
            raise UsageError(f"decrim: temperature is {temperature}", hint="Give 0 or more")
        self.model = model
        self.decomposer = decomposer
        self.critic = critic
        self.max_rounds = max_rounds
        self.keep: Literal["best", "last"] = keep
        self.temperature = temperature
        self.strict = strict
        self._decompose = make_decomposer(decomposer, model)
        self._critic = resolve(critic, model) if critic is not None else None

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """As the class says.

        Raises:
            UsageError: with `strict`, if constraints contradict each other; before any model call.
            DataError, UnknownNameError: for a constraint that cannot be built; likewise.
            ModelError: if the first answer could not be had, or a later one for a passing reason (a time-out).
        """
        named = _contradictions(instruction.constraints or find_in(instruction.prompt).constraints, trace)
        if named and self.strict:
            raise UsageError(f"contradicting constraints: {named[0].reason}", hint="Drop one, or leave out strict")
        found = await self._decompose(instruction)
        if self.decomposer is not None:
            trace.add("decompose", constraints=list(found.texts), source=found.source)
        if found.problem:
            trace.add("note", text=found.problem)
        if found.source == "model":
            _contradictions(found.constraints, trace)
        draft = await draw(self.model, instruction)
        trace.add("draft", text=draft.text, **_inner(draft))
        if self.decomposer is not None and not found.constraints:
            trace.add("choose", index=0, because=_WHY["no_constraints"], stopped="no_constraints")
            return draft
        attempts = [await self._judged(instruction, found, draft, trace)]
        stopped = await self._loop(instruction, found, attempts, trace)
        return self._choose(attempts, stopped, trace)

    async def _judged(
        self, instruction: Instruction, found: Decomposition, response: Response, trace: Trace
    ) -> Attempt:
        """The response with the critic's score. Without decomposition the critic gets no constraints to go by."""
        if self._critic is None:
            return Attempt(response, None)
        asked = msgspec.structs.replace(instruction, constraints=found.constraints)
        score = await criticise(self._critic, asked, response)
        trace.add("critique", value=score.value, verdicts=self._verdicts(found, score))
        return Attempt(response, score)

    def _verdicts(self, found: Decomposition, score: Score) -> list[dict[str, Any]]:
        source = self.critic if isinstance(self.critic, str) else score.name
        parts = score.parts or (msgspec.structs.replace(score, name="the whole request"),)
        texts = found.texts if len(found.texts) == len(parts) else tuple(part.name for part in parts)
        return [
            {"constraint": text, "met": part.passed, "source": source, "reason": part.reason}
            for text, part in zip(texts, parts, strict=True)
        ]

    async def _loop(
        self, instruction: Instruction, found: Decomposition, attempts: list[Attempt], trace: Trace
    ) -> Stopped:
        """Refine until there is a reason to stop; each new answer joins `attempts`."""
        hopeless = contradictions(found.constraints)
        for number in range(1, self.max_rounds + 2):
            latest = attempts[-1]
            stopped, unmet = _outcome(latest.score, found, hopeless)
            if stopped is not None:
                return stopped
            if number > self.max_rounds:
                break
            refinement = self.refinement(instruction, found, latest.response.text, unmet)
            try:
                response = await draw(self.model, refinement, number, temperature=self.temperature)
            except ModelError as error:
                if error.retryable:  # the endpoint is ill, not the request too long: another run may do better
                    raise
                trace.add("note", text=f"the refinement failed: {error.message}")
                return "model_failed"
            listed = "\n".join(f"- {text}" for text in unmet)
            trace.add("refine", feedback=listed, text=response.text, **_inner(response))
            if any(response.text.strip() == earlier.response.text.strip() for earlier in attempts):
                return "no_change"
            attempts.append(await self._judged(instruction, found, response, trace))
        return "max_rounds"

    def refinement(
        self, instruction: Instruction, found: Decomposition, answer: str, unmet: Sequence[str]
    ) -> Instruction:
        """The conversation with its last request replaced by the one to refine; that request is repeated at its end."""
        given = {"answer": answer, "request": instruction.prompt}
        if unmet:
            listed = "\n".join(f"- {text}" for text in unmet)
            text = Template.of("adhere.answer", "decrim_refine").render(unmet=listed, **given)
        else:
            text = Template.of("adhere.answer", "decrim_self_refine").render(**given)
        last = max((n for n, m in enumerate(instruction.messages) if m.role == "user"), default=0)
        turns = (*instruction.messages[:last], Message("user", text))
        return msgspec.structs.replace(instruction, messages=turns, constraints=found.constraints)

    def _choose(self, attempts: Sequence[Attempt], stopped: Stopped, trace: Trace) -> Response:
        index = len(attempts) - 1
        if self.keep == "best" and self._critic is not None:
            index = max(range(len(attempts)), key=lambda n: (attempts[n].rank, -n))
        which = "the last answer" if index == len(attempts) - 1 else "the best answer, and of equals the earlier"
        trace.add("choose", index=index, because=f"{which}; {_WHY[stopped]}", stopped=stopped)
        return attempts[index].response


def _inner(response: Response) -> dict[str, Any]:
    """The trace of a strategy inside, if there is one."""
    return {"trace": list(response.trace)} if response.trace else {}


def _contradictions(constraints: Sequence[Constraint], trace: Trace) -> list[Clash]:
    """The clashes, each named in the trace."""
    clashes = contradictions(constraints)
    for clash in clashes:
        trace.add("note", text=f"contradicting constraints: {clash.reason}")
    return clashes


_WHY: dict[Stopped, str] = {
    "all_met": "all constraints are met",
    "max_rounds": "no round is left",
    "no_change": "no further round would change what is unmet",
    "undecided": "the critic names nothing to mend, but could not decide everything",
    "model_failed": "a refinement failed",
    "no_constraints": "the request names no constraint to check",
}


def _outcome(
    score: Score | None, found: Decomposition, hopeless: Sequence[Clash]
) -> tuple[Stopped | None, tuple[str, ...]]:
    """Why to stop, if there is a reason; and what to mend, which without decomposition is not known in detail."""
    if score is None:
        return None, found.texts
    parts = score.parts
    if score.passed is True or (parts and all(part.passed is True for part in parts)):
        return "all_met", ()
    if len(parts) != len(found.constraints) or not parts:
        # The critic knows only the whole: a verdict, or a quality that could always be better.
        known = score.passed is not None or (score.value is not None and not parts)
        return (None, found.texts) if known else ("undecided", ())
    failed = [n for n, part in enumerate(parts) if part.passed is False]
    if not failed:
        return "undecided", ()
    # Of two constraints that exclude each other one will fail whatever a round does.
    locked = {n for clash in hopeless for n in clash[:2]}
    mendable = tuple(found.texts[n] for n in failed if n not in locked)
    return (None, mendable) if mendable else ("no_change", ())
