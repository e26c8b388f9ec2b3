"""What goes in, what comes out, how jobs are run, and what happens without isolation."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import CapabilityError, UsageError
from adhere.sandbox import VERDICTS, Job, Limits, isolation, run, run_many, run_sync, run_tests
from adhere.sandbox.files import unpacked
from adhere.sandbox.tree import excess
from adhere.sandbox.verdict import judge

QUICK = Limits(cpu=4, wall=12)
needs_isolation = pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))


@pytest.fixture
def no_isolation(monkeypatch):
    """A machine without bubblewrap."""
    monkeypatch.setenv("PATH", "/nonexistent")
    isolation.cache_clear()
    yield
    isolation.cache_clear()


@needs_isolation
def test_a_program_gets_stdin_arguments_and_files_and_gives_files_back():
    code = (
        "import sys, helper\nfrom pathlib import Path\n"
        "print(helper.double(input()), sys.argv[1:], Path('data/x.bin').read_bytes())\n"
        "Path('out').mkdir(); Path('out/y').write_text('made')"
    )
    files = {"helper.py": "def double(x): return x * 2", "data/x.bin": b"\x00\xff"}
    made = run_sync(code, stdin="ab", argv=("-v", "two words", "$(id)"), files=files, collect=("out/y", "out/z"))
    assert made.verdict == "passed", made.stderr
    assert made.stdout == "abab ['-v', 'two words', '$(id)'] b'\\x00\\xff'\n"
    assert made.files == {"out/y": b"made"}


@needs_isolation
def test_a_folder_is_copied_in_and_stays_as_it_was(tmp_path):
    (tmp_path / "pkg").mkdir(mode=0o700)
    (tmp_path / "pkg" / "__init__.py").write_text("x = 1")
    (tmp_path / "pkg" / "__init__.py").chmod(0o600)
    (tmp_path / "out").symlink_to("/etc")
    code = "import pkg, os\nopen('pkg/__init__.py', 'w').write('x = 2')\nos.remove('program.py')\nprint(pkg.x)"
    made = run_sync(code, folder=tmp_path)
    assert (made.verdict, made.stdout) == ("passed", "1\n")
    assert (tmp_path / "pkg" / "__init__.py").read_text() == "x = 1"
    assert not (tmp_path / "program.py").exists()


@needs_isolation
def test_a_link_in_the_folder_does_not_lead_our_writing_astray(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "f").write_text("safe")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "program.py").symlink_to(victim / "f")
    (folder / "d").symlink_to(victim)
    made = run_sync("print(open('d/f').read())", folder=folder, files={"d/f": "new"})
    assert (made.verdict, made.stdout) == ("passed", "new\n")
    assert (victim / "f").read_text() == "safe"


@needs_isolation
def test_the_program_sees_nothing_of_our_environment_and_is_deterministic(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = "import os; print(sorted(os.environ), hash('x'), os.getcwd())"
    first, second = run_sync(code), run_sync(code)
    assert "OPENAI_API_KEY" not in first.stdout
    assert first.stdout == second.stdout


@needs_isolation
def test_nothing_of_adhere_can_be_imported_inside():
    assert "ModuleNotFoundError" in run_sync("import adhere").stderr


@needs_isolation
def test_bytes_that_are_no_text_are_replaced_in_what_comes_out():
    made = run_sync("import os; os.write(1, b'\\xffa\\x00'); print(input())", stdin="\ud800")
    assert made.stdout == "\ufffda\x00\ufffd\ufffd\ufffd\n"


@needs_isolation
def test_a_program_that_reads_no_stdin_is_not_waited_for():
    assert run_sync("print(1)", stdin="x" * 10_000_000).verdict == "passed"


@needs_isolation
def test_common_libraries_work_inside():
    code = (
        "import asyncio, json, multiprocessing, sqlite3, subprocess, tempfile, threading, unittest\n"
        "with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, 2]))\n"
        "print(subprocess.run(['echo', 'hi'], capture_output=True, text=True).stdout, end='')\n"
        "print(asyncio.run(asyncio.sleep(0, 'slept')), sqlite3.connect(':memory:').execute('select 1').fetchone())\n"
        "print(tempfile.TemporaryDirectory().name[:5])"
    )
    made = run_sync(code)
    assert made.stdout == "[1, 2]\nhi\nslept (1,)\n/tmp/\n", made


@needs_isolation
def test_another_interpreter_brings_its_own_packages():
    made = run_sync("import msgspec, sys; print(sys.prefix)", python=sys.executable)
    assert made.verdict == "passed", made.stderr
    assert made.stdout.strip() == sys.prefix


@needs_isolation
def test_many_jobs_come_back_in_their_order():
    async def all_of_them():
        jobs = [Job("import time; time.sleep(0.3); print(0)"), "print(1)", Job("print(input())", stdin="2")]
        return [made async for made in run_many(jobs, QUICK)]

    assert [made.stdout for made in asyncio.run(all_of_them())] == ["0\n", "1\n", "2\n"]


@needs_isolation
def test_leaving_a_stream_of_jobs_stops_the_rest():
    async def first() -> str:
        async for made in run_many(["print(1)", "import time; time.sleep(60)"], QUICK):
            return made.stdout
        return ""

    assert asyncio.run(asyncio.wait_for(first(), 20)) == "1\n"


@needs_isolation
@pytest.mark.parametrize(
    ("code", "tests", "verdict"),
    [
        ("def f(): return 1", "assert f() == 1", "passed"),
        ("def f(): return 2", "assert f() == 1", "failed"),
        ("import sys\nsys.exit(0)", "assert False", "failed"),
        ("import os\nos._exit(0)", "assert False", "failed"),
        ("def f(): raise SystemExit(0)", "f()\nassert False", "failed"),
        ("if __name__ == '__main__': input('your name?')", "pass", "passed"),
        ("from __future__ import annotations\nprint('noise', end='')", "pass", "passed"),
        ("def f(:", "pass", "failed"),
    ],
)
def test_tests_pass_only_if_their_end_is_reached(code, tests, verdict):
    made = asyncio.run(run_tests(code, tests, limits=QUICK))
    assert made.verdict == verdict, made
    assert "done-" not in made.stdout


@needs_isolation
def test_nothing_is_left_in_the_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run_sync("open('x', 'w')", files={"a/b": "c"}, collect=("x",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "-rf", "a\0b"])
def test_file_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(UsageError, match="not a file name within the sandbox"):
        run_sync("pass", files={name: "x"}, unsafe=True)
    with pytest.raises(UsageError, match="not a file name within the sandbox"):
        run_sync("pass", collect=(name,), unsafe=True)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(cpu=0), "limit cpu is 0"),
        (Limits(wall=-1), "limit wall is -1"),
        (Limits(memory=float("nan")), "limit memory is nan"),
        (Limits(processes=True), "limit processes is True"),
        (Limits(memory=2**20), "Python itself needs 32 MiB"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, said):
    with pytest.raises(UsageError, match=said):
        run_sync("pass", limits=limits, unsafe=True)


@needs_isolation
def test_what_does_not_fit_is_refused_before_the_run(tmp_path):
    (tmp_path / "big").write_bytes(bytes(3 * 2**20))
    with pytest.raises(UsageError, match="takes more than the 2 MiB"):
        run_sync("pass", folder=tmp_path, limits=Limits(disk=2 * 2**20))
    with pytest.raises(UsageError, match="takes more than the 2 MiB"):
        run_sync("pass", files={"x": bytes(3 * 2**20)}, limits=Limits(disk=2 * 2**20))
    with pytest.raises(UsageError, match="No such file"):
        run_sync(tmp_path / "missing.py")
    with pytest.raises(UsageError, match="cannot be copied"):
        run_sync("pass", folder=tmp_path / "missing")


def test_an_interpreter_that_is_none_is_refused(tmp_path):
    with pytest.raises(CapabilityError, match="is not a Python that runs"):
        run_sync("pass", python="/usr/bin/false", unsafe=True)


def test_without_isolation_it_refuses_and_says_how_to_go_on(no_isolation):
    with pytest.raises(CapabilityError, match="bubblewrap is not installed") as caught:
        run_sync("print(1)")
    assert "--unsafe-sandbox" in caught.value.hint


def test_unsafe_keeps_time_memory_and_output_and_says_so(no_isolation, tmp_path):
    def verdict(code, **options):
        made = run_sync(code, limits=Limits(cpu=1, wall=2, output=10_000), unsafe=True, **options)
        assert made.isolation == "none"
        return made.verdict

    assert verdict("print(1)") == "passed"
    assert verdict("while True: pass") == "timeout"
    assert verdict("import time; time.sleep(9)") == "timeout"
    assert verdict("bytearray(10 * 2**30)") == "memory"
    assert verdict("while True: print('x' * 100)") == "forbidden"
    assert verdict("import subprocess; subprocess.Popen(['sleep', '60'])") == "passed"
    made = run_sync(
        "import os; print(os.environ.get('SECRET')); open('x', 'w').write('y')", collect=("x",), unsafe=True
    )
    assert (made.stdout, made.files) == ("None\n", {"x": b"y"})


def test_a_daemon_that_holds_the_pipe_does_not_hold_an_unsafe_run(no_isolation):
    code = "import os, time\nif os.fork() == 0:\n  os.setsid(); time.sleep(12)"
    made = run_sync(code, limits=Limits(wall=1), unsafe=True)
    assert made.seconds < 10


def test_run_works_inside_a_running_loop():
    async def inside():
        return run_sync("print(1)", unsafe=True).stdout, (await run("print(2)", unsafe=True)).stdout

    assert asyncio.run(inside()) == ("1\n", "2\n")


def test_the_tree_of_this_process_is_seen_and_a_gone_one_is_over_no_limit():
    assert excess(os.getpid(), memory=2**20, processes=1000) == "memory"
    assert excess(os.getpid(), memory=2**50, processes=1000) == ""
    assert excess(2**22 - 1, memory=1, processes=1) == ""


@given(st.integers(0, 255), st.text(max_size=200), st.floats(0, 100))
def test_every_exit_status_and_any_stderr_has_one_verdict_and_only_zero_passes(code, stderr, seconds):
    verdict, reason = judge(code, "", seconds, stderr, Limits())
    assert verdict in VERDICTS
    assert (verdict == "passed") == (code == 0) == (reason == "")


@given(st.binary(max_size=2000))
def test_any_bytes_as_an_archive_are_harmless(data):
    assert set(unpacked(data, ("x",))) <= {"x"}


@pytest.mark.parametrize(
    ("last_line", "verdict"),
    [
        ("MemoryError", "memory"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB", "memory"),
        ("PermissionError: [Errno 13] Permission denied: '/root'", "forbidden"),
        ("PermissionError: no, said the program itself", "failed"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/etc/shadow'", "forbidden"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'etc/shadow'", "failed"),
        ("OSError: [Errno 28] No space left on device", "forbidden"),
        ("AssertionError: MemoryError", "failed"),
        ("ValueError", "failed"),
        ("Killed", "failed"),
    ],
)
def test_an_uncaught_exception_is_read_off_the_last_line(last_line, verdict):
    assert judge(1, "", 1.0, f"Traceback (most recent call last):\n  File…\n{last_line}\n", Limits())[0] == verdict
