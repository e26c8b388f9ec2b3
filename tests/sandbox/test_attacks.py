"""The battery: each attack gets its verdict, and does no harm."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from adhere.sandbox import Limits

MiB = 2**20


@pytest.fixture
def marker() -> str:
    """An argument that the attacker's processes can be found by."""
    return f"adhere-{uuid.uuid4().hex}"


def alive(marker: str) -> list[int]:
    """Host processes whose command line holds the marker. A zombie has none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]


def test_a_fork_bomb_runs_into_the_limit_and_leaves_nobody(attack, marker):
    outcome = attack("import os\nwhile True: os.fork()", argv=(marker,))
    assert outcome.verdict == "forbidden"
    assert "processes" in outcome.reason
    assert alive(marker) == []


def test_a_fork_bomb_that_ignores_errors_is_stopped_by_the_clock(attack, marker):
    code = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
    outcome = attack(code, Limits(cpu=10, wall=1.5), argv=(marker,))
    assert outcome.verdict in ("timeout", "forbidden")
    assert outcome.seconds < 8
    assert alive(marker) == []


def test_becoming_root_is_not_to_be_had(attack):
    assert attack("import os; os.setuid(0); print('root')").stdout == ""


def test_empty_files_without_end_are_counted(attack):
    outcome = attack("import itertools\nfor n in itertools.count(): open(str(n), 'w')", Limits(cpu=20, wall=30))
    assert (outcome.verdict, outcome.reason) == ("forbidden", "too many files")


def test_ten_gigabytes_are_not_to_be_had(attack):
    outcome = attack("x = bytearray(10 * 2**30)\nprint(len(x))")
    assert (outcome.verdict, outcome.stdout) == ("memory", "")


def test_many_processes_together_hold_no_more_than_one_may(attack, marker):
    code = (
        "import os, time\nfor _ in range(12):\n  if os.fork() == 0:\n    x = b'x' * (100 * 2**20); time.sleep(9)\n"
        "time.sleep(9)"
    )
    outcome = attack(code, Limits(memory=256 * MiB, wall=8), argv=(marker,))
    assert outcome.verdict == "memory"
    assert alive(marker) == []


@pytest.mark.parametrize(
    "code",
    [
        "import os\nf = os.memfd_create('x')\nfor _ in range(4000): os.write(f, bytes(2**20))",
        "import ctypes\nassert ctypes.CDLL(None).shmget(0, 2**34, 0o1600) >= 0",
        "from multiprocessing.shared_memory import SharedMemory as S\nS(create=True, size=2**30).buf[:] = bytes(2**30)",
    ],
)
def test_memory_that_limits_do_not_count_is_not_to_be_had(attack, code):
    assert attack(code).verdict in ("failed", "memory", "forbidden", "crashed")


def test_endless_output_is_cut_and_its_writer_killed(attack, marker):
    outcome = attack("while True: print('x' * 1000)", Limits(output=100_000), argv=(marker,))
    assert outcome.verdict == "forbidden"
    assert len(outcome.stdout) <= 100_000
    assert alive(marker) == []


def test_endless_errors_are_cut_too(attack):
    outcome = attack("import os\nwhile True: os.write(2, b'x' * 5000)", Limits(output=100_000))
    assert (outcome.verdict, len(outcome.stderr) <= 100_000) == ("forbidden", True)


def test_etc_shadow_is_not_there(attack):
    outcome = attack("print(open('/etc/shadow').read())")
    assert outcome.verdict == "forbidden"
    assert "root" not in outcome.stdout


@pytest.mark.parametrize("way", ["open('{0}/secret').read()", "__import__('os').listdir('{0}')"])
def test_a_home_folder_is_not_there(attack, way, tmp_path):
    home = str(Path.home())
    outcome = attack(f"print({way.format(home)})")
    assert outcome.verdict == "forbidden"
    assert outcome.stdout == ""


def test_other_files_of_this_machine_are_neither_read_nor_written(attack, tmp_path):
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    secret.chmod(0o666)
    outcome = attack(f"p = {str(secret)!r}\ntry: print(open(p).read())\nfinally: open(p, 'w').write('pwned')")
    assert not outcome.passed
    assert "do not tell" not in outcome.stdout + outcome.stderr
    assert secret.read_text() == "do not tell"


def test_writing_outside_the_private_folders_fails_everywhere(attack, marker):
    places = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/proc/sys/kernel", "/lib", "/input", "/root", "/home"]
    code = (
        f"import os\nfor place in {places!r}:\n"
        f"  try: open(os.path.join(place, {marker!r}), 'w'); print('wrote', place)\n  except OSError: pass\n"
        f"  try: os.mkdir(os.path.join(place, {marker!r}) + 'd'); print('made', place)\n  except OSError: pass\n"
        f"  try: os.chmod(place, 0o777); print('chmod', place)\n  except OSError: pass\n"
    )
    outcome = attack(code)
    assert (outcome.verdict, outcome.stdout) == ("passed", "")
    assert not [place for place in places if (Path(place) / marker).exists()]


def test_an_uncaught_write_outside_is_forbidden(attack):
    assert attack("open('/usr/bin/python3', 'r+b')").verdict == "forbidden"


def test_its_own_tmp_is_not_ours(attack, marker):
    outcome = attack(f"open('/tmp/{marker}', 'w').write('x'); import os; print(sorted(os.listdir('/tmp')))")
    assert outcome.stdout == f"{sorted(['work', marker])}\n"
    assert not Path(f"/tmp/{marker}").exists()


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback, TCP and UDP on one port, and who has called it."""
    called: list[bytes] = []
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                connection, _ = tcp.accept()
            except OSError:
                return
            called.append(b"tcp")
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield port, called
    udp.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        called.append(udp.recv(100))
    tcp.close()
    udp.close()
    assert called == []


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', {0}), timeout=2)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'udp', ('127.0.0.1', {0}))",
        "import socket; socket.create_connection(('::1', {0}), timeout=2)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{0}/')",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ],
)
def test_loopback_is_not_reached(attack, server, code):
    outcome = attack(code.format(server[0]))
    assert outcome.verdict in ("forbidden", "failed")
    if "urllib" not in code:
        assert outcome.verdict == "forbidden"
    assert server[1] == []


def test_an_abstract_socket_of_this_machine_is_not_reached(attack, marker):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + marker)
    listener.listen()
    outcome = attack(f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{marker}')")
    assert outcome.verdict == "failed"
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()


@pytest.mark.parametrize("victim", ["os.getppid()", "1", "-1", "0", "{tester}", "{its_parent}"])
def test_killing_the_parent_kills_nobody_outside(attack, victim):
    victim = victim.format(tester=os.getpid(), its_parent=os.getppid())
    attack(f"import os\ntry: os.kill({victim}, 9)\nexcept (ProcessLookupError, PermissionError): pass")
    assert Path(f"/proc/{os.getpid()}").exists()
    assert Path(f"/proc/{os.getppid()}").exists()


@pytest.mark.parametrize(
    "call",
    [
        "ptrace(16, 1, 0, 0)", "ptrace(0, 0, 0, 0)", "unshare(0x10000000)", "unshare(0x20000)",
        "mount(0, b'/tmp', b'tmpfs', 0, 0)", "chroot(b'/tmp')", "umount2(b'/proc', 2)", "sethostname(b'x', 1)",
        "setns(0, 0)", "process_vm_readv(1, 0, 0, 0, 0, 0)", "syscall({SYS_bpf}, 0, 0, 0)", "swapoff(b'/x')",
        "reboot(0)",
    ],
)  # fmt: skip
def test_calls_that_only_attacks_make_end_the_program(attack, call):
    bpf = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    outcome = attack(f"import ctypes\nctypes.CDLL(None).{call.format(SYS_bpf=bpf)}\nprint('alive')")
    assert (outcome.verdict, outcome.stdout) == ("forbidden", "")


def test_a_new_user_namespace_is_not_to_be_had_through_clone(attack):
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    outcome = attack(f"import ctypes\nprint(ctypes.CDLL(None).syscall({clone}, 0x10000011, 0, 0, 0, 0))")
    assert outcome.verdict == "forbidden"


def test_proc_leads_nowhere(attack, monkeypatch):
    monkeypatch.setenv("ADHERE_TEST_KEY", "sk-do-not-tell")
    code = """
import os
seen = []
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    for name in ("environ", "cmdline", "root/etc/shadow", "cwd/../../etc/shadow", "fd"):
        path = f"/proc/{pid}/{name}"
        try:
            seen.append(repr(os.listdir(path) if name == "fd" else open(path, "rb").read()))
        except OSError:
            pass
print(len([p for p in os.listdir("/proc") if p.isdigit()]), *seen)
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/root/usr/x", "/proc/1/root/x",
             "/proc/self/exe", "/proc/1/oom_score_adj_x"):
    try:
        open(path, "w").write("|/tmp/x")
        print("wrote", path)
    except OSError:
        pass
"""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    outcome = attack(code)
    assert outcome.verdict == "passed", outcome
    assert outcome.stdout.split()[0] == "2"  # bubblewrap's first process and the program itself
    assert "do-not-tell" not in outcome.stdout
    assert "root:" not in outcome.stdout
    assert "wrote" not in outcome.stdout
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_links_out_of_the_sandbox_lead_nowhere_and_bring_nothing_back(attack):
    code = (
        "import os\nos.symlink('/etc/shadow', 'a')\nos.mkdir('d')\nos.symlink('/etc', 'd/e')\nos.mkfifo('f')\n"
        "open('real', 'w').write('mine')\nos.link('real', 'hard')"
    )
    outcome = attack(code, collect=("a", "d/e/shadow", "f", "real", "hard"))
    assert outcome.verdict == "passed"
    assert outcome.files == {"real": b"mine", "hard": b"mine"}


def test_a_forged_archive_brings_back_only_what_was_asked_for(attack):
    code = """
import io, os, tarfile
for fd in range(3, 64):
    try:
        with os.fdopen(fd, "wb") as out, tarfile.open(fileobj=out, mode="w|") as tar:
            for name in ("../../evil", "/tmp/evil", "other"):
                member = tarfile.TarInfo(name); member.size = 4
                tar.addfile(member, io.BytesIO(b"evil"))
    except OSError:
        pass
"""
    assert attack(code, collect=("wanted",)).files == {}
    assert not Path("/tmp/evil").exists()


def test_a_daemonised_child_dies_with_its_parent(attack, marker):
    code = (
        "import os, sys, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n"
        "    for fd in range(3): os.close(fd)\n    time.sleep(60)\n  os._exit(0)\nos.wait()"
    )
    outcome = attack(code, argv=(marker,))
    assert outcome.verdict == "passed"
    assert outcome.seconds < 4
    assert alive(marker) == []


def test_a_cancelled_run_leaves_nobody(marker):
    import asyncio

    from adhere.sandbox import isolation, run

    if isolation().mode is None:
        pytest.skip("; ".join(isolation().notes))

    async def cancelled() -> None:
        task = asyncio.create_task(run("import time; time.sleep(60)", argv=(marker,)))
        while not alive(marker):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    deadline = time.time() + 2
    while alive(marker) and time.time() < deadline:
        time.sleep(0.02)
    assert alive(marker) == []


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
        ("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", "timeout"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "timeout"),
        ("import os, time\nos.close(1); os.close(2); time.sleep(60)", "timeout"),
        ("import ctypes; ctypes.string_at(0)", "crashed"),
        ("import os; os.abort()", "crashed"),
        ("open('x', 'wb').write(bytes(20 * 2**20))", "forbidden"),
        ("for n in range(99): open(str(n), 'wb').write(bytes(2**20))", "forbidden"),
        ("import time, threading as t\nwhile 1: t.Thread(target=time.sleep, args=[9], daemon=1).start()", "forbidden"),
        ("[open('/dev/null') for _ in iter(int, 1)]", "forbidden"),
        ("x = []\nwhile True: x.append(bytearray(2**20))", "memory"),
        ("import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)", "failed"),
        ("raise SystemExit(3)", "failed"),
        ("assert False", "failed"),
        ("def f(", "failed"),
        ("print('fine')", "passed"),
    ],
)  # fmt: skip
def test_each_way_to_end_has_its_verdict(attack, code, verdict, marker):
    outcome = attack(code, Limits(cpu=1, wall=4, memory=200 * MiB), argv=(marker,))
    assert outcome.verdict == verdict, outcome
    assert bool(outcome.reason) == (verdict != "passed")
    assert outcome.seconds < 7
    assert alive(marker) == []
