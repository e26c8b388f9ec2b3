"""Correctness and faithfulness as a model sees them: LLM-Eval, K-LLM-Eval and a critic of unfaithful answers.

Adlakha et al. 2024 (arXiv 2307.16877), sections 4.1 and 4.2: a model is asked whether the prediction says what a known
answer says (once a reference, the best counts), or whether the evidence supports all of it. The paper searches "yes" in
the reply; here the probabilities of Yes and No as the first token decide, since small models seldom reply cleanly and
the probability ranks answers where the word does not.

`faith_critic` stands for FaithCritic, a classifier fine-tuned on FaithDial: value is the probability that the answer is
NOT faithful, so lower is better, contrary to everything else here. It asks any model, unlike the paper's, which is
fine-tuned. Q² is in `judges/q2.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from adhere.errors import ModelError, UsageError
from adhere.models.model import Model, base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import judge_failed
from adhere.score.labels import label_probabilities
from adhere.score.texts.faithfulness import shown_passages

__all__ = ["FaithCritic", "LLMEval", "judging_model"]

YES, NO = "Yes", "No"
MOST_REFERENCES = 10  # calls for one answer: TriviaQA has hundreds of aliases a question


@register("llm_eval", paper="instruct-qa")
class LLMEval:
    """A model asked whether an answer is right, or whether its passages support it.

    `value` is the probability of Yes, `passed` whether it is above a half; undecided without references or passages,
    and where the model says neither Yes nor No.

    Args:
        model: Who judges; needs token log-probabilities.
        against: "references" (LLM-Eval) or "passages" (K-LLM-Eval).
    """

    def __init__(self, model: Answerer, against: Literal["references", "passages"] = "references") -> None:
        if against not in ("references", "passages"):
            raise UsageError(f"llm_eval cannot compare with '{against}'", hint="There are: references, passages")
        self.model = model
        self.against = against

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self.model, 'name', self.model)!r}, {self.against!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            CapabilityError: if the model gives no log-probabilities.
        """
        name = "llm_eval" if self.against == "references" else "k_llm_eval"
        prompts = self._prompts(instruction, response)
        if not prompts:
            return Score(name, reason=f"there are no {self.against}")
        try:
            found = await asyncio.gather(*(self._yes(prompt) for prompt in prompts))
        except ModelError as error:
            return judge_failed(name, error)
        said = [p for p in found if p is not None]
        if not said:
            return Score(name, reason="the model said neither Yes nor No")
        best = max(said)
        return Score(name, best, best > 0.5, reason=f"P({YES}) = {best:.2f}")

    def _prompts(self, instruction: Instruction, response: Response) -> list[str]:
        given = {"question": conversation(instruction), "prediction": response.text}
        if self.against == "references":
            template = Template.of("adhere.score", "qa_correct")
            return [template.render(answer=r, **given) for r in instruction.references[:MOST_REFERENCES]]
        evidence = "\n\n".join(shown_passages(instruction, response))
        return [Template.of("adhere.score", "qa_supported").render(evidence=evidence, **given)] if evidence else []

    async def _yes(self, prompt: str) -> float | None:
        return (await label_probabilities(base_model(self.model), prompt, (YES, NO))).probabilities[YES]


@register("faith_critic", paper="instruct-qa")
class FaithCritic:
    """The probability that an answer says what its passages do not support: lower is better.

    `passed` is whether it is below a half.

    Args:
        model: Who judges; needs token log-probabilities.
    """

    def __init__(self, model: Answerer) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"FaithCritic({getattr(self.model, 'name', self.model)!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says. Raises CapabilityError if the model gives no log-probabilities."""
        found = await LLMEval(self.model, "passages").score(instruction, response)
        if found.value is None:
            return Score("faith_critic", reason=found.reason)
        value = 1 - found.value
        return Score("faith_critic", value, found.passed, reason=f"P(unfaithful) = {value:.2f}")


def judging_model(spec: str) -> Model:
    """The model that a judge's spec names, or that its judge is made of: `smollm2`, `openai:…`, `revis(model=smollm2)`.

    Raises:
        UnknownNameError: if there is no such judge or model.
        UsageError: for a judge without a model inside.
        CapabilityError: for a model that gives no log-probabilities, by which verdicts are read.
    """
    from adhere.score.judges.base import resolve_judge

    judge: Any = resolve_judge(spec)
    model = base_model(judge)
    model.info.require("token_logprobs")
    return model


def conversation(instruction: Instruction) -> str:
    """The question as a judge reads it: alone, or after the turns before it."""
    if len(instruction.messages) == 1:
        return f"Question: {instruction.prompt}"
    turns = [f"{'User' if m.role == 'user' else 'Agent'}: {m.text}" for m in instruction.messages]
    return "\n".join(("Conversation:", *turns))
