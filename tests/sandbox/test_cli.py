"""`adhere sandbox run` and `check`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from adhere.cli.sandbox import command
from adhere.errors import CapabilityError
from adhere.sandbox import isolation
from adhere.sandbox.cgroup import memory_groups

needs_isolation = pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))


@pytest.fixture
def program(tmp_path):
    def write(code: str) -> str:
        (tmp_path / "p.py").write_text(code)
        return str(tmp_path / "p.py")

    return write


@needs_isolation
def test_json_is_one_verdict(program):
    found = CliRunner().invoke(command, ["run", program("print(1)"), "--json"])
    said = json.loads(found.stdout)
    assert found.exit_code == 0
    assert (said["verdict"], said["stdout"], said["exit_code"]) == ("passed", "1\n", 0)
    assert 0 < said["seconds"] < 15


@needs_isolation
def test_a_program_that_does_not_pass_gives_exit_status_1_and_its_reason(program):
    found = CliRunner().invoke(command, ["run", program("print('out'); 1 / 0")])
    assert found.exit_code == 1
    assert found.stdout == "out\n"
    assert "failed: ZeroDivisionError: division by zero" in found.stderr


@needs_isolation
def test_stdin_limits_and_arguments_arrive(program):
    path = program("import sys; print(input(), sys.argv[1:]); bytearray(200 * 2**20)")
    options = ["--stdin", "-", "--memory", "100", "--cpu", "3", "--wall", "5", path, "--", "-x", "y"]
    found = CliRunner().invoke(command, ["run", *options], input="read")
    assert found.stdout == "read ['-x', 'y']\n"
    assert "memory: MemoryError" in found.stderr


@needs_isolation
def test_check_tries_a_program_and_says_how_it_went():
    found = CliRunner().invoke(command, ["check"])
    assert found.exit_code == 0
    assert "isolated: yes" in found.stdout
    (memory,) = [line for line in found.stdout.splitlines() if line.startswith("memory of all processes together: ")]
    assert ("held by a control group" in memory) == (memory_groups().place is not None)
    assert "looked at every 50 ms" in memory
    assert json.loads(CliRunner().invoke(command, ["check", "--json"]).stdout)["isolated"] is True


def test_without_isolation_check_says_why_and_run_refuses_unless_told(program, monkeypatch):
    path = program("print(1)")
    monkeypatch.setenv("PATH", "/nonexistent")
    isolation.cache_clear()
    try:
        found = CliRunner().invoke(command, ["check"])
        assert (found.exit_code, found.stdout.splitlines()[-1]) == (1, "isolated: no")
        assert "bubblewrap is not installed (apt install bubblewrap)" in found.stdout
        refused = CliRunner().invoke(command, ["run", path])
        assert isinstance(refused.exception, CapabilityError)
        made = CliRunner().invoke(command, ["run", path, "--unsafe-sandbox", "--json"])
        assert json.loads(made.stdout)["isolation"] == "none"
        assert "not isolated" in made.stderr
    finally:
        isolation.cache_clear()


def test_a_missing_program_is_a_usage_error():
    assert CliRunner().invoke(command, ["run", "/nowhere/p.py"]).exit_code == 2
