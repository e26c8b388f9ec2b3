"""Answering over documents: find passages, put them into the prompt by rank, answer (FollowRAG's setting).

Dong et al. 2024, arXiv 2410.09584: three passages of about a hundred words with titles, then the question. Passages
come from the user's corpus by BM25 or sentence vectors, or from the instruction itself. Documents with `trusted=False`
are fenced (see `adhere.models.hierarchy`), and what looks like a planted order is named in the trace. Not here:
VIF-RAG's training data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from adhere.answer.base import Strategy, Trace, draw
from adhere.answer.injections import scan
from adhere.answer.select_examples import Embedder, Selector
from adhere.data import jsonl
from adhere.errors import DataError, UsageError
from adhere.records import Document, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["Corpus", "Documents", "Retriever", "passages", "read_corpus"]

PASSAGE_WORDS = 100  # of the passages of dense passage retrieval, which FollowRAG uses
TEXTS = (".txt", ".md")
MAX_FILE = 64 * 2**20  # bytes of one text file


class Retriever(Protocol):
    """Anything that finds documents for a question."""

    async def find(self, question: str, k: int) -> Sequence[Document]:
        """At most `k` documents, the best first."""
        ...


class Corpus:
    """Passages that can be searched, by words ("bm25") or by meaning ("embedding")."""

    def __init__(
        self,
        documents: Sequence[Document],
        search: Literal["bm25", "embedding"] = "bm25",
        embedder: Embedder | str = "minilm",
    ) -> None:
        if search not in ("bm25", "embedding"):
            raise UsageError(f"unknown search '{search}'", hint="There are: bm25, embedding")
        self.documents = list(documents)
        self._selector = Selector([f"{d.title}\n{d.text}" for d in self.documents], search, embedder)

    async def find(self, question: str, k: int) -> list[Document]:
        """At most `k` passages, the best first."""
        return [self.documents[at] for at in reversed(await self._selector.pick(question, k))]


@register("documents", paper="vif-rag")
class Documents(Strategy):
    """Answers with the help of passages.

    Args:
        model: What answers.
        corpus: Where to look: a JSONL file (`{"text", "title", "id", "trusted"}` a row, or FollowRAG's `content`), a
            folder of .txt and .md files, documents, or a `Retriever`; None uses what documents an instruction brings.
        k: Passages for a question.
        search: "bm25" or "embedding".
        trusted: Whether passages of a file or folder are obeyed; a row's own `trusted` goes before it.
        embedder: For search by meaning.

    Raises:
        DataError: if the corpus cannot be read, or is empty.
        UsageError: for arguments that make no sense.
    """

    def __init__(
        self,
        model: Answerer,
        corpus: str | Sequence[Document] | Retriever | None = None,
        k: int = 3,
        search: Literal["bm25", "embedding"] = "bm25",
        trusted: bool = False,
        embedder: Embedder | str = "minilm",
    ) -> None:
        if not isinstance(k, int) or k < 1:
            raise UsageError(f"documents: k is {k!r}", hint="It is a number of passages, at least 1")
        self.model = model
        self.corpus = corpus
        self.k = k
        self.search = search
        self.trusted = trusted
        self.embedder = embedder
        if isinstance(corpus, str | Path):
            corpus = read_corpus(corpus, trusted=trusted)
        self._retriever = Corpus(corpus, search, embedder) if isinstance(corpus, Sequence) else corpus

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call, with the passages before the question."""
        found = [] if self._retriever is None else list(await self._retriever.find(instruction.prompt, self.k))
        documents = (*instruction.documents, *found)
        shown = [
            {"title": d.title or d.id, "text": d.text[:200], "trusted": d.trusted, **_flagged(d)} for d in documents
        ]
        trace.add("documents", items=shown, search=self.search if found else "given")
        asked = msgspec.structs.replace(instruction, documents=documents)
        return await draw(self.model, asked)


def _flagged(document: Document) -> dict[str, Any]:
    """What looks like a planted order, for the trace; trusted documents may ask for things."""
    flags = [] if document.trusted else scan(document)
    return {"flags": [f"{flag.strength} {flag.kind}: {flag.text}" for flag in flags[:5]]} if flags else {}


def read_corpus(path: str | Path, *, trusted: bool = False) -> list[Document]:
    """The passages of a JSONL file, a text file, or a folder of text files; see `Documents`.

    Raises:
        DataError: naming the file and line, if something cannot be read; if there is no passage at all.
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(f for f in place.rglob("*") if f.suffix in TEXTS and f.is_file())
        found = [d for file in files for d in _text_file(file, str(file.relative_to(place)), trusted)]
    elif place.suffix in TEXTS:
        found = _text_file(place, place.name, trusted)
    else:
        found = [_row(row, f"{place}:{number}", trusted) for number, row in jsonl.objects(place)]
    if not found:
        raise DataError(f"{place}: no passages in it", hint=f"Give JSON lines, or {' and '.join(TEXTS)} files")
    return found


def passages(text: str, words: int = PASSAGE_WORDS) -> list[str]:
    """A text in stretches of at most so many words; a paragraph's end also ends one that is at least half full."""
    made: list[list[str]] = [[]]
    for paragraph in text.split("\n\n"):
        for word in paragraph.split():
            if len(made[-1]) == words:
                made.append([])
            made[-1].append(word)
        if len(made[-1]) >= words // 2:
            made.append([])
    return [" ".join(stretch) for stretch in made if stretch]


def _text_file(file: Path, title: str, trusted: bool) -> list[Document]:
    try:
        if file.stat().st_size > MAX_FILE:
            raise DataError(f"{file}: larger than {MAX_FILE >> 20} MiB", hint="Split it")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason}", hint="Save it as UTF-8") from error
    return [Document(p, f"{title}#{n}", title, trusted) for n, p in enumerate(passages(text), 1)]


def _row(row: dict[str, Any], where: str, trusted: bool) -> Document:
    text = row.get("text", row.get("content"))
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: no 'text'", hint='A passage is {"text": …, "title": …}')
    marked = row.get("trusted", trusted)
    if not isinstance(marked, bool):
        raise DataError(f"{where}: 'trusted' is neither true nor false")
    return Document(text, str(row.get("id", "")), str(row.get("title", "")), marked)
