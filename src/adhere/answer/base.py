"""What every strategy shares: it wraps an answerer, counts what it costs and tells how the answer came about.

A strategy is a class that stores its arguments and says in `respond` how ONE instruction is answered, as plain
sequential code; strategies nest, since each wraps any answerer.

    @register("twice")
    class Twice(Strategy):
        def __init__(self, model: Answerer) -> None:
            self.model = model

        async def respond(self, instruction: Instruction, trace: Trace) -> Response:
            first = await draw(self.model, instruction)
            trace.add("draft", text=first.text)
            return await draw(self.model, instruction, 1, temperature=0.7)

Steps of a trace that the report and `--show-trace` know how to show:

    draft{text}  ·  decompose{constraints, source}  ·  critique{value, verdicts: [{constraint, met, source, reason}]}
    refine{feedback, text}  ·  candidate{index, text, value, passed, reason}  ·  choose{index, because}
    node{id, parent, depth, text, value, votes}  ·  route{scores, chosen, because}  ·  decline{value, threshold}
    constrain{compiled, left, grammar}  ·  demonstrations{items, selection}  ·  note{text}  ·  cost{calls, …}

Any other step is shown as its fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from adhere.engine import context
from adhere.models.base import ModelInfo, Sampling
from adhere.models.model import Model, base_model
from adhere.records import Instruction, Message, Response
from adhere.roles import Answerer

__all__ = ["Strategy", "Trace", "ask", "base_model", "draw", "retold"]


class Trace(list[dict[str, Any]]):
    """The steps of one answer, in order."""

    def add(self, step: str, **fields: Any) -> None:
        """Append a step; `fields` are plain JSON values."""
        self.append({"step": step, **fields})


class Strategy:
    """Base of all strategies.

    A subclass stores its constructor's arguments under their own names (so that `repr` is a constructor call) and
    implements `respond`. Its answer carries the trace, and as usage the tokens of all calls together.
    """

    model: Answerer

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """Answer one instruction; what happens on the way goes into `trace`."""
        raise NotImplementedError

    async def answer(self, instruction: Instruction) -> Response:
        """Answer one instruction: `respond`, with its cost and its trace.

        Raises:
            AdhereError: what `respond` raises; a `ModelError` when the model behind it fails for good.
        """
        trace = Trace()
        with context.metered() as spent:
            final = await self.respond(instruction, trace)
        trace.add("cost", calls=spent.calls, **msgspec.structs.asdict(spent.usage))
        return msgspec.structs.replace(final, usage=spent.usage, trace=tuple(trace))

    def __repr__(self) -> str:
        given = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name)
            if parameter.default is inspect.Parameter.empty:
                given.append(_shown(value))
            elif value is not parameter.default and value != parameter.default:
                given.append(f"{name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(given)})"

    @property
    def info(self) -> ModelInfo:
        """Of the innermost model."""
        return base_model(self).info

    @property
    def sampling(self) -> Sampling:
        """Of the innermost model."""
        return base_model(self).sampling

    @property
    def stats(self) -> Any:
        """Of the innermost model."""
        return base_model(self).stats

    @property
    def concurrency(self) -> int:
        """How many instructions at once make good use of what is inside."""
        return getattr(self.model, "concurrency", 16)

    async def check(self) -> None:
        """Make sure that what is inside can be asked, before a run."""
        await self._inner("check")

    async def close(self) -> None:
        """Close what is inside."""
        await self._inner("close")

    async def _inner(self, name: str) -> None:
        method = getattr(self.model, name, None)
        if method is not None:
            await method()


def _shown(value: Any) -> str:
    """`repr`, a model by its name: a strategy's text must be the same in every process and fit on a line."""
    return repr(value.name) if isinstance(value, Model) else repr(value)


async def draw(answerer: Answerer, instruction: Instruction, index: int = 0, **sampling: Any) -> Response:
    """The `index`-th independent answer, with fields of `Sampling` changed for all calls inside."""
    with context.drawing(index, **sampling):
        return await answerer.answer(instruction)


async def ask(answerer: Answerer, conversation: str | Sequence[Message], index: int = 0, **sampling: Any) -> Response:
    """An answer to a text (a user message) or conversation that is no instruction of the user's: a helper's prompt."""
    turns = (Message("user", conversation),) if isinstance(conversation, str) else tuple(conversation)
    return await draw(answerer, Instruction("", turns), index, **sampling)


def retold(instruction: Instruction, *messages: Message) -> Instruction:
    """The same instruction (id, constraints, references) asked with other messages."""
    return msgspec.structs.replace(instruction, messages=messages)
