"""How good an instruction is on one pair: held-out log-likelihood of the answer, or the task's metric on an answer.

Likelihood (APE, section 3.2): the mean natural-log probability of the tokens of the output after
"Instruction: p / Input: x / Output:", no generation. Execution accuracy (section 3.1): the model answers greedily and
the task's metric grades it. Both use the same prompt program that a search writes out; all candidates are scored on
the same pairs, and greedily, where the reference draws pairs for each and samples at 0.7, so that noise decides close
ranks.
"""

from __future__ import annotations

import logging
import math
from typing import NamedTuple, Protocol

from adhere.answer.base import ask, base_model, draw
from adhere.answer.prompt_program import Prompted, PromptProgram
from adhere.errors import CapabilityError, ModelError, UnknownNameError, suggest
from adhere.records import Instruction
from adhere.roles import Answerer
from adhere.write.instructions.metrics import grade
from adhere.write.instructions.tasks import Pair

__all__ = ["APE", "FORMS", "SCORERS", "THINKING", "Accuracy", "Form", "InstructionScorer", "Likelihood", "scorer_of"]

log = logging.getLogger("adhere")

EXTRACTED = 32  # tokens of the second call


class Form(NamedTuple):
    """How instruction and question become a prompt.

    Attributes:
        template: With an instruction; fields as `PromptProgram.template`.
        bare: Without one, for the baseline.
        demonstration: A solved example as text.
        stop: What ends an answer.
        max_tokens: Cap on an answer.
        extraction: What a second call adds to prompt and answer, to get the result out of a chain of thought.
    """

    template: str
    bare: str
    demonstration: str
    stop: tuple[str, ...]
    max_tokens: int
    extraction: str = ""

    def program(self, instruction: str) -> PromptProgram:
        """The instruction in this form; "" gives the prompt without any."""
        template = self.template if instruction else self.bare
        return PromptProgram(instruction, template=template, demonstration=self.demonstration, stop=self.stop)


APE = Form(
    "Instruction: {instruction}\n\n{demonstrations}Input: {input}\nOutput:",
    "{demonstrations}Input: {input}\nOutput:",
    "Input: {input}\nOutput: {output}\n\n",
    ("\nInput:", "\nInstruction:"),
    50,
)
# Zero-shot chain of thought: the instruction opens the answer, a second call asks for the result (INSTINCT, after
# Kojima et al. 2022).
THINKING = Form(
    "{demonstrations}Q: {input}\nA: {instruction}",
    "{demonstrations}Q: {input}\nA:",
    "Q: {input}\nA: {output}\n\n",
    ("\nQ:",),
    200,
    "Therefore, the answer is",
)
FORMS = {"ape": APE, "thinking": THINKING}


class InstructionScorer(Protocol):
    """Scores an instruction on one pair.

    Attributes:
        name: "likelihood" or "accuracy".
        worst: What a call that failed counts as.
    """

    name: str
    worst: float

    async def score(self, instruction: str, pair: Pair) -> float:
        """Higher is better; NaN where the model's call failed for good."""
        ...


class Likelihood:
    """Mean log-probability per token of the first accepted output, in nats.

    Args:
        answerer: A model, or a strategy around one; the plain model inside is asked, without its chat template.
        form: How the prompt is built.

    Raises:
        CapabilityError: if the model cannot score given text.
    """

    name = "likelihood"
    worst = math.log(1e-9)

    def __init__(self, answerer: Answerer, form: Form = APE) -> None:
        self.model = base_model(answerer)
        self.form = form
        if "logprobs" not in self.model.info.capabilities:
            raise CapabilityError(
                f"model '{self.model.name}' gives no log-probabilities of given text, which scorer 'likelihood' needs",
                hint="Take scorer 'accuracy', or a model that runs here",
            )

    async def score(self, instruction: str, pair: Pair) -> float:
        """One forward pass over prompt and output."""
        prompt = self.form.program(instruction).text(pair.input)
        # The blank belongs to the first word of the output, as tokenizers see it.
        before = prompt.rstrip()
        try:
            tokens = await self.model.logprobs(before, (prompt[len(before) :] or " ") + pair.outputs[0])
        except ModelError as error:
            log.warning("a pair could not be scored: %s", error)
            return math.nan
        return math.fsum(t.logprob for t in tokens) / len(tokens) if tokens else math.nan


class Accuracy:
    """The task's metric on a greedy answer.

    Args:
        answerer: Whatever will answer with the prompt.
        metric: Key of `METRICS`.
        form: How the prompt is built.
    """

    name = "accuracy"
    worst = 0.0

    def __init__(self, answerer: Answerer, metric: str = "em", form: Form = APE) -> None:
        self.answerer = answerer
        self.metric = metric
        self.form = form

    async def score(self, instruction: str, pair: Pair) -> float:
        """One answer, or two calls where the form asks for the result apart."""
        program, cap = self.form.program(instruction), self.form.max_tokens
        asked = Prompted(self.answerer, program)
        try:
            response = await draw(asked, Instruction.of(pair.input), temperature=0.0, max_tokens=cap)
            if self.form.extraction:
                so_far = f"{program.text(pair.input)} {response.text.strip()}\n{self.form.extraction}"
                response = await ask(self.answerer, so_far, temperature=0.0, max_tokens=EXTRACTED)
        except ModelError as error:
            log.warning("a pair could not be answered: %s", error)
            return math.nan
        return grade(self.metric, response.text, pair.outputs)


SCORERS = ("likelihood", "accuracy")


def scorer_of(name: str | InstructionScorer, answerer: Answerer, metric: str, form: Form = APE) -> InstructionScorer:
    """The scorer of a name; where the model has no log-probabilities, accuracy instead, and a warning that says so.

    Raises:
        UnknownNameError: for another name.
    """
    if not isinstance(name, str):
        return name
    if name not in SCORERS:
        raise UnknownNameError(f"unknown scorer of instructions '{name}'", hint=suggest(name, SCORERS))
    if name == "likelihood":
        try:
            return Likelihood(answerer, form)
        except CapabilityError as error:
            log.warning("%s: scoring by accuracy instead", error.message)
    return Accuracy(answerer, metric, form)
