"""Instruction constraints compiled to decoding constraints.

    model = Constrained(adhere.load("smollm2"))
    response = await model.answer(Instruction.of("Name three rivers. Use exactly 3 bullet points and no commas."))

`compile` turns constraints into one automaton, `gbnf` the automaton into a grammar, `strategy` leads the model through
it. `docs/constrained.md` tells what can be guaranteed and what it costs.
"""

from adhere.answer.constrained.compile import Left, Plan, plan_of
from adhere.answer.constrained.strategy import Constrained

__all__ = ["Constrained", "Left", "Plan", "plan_of"]
