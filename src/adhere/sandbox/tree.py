"""What a tree of processes holds, seen from outside: the limits that the kernel enforces for one process only.

A limit on address space holds for each process by itself; thirty processes may hold thirty times as much. Where no
control group can be had, which is the rule for an ordinary user, looking often enough is what remains.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["excess"]

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
MOST_FILES = 10_000  # files cost the kernel memory even when they are empty


def excess(root: int, memory: int, processes: int, places: tuple[str, ...] = ()) -> str:
    """Which limit the tree below (and with) a process is over: "memory", "processes", "files" or "".

    Args:
        root: Process id; one that has gone is over no limit.
        memory: Bytes, pages that several processes share counted once.
        processes: Processes, threads not counted.
        places: Folders, as the root process sees them, each a file system of its own, whose files are counted.
    """
    pids = _members(root, most=2 * processes + 8)
    if len(pids) > processes + 2:  # bubblewrap's own first process, and the shell that collects files
        return "processes"
    if sum(map(_resident, pids)) > memory and sum(map(_proportional, pids)) > memory:
        return "memory"
    if any(_files(root, place) > MOST_FILES for place in places):
        return "files"
    return ""


def _members(root: int, most: int) -> list[int]:
    found = [root]
    for pid in found:
        with suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        if len(found) > most:
            break
    return found


def _resident(pid: int) -> int:
    """Bytes in memory; shared pages count for every process that maps them. Cheap."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """Bytes in memory, shared pages divided among those that map them; what is resident where that cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)


def _files(root: int, place: str) -> int:
    inside = f"/proc/{root}/root{place}"
    try:
        if os.stat(inside).st_dev == os.stat(place).st_dev:  # noqa: PTH116
            return 0  # our own: the sandbox is still being set up
        found = os.statvfs(inside)
    except OSError:
        return 0
    return found.f_files - found.f_ffree
