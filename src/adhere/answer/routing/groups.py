"""The group loss: softmax over the scores of a few (instruction, candidate) pairs, the one that went well first.

Model-SAT, section 3.2: a group is one candidate with one instruction that it solved and k - 1 that it failed; the loss
is the cross-entropy of the group's scores with the first as the target. Groups are of one size, and a candidate with
everything right or everything wrong forms none.

For a head on given features, which reads no text, groups of another kind are added: one instruction, a candidate that
did well on it and one that did worse; each counts by how much worse.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Groups", "across_candidates", "across_instructions", "group_loss"]

SIZE = 4  # of the published run
MOST = 60_000  # groups of a kind; more are drawn at random
SOLVED = 0.5  # a score above this is a solved instruction


class Groups(NamedTuple):
    """Groups of equal size.

    Attributes:
        members: Row numbers, instruction * candidates + candidate, (groups, size); the first went well.
        weights: What each counts.
        skipped: Candidates, or instructions, that formed none.
    """

    members: np.ndarray
    weights: np.ndarray
    skipped: int


def across_instructions(scores: np.ndarray, seed: int = 0, size: int = SIZE) -> Groups:
    """For each candidate a group for every instruction it solved, with `size - 1` that it failed.

    A candidate that solves more has more groups: the stronger are drawn more often, as in the paper.

    Args:
        scores: (instructions, candidates), 0 to 1; NaN where unknown.
    """
    import numpy as np

    rng, candidates = random.Random(seed), scores.shape[1]
    members, skipped = [], 0
    for candidate in range(candidates):
        solved = np.flatnonzero(scores[:, candidate] > SOLVED).tolist()
        failed = np.flatnonzero(scores[:, candidate] <= SOLVED).tolist()
        if not solved or len(failed) < size - 1:
            skipped += 1
            continue
        members += [
            [item * candidates + candidate for item in (good, *rng.sample(failed, size - 1))] for good in solved
        ]
    members = rng.sample(members, MOST) if len(members) > MOST else members
    return Groups(np.array(members, dtype=np.int64).reshape(-1, size), np.ones(len(members)), skipped)


def across_candidates(scores: np.ndarray, seed: int = 0) -> Groups:
    """For each instruction the pairs of candidates that did better and worse on it.

    Args:
        scores: (instructions, candidates), 0 to 1; NaN where unknown.
    """
    import numpy as np

    candidates = scores.shape[1]
    with np.errstate(invalid="ignore"):
        ahead = scores[:, :, None] - scores[:, None, :]
        item, better, worse = np.nonzero(ahead > 0)
    weights = ahead[item, better, worse]
    members = np.stack([item * candidates + better, item * candidates + worse], axis=1)
    if len(members) > MOST:
        kept = np.random.default_rng(seed).choice(len(members), MOST, replace=False)
        members, weights = members[kept], weights[kept]
    return Groups(members, weights, len(scores) - len(set(item.tolist())))


def group_loss(values: np.ndarray, groups: Groups) -> tuple[float, np.ndarray]:
    """Weighted mean cross-entropy, and its gradient by `values`.

    Args:
        values: The score of every row.
        groups: Of row numbers.
    """
    import numpy as np

    if not len(groups.members):
        return 0.0, np.zeros_like(values)
    z = values[groups.members]
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    share = groups.weights / groups.weights.sum()
    loss = -float(share @ np.log(np.maximum(p[:, 0], 1e-300)))
    p[:, 0] -= 1
    slope = np.bincount(groups.members.ravel(), weights=(p * share[:, None]).ravel(), minlength=len(values))
    return loss, slope
