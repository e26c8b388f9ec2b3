"""Choosing by log-likelihood: lm-eval's rules, on a real torch model and on hand-made figures."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

import adhere
from adhere.errors import CapabilityError, ContextError, DataError, UsageError
from adhere.models.model import Model
from adhere.score.choices import Choices, at_the_border, likelihoods
from tiny_llama import save_tiny_llama

QUESTIONS = [
    ("Question: What do bees make?\nAnswer:", ["honey", "wax and honey", "silk"]),
    ("Two and two are   ", ["four", "five", "twenty-two", "four"]),
    ("头发的颜色是", ["黑色", "白色的", "红"]),
    ("Making tea: She boils water.\n", ["She pours it.", "She throws it away, cup and all."]),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"), context=256)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return adhere.load(str(tiny), store=None)


def choose(model: Model, context: str, options: list[str], **more: str) -> Choices:
    async def run() -> Choices:
        return await likelihoods(model, context, options, **more)

    return asyncio.run(run())


def test_sums_lengths_and_probabilities_follow_their_definitions() -> None:
    found = Choices(("ab", "abcdef", "é"), (-2.0, -3.0, -1.5), (2, 3, 1))
    assert found.scores() == [-2.0, -3.0, -1.5]
    assert found.scores("token") == [-1.0, -1.0, -1.5]
    assert found.scores("char") == [-1.0, -0.5, -1.5]
    assert found.scores("byte") == [-1.0, -0.5, -0.75]
    assert [found.best(norm) for norm in ("sum", "token", "char", "byte")] == [2, 0, 1, 1]
    assert found.probabilities() == pytest.approx(
        [math.exp(v) / sum(map(math.exp, (-2, -3, -1.5))) for v in (-2, -3, -1.5)]
    )


def test_probabilities_of_hopeless_options_still_add_up() -> None:
    found = Choices(("a", "b"), (-2000.0, -2001.0), (1, 1))
    assert sum(found.probabilities()) == pytest.approx(1)
    assert found.best() == 0


def test_white_space_at_the_end_of_the_context_goes_to_the_continuation() -> None:
    assert at_the_border("a question \n", " yes") == ("a question", " \n yes")
    assert at_the_border("a question", " yes") == ("a question", " yes")


@pytest.mark.parametrize("context, options", QUESTIONS)
def test_the_sum_is_the_joint_probability_of_the_option_after_the_context(
    model: Model, context: str, options: list[str]
) -> None:
    import torch

    backend = model.backend
    found = choose(model, context, options)
    for option, value in zip(options, found.logprobs, strict=True):
        before, after = at_the_border(context, " " + option)
        ids = backend.tokenizer(before + after)["input_ids"]
        start = len(backend.tokenizer(before)["input_ids"])
        with torch.inference_mode():
            steps = torch.log_softmax(backend.model(torch.tensor([ids])).logits[0].double(), -1)
        expected = sum(float(steps[at - 1, ids[at]]) for at in range(start, len(ids)))
        assert value == pytest.approx(expected, abs=1e-3)


def test_lm_eval_finds_the_same_values_and_chooses_the_same(model: Model, tiny: Path) -> None:
    harness = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance

    peer = harness.HFLM(pretrained=str(tiny), device="cpu", dtype="float32", batch_size=2)
    for context, options in QUESTIONS:
        asked = [Instance("loglikelihood", {}, (context, f" {option}"), n) for n, option in enumerate(options)]
        theirs = [value for value, _ in peer.loglikelihood(asked, disable_tqdm=True)]
        ours = choose(model, context, options)
        assert ours.logprobs == pytest.approx(theirs, abs=1e-3)
        assert ours.best() == theirs.index(max(theirs))
        by_length = [value / len(option) for value, option in zip(theirs, options, strict=True)]
        assert ours.best("char") == by_length.index(max(by_length))


def test_of_equal_options_the_first_wins(model: Model) -> None:
    found = choose(model, "Pick:", ["same", "same"])
    assert found.logprobs[0] == found.logprobs[1]
    assert found.best() == found.best("char") == 0


def test_the_delimiter_is_scored_but_no_part_of_the_length(model: Model) -> None:
    with_space, without = choose(model, "Pick", ["one", "two"]), choose(model, "Pick", ["one", "two"], delimiter="")
    assert with_space.tokens == (4, 4) and without.tokens == (3, 3)
    assert with_space.scores("char")[0] == with_space.logprobs[0] / 3


def test_what_cannot_be_compared_is_refused_in_a_line(model: Model) -> None:
    with pytest.raises(UsageError, match="nothing to choose"):
        choose(model, "Pick:", ["one"])
    with pytest.raises(DataError, match="option 2 of 2 is blank"):
        choose(model, "Pick:", ["one", " "])
    with pytest.raises(DataError, match="blank context"):
        choose(model, " \n", ["one", "two"])
    with pytest.raises(ContextError, match="do not fit"):
        choose(model, "x" * 300, ["one", "two"])
    with pytest.raises(CapabilityError, match="logprobs"):
        choose(adhere.load("echo", store=None), "Pick:", ["one", "two"])


@pytest.mark.weights
def test_both_engines_of_the_small_model_know_the_capital_of_france(smollm2: Path) -> None:
    options = ["Paris", "Berlin", "a kind of cheese"]
    by_engine = [choose(adhere.load(name, store=None), "The capital of France is", options)
                 for name in ("smollm2", "torch:smollm2")]  # fmt: skip
    assert [found.best() for found in by_engine] == [0, 0]
    assert by_engine[0].tokens == by_engine[1].tokens
    assert by_engine[0].logprobs == pytest.approx(by_engine[1].logprobs, abs=1.0)  # Q8_0 against float32
