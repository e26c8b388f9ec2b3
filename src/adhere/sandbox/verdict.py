"""From how a program ended to what that is called: one of six words and a reason."""

from __future__ import annotations

import re
import signal

from adhere.sandbox.base import Limits, Verdict

__all__ = ["judge"]

_EXCEPTION = re.compile(r"(?:[\w.]+\.)?(\w+)(?:: (.*))?")
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_HIDDEN = re.compile(r"No such file or directory: b?'(/(?:etc|home|root|var|mnt|srv|opt|run|sys|boot)(?:/[^']*)?)'")
# What the sandbox answers where it refuses: not allowed, read-only, or over a limit of files, disk or processes.
_DENIED = {
    1: "what it called is not allowed", 13: "what it asked for is not allowed", 30: "the file system is read-only",
    101: "there is no network", 27: "a file over the limit", 28: "the disk is full", 24: "too many open files",
    11: "too many processes",
}  # fmt: skip
LONGEST_LINE = 300


def judge(code: int | None, stopped: str, seconds: float, stderr: str, limits: Limits) -> tuple[Verdict, str]:
    """The verdict and its reason.

    Args:
        code: Exit status, 128 + signal where a signal ended it; None where we ended it.
        stopped: Why we ended it: "timeout", "memory", "processes", "files", "output" or "".
        seconds: How long it ran.
        stderr: The end of it is read: an uncaught exception stands there.
        limits: Those it ran under.
    """
    if stopped:
        return _stopped(stopped, limits)
    if code == 0:
        return "passed", ""
    if code is None:
        return "crashed", "it ended and nobody knows how"
    if code > 128 and (number := code - 128) in signal.valid_signals():
        return _signalled(number, seconds, limits)
    return _failed(code, stderr)


def _stopped(why: str, limits: Limits) -> tuple[Verdict, str]:
    if why == "timeout":
        return "timeout", f"still running after {limits.wall:g} s"
    if why == "memory":
        return "memory", f"its processes held more than {limits.memory >> 20} MiB together"
    said = {
        "processes": f"more than {limits.processes} processes at one time",
        "files": "too many files",
        "output": f"more than {limits.output} bytes of output",
    }
    return "forbidden", said[why]


def _signalled(number: int, seconds: float, limits: Limits) -> tuple[Verdict, str]:
    name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else f"signal {number}"
    # Whoever ignores the first signal gets the second, a second later.
    if number == signal.SIGXCPU or (number == signal.SIGKILL and seconds >= limits.cpu):
        return "timeout", f"more than {limits.cpu:g} s of processor time"
    if number == signal.SIGSYS:
        return "forbidden", "it made a system call that the filter forbids"
    if number == signal.SIGXFSZ:
        return "forbidden", "it wrote a file over the limit"
    return "crashed", f"it died of {name}"


def _failed(code: int, stderr: str) -> tuple[Verdict, str]:
    lines = stderr.rstrip().rsplit("\n", 1)
    last = lines[-1][:LONGEST_LINE].strip()
    found = _EXCEPTION.fullmatch(last)
    reason = last or f"exit status {code}"
    if not found:
        return "failed", f"exit status {code}"
    name, said = found[1], found[2] or ""
    if name.endswith("MemoryError"):
        return "memory", reason
    number = _ERRNO.match(said)
    if number and int(number[1]) in _DENIED and name in ("PermissionError", "OSError", "BlockingIOError"):
        return "forbidden", f"{_DENIED[int(number[1])]} ({reason})"
    if name == "RuntimeError" and said.startswith("can't start new thread"):
        return "forbidden", f"too many threads ({reason})"
    if hidden := _HIDDEN.search(said):
        return "forbidden", f"it reached for {hidden[1]}, which is not in the sandbox"
    return "failed", reason
