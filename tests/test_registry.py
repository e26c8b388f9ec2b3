"""Parts: found by name, listed by room, refused when two share a name, added by other packages."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from adhere.errors import AdhereError, UnknownNameError
from adhere.registry import find, parts, register


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        find("bench", "ifevall")
    assert str(caught.value).startswith("unknown benchmark 'ifevall'. Did you mean 'ifeval'")


def test_a_name_with_nothing_near_lists_what_there_is() -> None:
    with pytest.raises(UnknownNameError) as caught:
        find("bench", "zzzzzz")
    names = sorted(parts("bench"))
    assert caught.value.hint == f"There are: {', '.join(names[:12])} and {len(names) - 12} more"


def test_two_parts_of_a_room_cannot_share_a_name() -> None:
    @register("test-only-part", room="study")
    class One: ...

    with pytest.raises(AdhereError, match="two parts of room 'study' are named 'test-only-part'"):

        @register("test-only-part", room="study")
        class Two: ...

    assert find("study", "test-only-part").target is One


def test_a_part_outside_the_package_must_name_its_room() -> None:
    with pytest.raises(AdhereError, match="cannot tell the room"):

        @register("roomless")
        class Part: ...


def test_every_part_with_a_paper_names_a_method() -> None:
    from adhere.methods import methods
    from adhere.registry import ROOMS

    slugs = {m.slug for m in methods()}
    named = {part.paper for room in ROOMS for part in parts(room).values() if part.paper}
    assert named <= slugs
    assert "ifeval" in named


def test_another_package_adds_a_constraint_through_an_entry_point(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        textwrap.dedent("""
        from adhere.constraints import Checker, constraint
        @constraint("theirs:always", family="theirs")
        class Always(Checker):
            def check(self, text):
                return self.verdict(True, "always")
            def describe(self, rng):
                return "Anything goes."
        """)
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[adhere.parts]\ntheirs = theirs\n")
    code = "from adhere.constraints import kinds; print(kinds()['theirs:always'].family)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "theirs", done.stderr


def test_a_plugin_that_fails_to_load_is_named(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[adhere.parts]\nbroken = not_there\n")
    done = subprocess.run(
        [sys.executable, "-m", "adhere", "constraints", "list"],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the plugin 'broken' (not_there) failed to load" in done.stderr
    assert "Traceback" not in done.stderr
