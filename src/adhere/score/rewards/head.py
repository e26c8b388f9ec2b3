"""A small reward model: a linear head on features that stay as they are, trained in seconds.

    head = RewardHead.from_pairs(read_pairs("preference.jsonl").pairs, loss="scaled")   # Bradley-Terry
    head = RewardHead.from_ratings(read_ratings("train.jsonl"))                         # five attributes at once
    head.save("scorers/mine")         # then: adhere eval rewardbench --scorer scorers/mine

Features are MiniLM's mean-pooled vector of (conversation, response) read as a pair, or the hidden state of the last
token of a small language model (`features="smollm2"`). Losses: `rewards/losses.py`, after HelpSteer2-Preference (Wang
et al. 2024, arXiv 2410.01257); `from_pairs(start=…)` goes on from a head that was fitted to ratings, and `beyond`
extrapolates.

What it is for: a reward where no GPU is, and the losses' comparison on equal features. What it is not: a good judge.
Measured, such heads are right on about 65 % of pairs where "the longer one" alone is right on 74 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from adhere.data.places import cache_dir
from adhere.errors import DataError, UsageError
from adhere.models.gather import Gatherer, Job
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.rewards.data import ATTRIBUTES, Pair, Rated
from adhere.score.rewards.losses import MISSING, Loss, extrapolate, fit_pairs, fit_ratings
from adhere.score.rewards.model import goodness_of
from adhere.score.rewards.torch import Conversation, TorchScorer

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KIND", "RewardHead", "features_of"]

KIND = "reward_head"
MINILM = "minilm"
MINILM_SCALE = 3.0  # its mean-pooled vectors have a root mean square of about a third
PREFERENCE = "preference"  # the one output of a head that was fitted to pairs


class _Config(msgspec.Struct):
    """What `scorer.json` says of a head.

    Attributes:
        features: "minilm", or the language model whose last hidden state is read.
        outputs: What the head's rows predict: attributes, or "preference".
        goodness: How several attributes become one reward; "" where there is one.
        history: How it was fitted, one entry a stage.
    """

    features: str
    outputs: tuple[str, ...]
    goodness: str = ""
    history: tuple[dict[str, Any], ...] = ()


@register(KIND, paper="helpsteer2-preference")
class RewardHead:
    """A saved head. `value` is its reward, `passed` stays undecided.

    Args:
        path: The folder that `save` wrote, or its name among the cache's `scorers`.

    Raises:
        DataError: if there is none, or its parts do not fit together.
    """

    def __init__(self, path: str) -> None:
        named = cache_dir() / "scorers" / path
        found = saved.read(named if path and (named / saved.CONFIG).is_file() else Path(path))
        self._set(*_opened(found), str(found.folder))

    def __repr__(self) -> str:
        return f"RewardHead({self.path!r})"

    def _set(self, config: _Config, weight: Any, bias: Any, path: str = "") -> None:
        self.config, self.weight, self.bias, self.path = config, weight, bias, path
        self._gatherer: Gatherer[Conversation] = Gatherer(self._work, KIND)

    @classmethod
    def from_saved(cls, found: saved.Saved, model: Answerer | None = None) -> Self:
        """The head of a folder that was opened by its name."""
        return cls(str(found.folder))

    @classmethod
    def _of(cls, config: _Config, weight: Any, bias: Any) -> Self:
        made = cls.__new__(cls)
        made._set(config, weight, bias)
        return made

    # Fitting ----------------------------------------------------------------------------------------------------------

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[Pair],
        loss: Loss = "scaled",
        *,
        features: str = MINILM,
        ridge: float = 1.0,
        start: RewardHead | None = None,
    ) -> Self:
        """A head fitted to preferences.

        Args:
            pairs: With strengths (`reward_data.read_pairs`).
            loss: "regular", "margin" or "scaled".
            features: What to read of the responses; with `start`, its features.
            ridge: See `reward_losses.fit_pairs`; features are about 1 in size.
            start: The head of an earlier stage; its reward (helpfulness, or the goodness) is where the fit begins.

        Raises:
            UsageError: if no pair carries a signal.
        """
        import numpy as np

        kind = start.config.features if start else features
        chosen = features_of(kind, [(p.messages, p.chosen) for p in pairs])
        rejected = features_of(kind, [(p.messages, p.rejected) for p in pairs])
        begin = start.direction if start else None
        w = fit_pairs(chosen - rejected, [p.strength for p in pairs], loss, ridge=ridge, start=begin)
        stage = {"how": "pairs", "loss": loss, "rows": len(pairs), "ridge": ridge}
        history = (*(start.config.history if start else ()), stage)
        return cls._of(_Config(kind, (PREFERENCE,), "", history), w[None].astype(np.float32), np.zeros(1, np.float32))

    @classmethod
    def from_ratings(
        cls,
        rated: Iterable[Rated],
        attributes: Sequence[str] = ATTRIBUTES,
        *,
        features: str = MINILM,
        ridge: float = 1.0,
        goodness: str = "70b",
    ) -> Self:
        """A head fitted to ratings by least squares.

        Args:
            rated: Responses with ratings (`reward_data.read_ratings`); a missing rating takes no part.
            attributes: Which to predict; all five, or ("helpfulness",), the paper's better choice.
            features: What to read of the responses.
            ridge: See `reward_losses.fit_ratings`.
            goodness: How five attributes become one reward.

        Raises:
            UsageError: for attributes that no row has; several that are not the five.
        """
        import numpy as np

        several = len(attributes) > 1
        if several and set(attributes) != set(ATTRIBUTES):
            raise UsageError(f"a reward of {', '.join(attributes)} is not defined", hint="Give one attribute, or all")
        rows = list(rated)
        x = features_of(features, [(r.messages, r.response) for r in rows])
        y = [[r.ratings.get(name, MISSING) for name in attributes] for r in rows]
        weight, bias = fit_ratings(x, y, ridge=ridge)
        stage = {"how": "ratings", "rows": len(rows), "ridge": ridge}
        config = _Config(features, tuple(attributes), goodness if several else "", (stage,))
        return cls._of(config, weight.astype(np.float32), bias.astype(np.float32))

    def beyond(self, earlier: RewardHead, alpha: float) -> Self:
        """ExPO: the head further along the way from an earlier stage to this one.

        Raises:
            UsageError: if the two read different features.
        """
        if earlier.config.features != self.config.features:
            raise UsageError(f"heads on '{earlier.config.features}' and '{self.config.features}' are not one model")
        w = extrapolate({"w": earlier.direction}, {"w": self.direction}, alpha)["w"]
        history = (*self.config.history, {"how": "expo", "alpha": alpha})
        return self._of(_Config(self.config.features, (PREFERENCE,), "", history), w[None], self.bias[:1] * 0)

    def save(self, folder: str | Path) -> Path:
        """Write it: some kilobytes."""
        config = msgspec.to_builtins(self.config)
        return saved.save(folder, KIND, config, {"weight": self.weight, "bias": self.bias})

    # Scoring ----------------------------------------------------------------------------------------------------------

    @property
    def direction(self) -> np.ndarray:
        """The reward's weights, shape (features,): the head's one row, or the goodness of its attributes."""
        import numpy as np

        if not self.config.goodness:
            return self.weight[0]
        unit = dict.fromkeys(self.config.outputs, 0.0)
        shares = [goodness_of(unit | {name: 1.0}, self.config.goodness) for name in self.config.outputs]
        return np.asarray(shares, np.float32) @ self.weight

    def rewards(self, conversations: Sequence[Conversation]) -> list[float]:
        """The rewards of conversations (messages, response)."""
        return [reward for reward, _ in self._predict(conversations)]

    def _predict(self, conversations: Sequence[Conversation]) -> list[tuple[float, dict[str, float]]]:
        found = features_of(self.config.features, conversations) @ self.weight.T + self.bias
        named = [dict(zip(self.config.outputs, row, strict=True)) for row in found.tolist()]
        weights = self.config.goodness
        return [(goodness_of(n, weights) if weights else n[self.config.outputs[0]], n) for n in named]

    def _work(self, jobs: list[Job[Conversation]]) -> None:
        for job, found in zip(jobs, self._predict([job.payload for job in jobs]), strict=True):
            job.settle(found)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        reward, named = await self._gatherer.submit((instruction.messages, response.text))
        said = ", ".join(f"{name} {value:.2f}" for name, value in named.items()) if len(named) > 1 else ""
        return Score(KIND, reward, reason=f"reward {reward:.3f}" + (f" of {said}" if said else ""))


def features_of(features: str, conversations: Sequence[Conversation]) -> np.ndarray:
    """The features of conversations, float32, shape (conversations, features), scaled to a root mean square near 1.

    Args:
        features: "minilm", or the name of a language model (`smollm2`, a Hugging Face folder).
        conversations: (messages, response) each.

    Raises:
        WeightsError, DependencyError: if the model cannot be had.
    """
    if features != MINILM:
        return _language_model(features).run(conversations).values
    pairs = [("\n".join(m.text for m in messages), response) for messages, response in conversations]
    return MINILM_SCALE * _minilm().features(pairs)


@cache
def _minilm() -> Any:
    from adhere.score.small.scorer import SmallScorer

    return SmallScorer.pretrained()


@lru_cache(maxsize=1)
def _language_model(name: str) -> TorchScorer:
    from adhere.models import hf_export

    folder = Path(name) if (Path(name) / "config.json").is_file() else hf_export.ensure(name)
    return TorchScorer(folder, head=False)


def _opened(found: saved.Saved) -> tuple[_Config, Any, Any]:
    if found.kind != KIND or not {"weight", "bias"} <= found.tensors.keys():
        raise DataError(f"{found.folder} holds no reward head but a '{found.kind}'")
    try:
        config = msgspec.convert(found.config, _Config)
    except msgspec.ValidationError as error:
        raise DataError(f"{found.folder / saved.CONFIG}: {error}") from error
    weight, bias = found.tensors["weight"], found.tensors["bias"]
    if weight.ndim != 2 or bias.shape != (len(config.outputs),) or len(weight) != len(config.outputs):
        raise DataError(f"{found.folder}: a head of shape {weight.shape} for {len(config.outputs)} outputs")
    return config, weight, bias
