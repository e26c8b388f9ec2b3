"""Which of the two words a model says: by their probabilities, or by what it writes.

By probabilities, the first token decides, each word being known by it ("contr" for "contradiction"). Where a model's
tokens begin both words alike, or neither is among its likeliest, the words are scored whole after the chat template, by
their mean log-probability per token (the sum would prefer the shorter word); the trace says which it was. The same is
read of the prompt with "N/A" for an input: what is left after subtracting it is the calibrated choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from adhere.bench.base import Options
from adhere.bench.verbalizer.tasks import check_words, clean
from adhere.errors import CapabilityError, UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, Score

__all__ = ["VerbalizerScorer", "ask", "read"]

FLOOR = 1e-9  # of a probability, before its logarithm is taken: a word below the likeliest 200


async def ask(options: Options, instruction: Instruction) -> Response:
    """Read both words' probabilities; the answer's text is the likelier one, its trace has both and their priors.

    Raises:
        UsageError: for a strategy, which has no probabilities of its own.
        CapabilityError: if the model gives none.
    """
    model = options.answerer
    if not isinstance(model, Model):
        raise UsageError(
            "verbalizer reads a model's probabilities, which a strategy has none of",
            hint="Run verbalizer-text, which reads what is written",
        )
    words = instruction.meta["words"]
    found, how = await read(model, instruction.messages, words)
    prior, _ = await read(model, (Message("user", instruction.meta["blank"]),), words)
    step = {"step": "choices", "words": words, "probabilities": found, "prior": prior, "read": how}
    first, second = found
    return Response(words[0] if first >= second else words[1], model=model.name, trace=(step,))


async def read(model: Model, messages: Sequence[Message], words: Sequence[str]) -> tuple[list[float], str]:
    """The probability of each of two words as the answer, and how it was read: "first token" or "whole words".

    By the first token the two are shares of all probability; of whole words, geometric means per token.

    Raises:
        DataError: for words that cannot be told apart.
        CapabilityError: if the model gives no log-probabilities; or of an endpoint, whose tokens begin both alike.
    """
    from adhere.score.labels import label_probabilities

    check_words((words[0], words[1]))
    model.info.require("token_logprobs")
    alike: CapabilityError | None = None
    try:
        found = await label_probabilities(model, messages, words)
    except CapabilityError as error:  # the first tokens are the same
        alike = error
    else:
        if found.mass > 0 and not found.whole:
            return [found.mass * (found.probabilities[word] or 0.0) for word in words], "first token"
    if "logprobs" not in model.info.capabilities:
        if alike is not None:
            raise alike
        return [0.0, 0.0], "first token"
    return [await _whole(model, messages, word) for word in words], "whole words"


async def _whole(model: Model, messages: Sequence[Message], word: str) -> float:
    from adhere.models.chat_text import chat_text

    tokens = await model.logprobs(chat_text(model, messages), word)
    return math.exp(sum(token.logprob for token in tokens) / len(tokens))


class VerbalizerScorer:
    """Grades an answer by its trace's probabilities; where there are none, by its text.

    Parts: "accuracy" (the asked word), "flip" (the other one: habit), "first_word" (the word of the first rule,
    whatever is right), "invalid" (neither). By probabilities also "calibrated", the accuracy after the prior is
    subtracted, and "mass", what both words have of all probability. A text counts if it is one of the words but for
    case and punctuation.
    """

    def __repr__(self) -> str:
        return "VerbalizerScorer()"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; undecided for an instruction of another benchmark."""
        meta = instruction.meta
        if "words" not in meta or "label" not in meta:
            return Score("verbalizer", reason="no words and label to compare with")
        step = next((s for s in response.trace if s.get("step") == "choices"), None)
        words, text = [clean(word) for word in meta["words"]], clean(response.text)
        said = words.index(text) if text in words else None
        if step is not None and not any(step["probabilities"]):
            said = None  # neither word has any probability
        right = said == meta["label"]
        parts = [
            _flag("accuracy", right),
            _flag("flip", said is not None and not right),
            _flag("first_word", said == 0),
            _flag("invalid", said is None),
        ]
        if step is not None:
            parts.append(_flag("calibrated", _calibrated(step) == meta["label"]))
            if step["read"] == "first token":
                parts.append(Score("mass", round(sum(step["probabilities"]), 6)))
        shown = repr(response.text[:40]) if said is None or step is None else f"'{meta['words'][said]}'"
        reason = f"said {shown}, asked '{meta['words'][meta['label']]}'"
        return Score("verbalizer", float(right), right, tuple(parts), reason)


def _calibrated(step: dict[str, Any]) -> int:
    lift = [
        math.log(max(p, FLOOR)) - math.log(max(prior, FLOOR))
        for p, prior in zip(step["probabilities"], step["prior"], strict=True)
    ]
    return int(lift[1] > lift[0])


def _flag(name: str, value: bool) -> Score:
    return Score(name, float(value), value)
