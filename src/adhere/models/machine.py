"""How much of this machine an in-process engine may use: cores that are idle, memory that is free."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["available_memory", "idle_cores", "pick_threads", "usable_cores"]

# More threads than this do not make models of the size that runs in-process faster.
MAX_THREADS = 16
SAMPLE_SECONDS = 0.1


def usable_cores() -> int:
    """Cores that this process may use: its CPU affinity, and the quota of its control group where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control groups here, or the older version of them
    return cores


def idle_cores(seconds: float = SAMPLE_SECONDS) -> float:
    """Cores' worth of idle time of the whole machine, sampled; all of them where /proc does not tell.

    What processes of lower priority take (`nice`) counts as idle for one that is not nice itself: they give way.
    """
    polite = os.getpriority(os.PRIO_PROCESS, 0) > 0
    before = _cpu_times(polite)
    if before is None:
        return float(os.cpu_count() or 1)
    time.sleep(seconds)
    after = _cpu_times(polite) or before
    total = after[1] - before[1]
    return (os.cpu_count() or 1) * (after[0] - before[0]) / total if total > 0 else 0.0


def _cpu_times(polite: bool) -> tuple[int, int] | None:
    """Idle and total ticks of all cores since boot; niced ones are idle to who is not polite."""
    try:
        line = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    ticks = [int(field) for field in line[:8]]
    return ticks[3] + ticks[4] + (0 if polite else ticks[1]), sum(ticks)


def pick_threads() -> int:
    """Threads for a model: as many as there are idle cores, at least one.

    A thread too many costs more than one too few: all threads of a step wait for the slowest, and the slowest is the
    one that shares its core with somebody else.
    """
    return max(1, min(usable_cores(), round(idle_cores()), MAX_THREADS))


def available_memory() -> int:
    """Bytes that can be used without swapping; 4 GiB where /proc does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30
