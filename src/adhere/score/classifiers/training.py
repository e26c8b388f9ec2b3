"""Training a head over MiniLM: logistic regression on sentence vectors, seconds for thousands of texts.

rows = read_labelled("emotion.tsv")
head = await train_head("minilm-emotion", rows)
head.save("my-emotion")          # then: classifier(my-emotion, label=joy)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.errors import DataError, missing_extra
from adhere.score.classifiers.text import THRESHOLD, LinearHead, encoder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LabelledText", "measure", "read_labelled", "train_head"]

# The inverse of the regularisation's strength: unit vectors are short, so that less than this flattens every decision.
STRENGTH = 10.0


class LabelledText(NamedTuple):
    """A text with its label, and the split that it belongs to ("train", "test")."""

    text: str
    label: str
    split: str = "train"


def read_labelled(path: str | Path) -> list[LabelledText]:
    """Lines of split, label and text, tab-separated.

    Raises:
        DataError: naming the line that has not three fields.
    """
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 3 or not all(f.strip() for f in fields):
            raise DataError(f"{path}:{number}: {len(fields)} fields", hint="Write split, label and text, with tabs")
        rows.append(LabelledText(fields[2], fields[1], fields[0]))
    return rows


async def train_head(
    name: str, rows: Sequence[LabelledText], *, multi: bool = False, card: dict[str, Any] | None = None
) -> LinearHead:
    """A head trained on the rows of split "train" and measured on those of "test", if there are any.

    Args:
        name: What it is called in verdicts.
        rows: At least two labels. Labels weigh equally however many rows they have.
        multi: One yes-or-no head a label instead of one choice among all.
        card: Kept with the head; the measurements are added as "measured".

    Raises:
        DataError: for fewer than two labels.
        DependencyError: without scikit-learn or MiniLM.
    """
    import numpy as np

    labels = list(dict.fromkeys(row.label for row in rows))
    if len(labels) < 2:
        raise DataError("a classifier needs rows of at least two labels")
    vectors = await encoder().embed([row.text for row in rows])
    train = np.array([row.split != "test" for row in rows])
    named = np.array([labels.index(row.label) for row in rows])
    weight, bias = _fit(vectors[train], named[train], len(labels), multi)
    head = LinearHead(name, labels, weight, bias, multi, {**(card or {}), "train": int(train.sum())})
    if not train.all():
        head.card["measured"] = measure(head.of_vectors(vectors[~train]), named[~train], labels, multi)
    return head


def _fit(vectors: np.ndarray, named: np.ndarray, labels: int, multi: bool) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing_extra("scikit-learn", "embed", "training a text classifier") from error

    def regression() -> Any:
        return LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced")

    if not multi:
        made = regression().fit(vectors, named)
        weight, bias = made.coef_, made.intercept_
        if labels == 2:  # scikit-learn keeps one row for two classes; ours have one a label, for the softmax
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    else:
        each = [regression().fit(vectors, named == n) for n in range(labels)]
        weight = np.concatenate([made.coef_ for made in each])
        bias = np.concatenate([made.intercept_ for made in each])
    return weight.astype(np.float32), bias.astype(np.float32)


def measure(chances: np.ndarray, named: np.ndarray, labels: Sequence[str], multi: bool) -> dict[str, Any]:
    """How good probabilities are, on rows whose labels are known.

    Args:
        chances: Shape (rows, labels).
        named: The right column of each row.
        labels: Their names.
        multi: Whether 0.5 decides each label by itself.

    Returns:
        n, accuracy of the most probable label as [value, low, high] of its 95 % interval, and recall by label; of a
        multi-label classifier also how often 0.5 accepts the right label ("accepted"), and a wrong one
        ("wrongly_accepted").
    """
    import numpy as np

    from adhere.score.statistics import rate

    right = chances.argmax(1) == named
    found: dict[str, Any] = {
        "n": len(named),
        "accuracy": [round(x, 4) for x in rate(right.tolist())[:3]],
        "most_frequent_label": round(float(np.bincount(named).max() / len(named)), 4),
        "recall": {labels[n]: round(float(right[named == n].mean()), 4) for n in sorted(set(named.tolist()))},
    }
    if multi:
        yes = chances >= THRESHOLD
        own = np.eye(len(labels), dtype=bool)[named]
        found["accepted"] = round(float(yes[own].mean()), 4)
        found["wrongly_accepted"] = round(float(yes[~own].mean()), 4)
    return found
