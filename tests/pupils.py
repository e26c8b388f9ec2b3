"""Answerers whose behaviour is known, for the tests of strategies that show examples."""

from __future__ import annotations

from collections.abc import Callable

from adhere.engine import context
from adhere.models.hierarchy import render_documents
from adhere.records import Example, Instruction, Response, Usage


class Pupil:
    """Answers by a function of the messages' texts, joined; remembers every conversation it saw."""

    def __init__(self, reply: Callable[[str], str]) -> None:
        self.reply = reply
        self.seen: list[Instruction] = []

    async def answer(self, instruction: Instruction) -> Response:
        """The reply to all that was said, as one text with the roles left out."""
        instruction = render_documents(instruction)  # as a model does
        self.seen.append(instruction)
        text = self.reply("\n".join(m.text for m in instruction.messages))
        stop = context.current().overrides.get("stop", ())
        for end in stop:
            text = text.split(end)[0]
        context.spend(Usage(1, 1))
        return Response(text)


def solved(question: str, answer: str, **meta: object) -> Example:
    """A solved example."""
    return Example(Instruction.of(question, **meta), (Response(answer),))
