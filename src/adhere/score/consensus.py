"""What the candidates agree on: a majority of equal answers, or the one that is most like all the others.

- `majority`: self-consistency (Wang et al. 2022, arXiv 2203.11171): the value of a candidate is the share of all
  candidates that give the same answer, where answers are read out of the texts by `adhere.score.texts.extract`.
- `consensus`: minimum Bayes risk with the samples as their own distribution (Eikema & Aziz 2022, arXiv 2108.04718,
  equation 4): the mean similarity to the *other* candidates.

Both compare candidates (`rank`), so they belong into best-of-n; of a single answer they know nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from adhere.errors import UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.texts.extract import KINDS, Kind, extract_answer
from adhere.score.texts.overlap import lcs_f, rouge_tokens

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Consensus", "Majority"]

Similarity = Literal["rouge_l", "minilm"]
LONGEST = 4_000  # words of a candidate that are compared: pairs of endless texts would take minutes


class _Comparing:
    """What knows nothing of a single answer."""

    name = ""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """Undecided: there is nothing to compare with."""
        return Score(self.name, reason=f"{self.name} compares candidates, and this is one alone")


@register("majority")
class Majority(_Comparing):
    """The share of candidates with the same answer; undecided where no answer can be read.

    Args:
        kind: What to read: "number", "choice", "yes_no", "letters" or "text" (the whole text, or what follows "The
            answer is").
    """

    name = "majority"

    def __init__(self, kind: Kind = "text") -> None:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of answer '{kind}'", hint=f"There are: {', '.join(KINDS)}")
        self.kind: Kind = kind

    def __repr__(self) -> str:
        return f"Majority({self.kind!r})"

    async def rank(self, instruction: Instruction, responses: Sequence[Response]) -> list[Score]:
        """One score a candidate."""
        answers = [extract_answer(r.text, self.kind) for r in responses]
        folded = [None if a is None else a.casefold() for a in answers]
        votes = Counter(a for a in folded if a is not None)
        scores = []
        for answer, key in zip(answers, folded, strict=True):
            if key is None:
                scores.append(Score(self.name, reason=f"no {self.kind} can be read in it"))
            else:
                reason = f"{votes[key]} of {len(responses)} say {answer[:60] if answer else ''!r}"
                scores.append(Score(self.name, votes[key] / len(responses), reason=reason))
        return scores


@register("consensus")
class Consensus(_Comparing):
    """The mean similarity to the other candidates, 0 to 1 (with "minilm" -1 to 1).

    Args:
        similarity: "rouge_l", or "minilm" for the cosine of sentence vectors.
    """

    name = "consensus"

    def __init__(self, similarity: Similarity = "rouge_l") -> None:
        if similarity not in ("rouge_l", "minilm"):
            raise UsageError(f"unknown similarity '{similarity}'", hint="There are: rouge_l, minilm")
        self.similarity: Similarity = similarity
        self._embedder: Any = None

    def __repr__(self) -> str:
        return f"Consensus({self.similarity!r})"

    async def rank(self, instruction: Instruction, responses: Sequence[Response]) -> list[Score]:
        """One score a candidate.

        Raises:
            WeightsError, DependencyError: if "minilm" cannot be had.
        """
        n = len(responses)
        if n < 2:
            return [await self.score(instruction, r) for r in responses]
        texts = [r.text for r in responses]
        alike = await self._cosines(texts) if self.similarity == "minilm" else _overlaps(texts)
        means = (alike.sum(1) - alike.diagonal()) / (n - 1)
        reason = f"mean {self.similarity} with {n - 1} others"
        return [Score(self.name, float(mean), reason=reason) for mean in means]

    async def _cosines(self, texts: list[str]) -> np.ndarray:
        if self._embedder is None:
            from adhere.models.names import load

            self._embedder = load("minilm")
        vectors = await self._embedder.embed(texts)
        return vectors @ vectors.T


def _overlaps(texts: Sequence[str]) -> np.ndarray:
    import numpy as np

    tokens = [rouge_tokens(text)[:LONGEST] for text in texts]
    alike = np.zeros((len(tokens), len(tokens)))
    for i, one in enumerate(tokens):
        for j in range(i):
            alike[i, j] = alike[j, i] = lcs_f(one, tokens[j])
    return alike
