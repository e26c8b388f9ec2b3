"""Edits as models write them, read and carried out on a tree held in memory (path → text).

Three forms: "search_replace" blocks, as popular editing assistants use them; "whole_file", a path and the new content;
"diff", a unified diff. Where a model names no file and only one was shown, that one is meant.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from adhere.answer.repo_edit.patches import apply, cleaned
from adhere.errors import AdhereError

__all__ = ["FORMATS", "EditError", "Format", "check_syntax", "edited"]

Format = Literal["search_replace", "whole_file", "diff"]
FORMATS: tuple[Format, ...] = get_args(Format)
LONGEST = 200_000  # characters of an answer that are read

_HEAD, _MIDDLE, _TAIL = re.compile(r"<{5,9} ?\w*\s*$"), re.compile(r"={5,9}\s*$"), re.compile(r">{5,9} ?\w*\s*$")
_BLOCK = re.compile(r"^([^\n`]*)\n+```[^\n]*\n(.*?)^```[ \t]*$", re.S | re.M)


class EditError(AdhereError):
    """An edit that cannot be carried out; the message is what the model is told."""


def edited(answer: str, files: Mapping[str, str], form: Format) -> dict[str, str]:
    """The tree after the edits in an answer.

    Args:
        answer: What the model wrote.
        files: The files it was shown, and may hence change; it may add others.
        form: What it was asked for.

    Raises:
        EditError: if there is no edit in it, or one that does not fit the files, or nothing changes.
    """
    made = _FORMS[form](answer[:LONGEST].replace("\r\n", "\n"), files)
    if made == dict(files):
        raise EditError("The edit changes nothing")
    return made


def check_syntax(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raises EditError if a Python file that changed can no longer be parsed."""
    for path, text in after.items():
        if path.endswith(".py") and text != before.get(path):
            try:
                ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
                said = error.msg if isinstance(error, SyntaxError) else str(error)
                raise EditError(f"After the edit {path} is no longer valid Python: {said}{where}") from error


def _search_replace(answer: str, files: Mapping[str, str]) -> dict[str, str]:
    made = dict(files)
    blocks = _blocks(answer)
    if not blocks:
        raise EditError("There is no SEARCH/REPLACE block in the answer")
    for named, search, replacement in blocks:
        path = _path(named, made)
        if not search.strip():
            if made.get(path):
                raise EditError(f"The SEARCH part for {path} is empty; repeat the lines to be replaced")
            made[path] = replacement
            continue
        if path not in made:
            raise EditError(f"There is no file {path}")
        made[path] = _replaced(made[path], search, replacement, path)
    return made


def _blocks(answer: str) -> list[tuple[str, str, str]]:
    """(line before the block, searched text, replacement) of each block; what is never closed ends with the text."""
    found: list[tuple[str, str, str]] = []
    name, part, parts = "", -1, ["", ""]
    for line in answer.split("\n"):
        if part < 0 and _HEAD.match(line):
            part, parts = 0, ["", ""]
        elif part == 0 and _MIDDLE.match(line):
            part = 1
        elif part == 1 and _TAIL.match(line):
            found.append((name, parts[0], parts[1]))
            part = -1
        elif part >= 0:
            parts[part] += line + "\n"
        elif line.strip() and not line.strip().startswith("```"):
            name = line
    if part == 1:
        found.append((name, parts[0], parts[1]))
    return found


def _path(named: str, files: Mapping[str, str]) -> str:
    """The path that a line names: one of the files, or a new one that stays in the tree."""
    words = re.findall(r"[\w./-]+", named)
    for word in reversed(words):
        word = word.removeprefix("./").strip(".") if word not in files else word
        matching = [path for path in files if path == word or path.endswith(f"/{word}")]
        if len(matching) == 1:
            return matching[0]
    new = next((w for w in reversed(words) if re.fullmatch(r"[\w-]+(?:/[\w-]+)*\.\w{1,5}", w)), None)
    if new is not None and ".." not in PurePosixPath(new).parts:
        return new
    if len(files) == 1:
        return next(iter(files))
    raise EditError("An edit names no file; write its path in the line before")


def _replaced(text: str, search: str, replacement: str, path: str) -> str:
    """The text with the lines replaced, which must occur once; white space at their ends is forgiven."""
    count = text.count(search)
    if count == 0:
        lines, wanted = text.split("\n"), [line.rstrip() for line in search.rstrip("\n").split("\n")]
        starts = [
            at
            for at in range(len(lines) - len(wanted) + 1)
            if [line.rstrip() for line in lines[at : at + len(wanted)]] == wanted
        ]
        if len(starts) == 1:
            at = starts[0]
            return "\n".join([*lines[:at], *replacement.rstrip("\n").split("\n"), *lines[at + len(wanted) :]])
        count = len(starts)
    if count != 1:
        how = "do not occur" if count == 0 else f"occur {count} times"
        raise EditError(f"The SEARCH lines {how} in {path}; copy them exactly, with enough lines to be unique")
    return text.replace(search, replacement)


def _whole_file(answer: str, files: Mapping[str, str]) -> dict[str, str]:
    blocks = _BLOCK.findall(answer if answer.startswith("\n") else f"\n{answer}")
    if not blocks:
        raise EditError("There is no file in the answer: a line with its path, then its content in a fence")
    return dict(files) | {_path(name, files): content for name, content in blocks}


def _diff(answer: str, files: Mapping[str, str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="adhere-edit-") as place:
        tree = Path(place)
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, encoding="utf-8", newline="")
        applied = apply(cleaned(answer), tree)
        if not applied.done:
            raise EditError(f"The diff does not apply: {(applied.said.splitlines() or [''])[-1]}")
        left = [path for path in tree.rglob("*") if path.is_file()]
        return {str(p.relative_to(tree)): p.read_bytes().decode("utf-8", "replace") for p in left}


_FORMS = {"search_replace": _search_replace, "whole_file": _whole_file, "diff": _diff}
