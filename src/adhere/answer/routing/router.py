"""The learned router: which candidate is likely to answer an instruction well, before any of them has answered.

Model-SAT ("Capability Instruction Tuning", AAAI 2025) lets a language model read each candidate's aptitude record and
the instruction and say Yes or No. This is its small form, for a CPU: MiniLM places the instruction among the groups of
the aptitude test, and a linear head trained with the paper's group loss reads how well the candidate did nearby. It
knows no candidate by name, so a new one joins with its test alone. `llm_router.py` is the language model's form.

Features of (instruction x, candidate m), with a the record's accuracies and s the cosines of x and the groups:
- softmax(s / t) . a for three temperatures t: the accuracy expected nearby, from sharp to broad;
- the mean of a; softmax(s / t) * (a - mean a), group by group;
- the first principal components of x, alone and times the mean of a (who is strong counts more where it is hard).

The head is pulled towards the expected accuracy alone, which is what the test says without any training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from adhere.answer.routing.aptitude import Bank, Capability, check_capabilities
from adhere.answer.routing.groups import Groups, across_candidates, across_instructions, group_loss
from adhere.errors import DataError, UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Record, to_builtins
from adhere.score import saved

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KIND", "CapabilityRouter", "Judgement", "Outcome", "score_table"]

KIND = "capability_router"
TEMPERATURES = (0.03, 0.1, 0.3)
SHARP = 1  # the temperature whose expected accuracy the head starts from
PRIOR = 4.0  # logits between an expected accuracy of 0 and of 1, before training
COMPONENTS = 16
STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # of the pull; chosen on a fifth of the instructions
CONSTANT = 1e-5  # a feature that varies less than this is one
FAR_SHARE = 0.01  # an instruction less similar to any group than this share of the training ones is far


class Outcome(Record):
    """How well a candidate did on an item: 0 to 1."""

    item_id: str
    candidate: str
    score: float


class Judgement(NamedTuple):
    """What the router says of an instruction.

    Attributes:
        scores: Probability by candidate that it answers well.
        far: Whether the instruction is far from everything in the aptitude test, so that the scores mean little.
        nearest: Cosine to the nearest group.
    """

    scores: dict[str, float]
    far: bool
    nearest: float


class CapabilityRouter:
    """Scores of candidates for an instruction. Made by `train`, or read by `load`.

    Attributes:
        candidates: Their capability records by name, in order.
        report: What is known of its training, as plain JSON.
    """

    def __init__(self, head: _Head, candidates: Mapping[str, Capability], embedder: Model, report: dict[str, Any]):
        self.candidates = dict(candidates)
        self.report = report
        self._head = head
        self._embedder = embedder

    def __repr__(self) -> str:
        return f"CapabilityRouter({', '.join(self.candidates)})"

    @classmethod
    async def train(
        cls,
        outcomes: Sequence[Outcome],
        items: Sequence[Instruction],
        capabilities: Mapping[str, Capability],
        bank: Bank,
        embedder: Model,
        *,
        seed: int = 0,
    ) -> Self:
        """Learn from recorded outcomes.

        Args:
            outcomes: Of candidates on items; not every pair needs one.
            items: The instructions; none of them in the bank.
            capabilities: Records of the candidates.
            bank: Of the test that the records come from.
            embedder: `adhere.load("minilm")`.
            seed: Of the groups that are drawn.

        Raises:
            UsageError: if a candidate has no record (naming the command), or no group can be formed.
            DataError: if an outcome names an unknown item, or a record was made with another test.
        """
        names = list(dict.fromkeys(o.candidate for o in outcomes))
        check_capabilities(names, capabilities)
        scores = score_table(outcomes, items, names)
        places = await embedder.embed([item.prompt for item in items])
        centres = await _centres(bank, embedder)
        records = _records([capabilities[name] for name in names], list(bank.groups))
        head, report = _fit(places, centres, records, scores, tuple(bank.groups), seed)
        return cls(head, {name: capabilities[name] for name in names}, embedder, report)

    async def judge(self, instruction: Instruction) -> Judgement:
        """Scores of all candidates, with a flag where they mean little."""
        return (await self.judge_all([instruction]))[0]

    async def judge_all(self, instructions: Sequence[Instruction]) -> list[Judgement]:
        """The same for several, with their texts embedded together."""
        places = await self._embedder.embed([i.prompt for i in instructions])
        nearest = (places @ self._head.centres.T).max(axis=1)
        expected = self.expected(places)
        return [
            Judgement(dict(zip(self.candidates, row.tolist(), strict=True)), bool(near < self._head.far), float(near))
            for row, near in zip(expected, nearest, strict=True)
        ]

    async def scores(self, instruction: Instruction) -> dict[str, float]:
        """Probability by candidate that it answers well."""
        return (await self.judge(instruction)).scores

    def expected(self, places: np.ndarray) -> np.ndarray:
        """Scores (instructions, candidates) of vectors that are known already."""
        records = _records(list(self.candidates.values()), list(self._head.groups))
        return self._head.probabilities(places, records)

    def choices(self, places: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Which of `names` each instruction goes to, by position: the best score, or where it is far the best mean."""
        import numpy as np

        order = [list(self.candidates).index(name) for name in names]
        chosen = self.expected(places)[:, order].argmax(axis=1)
        far = (places @ self._head.centres.T).max(axis=1) < self._head.far
        return np.where(far, int(np.argmax([self.candidates[name].mean for name in names])), chosen)

    def add(self, capability: Capability) -> None:
        """Let a candidate join, or replace its record. Nothing is trained.

        Raises:
            DataError: if its record was made with another test.
        """
        _records([capability], list(self._head.groups))
        self.candidates[capability.candidate] = capability

    def save(self, folder: str | Path, **more: Any) -> Path:
        """Write `scorer.json` and `scorer.safetensors`; `more` is kept beside (the pool, costs)."""
        config = {"candidates": to_builtins(self.candidates), "groups": list(self._head.groups),
                  "far": self._head.far, "scale": list(self._head.scale), "report": self.report, **more}  # fmt: skip
        tensors = {"centres": self._head.centres, "components": self._head.components, "mean": self._head.mean,
                   "weights": self._head.weights}  # fmt: skip
        return saved.save(folder, KIND, config, tensors)

    @classmethod
    def load(cls, folder: str | Path, embedder: Model) -> Self:
        """Read what `save` wrote.

        Raises:
            DataError: if the folder holds no router.
        """
        import msgspec

        found = saved.read(folder)
        if found.kind != KIND:
            raise DataError(f"{folder} holds a '{found.kind}', not a router", hint="Train one: adhere route train")
        try:
            config, t = found.config, found.tensors
            head = _Head(tuple(config["groups"]), t["centres"], t["mean"], t["components"], t["weights"],
                         tuple(config["scale"]), config["far"])  # fmt: skip
            candidates = msgspec.convert(config["candidates"], dict[str, Capability])
            return cls(head, candidates, embedder, config["report"])
        except (KeyError, msgspec.ValidationError) as error:
            raise DataError(f"{folder} is not a whole router: {error}", hint="Train it again") from error


class _Head(NamedTuple):
    """The trained numbers: group centres (groups, dims), components (dims, k), and the weights of the features."""

    groups: tuple[str, ...]
    centres: np.ndarray
    mean: np.ndarray
    components: np.ndarray
    weights: np.ndarray
    scale: tuple[float, float]  # from the head's value to a logit: a + b v
    far: float

    def features(self, places: np.ndarray, records: np.ndarray) -> np.ndarray:
        """(instructions * candidates, features)."""
        import numpy as np

        similar = places @ self.centres.T
        softened = [_softmax(similar / t) for t in TEMPERATURES]
        n, m = len(places), len(records)
        average = records.mean(axis=1)
        near = np.stack([p @ records.T for p in softened], axis=2)
        local = softened[SHARP][:, None, :] * (records - average[:, None])[None]
        parts = (places - self.mean) @ self.components
        alone = np.broadcast_to(parts[:, None, :], (n, m, parts.shape[1]))
        strong = np.broadcast_to(average[None, :, None], (n, m, 1))
        return np.concatenate([near, strong, local, alone, alone * strong], axis=2).reshape(n * m, -1)

    def probabilities(self, places: np.ndarray, records: np.ndarray) -> np.ndarray:
        """(instructions, candidates)."""
        import numpy as np

        values = self.features(places, records) @ self.weights
        logits = self.scale[0] + self.scale[1] * values
        return (1 / (1 + np.exp(-logits))).reshape(len(places), len(records))


def _fit(
    places: np.ndarray, centres: np.ndarray, records: np.ndarray, scores: np.ndarray, groups: tuple[str, ...], seed: int
) -> tuple[_Head, dict[str, Any]]:
    """The head with the pull that serves a held-out fifth best, fitted on everything."""
    import numpy as np

    mean = places.mean(axis=0)
    _, _, directions = np.linalg.svd(places - mean, full_matrices=False)
    far = float(np.quantile((places @ centres.T).max(axis=1), FAR_SHARE))
    components = directions[:COMPONENTS].T
    head = _Head(groups, centres, mean, components, np.zeros(0), (0.0, 1.0), far)
    rows = head.features(places, records)
    last = np.random.default_rng(seed).random(len(places)) < 0.2
    kept, held = np.where(last[:, None], np.nan, scores), np.where(last[:, None], scores, np.nan)
    judged = across_candidates(held, seed)
    losses = {}
    for strength in STRENGTHS:
        weights = _head_weights(rows, _both(kept, seed), strength)
        losses[strength] = group_loss(rows @ weights, judged)[0]
    strength = min(losses, key=lambda s: losses[s])
    chosen = _both(scores, seed)
    weights = _head_weights(rows, chosen, strength)
    scale = _calibrated(rows @ weights, scores.ravel())
    report = {"items": len(scores), "pull": strength, "pairs": len(chosen[0].members), "groups": len(chosen[1].members),
              "candidates_without_groups": chosen[1].skipped, "items_without_pairs": chosen[0].skipped}  # fmt: skip
    return head._replace(weights=weights, scale=scale), report


def _both(scores: np.ndarray, seed: int) -> tuple[Groups, Groups]:
    pairs, groups = across_candidates(scores, seed), across_instructions(scores, seed)
    if not len(pairs.members) and not len(groups.members):
        raise UsageError(
            "the outcomes cannot teach a router: every candidate did equally well on everything",
            hint="Give questions that some candidates solve and others do not",
        )
    return pairs, groups


def _head_weights(rows: np.ndarray, kinds: Sequence[Groups], strength: float) -> np.ndarray:
    """Minimise the mean group losses plus `strength` / 2 |w - prior|^2, in units of the features' spread."""
    import numpy as np
    from scipy.optimize import minimize

    spread = rows.std(axis=0)
    spread[spread < CONSTANT] = np.inf  # nothing but rounding errors to learn from: its weight is 0
    scaled = rows / spread
    prior = np.zeros(rows.shape[1])
    prior[SHARP] = PRIOR * spread[SHARP] if np.isfinite(spread[SHARP]) else 0.0

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        values = scaled @ w
        found = [group_loss(values, groups) for groups in kinds]
        pull = w - prior
        loss = sum(f[0] for f in found) + strength / 2 * float(pull @ pull)
        return loss, scaled.T @ sum(f[1] for f in found) + strength * pull

    return minimize(objective, prior, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x / spread


def _calibrated(values: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Platt's a + b v by cross-entropy: probabilities compare across instructions, and with costs."""
    import numpy as np
    from scipy.optimize import minimize

    known = ~np.isnan(scores)
    v, y = values[known], scores[known]

    def objective(p: np.ndarray) -> float:
        z = p[0] + p[1] * v
        return float(np.mean(np.logaddexp(0, z) - y * z)) + 1e-4 * float(p[1] - 1) ** 2

    a, b = minimize(objective, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=[(-20, 20), (1e-3, 20)]).x
    return float(a), float(b)


def score_table(outcomes: Sequence[Outcome], items: Sequence[Instruction], names: Sequence[str]) -> np.ndarray:
    """Scores (instructions, candidates), NaN where there is no outcome.

    Raises:
        DataError: for an outcome of an unknown item, or a score outside 0 to 1.
    """
    import numpy as np

    row, column = {item.id: n for n, item in enumerate(items)}, {name: n for n, name in enumerate(names)}
    table = np.full((len(items), len(names)), np.nan)
    for outcome in outcomes:
        if outcome.item_id not in row:
            raise DataError(f"an outcome of '{outcome.candidate}' is of the unknown item '{outcome.item_id}'")
        if not 0 <= outcome.score <= 1:
            raise DataError(f"'{outcome.candidate}' has the score {outcome.score} on item '{outcome.item_id}'",
                            hint="Scores lie between 0 and 1")  # fmt: skip
        table[row[outcome.item_id], column[outcome.candidate]] = outcome.score
    return table


def _records(capabilities: Sequence[Capability], groups: Sequence[str]) -> np.ndarray:
    """Accuracies (candidates, groups)."""
    import numpy as np

    for record in capabilities:
        if set(record.groups) != set(groups):
            raise DataError(
                f"candidate '{record.candidate}' took another aptitude test ({len(record.groups)} groups, not these "
                f"{len(groups)})", hint=f"Run it again: adhere route test {record.candidate}",
            )  # fmt: skip
    return np.array([[record.groups[g] for g in groups] for record in capabilities])


async def _centres(bank: Bank, embedder: Model) -> np.ndarray:
    """Of each group the mean direction of its description and its questions, unit length."""
    import numpy as np

    texts = [[group, *(q.prompt for q in questions)] for group, questions in bank.groups.items()]
    vectors = await embedder.embed([text for group in texts for text in group])
    ends = np.cumsum([len(group) for group in texts])
    centres = np.array([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def _softmax(z: np.ndarray) -> np.ndarray:
    import numpy as np

    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
