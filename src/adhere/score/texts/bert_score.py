"""BERTScore with MiniLM: how much a text means what a reference means, piece by piece.

Zhang et al. 2020, "BERTScore: Evaluating Text Generation with BERT" (arXiv 1904.09675), section 3: each word piece of
one text is matched greedily with the most similar piece of the other (cosine of contextual vectors); precision is the
mean over the text's pieces, recall over the reference's, F their harmonic mean. Without idf weights and without
rescaling by a baseline, as the library's defaults. The model is all-MiniLM-L6-v2 (last layer), since no larger one
comes from the package index: figures are comparable with each other and not with the paper's RoBERTa.

`against="passages"` is K-BERTScore (Adlakha et al. 2024, arXiv 2307.16877): precision matters there, since passages say
far more than an answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.texts.faithfulness import shown_passages

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BERTScore", "Match", "bert_score", "bert_scores", "matched"]

LONGEST = 8_000  # characters of a text that are compared: about 2,000 pieces, and a bound on the work
BLOCK = 512  # rows of the similarity matrix at a time
REMEMBERED = 50_000  # word pieces whose vectors are kept: 75 MB


class Match(NamedTuple):
    """Precision, recall and F of a text against a reference; each -1 to 1, in practice 0 to 1; 0 for an empty text."""

    precision: float
    recall: float
    f1: float


def matched(one: np.ndarray, other: np.ndarray) -> Match:
    """Greedy matching of two texts' pieces.

    Args:
        one: Unit vectors of the text's pieces, shape (pieces, dimensions).
        other: Of the reference's.
    """
    import numpy as np

    if not len(one) or not len(other):
        return Match(0.0, 0.0, 0.0)
    best = np.full(len(other), -1.0, np.float32)
    rows = np.empty(len(one), np.float32)
    for start in range(0, len(one), BLOCK):
        similar = one[start : start + BLOCK] @ other.T
        rows[start : start + BLOCK] = similar.max(axis=1)
        np.maximum(best, similar.max(axis=0), out=best)
    precision, recall = float(rows.mean()), float(best.mean())
    total = precision + recall
    return Match(precision, recall, 2 * precision * recall / total if total > 0 else 0.0)


def bert_scores(texts: Sequence[str], references: Sequence[Sequence[str]], model: Any = None) -> list[Match]:
    """Each text against its references, the best by F.

    Args:
        texts: Any number; all are embedded together.
        references: Of each text, at least one.
        model: A `MiniLM`; None takes the packaged one.

    Raises:
        UsageError: for lists of unequal length, or a text without references.
        WeightsError, DependencyError: if the packaged model cannot be had.
    """
    if len(texts) != len(references) or any(isinstance(row, str) or not row for row in references):
        raise UsageError("each text needs a list of at least one reference")
    every = dict.fromkeys((*texts, *(r for row in references for r in row)))
    vectors = dict(zip(every, _vectors(model or packaged(), list(every)), strict=True))
    return [
        max((matched(vectors[text], vectors[r]) for r in row), key=lambda m: m.f1)
        for text, row in zip(texts, references, strict=True)
    ]


def bert_score(text: str, references: Sequence[str]) -> Match:
    """`bert_scores` of one text."""
    return bert_scores([text], [references])[0]


@lru_cache(maxsize=1)
def packaged() -> Any:
    """all-MiniLM-L6-v2 from its wheel, loaded once."""
    from adhere.models.names import backend

    return backend("minilm")


def _vectors(model: Any, texts: Sequence[str]) -> list[np.ndarray]:
    return model.token_vectors([text[:LONGEST] for text in texts])


class _Recent:
    """Vectors of texts, those of recent ones remembered: the rows of a benchmark share passages and answers."""

    def __init__(self) -> None:
        self._known: dict[str, np.ndarray] = {}
        self._turn = threading.Lock()  # numpy uses all cores already

    def of(self, texts: Sequence[str]) -> list[np.ndarray]:
        """One array a text, as `MiniLM.token_vectors`."""
        with self._turn:
            missing = [text for text in dict.fromkeys(texts) if text not in self._known]
            found = dict(zip(missing, _vectors(packaged(), missing), strict=True)) if missing else {}
            made = [found[text] if text in found else self._known[text] for text in texts]
            self._known |= found
            while len(self._known) > 1 and sum(map(len, self._known.values())) > REMEMBERED:
                del self._known[next(iter(self._known))]
            return made


_recent = _Recent()


@register("bert_score", paper="instruct-qa")
class BERTScore:
    """Scores a response against the instruction's references (F), or against its passages (precision).

    `passed` stays undecided. Without references, or passages, there is no value.

    Args:
        against: "references" or "passages".
    """

    def __init__(self, against: Literal["references", "passages"] = "references") -> None:
        if against not in ("references", "passages"):
            raise UsageError(f"bert_score cannot compare with '{against}'", hint="There are: references, passages")
        self.against = against

    def __repr__(self) -> str:
        return f"BERTScore({self.against!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            WeightsError, DependencyError: if the model cannot be had.
        """
        if self.against == "references":
            name, wanted = "bert_score", list(instruction.references)
        else:
            name, wanted = "k_bert_score", shown_passages(instruction, response)
        if not any(wanted):
            return Score(name, reason=f"there are no {self.against}")
        found = await asyncio.to_thread(self._match, response.text, wanted)
        value = found.f1 if self.against == "references" else found.precision
        return Score(name, value, reason=f"precision {found.precision:.3f}, recall {found.recall:.3f}")

    def _match(self, text: str, wanted: Sequence[str]) -> Match:
        """Against the best of the references, or against all passages together."""
        import numpy as np

        said, *others = _recent.of([text, *wanted])
        if self.against == "passages":
            return matched(said, np.concatenate(others))
        return max((matched(said, other) for other in others), key=lambda m: m.f1)
