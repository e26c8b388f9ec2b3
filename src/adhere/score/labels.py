"""A model's verdict as probabilities of label words, read off its first token instead of parsed from its prose.

    found = await label_probabilities(model, "Is the sky blue? Answer Yes or No.", ("Yes", "No"))
    found.probabilities["Yes"]      # of the labels' own mass
    found.mass                      # how much of all probability the labels got: low means a confused model

One token is generated and its likeliest alternatives are compared with the labels, whatever their case and the white
space around them; an alternative that is the beginning of just one label counts for it ("Ye" for "Yes"). Where two
labels begin alike and the prompt is plain text, the exact log-probabilities of the whole labels decide instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.records import Message

__all__ = ["Labels", "label_probabilities"]

ALTERNATIVES = 200  # in-process engines give any number; the labels of a confused model are far down
HOSTED_ALTERNATIVES = 20  # what OpenAI's interface allows at most


class Labels(NamedTuple):
    """What the first token says.

    Attributes:
        probabilities: By label, adding up to 1; all None where no label was seen at all.
        mass: Probability of all labels together, before that.
        top: The likeliest first tokens with their probabilities, to show when `mass` is tiny.
        whole: Whether the first tokens were the same and the whole labels decided.
    """

    probabilities: dict[str, float | None]
    mass: float
    top: tuple[tuple[str, float], ...]
    whole: bool = False


async def label_probabilities(
    model: Model, conversation: str | Sequence[Message], labels: Sequence[str], *, chat: bool | None = None
) -> Labels:
    """How likely each label is as the model's answer.

    Args:
        model: With token log-probabilities.
        conversation: A user message, or turns; with `chat=False` plain text, to be continued by the label.
        labels: At least two, different without regard to case.
        chat: Whether to apply the chat template; None: as the model does.

    Raises:
        UsageError: for labels that cannot be told apart.
        CapabilityError: if the model gives no log-probabilities, or the labels begin alike in a chat.
        ModelError: if the call failed.
    """
    keys = [label.strip().casefold() for label in labels]
    if len(set(keys)) < max(2, len(keys)) or not all(keys):
        raise UsageError(f"labels {list(labels)} cannot be told apart", hint="Give two or more different words")
    apply_template = model.chat if chat is None else chat
    turns = (Message("user", conversation),) if isinstance(conversation, str) else tuple(conversation)
    hosted = model.info.engine == "openai"
    model.info.require("token_logprobs")
    sampling = Sampling(max_tokens=1, top_logprobs=HOSTED_ALTERNATIVES if hosted else ALTERNATIVES)
    asked = model if apply_template == model.chat else _with_chat(model, apply_template)
    response = await asked.generate(turns, sampling)
    top = tuple((t, math.exp(v)) for t, v in response.logprobs[0].top) if response.logprobs else ()
    found = _first_token(top, keys)
    whole = found is None
    if found is None:
        if apply_template:
            raise CapabilityError(
                f"the labels {list(labels)} begin with the same token",
                hint="Choose words that begin differently, e.g. A and B",
            )
        found = await _exact(model, "\n".join(m.text for m in turns), labels)
    mass = sum(found)
    shares = [value / mass if mass > 0 else None for value in found]
    return Labels(dict(zip(labels, shares, strict=True)), mass, top[:5], whole)


def _first_token(top: Sequence[tuple[str, float]], keys: Sequence[str]) -> list[float] | None:
    """Each label's mass among the alternatives; None if a common beginning of two labels holds more than they do."""
    mass = [0.0] * len(keys)
    shared = 0.0
    for token, probability in top:
        seen = token.strip().casefold()
        if not seen:
            continue
        fitting = [n for n, key in enumerate(keys) if key == seen] or [
            n for n, key in enumerate(keys) if key.startswith(seen)
        ]
        if len(fitting) == 1:
            mass[fitting[0]] += probability
        elif fitting:
            shared += probability
    return None if shared > sum(mass) else mass


async def _exact(model: Model, prompt: str, labels: Sequence[str]) -> list[float]:
    """Probability of each whole label after the prompt."""
    tokens = [await model.logprobs(prompt, label) for label in labels]
    return [math.exp(sum(t.logprob for t in found)) for found in tokens]


def _with_chat(model: Model, chat: bool) -> Model:
    made = Model(model.backend, sampling=model.sampling, store=model.store, patience=model.patience, chat=chat)
    made.stats = model.stats
    return made
