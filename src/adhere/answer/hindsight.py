"""Chain-of-Hindsight in context: each example shows a good answer and a bad one (EvALign-ICL, arXiv 2310.00647, §4.2).

The bad answers are the model's own. Pass 1 answers each example of the pool with plain few-shot prompting, the example
itself left out; pass 2 shows "Good answer: {human}. Bad answer: {generated}." and lets the model go on after "Good
answer:", up to "Bad". Full stops within the two are dropped before they are joined, as there.

Differs from the paper: text only; pass 1 is run for the examples that are shown, when they are first shown, which gives
the same texts as running it over the whole pool before. Where the model's own answer equals the good one, the example
shows the good one alone: the paper shows the same text as good and as bad.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adhere.answer.apart import apart
from adhere.answer.base import Trace
from adhere.answer.few_shot import FewShot, ShowsExamples, retexted
from adhere.answer.in_context import Form, ask_with_shots, until
from adhere.answer.pool import answer_of, question_of
from adhere.answer.prompt_program import Demonstration
from adhere.answer.select_examples import Embedder, Selection
from adhere.models.prompts import Template
from adhere.records import Example, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["ChainOfHindsight"]

_GOOD = re.compile(r"^\s*good answer\s*:\s*", re.I)
_FULL_STOP = re.compile(r"\.(?=\s|$)")


@register("chain_of_hindsight", paper="evalign-icl")
class ChainOfHindsight(ShowsExamples):
    """Shows `n` examples with a good and a bad answer each, then asks for the good one.

    Args:
        model, pool, selection, form, embedder: As for `FewShot`.
        n: Shots, in both passes.

    Raises:
        As `FewShot`; the pool needs one example more than `n`, since pass 1 leaves out the one that it answers.
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example],
        n: int = 4,
        selection: Selection = "random",
        form: Form = "auto",
        embedder: Embedder | str = "minilm",
    ) -> None:
        super().__init__(model, pool, n, selection, form, embedder, layout="icl_hindsight")
        self._plain = FewShot(model, self._pool, n, selection, form, embedder=embedder)
        self._bad: dict[int, str] = {}

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call, after those of pass 1 for examples that were not shown before (not in this answer's cost)."""
        shots, items = [], []
        for at in await self._pool.positions(instruction, self.n):
            example = self._pool.examples[at]
            good, bad = answer_of(example), await self._own_answer(at)
            shots.append(Demonstration(question_of(example), _pair(good, bad)))
            items.append({"input": shots[-1].input, "output": good, "bad": bad})
        trace.add("demonstrations", items=items, selection=self.selection)
        answer = await ask_with_shots(self.model, instruction, shots, self._layout, trace)
        return retexted(answer, until(_GOOD.sub("", answer.text), "Bad answer", "\nBad"))

    async def _own_answer(self, at: int) -> str:
        """What the model says to an example of the pool by itself, asked once."""
        if at not in self._bad:
            question = self._pool.examples[at].instruction
            self._bad[at] = (await apart(lambda: self._plain.answer(question))).text
        return self._bad[at]


def _pair(good: str, bad: str) -> str:
    good, bad = (" ".join(_FULL_STOP.sub("", text).split()) for text in (good, bad))
    if not bad or good.casefold() == bad.casefold():
        return Template.of("adhere.answer", "icl_hindsight_good").render(good=good)
    return Template.of("adhere.answer", "icl_hindsight_pair").render(good=good, bad=bad)
