"""Control groups: several processes at once, what is left behind, and where groups can be made."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adhere.sandbox import Limits, cgroup, isolation, jobs, run
from adhere.sandbox.bubblewrap import SHM
from adhere.sandbox.cgroup import PREFIX, Found, Group, Place, memory_groups
from adhere.sandbox.process import Ended

MiB = 2**20
LIMITS = Limits(cpu=30, wall=60, memory=256 * MiB, disk=4 * MiB)
MOST = LIMITS.memory + LIMITS.disk + SHM
# Twelve processes wait for the pipe to close and then fill 100 MiB each, faster than anybody looks.
AT_ONCE = """
import mmap, os, time
reading, writing = os.pipe()
for _ in range(12):
    if os.fork() == 0:
        os.close(writing)
        room = mmap.mmap(-1, 100 * 2**20)
        os.read(reading, 1)
        room.write(b"x" * 2**20 * 100)
        time.sleep(60)
        os._exit(0)
os.close(writing)
time.sleep(60)
"""
found = memory_groups()
needs_group = pytest.mark.skipif(
    isolation().mode is None or found.place is None, reason="; ".join([*isolation().notes, found.note])
)


def ours() -> list[str]:
    """Groups that this process has made and that are still there."""
    assert found.place is not None
    return [path.name for path in found.place.folder.glob(f"{PREFIX}{os.getpid()}-*")]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Ended]:
    """How runs ended, with the peak that their group saw, which no outcome tells."""
    seen: list[Ended] = []
    real = jobs._isolated

    async def noting(*given: Any) -> Ended:
        seen.append(await real(*given))
        return seen[-1]

    monkeypatch.setattr(jobs, "_isolated", noting)
    return seen


@needs_group
def test_processes_that_allocate_at_once_never_hold_more_than_the_group_may(ended: list[Ended]) -> None:
    outcome = asyncio.run(run(AT_ONCE, limits=LIMITS))
    assert (outcome.verdict, outcome.exit_code) == ("memory", None)
    peak = ended[0].peak
    assert peak is not None and LIMITS.memory // 2 < peak <= MOST
    assert ours() == []


@needs_group
def test_whoever_goes_on_after_the_kernel_has_killed_one_of_its_own_is_judged_by_that(ended: list[Ended]) -> None:
    """The parent ends with status 0 at once, before anybody looks."""
    code = AT_ONCE.replace("os.close(writing)\ntime.sleep(60)", "os.close(writing)\nos.wait()\nos._exit(0)")
    assert asyncio.run(run(code, limits=LIMITS)).verdict == "memory"


@needs_group
def test_a_program_within_its_limits_is_not_disturbed_and_its_files_are_not_its_memory(ended: list[Ended]) -> None:
    code = "x = bytearray(150 * 2**20)\nfor n in range(6): open(str(n), 'wb').write(bytes(10 * 2**20))\nprint(len(x))"
    limits = Limits(cpu=30, wall=60, memory=192 * MiB, disk=64 * MiB)
    outcome = asyncio.run(run(code, limits=limits))
    assert (outcome.verdict, outcome.stdout) == ("passed", f"{150 * MiB}\n")
    assert ended[0].peak is not None and ended[0].peak > limits.memory
    assert ours() == []


@needs_group
def test_a_cancelled_run_leaves_no_group() -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(run("import time; time.sleep(60)", limits=LIMITS))
        while not ours():
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ours() == []


@needs_group
def test_a_run_that_is_cancelled_again_while_it_tidies_up_leaves_no_group() -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(run("import time; time.sleep(60)", limits=LIMITS))
        while not ours():
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(sum(cgroup.WAITS))

    asyncio.run(cancelled())
    assert ours() == []


@needs_group
def test_the_group_of_an_owner_that_was_killed_is_removed_by_the_next() -> None:
    assert found.place is not None
    code = (
        "import os, signal\nfrom adhere.sandbox.cgroup import Group, memory_groups\n"
        "group = Group(memory_groups().place, 2**26)\nprint(group.folder, flush=True)\nos.kill(os.getpid(), 9)"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    left = Path(made.stdout.strip())
    assert left.is_dir() and left.parent == found.place.folder
    memory_groups.cache_clear()
    assert memory_groups() == found
    assert not left.exists()


class Moved(Group):
    """A group of version 1 into which processes are moved as into one of version 2, at bubblewrap's gate."""

    def __init__(self, place: Place, limit: int) -> None:
        super().__init__(place, limit)
        self.place = place._replace(version=2)
        self.gate, self._gate_end = os.pipe()
        self.moved: list[int] = []

    def admit(self, pid: int) -> None:
        super().admit(pid)
        assert self.holds(pid)
        self.moved.append(pid)
        everything.append(self)

    def killed(self) -> bool:
        return "oom_kill 0" not in (self.folder / "memory.oom_control").read_text()


everything: list[Moved] = []


@needs_group
@pytest.mark.skipif(found.place is None or found.place.version != 1, reason="version 2 is what the others run on")
def test_a_tree_that_is_moved_at_the_gate_is_held_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "Group", Moved)
    everything.clear()
    outcome = asyncio.run(run("print('through the gate')", limits=LIMITS))
    assert (outcome.verdict, outcome.stdout) == ("passed", "through the gate\n")
    assert [len(group.moved) for group in everything] == [1]
    assert asyncio.run(run(AT_ONCE, limits=LIMITS)).verdict == "memory"
    assert ours() == []


@pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))
def test_where_no_group_can_be_had_looking_remains(monkeypatch: pytest.MonkeyPatch, ended: list[Ended]) -> None:
    monkeypatch.setattr(cgroup, "memory_groups", lambda: Found(None, "none here"))
    assert asyncio.run(run(AT_ONCE, limits=LIMITS)).verdict == "memory"
    gone = Place(1, Path("/nowhere"), Path("/nowhere"))
    monkeypatch.setattr(cgroup, "memory_groups", lambda: Found(gone, ""))
    assert asyncio.run(run("print(1)", limits=LIMITS)).stdout == "1\n"
    assert [e.peak for e in ended] == [None, None]


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A version 2 hierarchy: /slice hands memory down to /slice/scope, which is ours and has no limit."""
    own = tmp_path / "slice" / "scope"
    own.mkdir(parents=True)
    for folder, handed in ((tmp_path, "cpu memory"), (own.parent, "memory pids"), (own, "")):
        (folder / "cgroup.subtree_control").write_text(handed)
        (folder / "cgroup.procs").write_text("")
    (own / "memory.max").write_text("max\n")
    monkeypatch.setattr(cgroup, "_memberships", lambda: iter([([], "/slice/scope")]))
    monkeypatch.setattr(cgroup, "_mounts", lambda: iter([("cgroup2", ["rw"], "/", tmp_path)]))
    return own


def test_of_version_2_groups_are_made_beside_ours_or_below_it(tree: Path) -> None:
    assert cgroup._version_2() == Place(2, tree.parent, tree)
    (tree / "cgroup.subtree_control").write_text("memory")
    assert cgroup._version_2() == Place(2, tree, tree)


def test_a_limit_of_our_own_group_is_not_left_and_what_is_not_handed_down_is_not_had(tree: Path) -> None:
    (tree / "memory.max").write_text("1000000\n")
    assert cgroup._version_2() is None
    (tree / "memory.max").write_text("max\n")
    (tree.parent / "cgroup.subtree_control").write_text("cpu pids")
    assert cgroup._version_2() is None


@pytest.mark.parametrize(
    ("path", "root", "seen"),
    [
        ("/a/b", "/", "/mnt/a/b"),
        ("/", "/", "/mnt"),
        ("/docker/x", "/docker/x", "/mnt"),
        ("/docker/x/y", "/docker/x", "/mnt/y"),
        ("/other", "/docker/x", None),
        ("/../up", "/", None),
    ],
)
def test_a_group_is_found_through_its_mount_or_not_at_all(path: str, root: str, seen: str | None) -> None:
    found = cgroup._below(path, root, Path("/mnt"))
    assert found == (Path(seen) if seen else None)
