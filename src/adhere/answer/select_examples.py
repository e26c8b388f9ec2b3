"""Which examples to show for a question: at random, by words (BM25), by meaning, or by meaning and unlike each other.

One interface for all: `Selector(texts, "bm25").pick(query, 4)` gives positions in `texts`, the best match last, next to
the question that follows. BM25 is bm25s (Lù 2024), sentence vectors are MiniLM's, "diverse" is maximal marginal
relevance (Carbonell and Goldstein 1998): each pick trades likeness to the question against likeness to earlier picks.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from adhere.answer.apart import Once
from adhere.engine.seeds import derive
from adhere.errors import UsageError, missing_extra, suggest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SELECTIONS", "Embedder", "Selection", "Selector", "TfIdf", "embedder_of", "tokens"]

Selection = Literal["random", "bm25", "embedding", "diverse"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)
RELEVANCE = 0.5  # of likeness to the question, in maximal marginal relevance; the rest is unlikeness to other picks
FEATURES = 4096  # words that TF-IDF keeps: memory stays bounded

# Words, and each character of scripts that put no space between words.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])\w)+")


class Embedder(Protocol):
    """What turns texts into vectors: a `Model` of MiniLM, or `TfIdf`."""

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors, shape (len(texts), dimensions)."""
        ...


class Selector:
    """Picks among texts.

    Args:
        texts: What to pick from; an index is made when first needed.
        selection: "random", "bm25", "embedding" or "diverse".
        embedder: For the last two: "minilm", "tfidf" (no weights needed), or an embedder.

    Raises:
        UsageError: for another selection.
    """

    def __init__(
        self, texts: Sequence[str], selection: Selection = "random", embedder: Embedder | str = "minilm"
    ) -> None:
        if selection not in SELECTIONS:
            raise UsageError(f"unknown selection '{selection}'", hint=suggest(selection, SELECTIONS))
        self.texts = list(texts)
        self.selection = selection
        self.embedder = embedder
        self._index = Once(self._indexed)
        self._vectors = Once(self._embedded)

    async def pick(self, query: str, n: int, *, exclude: Collection[int] = (), seed: int = 0) -> list[int]:
        """Positions of `n` texts (fewer where there are fewer), the best match last.

        Args:
            query: The question that they are for.
            n: How many.
            exclude: Positions that must not be picked.
            seed: For "random", which draws anew for every query; the others draw nothing.
        """
        open_to = [at for at in range(len(self.texts)) if at not in exclude]
        if self.selection == "random":
            return random.Random(derive("examples", seed, query)).sample(open_to, min(n, len(open_to)))
        if self.selection == "diverse":
            return await self._diverse(query, n, open_to)
        scores = await self._words(query) if self.selection == "bm25" else await self._likeness(query)
        # A stable sort: equal scores keep the order of the texts.
        return sorted(open_to, key=lambda at: -scores[at])[:n][::-1]

    async def _words(self, query: str) -> Any:
        """BM25 of every text."""
        import numpy as np

        words = tokens(query)
        index = await self._index.get()
        return index.get_scores(words) if words else np.zeros(len(self.texts))

    async def _indexed(self) -> Any:
        import bm25s

        made = bm25s.BM25()
        # bm25s cannot index texts without any word; the placeholder matches no query.
        made.index([tokens(text) or ["\0"] for text in self.texts], show_progress=False)
        return made

    async def _likeness(self, query: str) -> Any:
        """Cosine of every text with the query."""
        embedder, vectors = await self._vectors.get()
        return vectors @ (await embedder.embed([query]))[0]

    async def _embedded(self) -> tuple[Embedder, Any]:
        embedder = embedder_of(self.embedder, self.texts)
        return embedder, await embedder.embed(self.texts)

    async def _diverse(self, query: str, n: int, open_to: list[int]) -> list[int]:
        import numpy as np

        likeness = await self._likeness(query)
        _, vectors = await self._vectors.get()
        nearest = np.full(len(self.texts), -1.0)  # likeness to the most similar pick so far; cosines reach down to -1
        picked: list[int] = []
        while open_to and len(picked) < n:
            gain = RELEVANCE * likeness - (1 - RELEVANCE) * nearest
            best = max(open_to, key=lambda at: gain[at])
            open_to.remove(best)
            picked.append(best)
            nearest = np.maximum(nearest, vectors @ vectors[best])
        return picked[::-1]


class TfIdf:
    """Vectors of weighted words, for who has no sentence embeddings: fitted on `texts`, at most 4,096 words."""

    def __init__(self, texts: Sequence[str]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise missing_extra("scikit-learn", "embed", "TF-IDF") from error
        self._vectorizer = TfidfVectorizer(analyzer=tokens, max_features=FEATURES)
        self._empty = not any(tokens(text) for text in texts)
        if not self._empty:
            self._vectorizer.fit(texts)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length vectors; zeros for a text without known words."""
        import numpy as np

        if self._empty:
            return np.zeros((len(texts), 1), np.float32)
        sparse: Any = self._vectorizer.transform(texts)
        return sparse.toarray().astype(np.float32)


def embedder_of(wanted: Embedder | str, texts: Sequence[str]) -> Embedder:
    """The embedder that is meant: itself, "tfidf" fitted on `texts`, or a model's name.

    Raises:
        DependencyError, WeightsError: if it cannot be had; "tfidf" needs neither weights nor a download.
    """
    if not isinstance(wanted, str):
        return wanted
    if wanted == "tfidf":
        return TfIdf(texts)
    return _loaded(wanted)


@lru_cache(maxsize=2)
def _loaded(name: str) -> Embedder:
    """A model for all selectors of the process: the weights are read once."""
    from adhere.models.names import load

    return load(name)


def tokens(text: str) -> list[str]:
    """Words in lower case; characters for scripts without spaces. No stop words and no stemming: idf does its part."""
    return _WORD.findall(text.lower())
