"""Contextual calibration: hand-computed figures, and what cancels out."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.models.model import Model
from adhere.score.calibration import CONTENT_FREE, Priors, calibrated, logs
from adhere.score.choices import Choices
from judging_models import Judging

LOGPROB = st.floats(-300, 0)


def test_each_label_is_divided_by_the_mean_of_its_priors() -> None:
    """.5, .3, .2 over the means .6, .1, .2 are 5/6, 3, 1: together 29/6."""
    priors = [logs([0.7, 0.15, 0.1]), logs([0.5, 0.05, 0.3])]
    assert calibrated(logs([0.5, 0.3, 0.2]), priors) == pytest.approx([5 / 29, 18 / 29, 6 / 29])


def test_a_prompt_that_says_little_of_the_labels_counts_little() -> None:
    """As the authors average, before they normalise: the mean of .8, .1 and .001, .009 is nearly the first alone."""
    found = calibrated(logs([0.5, 0.5]), [logs([0.8, 0.1]), logs([0.001, 0.009])])
    assert found == pytest.approx([0.109 / 0.91, 0.801 / 0.91])


@given(st.lists(LOGPROB, min_size=2, max_size=5), st.floats(-50, 50), st.data())
def test_even_priors_change_nothing_and_what_all_labels_share_cancels_out(
    logprobs: list[float], shift: float, data: st.DataObject
) -> None:
    size = len(logprobs)
    top = max(logprobs)
    weights = [math.exp(v - top) for v in logprobs]
    plain = [w / sum(weights) for w in weights]
    assert calibrated(logprobs, [[-3.0] * size] * 2) == pytest.approx(plain)
    priors = data.draw(st.lists(st.lists(LOGPROB, min_size=size, max_size=size), min_size=1, max_size=3))
    found = calibrated(logprobs, priors)
    assert sum(found) == pytest.approx(1)
    assert calibrated([v + shift for v in logprobs], priors) == pytest.approx(found, abs=1e-6)


def test_what_cannot_be_divided_is_refused() -> None:
    for priors in ([], [[-1.0]], [[-1.0, -2.0], [-1.0]]):
        with pytest.raises(UsageError, match="content-free prompts"):
            calibrated([-1.0, -2.0], priors)


def test_choices_are_calibrated_by_the_same_options_after_other_contexts() -> None:
    found = Choices(("a", "b"), (-1.0, -2.0), (1, 1))
    blank = Choices(("a", "b"), (-0.5, -3.5), (1, 1))
    one = math.exp(-0.5)
    other = math.exp(1.5)
    assert found.calibrated([blank]) == pytest.approx([one / (one + other), other / (one + other)])
    with pytest.raises(UsageError, match="the same options"):
        found.calibrated([Choices(("a", "c"), (-0.5, -3.5), (1, 1))])


def test_priors_are_asked_once_for_each_model_and_frame() -> None:
    asked: list[tuple[int, str]] = []
    models = [Model(Judging(lambda prompt: {"yes": 1.0}), store=None) for _ in range(2)]
    priors = Priors()

    async def run() -> None:
        for frame in ("f", "g", "f"):
            for n, model in enumerate(models):

                async def ask(blank: str, n: int = n) -> list[float]:
                    asked.append((n, blank))
                    return [float(n), 1.0]

                assert await priors.of(model, frame, ask) == [[float(n), 1.0]] * 3

    asyncio.run(run())
    assert asked == [(n, blank) for _ in ("f", "g") for n in (0, 1) for blank in CONTENT_FREE]
