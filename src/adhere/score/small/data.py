"""What a small scorer learns from: (instruction, answer) pairs with labels from 0 to 1.

Cappy's downstream data (Tan et al. 2023, arXiv 2311.06720, section 3.4; the repository's builder, exactly): every
reference is a 1; for each of them one target is drawn from the set of all targets of the task and, unless that pair is
there already, makes a 0; every sample of the generator that is not there already gets the best metric over the
references as its label. Then all are shuffled, repeated, and cut to the wanted number. The same rows serve wherever an
answer's quality is learnt from references: another metric, unit tests, or constraints may give the labels.

What differs: pairs are told apart as tuples, not as texts joined by "|||".
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError
from adhere.score.texts.overlap import METRICS

__all__ = ["Labelled", "Quality", "TaskRow", "label_function", "labelled", "repeated"]

Quality = Callable[[str, Sequence[str]], float]


class TaskRow(NamedTuple):
    """One instance of a task.

    Attributes:
        instruction: What was asked, as text.
        references: Right answers, at least one.
        candidates: What a generator answered.
    """

    instruction: str
    references: tuple[str, ...]
    candidates: tuple[str, ...] = ()


class Labelled(NamedTuple):
    """An answer and how good it is, 0 to 1."""

    instruction: str
    answer: str
    label: float


def labelled(
    rows: Sequence[TaskRow], metric: str | Quality = "rouge_l", *, graded: bool = True, seed: int = 0
) -> list[Labelled]:
    """The rows to learn a task from, shuffled; no pair comes twice.

    Args:
        rows: Of one task, the training split only.
        metric: "rouge_l", "exact_match", "token_f1", or a function (answer, references) → 0 to 1.
        graded: Whether to use the candidates; without them only 1s and 0s are left (the paper's ablation).
        seed: Of the negatives and the shuffle.

    Raises:
        DataError: if a row has no reference, there is none to learn from, or a label is not between 0 and 1.
    """
    measure = label_function(metric)
    if not rows:
        raise DataError("there are no rows to learn from")
    labels: dict[tuple[str, str], float] = {}
    for number, row in enumerate(rows):
        if not row.references:
            raise DataError(f"row {number + 1}: Cappy needs at least one reference per training row")
        labels |= {(row.instruction, reference): 1.0 for reference in row.references}
    rng = random.Random(derive("small scorer rows", seed))
    targets = sorted({reference for row in rows for reference in row.references})
    if len(targets) > 1:
        for instruction, _ in list(labels):
            labels.setdefault((instruction, rng.choice(targets)), 0.0)
    else:
        if not graded or not any(row.candidates for row in rows):
            raise DataError("all rows have the same target and none has candidates: there is nothing to tell apart")
        warnings.warn("all rows have the same target: no negatives, learning from the candidates", stacklevel=2)
    if graded:
        for row in rows:
            for candidate in row.candidates:
                if (row.instruction, candidate) not in labels:
                    labels[row.instruction, candidate] = _between_0_and_1(measure(candidate, row.references))
    made = [Labelled(instruction, answer, label) for (instruction, answer), label in labels.items()]
    rng.shuffle(made)
    return made


def repeated(rows: Sequence[Labelled], size: int) -> list[Labelled]:
    """The rows again and again until there are `size` of them, as the repository fills its training set."""
    if not rows:
        raise DataError("there are no rows to repeat")
    return [rows[i % len(rows)] for i in range(size)]


def label_function(metric: str | Quality) -> Quality:
    """The function of a metric's name.

    Raises:
        UsageError: if there is none.
    """
    if not isinstance(metric, str):
        return metric
    if metric not in METRICS:
        raise UsageError(f"unknown metric '{metric}'", hint=f"There are: {', '.join(METRICS)}, or give a function")
    return METRICS[metric]


def _between_0_and_1(label: float) -> float:
    if not 0 <= label <= 1:
        raise DataError(f"a label of {label} is not between 0 and 1", hint="Scale the metric")
    return float(label)
