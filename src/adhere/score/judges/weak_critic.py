"""A small critic trained by weak supervision: (constraint, answer) → met or not, labelled by the checkers (DeCRIM, §4).

    triples = label(instructions, answers)                  # the checkers' verdicts on any answers at hand
    trained = await train_weak_critic(triples)
    trained.critic.save("critics/weak");  resolve("weak(critics/weak)")

The paper tunes a 7B judge on open data with automatic labels. Here it is a logistic regression: MiniLM vectors of the
constraint and the answer, their product, counts of the answer (words, commas, capitals …), whether what the constraint
quotes stands in it, and the products of those counts with the constraint's main directions, so that "no commas" can
look at commas. It reads the constraint's text alone, so it also judges what no checker covers; how well is another
question, which the held-out figures answer for the kinds that were trained on only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from adhere.constraints import verify
from adhere.constraints.plain import find_in
from adhere.constraints.plain.numbers import NUMBER, number
from adhere.constraints.scorer import checker, combine
from adhere.errors import DataError, UsageError, missing_extra
from adhere.models.model import Model
from adhere.records import Constraint, Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.judges.critics import wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Trained", "Triple", "WeakCritic", "label", "train_weak_critic"]

KIND = "weak"
VERSION = 1  # of the features: a critic trained on others cannot be used
DIRECTIONS = 24  # of the constraints' vectors that are crossed with the counts
HELD_OUT = 0.25  # of the groups
FEWEST = 20  # triples of each verdict
LONGEST = 20_000  # characters of an answer, and of a constraint, that are looked at
MOST_QUOTED = 20  # quotations of a constraint that are looked for


class Triple(NamedTuple):
    """One labelled verdict.

    Attributes:
        constraint: Its text, as a sentence.
        answer: What was judged.
        met: The program's verdict.
        group: What must not be split between training and held-out data: the prompt.
    """

    constraint: str
    answer: str
    met: bool
    group: str = ""


class Trained(NamedTuple):
    """A critic and how good it is on the groups that it has not seen.

    Attributes:
        critic: Trained on all triples.
        metrics: Of the same training on the other groups: `n`, `accuracy`, `majority` (accuracy of the commonest
            verdict), `recall_of_failures`, `precision_of_failures`, `positive_rate` (how often it says met),
            `base_rate` (how often it is), `auc`.
    """

    critic: WeakCritic
    metrics: dict[str, float]


def label(instructions: Iterable[Instruction], answers: Mapping[str, Sequence[str]]) -> list[Triple]:
    """The checkers' verdicts as triples; undecided ones are left out.

    Args:
        instructions: With constraints.
        answers: By the instruction's id.
    """
    made = []
    for instruction in instructions:
        checkers = [checker(c, "ifeval") for c in instruction.constraints]
        for answer in answers.get(instruction.id, ()):
            verdicts = verify(answer, checkers).strict
            made += [
                Triple(wording(c), answer, verdict.passed, instruction.id)
                for c, verdict in zip(instruction.constraints, verdicts, strict=True)
                if verdict.passed is not None
            ]
    return made


@register(KIND, paper="decrim")
class WeakCritic:
    """The trained critic as a scorer: a part per constraint, as `Judge`; `value` is the expected share that holds.

    Args:
        source: The folder of a saved one, or what `adhere.score.saved.read` gave.

    Raises:
        DataError: if the folder holds no such critic, or one with other features.
    """

    def __init__(self, source: str | Path | saved.Saved) -> None:
        found = source if isinstance(source, saved.Saved) else saved.read(source)
        self.folder = found.folder
        self.config = found.config
        if found.kind != KIND or found.config.get("version") != VERSION:
            raise DataError(
                f"{found.folder} holds a scorer of kind '{found.kind}', version {found.config.get('version')}",
                hint=f"A weak critic of version {VERSION} is needed: train it again",
            )
        self._tensors = found.tensors
        self._embedder: Model | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @classmethod
    def from_saved(cls, found: saved.Saved, model: Answerer | None = None) -> Self:
        """From what lies in a folder; the answering model is not needed."""
        return cls(found)

    def save(self, folder: str | Path) -> Path:
        """Write it, for `weak(folder)`."""
        return saved.save(folder, KIND, self.config, self._tensors)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; on the constraints found in the text where the instruction has none.

        Raises:
            WeightsError: if MiniLM cannot be had.
        """
        wanted: Sequence[Constraint] = instruction.constraints or find_in(instruction.prompt).constraints
        if not wanted:
            return Score(KIND, reason="the instruction has no constraints")
        chances = await self.probabilities([(wording(c), response.text) for c in wanted])
        parts = tuple(
            Score(c.kind, float(p), bool(p > 0.5), reason=f"P(met) = {p:.2f}")
            for c, p in zip(wanted, chances, strict=True)
        )
        whole = combine(parts, KIND)
        return Score(KIND, float(sum(chances) / len(chances)), whole.passed, parts, whole.reason)

    async def probabilities(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """P(met) of (constraint's text, answer) pairs, shape (len(pairs),)."""
        if self._embedder is None:
            self._embedder = _minilm()
        raw = await _raw_features(pairs, self._embedder)
        return _predict(self._tensors, raw)


async def train_weak_critic(triples: Sequence[Triple], embedder: Model | None = None, *, seed: int = 0) -> Trained:
    """Train on labelled verdicts.

    Args:
        triples: At least `FEWEST` of each verdict, from several groups; see `label`.
        embedder: MiniLM, if it is open already.
        seed: Which groups are held out for the metrics; the critic itself is trained on all.

    Raises:
        UsageError: for too few triples, of one verdict or one group only: says how many are needed.
        DependencyError: without scikit-learn.
    """
    import numpy as np

    met = np.array([t.met for t in triples], dtype=bool)
    for verdict, count in (("met", int(met.sum())), ("not met", int((~met).sum()))):
        if count < FEWEST:
            raise UsageError(
                f"{count} triples are labelled '{verdict}'", hint=f"Give at least {FEWEST} of each verdict"
            )
    groups = sorted({t.group for t in triples})
    if len(groups) < 4:
        raise UsageError(f"the triples come from {len(groups)} groups", hint="At least 4 prompts are needed")
    raw = await _raw_features([(t.constraint, t.answer) for t in triples], embedder or _minilm())
    drawn = np.random.default_rng(seed).permutation(len(groups))[: max(1, round(HELD_OUT * len(groups)))]
    unseen = {groups[n] for n in drawn}
    held = np.array([t.group in unseen for t in triples])
    metrics = _metrics(_predict(_fit(raw.where(~held), met[~held]), raw.where(held)), met[held])
    config = {"version": VERSION, "triples": len(triples), "groups": len(groups), "held_out": metrics}
    critic = WeakCritic(saved.Saved(Path("untitled"), KIND, config, _fit(raw, met)))
    return Trained(critic, metrics)


# Features ------------------------------------------------------------------------------------------------------------


class _Raw(NamedTuple):
    """Rows before standardising: vectors of constraints and answers (n, 384) each, counts (n, counts)."""

    constraints: Floats
    answers: Floats
    counts: Floats

    def where(self, rows: NDArray[np.bool_]) -> _Raw:
        return _Raw(self.constraints[rows], self.answers[rows], self.counts[rows])


async def _raw_features(pairs: Sequence[tuple[str, str]], embedder: Model) -> _Raw:
    import numpy as np

    cut = [(_cut(constraint), _cut(answer)) for constraint, answer in pairs]
    texts = list(dict.fromkeys(text for pair in cut for text in pair))
    row = {text: n for n, text in enumerate(texts)}
    vectors = (await embedder.embed(texts)).astype(np.float64)
    return _Raw(
        vectors[[row[constraint] for constraint, _ in cut]],
        vectors[[row[answer] for _, answer in cut]],
        np.array([_counts(*pair) for pair in cut], dtype=np.float64),
    )


def _cut(text: str) -> str:
    return text[:LONGEST].encode("utf-8", "replace").decode()  # no lone surrogates, which no store takes


_QUOTED = re.compile(r"[\"“]([^\"“”]{1,80})[\"”]|(?<![\w'])'([^']{1,80})'(?![\w'])")
_NUMBER = re.compile(rf"\b{NUMBER}\b", re.IGNORECASE)
# What is counted of an answer, in the order of `_counts`: what bounds how often each is tried bounds its time.
_PATTERNS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"\w+",
        r"[.!?](?=\s|\Z)",
        r"\n",
        r"\n[ \t]*\n",
        r"^[ \t]*[*+-]\s",
        r"^[ \t]*\d{1,4}[.)]\s",
        r",",
        r"[A-Z]",
        r"[a-z]",
        r"\b[A-Z]{2,}\b",
        r"<<[^\n<>]{1,200}>>",
        r"^[ \t]*P\.\s?(?:P\.\s?)?S",
        r"\*[^*\n]{1,200}\*",
        r"\[[^\[\]\n]{0,200}\]",
        r"[{}]",
        r"\?",
        r"!",
        r"\d",
    )
)


def _counts(constraint: str, answer: str) -> list[float]:
    """Counts of an answer (logarithms), and how it relates to the numbers and quotations of the constraint."""
    from math import log1p

    found = [len(pattern.findall(answer)) for pattern in _PATTERNS]
    stripped = answer.strip()
    numbers = [number(m.group()) for m in _NUMBER.finditer(constraint)]
    wanted = numbers[0] if numbers else 0
    quoted = [(a or b).lower() for a, b in _QUOTED.findall(constraint)][:MOST_QUOTED]
    low = answer.lower()
    hits = [low.count(q) for q in quoted]
    return [
        1.0,
        *map(log1p, found),
        *(float(n > 0) for n in found),
        # against the constraint's number: 0 means exactly as many
        *(max(-3.0, min(3.0, log1p(n) - log1p(wanted))) if numbers else 0.0 for n in found[:6]),
        float(stripped[:1] == '"' == stripped[-1:]),
        float(stripped.startswith(("{", "["))),
        float(answer.isupper()),
        float(answer.islower()),
        sum(h > 0 for h in hits) / len(hits) if hits else 0.0,
        log1p(sum(hits)),
        float(bool(hits) and wanted > 0 and sum(hits) >= wanted),
        float(bool(quoted) and low.strip(' "\n').endswith(quoted[-1].strip())),
        float(bool(quoted) and low.strip(' "\n').startswith(quoted[0].strip())),
        float(not stripped),
    ]


def _design(tensors: Mapping[str, Any], raw: _Raw) -> Floats:
    """The rows that the regression sees: vectors, their product, counts, and counts by the constraint's directions."""
    import numpy as np

    counts = (raw.counts - tensors["count_mean"]) / tensors["count_scale"]
    directions = (raw.constraints - tensors["constraint_mean"]) @ tensors["directions"]
    crossed = (counts[:, :, None] * directions[:, None, :]).reshape(len(counts), -1)
    return np.concatenate([raw.constraints, raw.answers, raw.constraints * raw.answers * 10, counts, crossed], axis=1)


def _fit(raw: _Raw, met: NDArray[np.bool_]) -> dict[str, Any]:
    """The tensors of a critic. Verdicts weigh equally, so that it does not learn how lenient the data are."""
    import numpy as np

    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing_extra("scikit-learn", "train", "training a weak critic") from error
    mean = raw.constraints.mean(0)
    _, _, axes = np.linalg.svd(raw.constraints - mean, full_matrices=False)
    directions = axes[:DIRECTIONS].T
    spread = ((raw.constraints - mean) @ directions).std(0)
    scale = raw.counts.std(0)
    tensors = {
        "constraint_mean": mean,
        "directions": directions / np.maximum(spread, 1e-6),
        "count_mean": np.where(scale > 0, raw.counts.mean(0), 0.0),
        "count_scale": np.where(scale > 0, scale, 1.0),
    }
    # C: strong, since there are more columns than most users have rows
    regression = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
    columns: Any = _design(tensors, raw)
    regression.fit(columns, met.astype(np.int64).tolist())
    return tensors | {"weights": regression.coef_[0], "bias": regression.intercept_}


def _predict(tensors: Mapping[str, Any], raw: _Raw) -> Floats:
    from scipy.special import expit

    return expit(_design(tensors, raw) @ tensors["weights"] + tensors["bias"][0])


def _metrics(chances: Floats, met: NDArray[np.bool_]) -> dict[str, float]:
    from scipy.stats import rankdata

    says = chances > 0.5
    failures, said = int((~met).sum()), int((~says).sum())
    caught = int((~met & ~says).sum())
    positives = len(met) - failures
    ranks = float(rankdata(chances)[met].sum())
    measured = {
        "n": len(met),
        "accuracy": float((says == met).mean()),
        "majority": max(positives, failures) / len(met),
        "recall_of_failures": caught / failures if failures else 0.0,
        "precision_of_failures": caught / said if said else 0.0,
        "positive_rate": float(says.mean()),
        "base_rate": float(met.mean()),
    }
    if positives and failures:
        measured["auc"] = (ranks - positives * (positives + 1) / 2) / (positives * failures)
    return {name: round(value, 4) for name, value in measured.items()}


def _minilm() -> Model:
    from adhere.models.names import load

    return load("minilm")
