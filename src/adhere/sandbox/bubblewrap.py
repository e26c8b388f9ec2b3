"""How code is kept apart on this machine: bubblewrap's command line, the two ways there are, and which one works.

- "root": namespaces made by root; the program runs as a user that nobody else is, one for each run. It can hence be
  held to a number of processes, which root cannot.
- "user": an ordinary user's namespaces, the user namespace included, where the system lets users have them.

Both give the program a read-only system (`/usr` and the interpreter, nothing else: no home, no `/etc`), a `/tmp` of
its own with a bounded size, its own process ids, no network, no capabilities, no way to gain any, and the system-call
filter. bubblewrap itself starts with an empty environment: its first process can be read from within, `/proc/1/environ`
too, and an environment holds keys.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from adhere.errors import CapabilityError
from adhere.sandbox import seccomp
from adhere.sandbox.base import Limits

__all__ = ["ENVIRONMENT", "WORK", "Interpreter", "Isolation", "Mode", "interpreter", "isolation", "wrapped"]

Mode = Literal["root", "user"]
WORK = "/tmp/work"
INPUT = "/input"
ENVIRONMENT = {
    "HOME": WORK, "TMPDIR": "/tmp", "USER": "sandbox", "LANG": "C.UTF-8", "TZ": "UTC",
    "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2",  # address space is limited
}  # fmt: skip
OPEN_FILES = 256
SHM = 16 * 2**20  # bytes of /dev/shm, where semaphores live
NAMELESS = 0x60000000  # the first user id of "root" mode: far above every system's own, below 2**31
EXACT_COUNTS = (5, 14)  # since this kernel, processes are counted within their user namespace
PROBE_SECONDS = 10.0

_runs = itertools.count()


class Isolation(NamedTuple):
    """What was found out on this machine.

    Attributes:
        mode: None where code cannot be isolated.
        bwrap: Path of bubblewrap; "" if there is none.
        version: Its version.
        disable_userns: Whether it can forbid user namespaces within.
        notes: What was tried and what came of it, one line each.
    """

    mode: Mode | None
    bwrap: str
    version: str
    disable_userns: bool
    notes: tuple[str, ...]

    def required(self) -> Mode:
        """The mode.

        Raises:
            CapabilityError: with the reason, if there is none.
        """
        if self.mode is None:
            raise CapabilityError(
                f"code cannot be isolated here: {'; '.join(self.notes)}",
                hint="`adhere sandbox check` says more; --unsafe-sandbox runs it without isolation",
            )
        return self.mode


class Interpreter(NamedTuple):
    """A Python to run programs with: its executable and the folders that it needs to see."""

    executable: str
    folders: tuple[str, ...]


@cache
def isolation() -> Isolation:
    """Find out, once a process, by running `true` in the sandbox."""
    bwrap = shutil.which("bwrap") if sys.platform == "linux" else None
    if bwrap is None:
        needs = "bubblewrap is not installed (apt install bubblewrap)"
        return Isolation(None, "", "", False, (needs if sys.platform == "linux" else "bubblewrap needs Linux",))
    asked = [
        subprocess.run([bwrap, flag], capture_output=True, text=True, env={}).stdout for flag in ("--version", "--help")
    ]
    found = Isolation(None, bwrap, asked[0].strip().removeprefix("bubblewrap "), "--disable-userns" in asked[1], ())
    if "--size" not in asked[1]:
        return found._replace(notes=(f"bubblewrap {found.version} cannot bound a tmpfs (0.7 or newer is needed)",))
    if missing := [tool for tool in ("prlimit", "setpriv") if shutil.which(tool, path="/usr/bin:/bin") is None]:
        return found._replace(notes=(f"{' and '.join(missing)} not in /usr/bin (apt install util-linux)",))
    try:
        seccomp.compiled()
    except CapabilityError as error:
        return found._replace(notes=(str(error),))
    notes: list[str] = []
    modes: tuple[Mode, ...] = ("root", "user") if os.geteuid() == 0 else ("user",)
    for mode in modes:
        refused = _refused(found._replace(mode=mode))
        notes.append(f"namespaces as {'root' if mode == 'root' else 'an ordinary user'}: {refused or 'granted'}")
        if not refused:
            return found._replace(mode=mode, notes=tuple(notes))
    return found._replace(notes=tuple(notes))


def _refused(found: Isolation) -> str:
    """Why the sandbox does not start in this mode; "" if it does."""
    filter_end = feed(seccomp.compiled())
    command = wrapped(found, ["/usr/bin/true"], Limits(), Interpreter("/usr/bin/true", ()), None, filter_end)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env={}, pass_fds=(filter_end,), timeout=PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    finally:
        os.close(filter_end)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else lines[0] if lines else f"exit status {done.returncode}"


def feed(data: bytes) -> int:
    """The reading end of a pipe that holds some data (less than a pipe takes) and then ends."""
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
    finally:
        os.close(writing)
    return reading


@cache
def interpreter(executable: str | None = None) -> Interpreter:
    """What has to be seen of a Python for it to run: its own prefix, and its base's if it is a virtual environment.

    Args:
        executable: Path of a Python; None takes the one that runs Adhere, without its virtual environment's packages.

    Raises:
        CapabilityError: if it is not a working Python.
    """
    if executable is None:
        base = getattr(sys, "_base_executable", None) or sys.executable
        return Interpreter(str(Path(base).resolve()), _outside_usr(sys.base_prefix, sys.base_exec_prefix))
    ask = "import sys; print(sys.prefix, sys.base_prefix, sys.base_exec_prefix, sep='\\n')"
    try:
        done = subprocess.run(
            [executable, "-I", "-c", ask], capture_output=True, text=True, check=True, timeout=PROBE_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CapabilityError(f"{executable} is not a Python that runs: {error}") from error
    # The last component may be a link, and the virtual environment is the folder that holds the link.
    path = Path(executable).absolute()
    return Interpreter(str(path), _outside_usr(*done.stdout.split("\n")[:3], str(path.resolve().parent)))


def _outside_usr(*folders: str) -> tuple[str, ...]:
    wanted = {str(Path(f).absolute()) for f in folders} | {str(Path(f).resolve()) for f in folders}
    wanted = {f for f in wanted if not Path(f).is_relative_to("/usr")}
    return tuple(sorted(f for f in wanted if not any(o != f and Path(f).is_relative_to(o) for o in wanted)))


def wrapped(
    found: Isolation,
    command: Sequence[str],
    limits: Limits,
    python: Interpreter,
    inputs: Path | None,
    filter_fd: int,
    status_fd: int | None = None,
    block_fd: int | None = None,
) -> list[str]:
    """A command inside the sandbox.

    Args:
        found: The isolation of this machine, with a mode.
        command: What to run there, by absolute paths.
        limits: See `Limits`; time over the wall and output are not the kernel's business.
        python: Whose folders to show.
        inputs: A folder to show read-only as `/input`.
        filter_fd: Open file with the compiled filter.
        status_fd: Open file where bubblewrap tells the first process's id, and at the end the exit status.
        block_fd: Open file on which that process waits, before anything else is started, until it ends.
    """
    made = [found.bwrap, "--seccomp", str(filter_fd)]
    made += ["--json-status-fd", str(status_fd)] if status_fd is not None else []
    made += ["--block-fd", str(block_fd)] if block_fd is not None else []
    made += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    made += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    made += _identity(found)
    for name, value in (ENVIRONMENT | {"PATH": f"{Path(python.executable).parent}:/usr/bin:/bin"}).items():
        made += ["--setenv", name, value]
    made += _files(python, inputs, limits)
    return [*made, "--", *_limited(found.mode, limits), *command]


def _identity(found: Isolation) -> list[str]:
    if found.mode == "root":  # setpriv needs these two to become somebody else; then they are gone
        return ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    inner = ["--disable-userns"] if found.disable_userns else []
    return ["--unshare-user", *inner, "--uid", "1000", "--gid", "1000"]


def _files(python: Interpreter, inputs: Path | None, limits: Limits) -> list[str]:
    made = ["--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc"]
    made += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for top in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(top).is_symlink():
            made += ["--symlink", str(Path(top).readlink()), top]
        elif Path(top).is_dir():
            made += ["--ro-bind", top, top]
    if inputs is not None:
        made += ["--ro-bind", str(inputs), INPUT]
    made += ["--proc", "/proc", "--dev", "/dev"]
    for place, size in (("/dev/shm", SHM), ("/tmp", limits.disk)):
        made += ["--perms", "1777", "--size", str(int(size)), "--tmpfs", place]
    for shown in python.folders:  # after /tmp, which may hold one: a checkout of a CI machine
        for parent in reversed(Path(shown).parents[:-1]):  # to be walked through, not to be listed
            if str(parent) == "/tmp":
                continue
            made += ["--perms", "0711", "--dir", str(parent)]
        made += ["--ro-bind", shown, shown]
    made += ["--perms", "0777", "--dir", WORK, "--chdir", WORK]
    return [*made, "--remount-ro", "/dev", "--remount-ro", "/"]


def _limited(mode: Mode | None, limits: Limits) -> list[str]:
    made: list[str] = []
    if mode == "root":
        nobody = str(NAMELESS + (os.getpid() % 2**16) * 2**12 + next(_runs) % 2**12)
        made += ["setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "--inh-caps=-all", "--"]
    made += ["prlimit", f"--as={int(limits.memory)}", f"--fsize={int(limits.file)}", f"--nofile={OPEN_FILES}"]
    seconds = max(1, int(-(-limits.cpu // 1)))
    made += [f"--cpu={seconds}:{seconds + 1}", "--core=0", "--memlock=0", "--msgqueue=0"]
    if mode == "root" or _exact_counts():
        made.append(f"--nproc={int(limits.processes)}")
    return [*made, "--"]


def _exact_counts() -> bool:
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(itertools.takewhile(str.isdigit, minor)))) >= EXACT_COUNTS
