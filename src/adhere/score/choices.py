"""Multiple choice by log-likelihood: which of several continuations a model finds the likeliest.

    found = await likelihoods(model, "Question: What do bees make?\nAnswer:", ["honey", "silk", "wool"])
    found.best()            # 0: the largest sum of log-probabilities
    found.best("char")      # the largest sum per character: lm-eval's acc_norm

The rules are those of EleutherAI's lm-evaluation-harness, so that the same model on the same prompt picks the same
option (Gao et al. 2021; `lm_eval/api/model.py` and `task.py`, 0.4.13):

- a delimiter, a space, stands between context and continuation; it is scored, but not counted as length;
- white space at the end of the context is moved to the continuation's beginning;
- context and continuation are tokenised together, and what lies beyond the context's own tokens is scored;
- of equal scores the first option wins.

Where a token straddles the border (possible without a delimiter only), the harness scores what is left of the joint
tokenisation after a context that does not belong to it, or stops if nothing is left; here each side is tokenised by
itself. A text that does not fit is an error here, there it is cut from the left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from adhere.errors import DataError, UsageError
from adhere.models.model import Model
from adhere.score.calibration import calibrated

__all__ = ["NORMS", "Choices", "Norm", "at_the_border", "likelihoods"]

Norm = Literal["sum", "token", "char", "byte"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class Choices(NamedTuple):
    """What a model thinks of some options.

    Attributes:
        options: The texts, without the delimiter.
        logprobs: Natural-log probability of each option's tokens together, after the context.
        tokens: How many tokens each has.
    """

    options: tuple[str, ...]
    logprobs: tuple[float, ...]
    tokens: tuple[int, ...]

    def scores(self, norm: Norm = "sum") -> list[float]:
        """Log-probability by option: the sum, or the sum divided by tokens, characters or UTF-8 bytes of the option."""
        lengths = {
            "sum": [1] * len(self.options),
            "token": list(self.tokens),
            "char": [len(option) for option in self.options],
            "byte": [len(option.encode()) for option in self.options],
        }
        return [value / length for value, length in zip(self.logprobs, lengths[norm], strict=True)]

    def best(self, norm: Norm = "sum") -> int:
        """Position of the option with the highest score; the first of equals."""
        scores = self.scores(norm)
        return scores.index(max(scores))

    def probabilities(self) -> list[float]:
        """Of the options against each other, adding up to 1."""
        top = max(self.logprobs)
        weights = [math.exp(value - top) for value in self.logprobs]
        return [weight / sum(weights) for weight in weights]

    def calibrated(self, content_free: Sequence[Choices]) -> list[float]:
        """`probabilities`, each divided by the option's mean after content-free contexts (Zhao et al. 2021).

        Args:
            content_free: The same options after the same prompt with each of `calibration.CONTENT_FREE` for its input.

        Raises:
            UsageError: for none, or other options.
        """
        if any(blank.options != self.options for blank in content_free):
            raise UsageError("calibration compares the same options after another context")
        return calibrated(self.logprobs, [blank.logprobs for blank in content_free])


def at_the_border(context: str, continuation: str) -> tuple[str, str]:
    """Context and continuation, with the white space that ends the first moved to the second."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


async def likelihoods(model: Model, context: str, options: Sequence[str], *, delimiter: str = " ") -> Choices:
    """How likely each option is after a context; plain text, no chat template.

    The options are asked for at once: engines compute what they share, the context, once.

    Args:
        model: That can score given text.
        context: What stands before; not blank.
        options: At least two, none blank. Equal ones are equally likely.
        delimiter: Between the two.

    Raises:
        UsageError: for fewer than two options.
        DataError: for a blank option or context.
        CapabilityError: if the model cannot score given text (fakes, many endpoints).
        ContextError: if an option does not fit into the model's context.
        ModelError: if a call failed.
    """
    model.info.require("logprobs")
    if len(options) < 2:
        raise UsageError(f"{len(options)} option(s) leave nothing to choose", hint="Give at least two")
    for number, option in enumerate(options, 1):
        if not option.strip():
            raise DataError(f"option {number} of {len(options)} is blank", hint="Mend the row")
    if not context.strip():
        raise DataError("a blank context says nothing about the options", hint="Give the question as the context")
    pairs = [at_the_border(context, delimiter + option) for option in options]
    found = await asyncio.gather(*(model.logprobs(*pair) for pair in pairs))
    return Choices(
        tuple(options),
        tuple(math.fsum(t.logprob for t in tokens) for tokens in found),
        tuple(len(tokens) for tokens in found),
    )
