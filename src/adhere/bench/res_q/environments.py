"""The Python that a task's tests run with: ours, or a virtual environment with what they need, made once."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from adhere.bench.res_q.tasks import Task
from adhere.data.places import cache_dir
from adhere.errors import CapabilityError

__all__ = ["environment"]

SECONDS = 900.0


async def environment(task: Task) -> str | None:
    """Path of the task's interpreter; None: the one that runs Adhere, without its packages.

    Raises:
        CapabilityError: naming what is missing: "needs python3.9".
    """
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    wanted = task.testbed_environment.strip() or ours
    python = sys.executable if wanted == ours else shutil.which(wanted)
    if python is None:
        raise CapabilityError(f"needs {wanted}", hint="Install that Python and put it into PATH")
    if not task.requirements_txt.strip():
        return None if wanted == ours else python
    key = hashlib.sha256(f"{wanted}\n{task.requirements_txt}".encode()).hexdigest()[:16]
    place = cache_dir() / "res-q" / "environments" / key
    if not (place / "done").exists():
        await asyncio.to_thread(_make, place, python, task)
    return str(place / "bin" / "python")


def _make(place: Path, python: str, task: Task) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "requirements.txt").write_text(task.requirements_txt, encoding="utf-8")
    steps = [
        [python, "-m", "venv", str(place)],
        [str(place / "bin" / "pip"), "install", "-q", "-r", "requirements.txt"],
    ]
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, cwd=place, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CapabilityError(f"the environment of task '{task.id}' cannot be made: {error}") from error
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise CapabilityError(
                f"the packages that task '{task.id}' needs cannot be installed: {said[0]}",
                hint="They come from the Python package index; see the row's requirements_txt",
            )
    (place / "done").touch()
