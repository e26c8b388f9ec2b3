"""How much the phrasing of an instruction matters (Sun et al. 2024, arXiv 2306.11270, section 3, and figures of ours).

All figures are of a table: for every item and phrasing, whether the answer was right and which option it was. Each task
has its own phrasings; figures over phrasings are made task by task and averaged, so that every task weighs the same.
Intervals are over items. Averages over tasks can hide phrasings that turn answers round: the sub-tables show them.

The largest difference between any twenty numbers is above 0 however alike the phrasings are; hence `chance`, which is
the spread to expect if phrasing did not matter: each item's verdicts shuffled over the phrasings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.bench.base import Options, Scored
from adhere.bench.figures import mean, plain, share, statistic
from adhere.bench.zero_shot_robustness.asking import picked
from adhere.score.statistics import Rate, compare, holm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Answers", "chance", "control_summary", "differing", "fleiss_kappa", "summary", "table"]

SHUFFLES = 500
NO_OPTION = -1  # a failed row, or an answer that is none of the options


class Answers(NamedTuple):
    """One item under all phrasings of its task, in the same order for all items of the task.

    Attributes:
        task, item: The task, and the item within it (its samples are several rows).
        right: Whether each answer was right, shape (phrasings,).
        chosen: The option that each was, by position; -1 for none of them.
    """

    task: str
    item: str
    right: NDArray[np.bool_]
    chosen: NDArray[np.int64]


def table(scored: Sequence[Scored]) -> tuple[list[Answers], int]:
    """The items that were put in every phrasing of their task, and how many were not (a run cut by --limit)."""
    import numpy as np

    phrasings: dict[str, dict[str, None]] = {}
    items: dict[tuple[str, int], dict[str, Scored]] = {}
    for s in scored:
        meta = s.instruction.meta
        phrasings.setdefault(meta["task"], {})[meta["phrasing"]] = None
        items.setdefault((meta["cluster"], s.sample), {})[meta["phrasing"]] = s
    whole = []
    for rows in items.values():
        first = next(iter(rows.values())).instruction.meta
        names = phrasings[first["task"]]
        if len(rows) == len(names):
            found = [rows[name] for name in names]
            right = np.array([s.score is not None and s.score.passed is True for s in found])
            whole.append(Answers(first["task"], first["cluster"], right, np.array([_chosen(s) for s in found])))
    return whole, len(items) - len(whole)


def _chosen(s: Scored) -> int:
    at = None if s.response is None else picked(s.instruction.meta["options"], s.response.text)
    return NO_OPTION if at is None else at


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """All figures over phrasings; `incomplete` counts the items that lack some and take no part."""
    items, incomplete = table(scored)
    names = [item.item for item in items]

    def averaged(figure: Callable[[NDArray[np.float64]], float]) -> dict[str, Any]:
        return statistic(lambda rows: _by_task(rows, figure), items, names)

    found = {
        "spread": averaged(lambda p: 100 * float(p.max() - p.min())),
        "chance": chance(items),
        "deviation": averaged(_deviation),
        "worst": averaged(lambda p: float(p.min())),
        "best": averaged(lambda p: float(p.max())),
        "all_right": share([bool(i.right.all()) for i in items], names),
        "agreement": mean([_agreement(i.chosen) for i in items], names),
        "kappa": statistic(fleiss_kappa, items, names),
        "differing": differing(items),
        **_gap(scored),
    }
    found["spread"] |= {"incomplete": incomplete} if incomplete else {}
    return found


def _by_task(items: Sequence[Answers], figure: Callable[[NDArray[np.float64]], float]) -> float | None:
    """The mean over tasks of a figure of the accuracies by phrasing."""
    import numpy as np

    tasks: dict[str, list[NDArray[np.bool_]]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item.right)
    return float(np.mean([figure(np.mean(rows, axis=0)) for rows in tasks.values()])) if tasks else None


def _deviation(accuracies: NDArray[np.float64]) -> float:
    """Points of standard deviation over phrasings (of a sample: n - 1)."""
    return 100 * float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0


def chance(items: Sequence[Answers], *, seed: int = 0) -> dict[str, Any]:
    """The spread if phrasing did not matter: its mean over shuffles within items; the interval is the shuffles' own.

    A `spread` above this interval is more than noise at the 2.5 % level.
    """
    import numpy as np

    if not items:
        return plain(Rate(np.nan, np.nan, np.nan, 0, 0))
    rng = np.random.default_rng(seed)
    tasks: dict[str, list[NDArray[np.bool_]]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item.right)
    drawn = np.zeros((len(tasks), SHUFFLES))
    for at, rows in enumerate(map(np.array, tasks.values())):
        for draw in range(SHUFFLES):
            accuracies = rng.permuted(rows, axis=1).mean(axis=0)
            drawn[at, draw] = 100 * (accuracies.max() - accuracies.min())
    spreads = drawn.mean(axis=0)
    low, high = np.quantile(spreads, (0.025, 0.975))
    return plain(Rate(float(spreads.mean()), float(low), float(high), len(items), len({item.item for item in items})))


def _agreement(chosen: NDArray[np.int64]) -> float | None:
    """The share of pairs of phrasings that led to the same option; two answers that are no option do not agree."""
    import numpy as np

    pairs = len(chosen) * (len(chosen) - 1)
    if not pairs:
        return None
    counts = np.bincount(chosen[chosen >= 0])
    return float((counts * (counts - 1)).sum()) / pairs


def fleiss_kappa(items: Sequence[Answers]) -> float | None:
    """Fleiss' kappa with phrasings as raters and positions of options as categories; mean over tasks, by their items.

    Chance agreement is that of the task's own choices (Fleiss 1971); None where every answer of all tasks is the same.
    """
    import numpy as np

    tasks: dict[str, list[Answers]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item)
    total = weight = 0.0
    for members in tasks.values():
        chosen = np.array([i.chosen for i in members])
        shares = np.bincount(chosen.ravel() + 1) / chosen.size
        expected = float(shares @ shares)
        agreements = [a for i in members if (a := _agreement(i.chosen)) is not None]
        if expected < 1 and agreements:
            total += len(members) * (float(np.mean(agreements)) - expected) / (1 - expected)
            weight += len(members)
    return total / weight if weight else None


def differing(items: Sequence[Answers]) -> dict[str, Any]:
    """The share of pairs of phrasings of a task whose accuracies differ: exact McNemar, Holm's correction by task."""
    import numpy as np

    tasks: dict[str, list[NDArray[np.bool_]]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item.right)
    found: list[bool] = []
    for rows in map(np.array, tasks.values()):
        pairs = combinations(range(rows.shape[1]), 2)
        adjusted = holm([compare(rows[:, a], rows[:, b]).p_value for a, b in pairs])
        found += [p < 0.05 for p in adjusted]
    value = sum(found) / len(found) if found else float("nan")
    return plain(Rate(value, float("nan"), float("nan"), len(found), len(tasks)))


def _gap(scored: Sequence[Scored]) -> dict[str, Any]:
    """Observed minus unobserved phrasings on the same items, in points; nothing where the bank does not have both."""
    return _contrast(scored, "gap", ("observed",), ("unobserved",))


def control_summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """Right phrasings minus each kind of control on the same items, in points."""
    found: dict[str, Any] = {}
    for kind in ("wrong", "negated", "random"):
        found |= _contrast(scored, f"minus_{kind}", ("observed", "unobserved"), (kind,))
    return found


def _contrast(scored: Sequence[Scored], name: str, these: Sequence[str], those: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    items: dict[str, tuple[list[float], list[float]]] = {}
    for s in scored:
        pair = items.setdefault(s.instruction.meta["cluster"], ([], []))
        for side, kinds in zip(pair, (these, those), strict=True):
            if s.instruction.meta["kind"] in kinds:
                side.append(float(s.score is not None and s.score.passed is True))
    both = [100 * (np.mean(one) - np.mean(other)) for one, other in items.values() if one and other]
    return {name: mean([float(d) for d in both])} if both else {}
