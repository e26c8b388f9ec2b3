"""`run`: one program, one verdict. `run_many`: a stream of them. At no time more of them than there are processors.

outcome = await run("print(input()[::-1])", stdin="abc")
outcome.verdict, outcome.stdout                            # "passed", "cba\\n"
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from adhere.engine.limiter import Gate
from adhere.errors import CapabilityError
from adhere.sandbox import seccomp
from adhere.sandbox.base import NOTHING, Job, Limits, Outcome
from adhere.sandbox.bubblewrap import ENVIRONMENT, INPUT, SHM, Interpreter, feed, interpreter, isolation, wrapped
from adhere.sandbox.cgroup import Group, held
from adhere.sandbox.files import checked_names, placed, unpacked
from adhere.sandbox.process import Ended, supervise
from adhere.sandbox.tree import excess
from adhere.sandbox.verdict import judge

__all__ = ["run", "run_job", "run_many", "run_sync"]

DEFAULT = Limits()
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# The wall clock is fair only to a program that has a processor to itself. One gate a loop: they are not for threads.
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
# Copies the input in, makes the kernel prefer this tree when memory runs out, and becomes the program.
_START = 'echo 1000 >/proc/self/oom_score_adj 2>/dev/null; cp -R {inputs}/. . || exit 125; exec "$@"'
# Runs the program as its child, and sends what it left as a tar archive through a descriptor that the child has not.
_COLLECT = """
import os, sys, tarfile
pipe, count = int(sys.argv[1]), int(sys.argv[2])
names, command = sys.argv[3 : 3 + count], sys.argv[3 + count :]
os.set_inheritable(pipe, False)
status = os.spawnv(os.P_WAIT, command[0], command)
with os.fdopen(pipe, "wb") as out, tarfile.open(fileobj=out, mode="w|", dereference=True) as tar:
    for name in names:
        if os.path.isfile(name) and not os.path.islink(name):
            tar.add(name, recursive=False)  # dereferenced: a hard link as the file that it is
sys.exit(status if status >= 0 else 128 - status)
"""
# Without isolation: the limits alone, set by a process of its own before it becomes the program.
_LIMIT = """
import os, resource, sys
for name, value in zip(("AS", "CPU", "FSIZE", "CORE"), map(int, sys.argv[1:5])):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    except (OSError, ValueError):
        pass
os.execv(sys.argv[5], sys.argv[5:])
"""


async def run(
    code: str | Path,
    *,
    stdin: str | bytes = "",
    argv: Sequence[str] = (),
    files: Mapping[str, str | bytes] = NOTHING,
    folder: Path | None = None,
    collect: Sequence[str] = (),
    limits: Limits = DEFAULT,
    python: str | None = None,
    unsafe: bool = False,
) -> Outcome:
    """Run a Python program in the sandbox.

    Args:
        code, stdin, argv, files, folder, collect: As the attributes of `Job`.
        limits: See `Limits`.
        python: Another interpreter, e.g. of a virtual environment with the packages that the program needs.
        unsafe: Where code cannot be isolated, run it all the same, with limits of time and memory only. The outcome's
            `isolation` is then "none".

    Raises:
        CapabilityError: if code cannot be isolated here and `unsafe` is False.
        UsageError: for limits, names or a program that cannot be used.
    """
    job = Job(code, stdin, tuple(argv), files, folder, tuple(collect))
    return await run_job(job, limits, python=python, unsafe=unsafe)


def run_sync(code: str | Path, **options: Any) -> Outcome:
    """`run`, for synchronous callers; works inside a running event loop (Jupyter) too."""
    from adhere.engine.sync import call

    return call(run(code, **options))


async def run_many(
    jobs: Iterable[Job | str],
    limits: Limits = DEFAULT,
    *,
    python: str | None = None,
    unsafe: bool = False,
) -> AsyncIterator[Outcome]:
    """Run programs, as many at once as there are processors, and yield their outcomes in their order.

    No more than a few are held at a time, so that the programs may be a stream. Each has a sandbox of its own. For
    thousands of tiny checks put several into one program.

    Args:
        jobs: Programs, bare or as `Job`.
        limits: Of each.
        python, unsafe: As for `run`.

    Raises:
        CapabilityError, UsageError: as `run`.
    """
    waiting: deque[asyncio.Task[Outcome]] = deque()
    try:
        for job in jobs:
            job = Job(job) if isinstance(job, str) else job
            waiting.append(asyncio.create_task(run_job(job, limits, python=python, unsafe=unsafe)))
            if len(waiting) > 2 * PROCESSORS:
                yield await waiting[0]
                waiting.popleft()
        while waiting:
            yield await waiting[0]
            waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def run_job(job: Job, limits: Limits = DEFAULT, *, python: str | None = None, unsafe: bool = False) -> Outcome:
    """`run`, of a job.

    Raises:
        CapabilityError, UsageError: as `run`.
    """
    limits = limits.checked()
    checked_names(job.collect)
    found = isolation()
    if not unsafe:
        found.required()
    uses = interpreter(python)
    async with _gates.setdefault(asyncio.get_running_loop(), Gate(PROCESSORS)):
        with placed(job, limits.disk) as inputs:
            if found.mode is None:
                ended = await _unsafe(job, limits, uses, inputs)
            else:
                ended = await _isolated(job, limits, uses, inputs)
    stderr = _text(ended.stderr)
    verdict, reason = judge(ended.code, ended.stopped, ended.seconds, stderr, limits)
    return Outcome(
        verdict, reason, _text(ended.stdout), stderr, ended.code, round(ended.seconds, 4), found.mode or "none",
        unpacked(ended.extra, job.collect) if job.collect else {},
    )  # fmt: skip


async def _isolated(job: Job, limits: Limits, python: Interpreter, inputs: Path) -> Ended:
    async with held(limits.memory + limits.disk + SHM) as group:
        ended = await _in_namespaces(job, limits, python, inputs, group)
        if group is not None:
            ended = ended._replace(peak=group.peak())
            if group.killed() and not ended.stopped:
                return ended._replace(code=None, stopped="memory")
    if ended.code is None and not ended.stopped:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise CapabilityError(f"the sandbox could not be set up: {said[0]}", hint="See `adhere sandbox check`")
    return ended


async def _in_namespaces(job: Job, limits: Limits, python: Interpreter, inputs: Path, group: Group | None) -> Ended:
    filter_fd = feed(seccomp.compiled())
    gate = None if group is None else group.gate

    def command(status: int, extra: int) -> list[str]:
        program = [python.executable, "-s", "-B", job.name, *job.argv]
        if job.collect:
            given = [str(extra), str(len(job.collect)), *job.collect]
            program = [python.executable, "-I", "-S", "-c", _COLLECT, *given, *program]
        start = ["/bin/sh", "-c", _START.format(inputs=INPUT), "sh", *program]
        return wrapped(isolation(), start, limits, python, inputs, filter_fd, status, gate)

    def look(root: int) -> str:
        if group is not None and group.killed():
            return "memory"
        return excess(root, limits.memory, limits.processes, ("/tmp", "/dev/shm"))

    try:
        return await supervise(
            command, env={"PATH": "/usr/bin:/bin"}, cwd="/", stdin=_bytes(job.stdin), wall=limits.wall,
            output=limits.output, extra=limits.disk if job.collect else None, look=look,
            pass_fds=(filter_fd, *([gate] if gate is not None else [])),
            spawn=None if group is None else group.spawn, born=None if group is None else group.born,
        )  # fmt: skip
    finally:
        os.close(filter_fd)


async def _unsafe(job: Job, limits: Limits, python: Interpreter, inputs: Path) -> Ended:
    """In a copy of the folder, with the limits that need no isolation, killed by process group."""
    import shutil

    place = inputs.parent / "work"
    shutil.copytree(inputs, place, symlinks=True)
    numbers = [str(int(n)) for n in (limits.memory, max(1, -(-limits.cpu // 1)), limits.file, 0)]
    command = [sys.executable, "-I", "-S", "-c", _LIMIT, *numbers, python.executable, "-s", "-B", job.name, *job.argv]
    ended = await supervise(
        lambda status, extra: command,
        env=ENVIRONMENT | {"PATH": "/usr/bin:/bin", "HOME": str(place), "TMPDIR": str(place)},
        cwd=str(place), stdin=_bytes(job.stdin), wall=limits.wall, output=limits.output, extra=None,
        look=partial(excess, memory=limits.memory, processes=limits.processes), told=False,
    )  # fmt: skip
    contents = {name: place / name for name in job.collect}
    return ended._replace(extra=_packed({n: p for n, p in contents.items() if p.is_file() and not p.is_symlink()}))


def _packed(files: Mapping[str, Path]) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            tar.add(path, name, recursive=False)
    return buffer.getvalue()


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
