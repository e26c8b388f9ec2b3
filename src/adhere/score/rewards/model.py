"""Reward models as scorers: `reward(path)`, or a model's folder wherever a scorer is asked for.

    adhere eval rewardbench --scorer path/to/reward-model
    best_of_n(n=16, scorer=reward('hf:org/name'))

Any Hugging Face model with a classification head (safetensors) is read. One output is the reward. Models with several,
as HelpSteer2's (Wang et al. 2024, arXiv 2410.01257), rate attributes: their reward is the helpfulness, as in the
paper's Bradley-Terry models, or with `goodness` the sum that its authors weigh the five attributes by.

Rewards of Bradley-Terry models compare responses to *one* prompt only; those of regression models compare any. Small
heads on frozen features are in `rewards/head.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adhere.errors import UsageError
from adhere.models.gather import Gatherer, Job
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.rewards.data import ATTRIBUTES
from adhere.score.rewards.torch import Conversation, TorchScorer

__all__ = ["GOODNESS", "NEMO_OUTPUTS", "Reward", "goodness_of"]

NAME = "reward"
# The order of NeMo-Aligner's nine outputs; HelpSteer2 rates the last five.
NEMO_OUTPUTS = ("quality", "toxicity", "humor", "creativity", *ATTRIBUTES)
# What the authors make one reward of, for their 70B and 340B models (arXiv 2406.08673 and 2410.01257).
GOODNESS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"70b": (0.65, 0.8, 0.45, 0.55, -0.4), "340b": (0.3, 0.74, 0.46, 0.47, -0.33)}
)


def goodness_of(ratings: Mapping[str, float], weights: str = "70b") -> float:
    """One number of the five attributes.

    >>> round(goodness_of(dict(helpfulness=4, correctness=4, coherence=4, complexity=2, verbosity=2)), 3)
    7.9

    Raises:
        UsageError: if there are no such weights, or an attribute is missing.
    """
    if weights not in GOODNESS:
        raise UsageError(f"there are no weights '{weights}'", hint=f"There are: {', '.join(GOODNESS)}")
    if missing := [name for name in ATTRIBUTES if name not in ratings]:
        raise UsageError(f"goodness needs all five attributes: {missing[0]} is missing")
    return math.fsum(w * ratings[name] for w, name in zip(GOODNESS[weights], ATTRIBUTES, strict=True))


@register(NAME, paper="helpsteer2-preference")
class Reward:
    """A reward model's score of a response; `passed` stays undecided, for a reward has no threshold.

    Args:
        path: Folder of the model, or `hf:org/name`.
        output: Which of several outputs is the reward, from 0; None: the only one, the one that the model's
            configuration calls helpfulness, or the fifth of nine (NeMo-Aligner's order).
        goodness: Weigh the five attributes instead: "70b" or "340b".

    Raises:
        WeightsError: if it cannot be loaded.
        UsageError: if it has several outputs and it is not clear which one is meant.
    """

    def __init__(self, path: str, output: int | None = None, goodness: str | None = None) -> None:
        from adhere.models.names import fetch

        self.path = path
        self.output = output
        self.goodness = goodness
        self.scorer = TorchScorer(fetch(path) if path.startswith("hf:") else Path(path))
        self._names = _names(self.scorer.model.config)
        self._pick = _picked(self._names, path, output, goodness)
        self._gatherer: Gatherer[Conversation] = Gatherer(self._work, f"reward {path}")

    def __repr__(self) -> str:
        given = {"output": self.output, "goodness": self.goodness}
        said = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
        return f"Reward({self.path!r}{said})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; a reward that is not a number leaves the response without a value."""
        values, cut = await self._gatherer.submit((instruction.messages, response.text))
        reward = math.fsum(weight * float(values[at]) for at, weight in self._pick.items())
        if not math.isfinite(reward):
            return Score(NAME, reason="the reward is not a number")
        said = f"reward {reward:.4g}"
        if len(self._names) > 1:
            said += " of " + ", ".join(f"{name} {value:.3g}" for name, value in zip(self._names, values, strict=True))
        return Score(NAME, reward, reason=f"{said}; {cut} tokens too long, cut at the front" if cut else said)

    def _work(self, jobs: list[Job[Conversation]]) -> None:
        found = self.scorer.run([job.payload for job in jobs])
        for job, values, cut in zip(jobs, found.values, found.cut, strict=True):
            job.settle((values, cut))


def _names(config: Any) -> tuple[str, ...]:
    labels = tuple(str(config.id2label[n]) for n in range(config.num_labels))
    unnamed = all(label.startswith("LABEL_") for label in labels)
    return NEMO_OUTPUTS if unnamed and len(labels) == len(NEMO_OUTPUTS) else labels


def _picked(names: tuple[str, ...], path: str, output: int | None, goodness: str | None) -> dict[int, float]:
    """Which outputs the reward is made of, with their weights."""
    at = {name.casefold(): n for n, name in enumerate(names)}
    if goodness is not None:
        if goodness not in GOODNESS:
            raise UsageError(f"there are no weights '{goodness}'", hint=f"There are: {', '.join(GOODNESS)}")
        if not all(name in at for name in ATTRIBUTES):
            raise UsageError(f"'{path}' does not rate the five attributes", hint=f"Its outputs: {', '.join(names)}")
        return {at[name]: weight for name, weight in zip(ATTRIBUTES, GOODNESS[goodness], strict=True)}
    if output is not None:
        if not 0 <= output < len(names):
            raise UsageError(f"'{path}' has no output {output}", hint=f"It has {len(names)}: {', '.join(names)}")
        return {output: 1.0}
    if len(names) == 1:
        return {0: 1.0}
    if "helpfulness" in at:
        return {at["helpfulness"]: 1.0}
    raise UsageError(
        f"'{path}' has {len(names)} outputs: {', '.join(names[:5])}", hint="Say which is the reward: output=0"
    )
