"""Length-controlled win rate: what the win rate would be if both answers were equally long.

Dubois, Galambosi, Liang and Hashimoto 2024, "Length-Controlled AlpacaEval" (arXiv 2404.04475), section 3. For one model
m against baseline b, the judge's preference on instruction i is modelled as

    q_i = sigmoid(phi * tanh((len_b,i - len_m,i) / sd) + psi * d_i + theta)

with sd the standard deviation of this model's length differences (characters; scaled, not centred) and d_i the
instruction's difficulty, the same for all models. The controlled rate is the mean of sigmoid(psi * d_i + theta): the
prediction at equal lengths. Fitted by logistic regression on soft labels with an L1 penalty whose strength is chosen by
5-fold cross-validation, as alpaca_eval does; two length-gamed versions of the baseline (told to be verbose, or concise)
may join with a small weight and without theta, which keeps phi honest where a model's own lengths hardly vary.

Here the regression is 60 lines of numpy (`preferences/length_control_fit.py`: exact, many fits at once), so that the
cross-validation and the bootstrap cost a second, and the core needs no scikit-learn. What differs from the reference:

- Rows are what they say: difficulties belong to the rows that are passed in, not to a row number, which in alpaca_eval
  shifts when an answer is missing.
- Folds are dealt in turn instead of by `GroupKFold`'s sort; the penalty chosen may differ by one step of its grid.
- The interval is a bootstrap by prompt of the whole fit (at the chosen penalty). The leaderboard's standard error is
  that of the mean of the predictions, which leaves out that the weights were estimated (NullModel: 0.14 points).

What is not covered: comparing judges, and a correction for anything but length.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.errors import DataError, UsageError
from adhere.score.preferences.length_control_fit import fit, sigmoid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Shares = ArrayLike | Sequence[float | None]

__all__ = ["FEWEST", "Gamed", "LengthControlled", "Weights", "between", "fit_difficulty", "length_controlled"]

FEWEST = 100  # judged rows below which three weights cannot be told from noise
FEWEST_MODELS = 10  # to estimate difficulties from
GAMED_WEIGHT = 0.2  # of all gamed rows together relative to the model's own: alpaca_eval's `length_controlled_v1`
FOLDS = 5
PENALTIES = tuple(
    10 ** (-4 + 8 * i / 9) for i in range(10)
)  # scikit-learn's `Cs=10`, which alpaca_eval leaves as it is
DRAWS = 1_000
EXTREME = (0.10, 0.25)  # a correction beyond both (absolute; share of the way to 0 or 1) deserves a look
ONE_SIDED = 0.05  # of the answers on the other side of the baseline's length, below which the rows cannot show it
DECIDES = 15.0  # weight of the length beyond which a tenth of its spread turns a comparison; published ones are below 3
RIDGE = 1.0  # on difficulties: an instruction that every model loses has a finite one
NO_DIFFICULTY = (
    "no difficulties of the instructions are known: on AlpacaEval's leaderboard the formula without them is further "
    "from the published rates than the raw win rate is (6.6 and 4.9 points)"
)
BLOCK = 100_000  # numbers worked on at once, to stay within the processor's cache


class Weights(NamedTuple):
    """The fitted weights, in the order of the leaderboard's files."""

    length: float
    difficulty: float
    model: float


class Gamed(NamedTuple):
    """A version of the baseline with other lengths, row by row with the model's: its preferences and its lengths."""

    preferences: Shares
    lengths: ArrayLike


class LengthControlled(NamedTuple):
    """A length-controlled win rate; rates are shares from 0 to 1.

    Attributes:
        value: Predicted win rate at equal lengths, over all rows (judged or not).
        low: Lower end of the 95% bootstrap interval by prompt.
        high: Upper end.
        raw: The mean preference of the judged rows.
        weights: See `Weights`; 0 for what is not in the formula.
        penalty: The chosen C, the inverse of the L1 penalty's strength.
        formula: Which terms took part.
        n: Judged rows.
        notes: What the reader should know: terms that were dropped, an extreme correction.
    """

    value: float
    low: float
    high: float
    raw: float
    weights: Weights
    penalty: float
    formula: str
    n: int
    notes: tuple[str, ...] = ()


class _Design(NamedTuple):
    """Rows ready to be fitted: features (rows, terms), soft labels, weights, and the prompt of each row as a number."""

    x: Floats
    y: Floats
    weight: Floats
    prompt: NDArray[np.int64]
    at_equal: Floats  # features of each of the model's rows at equal lengths
    own_prompt: NDArray[np.int64]


def length_controlled(
    preferences: Shares,
    lengths: ArrayLike,
    baseline_lengths: ArrayLike,
    difficulty: ArrayLike | None = None,
    gamed: Sequence[Gamed] = (),
    clusters: Iterable[Hashable] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> LengthControlled:
    """The length-controlled win rate of a model.

    Args:
        preferences: The model's share of each comparison, 0 to 1; None without a verdict.
        lengths: Of the model's answers in characters; None where there is no answer, which takes no part in the fit.
        baseline_lengths: Of the baseline's.
        difficulty: Of each row's instruction; None leaves that term out.
        gamed: Length-gamed versions of the baseline, row by row on the same instructions.
        clusters: The prompt of each row, where a prompt has several.
        draws: Bootstrap resamples.
        seed: Of the bootstrap.

    Raises:
        UsageError: for fewer than 100 judged rows, preferences that are all 0 or all 1 (there is nothing to fit), or
            sequences of different lengths.
        DataError: for a preference outside 0 to 1.
    """
    import numpy as np

    given = np.asarray(preferences, dtype=np.float64)
    given = np.where(np.isnan(_numbers(lengths, len(given), "lengths")), np.nan, given)
    design, terms, notes = _design(given, lengths, baseline_lengths, difficulty, gamed, clusters)
    judged = given[~np.isnan(given)]
    raw, n = float(judged.mean()), len(judged)
    weights = np.zeros(len(terms))
    penalty = PENALTIES[-1]
    if not (judged == 0.5).all():  # the baseline against itself: 50% by construction
        penalty = _choose_penalty(design)
        weights = fit(design.x, design.y, design.weight[None], np.array([penalty]))[0]
    value = float(sigmoid(design.at_equal @ weights).mean())
    low, high = _interval(design, weights, penalty, draws, seed)
    if "length" in terms and difficulty is None:
        notes = (*notes, NO_DIFFICULTY)
    if "length" in terms and abs(weights[0]) > DECIDES:
        notes = (*notes, "length alone decides nearly every comparison: the rate at equal lengths is not determined")
    if _extreme(raw, value):
        notes = (*notes, f"length control moves the win rate from {raw:.1%} to {value:.1%}: look at the lengths")
    named = dict(zip(terms, weights.tolist(), strict=True))
    return LengthControlled(
        value,
        low,
        high,
        raw,
        Weights(named.get("length", 0.0), named.get("difficulty", 0.0), named["model"]),
        penalty,
        " + ".join(terms) + (" (regularised by gamed baselines)" if gamed else ""),
        n,
        notes,
    )


def between(model: Weights, other: Weights, difficulty: ArrayLike) -> float:
    """The win rate of a model over another one that was fitted against the same baseline, at equal lengths.

    `between(a, b) + between(b, a)` is 1, and a model wins half of the time over itself.
    """
    import numpy as np

    d = np.asarray(difficulty, dtype=np.float64)
    return float(sigmoid((model.difficulty - other.difficulty) * d + (model.model - other.model)).mean())


def fit_difficulty(
    preferences: Sequence[Shares],
    lengths: Sequence[ArrayLike],
    baseline_lengths: ArrayLike,
    *,
    rounds: int = 200,
) -> list[float]:
    """Difficulties of instructions, from many models' comparisons with one baseline.

    The joint model of the paper's section 3.2: every model has a length weight and an intercept of its own, every
    instruction one dummy, and all are fitted together (here with a ridge of 1 on the dummies, whose mean is 0).

    Args:
        preferences: One row a model, one column an instruction.
        lengths: Of the models' answers, likewise.
        baseline_lengths: Of the baseline's.
        rounds: At most, of alternating between models and instructions.

    Returns:
        A difficulty for each instruction: higher, the likelier a model wins there. Its unit is a logit; the weight that
        `length_controlled` gives it takes care of any other.

    Raises:
        UsageError: for fewer than 10 models.
    """
    import numpy as np

    p = np.asarray(preferences, dtype=np.float64)
    if len(p) < FEWEST_MODELS:
        raise UsageError(
            f"difficulties need at least {FEWEST_MODELS} models, not {len(p)}",
            hint="Leave them out: length_controlled does without",
        )
    seen = ~np.isnan(p)
    labels = np.where(seen, p, 0.5)
    base = np.asarray(baseline_lengths, np.float64)
    t = np.stack([np.nan_to_num(_length_feature(np.asarray(row, np.float64), base)[0]) for row in lengths])
    own = np.zeros((len(p), 2))  # length weight and intercept of each model
    d = np.zeros(p.shape[1])
    for _ in range(rounds):
        before = d
        for m in range(len(p)):
            x = np.stack((t[m, seen[m]], np.ones(seen[m].sum())), axis=1)
            own[m] = _newton_step(own[m], x, labels[m, seen[m]], d[seen[m]])
        mu = sigmoid(own[:, :1] * t + own[:, 1:] + d)
        slope = np.where(seen, mu - labels, 0).sum(axis=0) + RIDGE * d
        d = d - slope / (np.where(seen, mu * (1 - mu), 0).sum(axis=0) + RIDGE)
        d = d - d.mean()
        if np.abs(d - before).max() < 1e-6:
            break
    return d.tolist()


# The design -----------------------------------------------------------------------------------------------------------


def _design(
    given: Floats,
    lengths: ArrayLike,
    baseline_lengths: ArrayLike,
    difficulty: ArrayLike | None,
    gamed: Sequence[Gamed],
    clusters: Iterable[Hashable] | None,
) -> tuple[_Design, list[str], tuple[str, ...]]:
    import numpy as np

    rows = len(given)
    base = _numbers(baseline_lengths, rows, "lengths of the baseline")
    d = None if difficulty is None else _numbers(difficulty, rows, "difficulties")
    kept = ~np.isnan(given)
    _check(given[kept])
    own, varied = _length_feature(_numbers(lengths, rows, "lengths"), base)
    terms = ["length"] * varied + ["difficulty"] * (d is not None) + ["model"]
    prompt = _codes(clusters, rows)

    def features(length: Floats, mine: bool) -> Floats:
        columns = {"length": length, "difficulty": d, "model": np.full(rows, float(mine))}
        return np.stack([columns[term] for term in terms], axis=1)  # pyrefly: ignore

    parts = [(features(own, mine=True)[kept], given[kept], np.ones(kept.sum()), prompt[kept])]
    for version in gamed:
        labels = _numbers(version.preferences, rows, "preferences of a gamed baseline")
        length, _ = _length_feature(_numbers(version.lengths, rows, "lengths of a gamed baseline"), base)
        there = ~np.isnan(labels) & ~np.isnan(length)
        share = np.full(there.sum(), GAMED_WEIGHT / len(gamed))
        parts.append((features(length, mine=False)[there], labels[there], share, prompt[there]))
    x, y, weight, prompts = (np.concatenate(column) for column in zip(*parts, strict=True))
    notes = _length_notes(own, varied)
    return _Design(x, y, weight, prompts, features(np.zeros(rows), mine=True), prompt), terms, notes


def _length_feature(lengths: Floats, baseline: Floats) -> tuple[Floats, bool]:
    """tanh of the scaled difference, positive where the baseline's answer is the longer one; whether it varies."""
    import numpy as np

    difference = baseline - lengths
    known = difference[~np.isnan(difference)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return (np.tanh(difference / spread), True) if spread > 0 else (np.zeros(len(difference)), False)


def _length_notes(length: Floats, varied: bool) -> tuple[str, ...]:
    if not varied:
        return ("all lengths differ alike from the baseline's: there is no length term to fit",)
    longer, shorter = float((length < 0).mean()), float((length > 0).mean())
    if min(longer, shorter) >= ONE_SIDED:
        return ()
    side = "longer" if longer > shorter else "shorter"
    return (
        f"{max(longer, shorter):.0%} of the answers are {side} than the baseline's: equal lengths are an extrapolation",
    )


def _check(judged: Floats) -> None:
    if len(judged) and not (judged.min() >= 0 and judged.max() <= 1):
        raise DataError("preferences must lie between 0 and 1", hint="share_of_second reads AlpacaEval's numbers")
    if len(judged) < FEWEST:
        raise UsageError(
            f"{len(judged)} judged rows are too few to control for length", hint=f"It takes at least {FEWEST}"
        )
    if (judged == judged[0]).all() and judged[0] in (0.0, 1.0):
        side = "the model" if judged[0] else "the baseline"
        raise UsageError(f"{side} wins every row: no length effect can be seen", hint="Read the plain win rate")


def _numbers(given: Any, rows: int, what: str) -> Floats:
    import numpy as np

    values = np.asarray(given, dtype=np.float64)
    if len(values) != rows:
        raise UsageError(f"{rows} preferences but {len(values)} {what}")
    return values


def _codes(clusters: Iterable[Hashable] | None, rows: int) -> NDArray[np.int64]:
    import numpy as np

    if clusters is None:
        return np.arange(rows)
    seen: dict[Hashable, int] = {}
    codes = np.array([seen.setdefault(name, len(seen)) for name in clusters], dtype=np.int64)
    if len(codes) != rows:
        raise UsageError(f"{rows} preferences but {len(codes)} cluster names")
    return codes


# Fitting --------------------------------------------------------------------------------------------------------------


def _choose_penalty(design: _Design) -> float:
    """The C of the grid with the best held-out log-likelihood; of equal ones the strongest penalty."""
    import numpy as np

    fold = np.arange(len(design.y)) % FOLDS
    trained = np.stack([design.weight * (fold != f) for f in range(FOLDS) for _ in PENALTIES])
    fitted = fit(design.x, design.y, trained, np.tile(PENALTIES, FOLDS))
    z = fitted @ design.x.T
    loss = (np.logaddexp(0, z) - design.y * z) * design.weight
    held_out = np.repeat(np.arange(FOLDS), len(PENALTIES))[:, None] == fold
    by_fold = (loss * held_out).sum(axis=1) / held_out.sum(axis=1)
    return PENALTIES[int(np.argmin(by_fold.reshape(FOLDS, len(PENALTIES)).mean(axis=0)))]


def _interval(design: _Design, start: Floats, penalty: float, draws: int, seed: int) -> tuple[float, float]:
    """Percentile interval of the controlled rate over resamples of the prompts, each with a fit of its own."""
    import numpy as np

    rng = np.random.default_rng(seed)
    prompts = int(design.own_prompt.max()) + 1
    rates = []
    block = max(1, BLOCK // len(design.y))
    for begin in range(0, draws, block):
        count = min(block, draws - begin)
        drawn = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=count).astype(np.float64)
        fitted = fit(design.x, design.y, drawn[:, design.prompt] * design.weight, np.full(count, penalty), start)
        times = drawn[:, design.own_prompt]
        rates.append((sigmoid(fitted @ design.at_equal.T) * times).sum(axis=1) / times.sum(axis=1))
    low, high = np.quantile(np.concatenate(rates), [0.025, 0.975])
    return float(low), float(high)


def _newton_step(w: Floats, x: Floats, y: Floats, offset: Floats) -> Floats:
    """One damped Newton step of a small ridge-stabilised logistic regression with an offset."""
    import numpy as np

    mu = sigmoid(x @ w + offset)
    curve = (x * (mu * (1 - mu))[:, None]).T @ x + 1e-3 * np.eye(len(w))
    step = np.linalg.solve(curve, x.T @ (mu - y) + 1e-3 * w)
    return w - step / max(1.0, float(np.abs(step).max()))


def _extreme(raw: float, controlled: float) -> bool:
    room = raw if controlled < raw else 1 - raw
    return abs(controlled - raw) > max(EXTREME[0], EXTREME[1] * room)
