"""Constraints that a grammar can guarantee, guaranteed while the model writes. This is Adhere's own; no paper has it.

The constraints become one automaton (`compile.py`), the automaton a grammar (`gbnf.py`), and the engine lets no token
pass that would leave it. What a grammar cannot hold is `left` in the trace, for whatever refines around this.

How the model is led through the grammar is in `leading.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adhere.answer.base import Strategy, Trace, base_model, draw
from adhere.answer.constrained import gbnf
from adhere.answer.constrained.compile import Plan, contradictions, plan_of
from adhere.answer.constrained.leading import led, token_limit, whole
from adhere.answer.constrained.machine import LIMIT
from adhere.constraints.base import build
from adhere.errors import UsageError
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["Constrained"]

CONTINUING = ("llama.cpp", "torch")  # engines that go on with a last message of the assistant
STATES = {"torch": 4000}  # llguidance numbers a grammar's symbols in 16 bits
SHOWN = 4000  # characters of the grammar that the trace keeps


@register("constrained")
class Constrained(Strategy):
    """Guarantee what a grammar can: JSON, case, no commas, lists, counts, beginnings and ends, keywords, lengths.

    The constraints are the instruction's; where it has none, those found in its text.

    Args:
        model: What answers; a model is led stretch by stretch, a strategy gets the grammar for all its calls.
        strict: Refuse an instruction whose constraints contradict each other, instead of holding the earlier ones.

    Raises (on answering):
        CapabilityError: if the model takes no grammars.
        UsageError: with `strict`, naming the contradiction, before any call.
    """

    def __init__(self, model: Answerer, strict: bool = False) -> None:
        self.model = model
        self.strict = strict

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """As the module says. The trace's `held` is what the checkers say of the compiled constraints in the end."""
        wanted = constraints_of(instruction)
        self._name_contradictions(wanted, trace)
        info = base_model(self).info
        # Seconds for the largest, in which the calls for other instructions should go on.
        size = STATES.get(info.engine, LIMIT)
        plan = await asyncio.to_thread(plan_of, instruction, wanted, tokens=token_limit(self), limit=size)
        step = {"compiled": [told(c) for c in plan.compiled], "left": [f"{told(c)}: {why}" for c, why in plan.left]}
        if not plan.compiled:
            trace.add("constrain", **step, grammar="")
            return await draw(self.model, instruction)
        if plan.machine is None:
            info.require("json_schema")
            trace.add("constrain", **step, grammar=f"JSON schema {plan.schema}")
            response = await draw(self.model, instruction, json_schema=plan.schema, grammar=None)
        else:
            info.require("grammar")
            grammar = gbnf.Grammar(plan.machine).text()
            trace.add("constrain", **step, grammar=grammar[:SHOWN] + "…" * (len(grammar) > SHOWN))
            alone = isinstance(self.model, Model) and info.engine in CONTINUING
            if alone:
                response = await led(self, plan.machine, instruction, plan.parts)
            else:
                response = await whole(self, plan.machine, instruction)
        trace.add("note", text=outcome(plan, response))
        return response

    def _name_contradictions(self, wanted: Sequence[Constraint], trace: Trace) -> None:
        rivals = [f"{told(wanted[a])} and {told(wanted[b])}" for a, b in contradictions(wanted)]
        if not rivals:
            return
        text = "; ".join(rivals)
        if self.strict:
            raise UsageError(f"no answer can satisfy both {text}", hint="Drop one of them, or leave out strict")
        trace.add("note", text=f"contradictions: {text}; the earlier one is held")


def constraints_of(instruction: Instruction) -> tuple[Constraint, ...]:
    """The instruction's constraints; of one that states none, those its text asks for. A helper's prompt has none."""
    if instruction.constraints or not instruction.id:
        return instruction.constraints
    from adhere.constraints.plain import find_in

    return find_in(instruction.prompt).constraints


def told(constraint: Constraint) -> str:
    """A constraint as `kind(name=value)`."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in constraint.args.items())
    return f"{constraint.kind}({arguments})" if arguments else constraint.kind


def outcome(plan: Plan, response: Response) -> str:
    """Whether the answer holds what was compiled, in words."""
    cut = " (cut at the token limit)" if response.finish_reason == "length" else ""
    if holds(plan, response.text):
        return f"all {len(plan.compiled)} compiled constraints hold{cut}"
    return f"the answer is not complete{cut}: what was compiled does not all hold"


def holds(plan: Plan, text: str) -> bool:
    """Whether a text is an answer of the plan; for a plan by JSON schema, whether it passes its checker."""
    if plan.machine is not None:
        return plan.machine.accepts(text)
    return all(build(c, "fixed").passes(text) for c in plan.compiled)
