"""Multitask in context: the examples' answers carry a side task that keeps them honest (EvALign-ICL, MT-ICL).

Shukor et al. 2024, arXiv 2310.00647, §4.4. A caption is followed by the objects that are there, an answer by whether
the question fits: the model that imitates such examples must know what it claims. What it says of the side task is cut
off again. Text only here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from adhere.answer.base import Trace
from adhere.answer.few_shot import ShowsExamples, retexted
from adhere.answer.in_context import Form, until
from adhere.answer.pool import answer_of, question_of
from adhere.answer.select_examples import Embedder, Selection
from adhere.answer.self_correct import answerable
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError, suggest
from adhere.models.prompts import Template
from adhere.records import Example, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["SIDE_TASKS", "Multitask"]

MOST_OBJECTS = 10  # named in one example, as in the paper


class SideTask(NamedTuple):
    """What is said beside the answer (`prompts/icl_side_<name>.txt`), from which fact, and where it begins."""

    fact: Callable[[Example], Any]
    field: str
    marker: str


def _objects(example: Example) -> str | None:
    found = _fact(example, "objects")
    if not isinstance(found, list | tuple):
        return None
    names = [str(name) for name in found]
    random.Random(derive("side task", question_of(example))).shuffle(names)
    return ", ".join(names[:MOST_OBJECTS]) or "nothing"


def _explanation(example: Example) -> str | None:
    found = _fact(example, "explanation")
    return (found[0] if found else None) if isinstance(found, list | tuple) else found


def _fact(example: Example, name: str) -> Any:
    return {**example.instruction.meta, **example.meta}.get(name)


SIDE_TASKS = {
    "objects": SideTask(_objects, "objects", "Nothing else"),
    "answerable": SideTask(lambda e: "Yes" if answerable(e) else "No", "answerable", "Does the question"),
    "because": SideTask(_objects, "objects", "because"),
    "explanation": SideTask(_explanation, "explanation", "because"),
}


@register("multitask", paper="evalign-icl")
class Multitask(ShowsExamples):
    """Shows `n` examples whose answers do a side task too, and keeps of the model's only the answer.

    Args:
        model, pool, n, selection, form, short, embedder: As for `FewShot`.
        side_task: "objects" (what is there, after a caption), "answerable" (does the question fit), "because" (objects
            as the reason), "explanation" (the reason in words). The pool's rows need `objects` or `explanation` then.

    Raises:
        UsageError: for another side task.
        DataError: naming the field that an example lacks.
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example],
        side_task: str,
        n: int = 4,
        selection: Selection = "random",
        form: Form = "auto",
        short: bool = False,
        embedder: Embedder | str = "minilm",
    ) -> None:
        if side_task not in SIDE_TASKS:
            raise UsageError(f"unknown side task '{side_task}'", hint=suggest(side_task, SIDE_TASKS))
        super().__init__(model, pool, n, selection, form, embedder)
        self.side_task = side_task
        self.short = short
        self._answers = {question_of(example): self._with_side_task(example) for example in self._pool.examples}

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call."""
        answer = await self._shown(instruction, trace, lambda example: self._answers[question_of(example)])
        trace.add("draft", text=answer.text)
        kept = until(answer.text, SIDE_TASKS[self.side_task].marker).rstrip(" ,")
        return retexted(answer, kept, short=self.short)

    def _with_side_task(self, example: Example) -> str:
        task = SIDE_TASKS[self.side_task]
        value = task.fact(example)
        if value is None:
            raise DataError(
                f"the example '{example.instruction.id}' has no '{task.field}'",
                hint=f"The side task '{self.side_task}' needs it in every row of the pool",
            )
        template = Template.of("adhere.answer", f"icl_side_{self.side_task}")
        return template.render(answer=answer_of(example).strip().rstrip("."), value=str(value).strip().rstrip("."))
