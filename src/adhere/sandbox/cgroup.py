"""A control group for each run: the kernel holds a whole tree of processes to its memory, at every moment.

`RLIMIT_AS` holds for each process by itself, and looking every 50 ms (`tree.py`) sees what happens between two looks
only afterwards. Where a group may be made, the tree is born into one of its own; where the kernel killed in it for want
of memory, the verdict is `memory`. The looks go on: the group also pays for the files in the sandbox's /tmp and
/dev/shm, so its limit is higher than `Limits.memory` by what those may hold.

Two kinds, found by trying (`memory_groups`):

- version 1: below our own group. A thread of ours that does nothing else enters the group, starts the command and
  goes back. (Moving somebody else takes the kernel 8 to 20 ms, for which a run would wait; oneself, 0.1.) It must
  not be the process's first thread, whose group pays for all memory of the process.
- version 2: below our own group if its `cgroup.subtree_control` has memory, else beside it, if it has no limit of its
  own that we would thereby leave. bubblewrap's first process is moved while it waits (`--block-fd`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

__all__ = ["Found", "Group", "Place", "held", "memory_groups"]

log = logging.getLogger("adhere")
PREFIX = "adhere-sandbox-"
WAITS = [0.002 * 2**n for n in range(10)]  # seconds, 2 together: a group may be busy after its last process has gone

Start = Callable[[], "subprocess.Popen[bytes]"]


class Place(NamedTuple):
    """Where groups can be made.

    Attributes:
        version: Of control groups.
        folder: The group below which they are made.
        own: The group that this process is in.
    """

    version: Literal[1, 2]
    folder: Path
    own: Path


class Found(NamedTuple):
    """What was found out on this machine: a place, or why there is none."""

    place: Place | None
    note: str


@contextlib.asynccontextmanager
async def held(limit: int) -> AsyncIterator[Group | None]:
    """A group for one tree, gone when the block is left, which is when the tree has gone; None where none can be had.

    Args:
        limit: Bytes of memory and swap.
    """
    place = memory_groups().place
    group = None
    if place is not None:
        try:
            group = Group(place, limit)
        except OSError as error:  # more groups than are allowed, say: looking remains
            log.debug("no control group: %s", error)
    try:
        yield group
    finally:
        if group is not None:
            group.open_gate()
            await asyncio.shield(group.remove())  # it goes on where somebody is cancelled twice


class Group:
    """A group with a limit, for one tree of processes.

    Attributes:
        gate: Of version 2, an open file that ends once the tree's first process is in the group.

    Raises:
        OSError: if it cannot be made.
    """

    def __init__(self, place: Place, limit: int) -> None:
        self.place = place
        self.gate: int | None = None
        self._gate_end: int | None = None
        self.folder = place.folder / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self.folder.mkdir()
        try:
            if place.version == 1:
                self._write("memory.limit_in_bytes", limit)
                with contextlib.suppress(OSError):  # swap is not accounted for everywhere
                    self._write("memory.memsw.limit_in_bytes", limit)
            else:
                self._write("memory.max", limit)
                with contextlib.suppress(OSError):
                    self._write("memory.swap.max", 0)
                self._write("memory.oom.group", 1)
                self.gate, self._gate_end = os.pipe()
        except OSError:
            self.folder.rmdir()
            raise

    def spawn(self, start: Start) -> subprocess.Popen[bytes]:
        """What `start` starts: of version 1 within the group, of version 2 to be moved into it (`admit`)."""
        if self.place.version == 2:
            return start()
        return _spawner(os.getpid()).submit(self._inside, start).result()

    def _inside(self, start: Start) -> subprocess.Popen[bytes]:
        with contextlib.suppress(OSError):  # then it runs outside, and is looked at as it would be anyway
            self._write("tasks", 0)
        try:
            return start()
        finally:
            with contextlib.suppress(OSError):
                (self.place.own / "tasks").write_text("0")

    async def born(self, pid: int) -> None:
        """The tree's first process is there: it is moved where it was not born into the group, and let go."""
        if self.place.version == 2:
            await asyncio.to_thread(self.admit, pid)
            self.open_gate()

    def open_gate(self) -> None:
        """Close the gate's both ends, if they are open."""
        for end in (self.gate, self._gate_end):
            if end is not None:
                os.close(end)
        self.gate = self._gate_end = None

    def admit(self, pid: int) -> None:
        """Move a process into the group; one that has gone stays away. Takes some 10 ms, for which it blocks."""
        with contextlib.suppress(OSError):
            self._write("cgroup.procs", pid)

    def holds(self, pid: int) -> bool:
        """Whether a process is in it."""
        return str(pid) in (self.folder / "cgroup.procs").read_text().split()

    def killed(self) -> bool:
        """Whether the kernel has killed in it because the limit was reached."""
        name = "memory.oom_control" if self.place.version == 1 else "memory.events"
        try:
            lines = (self.folder / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def peak(self) -> int | None:
        """The most bytes that it has held at one time; None where the kernel does not tell."""
        name = "memory.max_usage_in_bytes" if self.place.version == 1 else "memory.peak"
        try:
            return int((self.folder / name).read_text())
        except (OSError, ValueError):
            return None

    async def remove(self) -> None:
        """Remove it, once its last process has gone."""
        for wait in WAITS:
            if self._removed():
                return
            await asyncio.sleep(wait)
        if not self._removed():
            log.warning("the control group %s could not be removed", self.folder)

    def _removed(self) -> bool:
        try:
            self.folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _write(self, name: str, value: int) -> None:
        (self.folder / name).write_text(str(value))


@lru_cache(maxsize=1)
def _spawner(process: int) -> ThreadPoolExecutor:
    """The thread that starts commands, one for each process: a fork has no threads of its parent's.

    It lives as long as the process, since what it starts dies with it (`--die-with-parent` means the thread).
    """
    return ThreadPoolExecutor(1, "adhere-sandbox")


@cache
def memory_groups() -> Found:
    """Find out, once a process, by starting `sleep` in a group; and remove groups whose owners have died."""
    try:
        place = _version_1() or _version_2()
    except OSError as error:
        return Found(None, f"control groups cannot be read: {error.strerror}")
    if place is None:
        return Found(None, "no memory control group is delegated to this process")
    _clear(place.folder)
    refused = _refused(place)
    if refused:
        return Found(None, f"no control group: {refused}")
    return Found(place, f"held by a control group (version {place.version})")


def _refused(place: Place) -> str:
    """Why no process can be had in a group there; "" if one can."""
    try:
        group = Group(place, 64 * 2**20)
    except OSError as error:
        return f"{place.folder}: {error.strerror}"
    try:
        process = group.spawn(lambda: subprocess.Popen(["/usr/bin/sleep", "9"], env={}))
        try:
            if place.version == 2:
                group.admit(process.pid)
            return "" if group.holds(process.pid) else f"{place.folder}: processes cannot be moved"
        finally:
            process.kill()
            process.wait()
    except OSError as error:
        return f"{place.folder}: {error.strerror}"
    finally:
        for wait in WAITS:
            if group._removed():
                break
            time.sleep(wait)


def _version_1() -> Place | None:
    """Our own group of the memory hierarchy, where there is one that can be written to."""
    for controllers, path in _memberships():
        if "memory" in controllers:
            for kind, options, root, point in _mounts():
                if kind == "cgroup" and "memory" in options and (own := _below(path, root, point)):
                    return Place(1, own, own) if os.access(own / "tasks", os.W_OK) else None
    return None


def _version_2() -> Place | None:
    """Our own group, or the one above it, if it hands the memory controller down."""
    for controllers, path in _memberships():
        if not controllers:
            for kind, _, root, point in _mounts():
                if kind == "cgroup2" and (own := _below(path, root, point)):
                    folders = [own] + [own.parent] * (own != point and _unlimited(own))
                    return next((Place(2, f, own) for f in folders if _hands_down(f)), None)
    return None


def _hands_down(folder: Path) -> bool:
    handed = (folder / "cgroup.subtree_control").read_text().split()
    return "memory" in handed and os.access(folder / "cgroup.procs", os.W_OK)


def _unlimited(own: Path) -> bool:
    try:
        return (own / "memory.max").read_text().strip() == "max"
    except OSError:
        return False


def _memberships() -> Iterator[tuple[list[str], str]]:
    """Lines of /proc/self/cgroup: controllers, none of version 2, and the group's path."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        yield [name for name in controllers.split(",") if name], path


def _mounts() -> Iterator[tuple[str, list[str], str, Path]]:
    """Mounted control groups: kind, the hierarchy's options, which group is mounted, and where."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split()
        if kind.startswith("cgroup"):
            yield kind, rest[-1].split(","), fields[3], Path(fields[4])


def _below(path: str, root: str, point: Path) -> Path | None:
    """Where a group's folder is, if it can be seen through this mount."""
    if ".." in PurePosixPath(path).parts or not PurePosixPath(path).is_relative_to(root):
        return None
    return point / PurePosixPath(path).relative_to(root)


def _clear(folder: Path) -> None:
    """Remove the empty groups of processes that are no more; one that is not empty refuses."""
    for stale in folder.glob(f"{PREFIX}*"):
        pid = stale.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):
                stale.rmdir()
