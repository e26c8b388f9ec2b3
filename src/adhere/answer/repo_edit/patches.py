"""Unified diffs that models write: cleaned, checked, applied, and mended where only their form is wrong.

A diff comes from outside: it may name any path. What leaves the tree, or goes through a link, is refused before git
sees it, and git refuses it too.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from adhere.errors import DependencyError

__all__ = ["REPAIRS", "Applied", "apply", "cleaned", "diff_of", "refused"]

LONGEST = 2_000_000  # characters of a patch that are looked at
SECONDS = 20.0
# The reference's own command, which knows one mend; then ours, each tried on the untouched tree.
STRICT = ("--whitespace=fix",)
REPAIRS: dict[str, tuple[str, ...]] = {
    "": STRICT,
    "recount": ("--whitespace=fix", "--recount"),
    "ignore white space": ("--whitespace=fix", "--recount", "--ignore-whitespace"),
    "no a/ and b/": ("--whitespace=fix", "--recount", "--ignore-whitespace", "-p0"),
    "less context": ("--whitespace=fix", "--recount", "--ignore-whitespace", "-C1", "--unidiff-zero"),
}
_FENCE = re.compile(r"```[ \t]*(?:diff|patch)?[ \t]*\n(.*?)(?:\n```|\Z)", re.S)
_PATH = re.compile(r"^(?:---|\+\+\+|rename from|rename to|copy from|copy to) +(\"?)([^\t\n]+?)\1(?:\t.*)?$", re.M)
_GIT_LINE = re.compile(r"^diff --git +(\S+) +(\S+)$", re.M)
_LINK_MODE = re.compile(r"^(?:new file mode|new mode|deleted file mode|old mode) +1[26]0000$", re.M)


class Applied(NamedTuple):
    """What became of a patch: whether it went in, by which repair ("" for none), and what git said."""

    done: bool
    repair: str
    said: str


def cleaned(text: str) -> str:
    """The diff in an answer, without prose, fences, `index` lines and binary sections, as the reference cleans it."""
    text = text[:LONGEST].replace("\r\n", "\n")
    if fenced := [block for block in _FENCE.findall(text) if re.search(r"^(?:diff |--- |\+\+\+ )", block, re.M)]:
        text = "\n".join(fenced)
    first = re.search(r"^(?:diff --git |--- )", text, re.M)
    text = text[first.start() :] if first else ""
    kept, binary = [], False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            binary = False
        if line.startswith("GIT binary patch") or re.match(r"Binary files .* differ$", line):
            binary = True
        if not binary and not line.startswith("index "):
            kept.append(line)
    text = "\n".join(kept).rstrip("\n")
    return f"{text}\n" if text.strip() else ""


def refused(patch: str) -> str:
    """Why a cleaned patch must not be applied, in one sentence; "" if it may be."""
    if _LINK_MODE.search(patch):
        return "it makes or changes a symbolic link or a submodule"
    named = [found[2] for found in _PATH.finditer(patch)] + [p for pair in _GIT_LINE.findall(patch) for p in pair]
    for name in named:
        path = PurePosixPath(name)
        if name != "/dev/null" and (path.is_absolute() or ".." in path.parts or ".git" in path.parts or "\\" in name):
            return f"it names {name}, which is not within the tree"
    return ""


def apply(patch: str, tree: Path, *, repair: bool = True) -> Applied:
    """Apply a cleaned patch to a tree, which is changed only if it goes in whole.

    Args:
        patch: From `cleaned`.
        tree: Folder; its files are regular.
        repair: Whether to try what mends a wrong form once the plain way has failed.

    Raises:
        DependencyError: if there is no git.
    """
    if not patch:
        return Applied(False, "", "no diff in the answer")
    if reason := refused(patch):
        return Applied(False, "", reason)
    said = ""
    for name, options in REPAIRS.items() if repair else [("", STRICT)]:
        checked = _git(["apply", "--check", "-v", *options, "-"], patch, tree)
        said = said or checked.stderr
        if checked.returncode == 0:
            done = _git(["apply", "-v", *options, "-"], patch, tree)
            return Applied(done.returncode == 0, name, done.stderr)
    return Applied(False, "", said.strip())


def _git(arguments: list[str], patch: str, tree: Path) -> subprocess.CompletedProcess[str]:
    """git on a plain folder: no configuration of anybody's, and no repository above the folder."""
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(tree.resolve().parent),
    }
    try:
        return subprocess.run(
            ["git", *arguments], input=patch.encode("utf-8", "replace").decode(), cwd=tree, env=env, text=True,
            capture_output=True, timeout=SECONDS, errors="replace",
        )  # fmt: skip
    except FileNotFoundError as error:
        raise DependencyError("patches are applied with git, which is missing", hint="apt install git") from error
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 1, "", f"git apply took more than {SECONDS:g} s")


def diff_of(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The unified diff between two trees, path → text, that `git apply` takes; "" if they are equal."""
    parts: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        parts.append(f"diff --git a/{path} b/{path}\n")
        if old is None or new is None:
            parts.append("new file mode 100644\n" if old is None else "deleted file mode 100644\n")
        names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
        changes = difflib.unified_diff(_lines(old), _lines(new), *names)
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changes]
    return "".join(parts)


def _lines(text: str | None) -> list[str]:
    """Lines at line feeds only: `splitlines` breaks at characters that git does not."""
    return re.findall(r"[^\n]*\n|[^\n]+", text or "")
