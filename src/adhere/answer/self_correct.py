"""Self-correction in context: a second question decides whether the first could be answered (EvALign-ICL, SC-ICL).

Shukor et al. 2024, arXiv 2310.00647, §4.3. Step 1 answers with few-shot examples. Step 2 is a classifier by few-shot
examples: can the question be answered from what is given? On "no" the abstention word replaces the answer.

Differs from the paper: text only. A classifier whose output is neither yes nor no leaves the answer as it is; the trace
says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from adhere.answer.base import Trace
from adhere.answer.few_shot import FewShot, ShowsExamples, check_shots
from adhere.answer.in_context import Form, ask_with_shots
from adhere.answer.pool import answer_of, question_of
from adhere.answer.prompt_program import Demonstration
from adhere.answer.select_examples import Embedder, Selection
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Example, Instruction, Message, Response
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.texts.extract import extract_answer
from adhere.score.texts.grounding import ABSTAIN

__all__ = ["ABSTAIN", "SelfCorrect", "answerable"]

CLASSIFIER_SHOTS = 32  # the paper's number, whatever the shots of step 1
CLASSIFIER_TOKENS = 4  # "yes" or "no"


@register("self_correct", paper="evalign-icl")
class SelfCorrect(ShowsExamples):
    """Answers, then asks itself whether the question could be answered, and abstains if not.

    Args:
        model, pool, n, selection, form, short, embedder: As for `FewShot`, which makes the answer.
        classifier_shots: Examples of the second question; as many as the pool has, if it has fewer.
        abstain: What stands for "cannot be answered", in the pool's answers and in ours.

    Raises:
        DataError: if the pool has no example that can be answered, or none that cannot (`"answerable": false` in the
            row, or the abstention word as its answer).
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example],
        n: int = 4,
        classifier_shots: int = CLASSIFIER_SHOTS,
        abstain: str = ABSTAIN,
        selection: Selection = "random",
        form: Form = "auto",
        short: bool = False,
        embedder: Embedder | str = "minilm",
    ) -> None:
        check_shots("classifier_shots", classifier_shots, least=2)
        super().__init__(model, pool, n, selection, form, embedder, least=0)
        self.classifier_shots = classifier_shots
        self.abstain = abstain
        self.short = short
        self._first = FewShot(model, self._pool, n, selection, form, short, embedder)
        kinds = {answerable(example, abstain) for example in self._pool.examples}
        if len(kinds) < 2:
            lacking = "cannot" if True in kinds else "can"
            raise DataError(
                f"the pool has no example whose question {lacking} be answered",
                hint=f'Mark some with "answerable": true or false, or answer them with "{abstain}"',
            )

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """Two calls: the answer, and whether there can be one."""
        first = await self._first.respond(instruction, trace)
        trace.add("draft", text=first.text)
        verdict, said = await self._classify(instruction, trace)
        reason = f"asked whether it can be answered, the model said {said[:80]!r}"
        critique = {"constraint": "the question can be answered", "met": verdict, "source": "self", "reason": reason}
        trace.add("critique", value=None if verdict is None else float(verdict), verdicts=[critique])
        if verdict is False:
            trace.add("refine", feedback=reason, text=self.abstain)
            return msgspec.structs.replace(first, text=self.abstain, finish_reason="stop", logprobs=None)
        return first

    async def _classify(self, instruction: Instruction, trace: Trace) -> tuple[bool | None, str]:
        shots = [
            Demonstration(_classifier(question_of(e)), "yes" if answerable(e, self.abstain) else "no")
            for e in await self._pool.pick(instruction, self.classifier_shots, fewer=True)
        ]
        last = instruction.messages[-1]
        asked = Message(last.role, _classifier(last.text), last.name)
        question = msgspec.structs.replace(instruction, messages=(*instruction.messages[:-1], asked))
        said = await ask_with_shots(self.model, question, shots, self._layout, trace, max_tokens=CLASSIFIER_TOKENS)
        found = extract_answer(said.text.strip().split("\n", 1)[0], "yes_no")
        return None if found is None else found == "yes", said.text


def answerable(example: Example, abstain: str = ABSTAIN) -> bool:
    """Whether an example's question can be answered: its `answerable`, else whether its answer is the abstention."""
    marked = {**example.instruction.meta, **example.meta}.get("answerable")
    return marked if isinstance(marked, bool) else answer_of(example).strip().casefold() != abstain.casefold()


def _classifier(question: str) -> str:
    return Template.of("adhere.answer", "icl_answerable").render(input=question)
