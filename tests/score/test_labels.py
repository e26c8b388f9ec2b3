"""Label probabilities, from a real model and from distributions that are known."""

from __future__ import annotations

import asyncio
import math

import pytest

from adhere.errors import CapabilityError, UsageError
from adhere.models.base import ModelInfo, Sampling
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Response, TokenLogprob
from adhere.score.labels import label_probabilities


class Fixed:
    """A backend whose next-token distribution is given."""

    concurrency = 4

    def __init__(self, **probabilities):
        self.top = tuple((token, math.log(p)) for token, p in probabilities.items())
        self.info = ModelInfo(
            "fixed", "fake", "0" * 64, capabilities=("chat", "complete", "token_logprobs", "logprobs")
        )

    async def generate(self, request):
        assert request.sampling == Sampling(max_tokens=1, top_logprobs=200)
        return Response(self.top[0][0], logprobs=(TokenLogprob(self.top[0][0], self.top[0][1], self.top),))

    async def logprobs(self, prompt, continuation):
        return tuple(TokenLogprob(c, -1.0) for c in continuation)

    async def close(self):
        pass


def found(labels, chat=None, **probabilities):
    return asyncio.run(label_probabilities(Model(Fixed(**probabilities)), "Well?", labels, chat=chat))


def test_case_space_and_beginnings_count_for_their_label():
    made = found(("Yes", "No"), **{"yes": 0.1, " Yes": 0.2, "Y": 0.1, "NO": 0.1, "Nope": 0.3})
    assert made.mass == pytest.approx(0.5)
    assert made.probabilities == pytest.approx({"Yes": 0.8, "No": 0.2})


def test_a_model_that_never_says_a_label_has_no_verdict():
    made = found(("Yes", "No"), Maybe=0.9)
    assert made.probabilities == {"Yes": None, "No": None}
    assert (made.mass, made.top) == (0, (("Maybe", pytest.approx(0.9)),))


def test_labels_that_begin_alike_are_refused_in_a_chat_and_scored_whole_in_plain_text():
    with pytest.raises(CapabilityError, match="begin with the same token"):
        found(("Reject", "Relate"), Re=0.9)
    made = found(("Reject", "Rely"), chat=False, Re=0.9)
    assert made.probabilities["Rely"] > made.probabilities["Reject"]  # two letters fewer at -1 each


def test_labels_that_cannot_be_told_apart_are_refused():
    for labels in (("Yes",), ("Yes", "yes "), ("", "No")):
        with pytest.raises(UsageError, match="cannot be told apart"):
            found(labels, Yes=1.0)


def test_a_model_without_probabilities_is_refused_before_any_call():
    with pytest.raises(CapabilityError, match="token_logprobs"):
        asyncio.run(label_probabilities(Model(Echo()), "x", ("a", "b")))
