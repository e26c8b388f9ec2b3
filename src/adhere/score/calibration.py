"""Contextual calibration: what a model thinks of the labels, less what it thinks of them where nothing is asked.

Zhao et al. 2021, "Calibrate Before Use" (arXiv 2102.09690), section 4: the same prompt is put with "N/A", nothing and
"[MASK]" for its input; the labels' probabilities there are averaged, and the actual ones are divided by them. The frame
of a prompt, its wording and its demonstrations, is what favours a label, so the content-free prompts are put once for
each frame (`Priors`).

    priors = await frames.of(model, frame, lambda blank: ask(model, prompt.render(input=blank)))
    calibrated(logs(actual), [logs(p) for p in priors])         # adds up to 1

The paper's W = diag(p_cf)⁻¹ and b = 0; its softmax of W·p, which changes no choice, is a division by the sum here.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from weakref import WeakKeyDictionary

from adhere.errors import UsageError
from adhere.models.model import Model

__all__ = ["CONTENT_FREE", "Priors", "calibrated", "logs"]

CONTENT_FREE = ("N/A", "", "[MASK]")  # section 5.1: the average over these three
FLOOR = 1e-9  # of a probability, before its logarithm is taken: a label below the likeliest 200 tokens


def calibrated(logprobs: Sequence[float], content_free: Sequence[Sequence[float]]) -> list[float]:
    """The labels' probabilities, each divided by its mean over the content-free prompts, adding up to 1.

    Args:
        logprobs: Natural-log probability of each label; whatever they have in common cancels out.
        content_free: The same of the same labels after each content-free prompt. Not shares of each prompt by itself:
            a prompt that says little of the labels counts little, as in the authors' code.

    Raises:
        UsageError: without a content-free prompt, or for one with another number of labels.

    >>> [round(p, 3) for p in calibrated(logs([0.6, 0.2]), [logs([0.8, 0.1]), logs([0.4, 0.1])])]
    [0.333, 0.667]
    """
    if not content_free or any(len(given) != len(logprobs) for given in content_free):
        raise UsageError("calibration needs content-free prompts, each with a value for every label")
    lifts = [value - _log_mean(prior) for value, *prior in zip(logprobs, *content_free, strict=True)]
    top = max(lifts)
    weights = [math.exp(lift - top) for lift in lifts]
    return [weight / math.fsum(weights) for weight in weights]


def _log_mean(values: Sequence[float]) -> float:
    """The logarithm of the mean of what these are the logarithms of."""
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values) / len(values))


def logs(probabilities: Sequence[float]) -> list[float]:
    """Natural logarithms; a label that was not seen counts with a probability of 1e-9."""
    return [math.log(max(probability, FLOOR)) for probability in probabilities]


class Priors:
    """What models think of the labels after content-free prompts, asked once for each model and frame."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[Model, dict[Hashable, list[list[float]]]] = WeakKeyDictionary()

    async def of(
        self, model: Model, frame: Hashable, ask: Callable[[str], Awaitable[Sequence[float]]]
    ) -> list[list[float]]:
        """What `ask` finds for each of `CONTENT_FREE`; called only for a frame that is new.

        Rows that come to a new frame at the same time ask the same, which a model answers once.

        Args:
            model: Who is asked.
            frame: What tells prompts apart whose inputs do not count: the task and its demonstrations.
            ask: The labels' values with a text in the input's place.
        """
        known = self._found.setdefault(model, {})
        if frame not in known:
            known[frame] = [list(await ask(blank)) for blank in CONTENT_FREE]
        return known[frame]
