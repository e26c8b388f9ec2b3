"""`repo_edit`: find the files that a request is about, let the model edit them, hand out a unified diff.

After the agents of RES-Q (LaBash et al. 2024, arXiv 2406.16801), whose runtime is not public: read, search and edit are
one pass here. BM25 over functions and files picks what is shown; the model answers in one of three forms of edit; an
edit that cannot be carried out, or leaves a file that is no Python any more, is told to the model, which tries again.
The instruction's documents are the repository: id (or title) the path, text the content.

Not here: tools that the model calls, several passes over several sets of files.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import msgspec

from adhere.answer.base import Strategy, Trace, draw, retold
from adhere.answer.code_words import code_words
from adhere.answer.repo_edit.edits import FORMATS, EditError, Format, check_syntax, edited
from adhere.answer.repo_edit.patches import diff_of
from adhere.answer.select_examples import Selector
from adhere.errors import UsageError, suggest
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["RepoEdit", "nearest_files"]


@register("repo_edit", paper="res-q")
class RepoEdit(Strategy):
    """Answers a request for a change with a unified diff; with an empty text if no attempt could be carried out.

    Args:
        model: What edits.
        edit_format: "search_replace", "whole_file" or "diff".
        max_files: How many files it is shown; 0: all of them.
        retries: Attempts beyond the first, each told what was wrong with the one before.

    Raises:
        UsageError: for a format that there is not; when answering, for an instruction without documents.
    """

    def __init__(
        self, model: Answerer, edit_format: Format = "search_replace", max_files: int = 3, retries: int = 1
    ) -> None:
        if edit_format not in FORMATS:
            raise UsageError(f"unknown edit format '{edit_format}'", hint=suggest(edit_format, FORMATS))
        if max_files < 0 or retries < 0:
            raise UsageError("max_files and retries are numbers from 0", hint="0 files shows all of them")
        self.model = model
        self.edit_format: Format = edit_format
        self.max_files = max_files
        self.retries = retries

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """At most 1 + `retries` calls."""
        files = {document.id or document.title: document.text for document in instruction.documents}
        if not files:
            raise UsageError(f"instruction '{instruction.id}' has no documents", hint="Give the repository's files")
        picked = await nearest_files(instruction.prompt, files, self.max_files or len(files))
        trace.add("files", picked=picked, of=len(files))
        shown = {path: files[path] for path in picked}
        template = Template.of("adhere.answer", f"repo_edit_{self.edit_format}")
        listed = "\n\n".join(f"{path}\n```\n{text.rstrip()}\n```" for path, text in shown.items())
        prompt = template.render(files=listed, request=instruction.prompt)
        turns = [*instruction.messages[:-1], Message("user", prompt)]
        answer = Response("")
        for attempt in range(1 + self.retries):
            bare = msgspec.structs.replace(retold(instruction, *turns), documents=(), constraints=())
            answer = await draw(self.model, bare)
            try:
                after = edited(answer.text, shown, self.edit_format)
                check_syntax(shown, after)
            except EditError as error:
                trace.add("edit", attempt=attempt, text=answer.text, error=error.message)
                retry = Template.of("adhere.answer", "repo_edit_retry").render(problem=error.message)
                turns += [Message("assistant", answer.text), Message("user", retry)]
                continue
            trace.add("edit", attempt=attempt, text=answer.text, error="")
            return msgspec.structs.replace(answer, text=diff_of(shown, after))
        return msgspec.structs.replace(answer, text="")


async def nearest_files(request: str, files: Mapping[str, str], count: int) -> list[str]:
    """Paths of the files that a request is most likely about, the best first: BM25 over files and their functions.

    Args:
        request: What is to be changed.
        files: Path → text.
        count: How many.
    """
    pieces = [(path, f"{path}\n{piece}") for path, text in files.items() for piece in _pieces(path, text)]
    order = await Selector([code_words(piece) for _, piece in pieces], "bm25").pick(code_words(request), len(pieces))
    return list(dict.fromkeys(pieces[at][0] for at in reversed(order)))[:count]


def _pieces(path: str, text: str) -> list[str]:
    """The file, and each function and class at the top level of a Python file."""
    if not path.endswith(".py"):
        return [text]
    try:
        top = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [text]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [text, *(ast.get_source_segment(text, node) or "" for node in top if isinstance(node, kinds))]
