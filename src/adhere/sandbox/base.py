"""What goes into the sandbox and what comes out: limits, jobs, outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from adhere.errors import UsageError
from adhere.records import Record

__all__ = ["VERDICTS", "Job", "Limits", "Outcome", "Verdict"]

Verdict = Literal["passed", "failed", "timeout", "memory", "forbidden", "crashed"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
MiB = 2**20
NOTHING: Mapping[str, str | bytes] = MappingProxyType({})


class Limits(NamedTuple):
    """What a program may use. Going beyond is a verdict, not an error.

    Attributes:
        cpu: Seconds of processor time, of each process; whole seconds are enforced, rounded up.
        wall: Seconds from start to end, all processes together.
        memory: Bytes: the address space of each process, and what all of them hold together.
        processes: Processes and threads at one time.
        disk: Bytes of the private /tmp, which holds the working folder.
        file: Bytes of one file.
        output: Bytes of stdout, and as many of stderr.
    """

    cpu: float = 10.0
    wall: float = 15.0
    memory: int = 512 * MiB
    processes: int = 32
    disk: int = 64 * MiB
    file: int = 16 * MiB
    output: int = 1 * MiB

    def checked(self) -> Limits:
        """These limits.

        Raises:
            UsageError: if one of them is not a positive number, or memory is less than an interpreter needs to start.
        """
        for name, value in self._asdict().items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
                raise UsageError(f"limit {name} is {value!r}", hint="It is a positive number")
        if self.memory < 32 * MiB:
            raise UsageError(f"limit memory is {self.memory} bytes", hint="Python itself needs 32 MiB")
        return self


class Job(NamedTuple):
    """One program to run.

    Attributes:
        code: Python source, or the path of a file that holds it.
        stdin: What it reads.
        argv: Arguments after the program's name.
        files: What lies beside it in the working folder: relative path → content.
        folder: A folder whose contents are copied into the working folder first; it itself is never written to.
        collect: Relative paths to bring back from the working folder after the run.
        name: What the program's file is called there.
    """

    code: str | Path
    stdin: str | bytes = ""
    argv: tuple[str, ...] = ()
    files: Mapping[str, str | bytes] = NOTHING
    folder: Path | None = None
    collect: tuple[str, ...] = ()
    name: str = "program.py"


class Outcome(Record, omit_defaults=False):
    """What a run came to.

    Attributes:
        verdict: "passed" (exit status 0), "failed" (another status, or an uncaught exception), "timeout" (wall clock or
            processor time), "memory", "forbidden" (tried what the sandbox does not allow, or went over a limit of
            output, files or processes and ended for it), "crashed" (ended by a signal).
        reason: In one sentence, where the verdict is not "passed".
        stdout: What it wrote, undecodable bytes replaced, at most `Limits.output` bytes.
        stderr: The same of stderr.
        exit_code: 128 + signal where a signal ended it, as shells have it; None where the sandbox stopped it.
        seconds: From start to end, the sandbox's own setting up (some 10 ms) included.
        isolation: "root" or "user" (two ways of bubblewrap), or "none".
        files: What `collect` asked for and the program left there.
    """

    verdict: Verdict
    reason: str
    stdout: str
    stderr: str
    exit_code: int | None
    seconds: float
    isolation: Literal["root", "user", "none"]
    files: dict[str, bytes] = {}

    @property
    def passed(self) -> bool:
        """Whether the program ended by itself with status 0."""
        return self.verdict == "passed"
