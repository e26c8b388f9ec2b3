"""Tasks of the same form out of any local repository: a commit that changes code and its tests is one.

    tasks = await make_tasks("path/to/repository", limit=20)
    Path("data/res-q/dataset.json").write_bytes(msgspec.json.encode(tasks))      # `adhere eval res-q --data-dir data`

The instruction is the commit's message, the tree its parent, the gold diff what it changes outside of tests, and the
hidden tests are the test files as the commit left them. A task is kept only if its tests fail before and pass after,
which is tried in the sandbox. Messages say what was done more often than what to do: read them before you publish.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from adhere.answer.repo_edit.patches import cleaned, diff_of
from adhere.bench.res_q.checker import PatchChecker
from adhere.bench.res_q.tasks import File, Task
from adhere.errors import DataError

__all__ = ["make_tasks"]

COMMITS = 2000  # that are looked at, the newest first
MOST_FILES = 12  # that a commit may change
SECONDS = 60.0
IDLE = diff_of({}, {"idle.txt": "nothing\n"})
_TRAILER = re.compile(r"^[A-Z][\w-]+: .*(?:\n|\Z)", re.M)
# Runs with pytest where the task's Python has it, else what needs no fixtures.
_SCRIPT = """import importlib.util
import pathlib
import sys
import unittest

FILES = {files!r}
for name, text in FILES.items():
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
sys.path[:0] = [place for place in ("src", ".") if pathlib.Path(place).is_dir()]


def run_plainly():
    suite = unittest.TestSuite()
    for number, name in enumerate(FILES):
        spec = importlib.util.spec_from_file_location(f"hidden_{{number}}", name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
        for key, value in vars(module).items():
            if key.startswith("test") and callable(value):
                suite.addTest(unittest.FunctionTestCase(value))
    return int(not (suite.countTestCases() and unittest.TextTestRunner(sys.stdout).run(suite).wasSuccessful()))


try:
    import pytest
except ImportError:
    exit_code = run_plainly()
else:
    exit_code = int(pytest.main(["-q", "-p", "no:cacheprovider", *FILES]))
sys.exit(exit_code)
"""


async def make_tasks(
    repository: str | Path, *, limit: int = 20, checker: PatchChecker | None = None, requirements: str = ""
) -> list[Task]:
    """Tasks out of a repository's history, the newest first, each with tests that fail before and pass after.

    Args:
        repository: A checkout or bare repository.
        limit: How many at most.
        checker: Runs the tests; None: the default one.
        requirements: What the tests need to have installed, as in a requirements file.

    Raises:
        DataError: if it is no repository.
        CapabilityError: if code cannot be isolated here.
    """
    checker = checker or PatchChecker()
    found: list[Task] = []
    for task in _candidates(Path(repository).resolve(), requirements):
        if len(found) == limit:
            break
        before, after = await checker.check(task, IDLE), await checker.check(task, task.solution_patch)
        if (before.message, after.message, after.repair) == ("FAIL", "PASS", ""):
            found.append(task)
    return found


def _candidates(repository: Path, requirements: str) -> Iterator[Task]:
    log = _git(repository, "log", "--no-merges", f"--max-count={COMMITS}", "--format=%H %P%x00%B%x01")
    for entry in log.split("\x01"):
        hashes, _, message = entry.strip().partition("\x00")
        commits = hashes.split()
        if len(commits) != 2:  # a first commit has no parent
            continue
        commit, parent = commits
        changed = _git(repository, "diff", "--name-only", "--no-renames", parent, commit).splitlines()
        tests = [path for path in changed if _is_test(path)]
        code = [path for path in changed if path not in tests]
        if not tests or not any(path.endswith(".py") for path in code) or len(changed) > MOST_FILES:
            continue
        hidden = {path: text for path in tests if (text := _show(repository, commit, path)) is not None}
        patch = cleaned(_git(repository, "diff", "--no-renames", "--no-ext-diff", parent, commit, "--", *code))
        instruction = _TRAILER.sub("", message).strip()
        if hidden and patch and instruction:
            yield Task(
                id=commit[:12],
                instruction=instruction,
                test_script=_SCRIPT.format(files=hidden),
                solution_patch=patch,
                modified_files=[File(path, _show(repository, parent, path) or "") for path in code],
                repo=str(repository),
                base_commit=parent,
                requirements_txt=requirements,
            )


def _is_test(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _show(repository: Path, commit: str, path: str) -> str | None:
    """A file at a commit; None where there is none, or no text."""
    try:
        return _git(repository, "show", f"{commit}:{path}")
    except DataError:
        return None


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, timeout=SECONDS)
        if done.returncode:
            raise DataError(f"{repository}: {done.stderr.decode('utf-8', 'replace').strip()}", hint="Name a repository")
        return done.stdout.decode()
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise DataError(f"{repository}: git {arguments[0]} failed: {error}") from error
