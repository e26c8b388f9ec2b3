"""RES-Q's tasks: the published rows, and a set of our own on six small packages.

A row is the data set's own (`dataset.json`, Qurrent/RES-Q, 100 tasks), with `repo`, the path of a checkout or bare
repository, allowed in place of `repo_url`. Our rows name a `package` instead, whose files stand in `packages.jsonl`.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from adhere.data import jsonl
from adhere.data.places import cache_dir, data_dir
from adhere.data.sets import DataFile, locate
from adhere.errors import DataError, did_you_mean

__all__ = ["DATASET", "Task", "find", "own_tasks", "published_tasks"]

FOLDER = Path(__file__).parent
DATASET = DataFile("res-q/dataset.json", "")  # of a hub; its rows follow many projects' licences and are not shipped
CLONE_SECONDS = 600.0
LARGEST_TEXT = 200_000  # bytes of a file that is shown to a model


class File(msgspec.Struct):
    """A file that the gold patch changes, as it was before."""

    path: str
    content: str = ""


class Task(msgspec.Struct, kw_only=True):
    """A row.

    Attributes:
        id: E.g. "0_0".
        instruction: What to change.
        test_script: Hidden from who is asked.
        solution_patch: The gold patch.
        modified_files: What the gold patch changes.
        repo_url, base_commit: Where the tree comes from.
        repo: Instead of the address, the path of a repository; relative to the data set's folder.
        package: Instead of both, one of our packages.
        testbed_environment: E.g. "python3.11"; "": any.
        requirements_txt: What the tests need to have installed.
        language: Of the repository.
    """

    id: str
    instruction: str
    test_script: str
    solution_patch: str = ""
    modified_files: list[File] = []
    repo_url: str = ""
    base_commit: str = ""
    repo: str = ""
    package: str = ""
    testbed_environment: str = ""
    requirements_txt: str = ""
    language: str = "python"

    def write_to(self, tree: Path) -> None:
        """Make the tree that the task begins with.

        Raises:
            DataError: if the repository or the commit is not to be had.
        """
        tree.mkdir(parents=True)
        if self.package:
            for name, text in packages()[self.package].items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(text, encoding="utf-8", newline="")
            return
        with tarfile.open(fileobj=io.BytesIO(self._archive())) as tar:
            tar.extractall(tree, filter="data")

    def files(self) -> dict[str, str]:
        """Its text files, path → content.

        Raises:
            DataError: as `write_to`.
        """
        if self.package:
            return packages()[self.package]
        found = {}
        with tarfile.open(fileobj=io.BytesIO(self._archive())) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.size <= LARGEST_TEXT else None
                try:
                    if content is not None:
                        found[member.name] = content.read().decode()
                except UnicodeDecodeError:
                    continue
        return found

    def _archive(self) -> bytes:
        if self.base_commit.startswith("-"):
            raise DataError(f"task '{self.id}': base_commit is '{self.base_commit}'", hint="It is a commit's hash")
        done = _git("-C", str(self._repository()), "archive", "--format=tar", self.base_commit or "HEAD")
        if done.returncode:
            raise DataError(
                f"task '{self.id}': {done.stderr.decode('utf-8', 'replace').strip()}",
                hint="The repository must hold the task's base_commit",
            )
        return done.stdout

    def _repository(self) -> Path:
        """Where it lies: as the row says, in `res-q/repos` of the data folder, or cloned into the cache."""
        place = data_dir()
        name = self.repo_url.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1]
        if self.repo:
            wanted = [(place or Path()) / "res-q" / self.repo, Path(self.repo)]
        else:
            wanted = [place / "res-q" / "repos" / n for n in (name, f"{name}.git")] if place and name else []
            wanted += [cache_dir() / "res-q" / f"{name}.git"] * bool(name)
        if found := next((path for path in wanted if path.is_dir()), None):
            return found
        if not self.repo_url.startswith("https://") or os.environ.get("ADHERE_OFFLINE") == "1":
            raise DataError(
                f"task '{self.id}': its repository {self.repo or self.repo_url or '(none named)'} is not here",
                hint="Put a clone into the data folder's res-q/repos/NAME, or name it in the row's `repo`",
            )
        done = _git("clone", "--quiet", "--bare", self.repo_url, str(wanted[-1]))
        if done.returncode:
            raise DataError(
                f"{self.repo_url}: {done.stderr.decode('utf-8', 'replace').strip()}", hint="Clone it yourself"
            )
        return wanted[-1]


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, timeout=CLONE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"git {arguments[0]} failed: {error}", hint="apt install git") from error


@lru_cache(maxsize=1)
def packages() -> dict[str, dict[str, str]]:
    """Our packages by name: path → content."""
    return {row["package"]: row["files"] for _, row in jsonl.objects(FOLDER / "packages.jsonl")}


@lru_cache(maxsize=1)
def own_tasks() -> list[Task]:
    """The tasks on our packages, one of each package in turn."""
    return list(jsonl.read(FOLDER / "tasks.jsonl", Task))


def published_tasks() -> list[Task]:
    """The data set's tasks.

    Raises:
        DataError: if the file is not here, or a row has another shape.
    """
    return [_task(where, row) for where, row in jsonl.rows(locate(DATASET).path)]


def _task(where: str, row: dict[str, Any]) -> Task:
    try:
        made = msgspec.convert(row, Task)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}", hint="Use RES-Q's dataset.json as it is") from error
    if made.package and made.package not in packages():
        raise DataError(f"{where}: there is no package '{made.package}'", hint=f"There are: {', '.join(packages())}")
    return made


def find(tasks: list[Task], id: str) -> Task:
    """The task of that id.

    Raises:
        DataError: with the nearest ids.
    """
    known = {task.id: task for task in tasks}
    if id not in known:
        raise DataError(f"there is no task '{id}'", hint=did_you_mean(id, known) or f"E.g. '{next(iter(known), '')}'")
    return known[id]
