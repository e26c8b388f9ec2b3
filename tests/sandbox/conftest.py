"""The sandbox as root has it and as an ordinary user has it: the same battery for both."""

from __future__ import annotations

import asyncio
import asyncio.unix_events
import os
import pickle
import subprocess
import sys
import tarfile  # noqa: F401  after setuid nothing of root's home can be imported any more
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adhere.sandbox import Limits, Outcome, isolation, run
from adhere.sandbox.cgroup import memory_groups

NOBODY = 65534
QUICK = Limits(cpu=4, wall=12)
Attack = Callable[..., Outcome]


@cache
def reachable_python() -> str | None:
    """A whole interpreter that an ordinary user may execute; root's own often lies in root's home."""
    needed = "import ctypes, multiprocessing.shared_memory, resource, socket, threading, urllib.request"
    for candidate in (str(Path(sys.executable).resolve()), "/usr/bin/python3"):
        path = Path(candidate)
        open_to_all = path.exists() and all(parent.stat().st_mode & 1 for parent in path.parents)
        if open_to_all and subprocess.run([candidate, "-I", "-c", needed], capture_output=True).returncode == 0:
            return candidate
    return None


def as_nobody(work: Callable[[], Any]) -> Any:
    """The result of a function called in a process of the user nobody."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            isolation.cache_clear()
            memory_groups.cache_clear()
            answer = pickle.dumps((True, work()))
        except BaseException:
            answer = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writing, "wb") as out:
            out.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        fine, found = pickle.loads(answers.read())
    os.waitpid(pid, 0)
    assert fine, found
    return found


def _fields(code: str, limits: Limits, options: dict[str, Any]) -> dict[str, Any]:
    outcome = asyncio.run(run(code, limits=limits, **options))
    return {name: getattr(outcome, name) for name in Outcome.__struct_fields__}


@pytest.fixture(params=["root", "user"])
def attack(request: pytest.FixtureRequest) -> Attack:
    """Runs a program in the sandbox, as root and as an ordinary user."""
    root = os.geteuid() == 0
    if request.param == "root" and not root:
        pytest.skip("the tests do not run as root")
    if request.param == "root" or not root:
        if isolation().mode is None:
            pytest.skip(f"code cannot be isolated here: {'; '.join(isolation().notes)}")
        return lambda code, limits=QUICK, **options: Outcome(**_fields(code, limits, options))
    python = reachable_python()
    if python is None:
        pytest.skip("no whole interpreter that an ordinary user can reach")
    notes = as_nobody(lambda: (isolation().mode, isolation().notes))
    if notes[0] is None:
        pytest.skip(f"an ordinary user cannot isolate code here: {'; '.join(notes[1])}")
    return lambda code, limits=QUICK, **options: Outcome(
        **as_nobody(lambda: _fields(code, limits, {"python": python, **options}))
    )
