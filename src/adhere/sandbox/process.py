"""Run a command under watch: bounded output, a wall clock, and at the end nothing of it left alive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from tempfile import TemporaryFile
from time import perf_counter
from typing import IO, NamedTuple

__all__ = ["Ended", "supervise"]

log = logging.getLogger("adhere")
CHUNK = 64 * 1024
LOOK_EVERY = 0.05  # seconds between two looks at what the tree holds
GOODBYE = 5.0  # seconds within which a killed tree must be gone
F_ADD_SEALS, SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8  # fcntl.h: no more seals, no shrinking, growing, writing

Look = Callable[[int], str]
Start = Callable[[], "subprocess.Popen[bytes]"]


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: Exit status, 128 + signal where a signal ended it; None where it was stopped or never started.
        stopped: Why it was: "timeout", "output", "memory", or what `look` said; "" if it ended by itself.
        stdout, stderr, extra: What it wrote there, as far as the limit goes.
        seconds: From start to end.
        peak: The most bytes that all of it has held at one time, where a control group tells.
    """

    code: int | None
    stopped: str
    stdout: bytes
    stderr: bytes
    extra: bytes
    seconds: float
    peak: int | None = None


async def supervise(
    command: Callable[[int, int], Sequence[str]],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    stdin: bytes,
    wall: float,
    output: int,
    extra: int | None,
    look: Look,
    pass_fds: Sequence[int] = (),
    told: bool = True,
    spawn: Callable[[Start], subprocess.Popen[bytes]] | None = None,
    born: Callable[[int], Awaitable[None]] | None = None,
) -> Ended:
    """Run a command and see to its end.

    Args:
        command: Makes the command line from the descriptors for bubblewrap's status and for extra output.
        env: Its whole environment.
        cwd: Where it starts; None: here.
        stdin: What it may read.
        wall: Seconds.
        output: Bytes of stdout, and of stderr, after which it is stopped.
        extra: Bytes of extra output that are kept, the rest is thrown away; None: it gets no such pipe.
        look: Called from time to time with the id of the tree's root; what it returns, if not "", stops the tree.
        pass_fds: Descriptors that it inherits.
        told: Whether the command is bubblewrap, which tells the exit status and the id of its first process. Otherwise
            both are the command's own.
        spawn: Calls what starts the command where it shall be started; None: here.
        born: Awaited with the id of bubblewrap's first process, once that is told.

    Raises:
        OSError: if the command cannot be started.
    """
    pipes = [os.pipe() for _ in range(4)]
    reading, (out, err, status, more) = [r for r, _ in pipes], [w for _, w in pipes]
    began = perf_counter()
    try:
        with _readable_file(stdin) as given:
            start: Start = partial(
                subprocess.Popen, command(status, more), stdin=given, stdout=out, stderr=err, env=dict(env), cwd=cwd,
                start_new_session=True, pass_fds=(*pass_fds, *[status] * told, *[more] * (extra is not None)),
            )  # fmt: skip
            process = start() if spawn is None else spawn(start)
    except BaseException:
        for descriptor in reading:
            os.close(descriptor)
        raise
    finally:
        for descriptor in (out, err, status, more):
            os.close(descriptor)
    watched = _Watched(process, told, born)
    clock = asyncio.get_running_loop().call_later(wall, watched.stop, "timeout")
    kept = [bytearray() for _ in range(3)]
    tasks: list[asyncio.Task[None]] = []
    transports: list[asyncio.BaseTransport] = []
    try:
        streams = []
        while reading:
            stream, transport = await _reader(reading.pop(0))
            streams.append(stream)
            transports.append(transport)
        work = [
            watched.listen(streams[2]),
            watched.read(streams[0], kept[0], output),
            watched.read(streams[1], kept[1], output),
            _drain(streams[3], kept[2], extra or 0),
            watched.look(look),
        ]
        tasks += [asyncio.create_task(part) for part in work]
        await _ended(process)
    finally:
        clock.cancel()
        for descriptor in reading:
            os.close(descriptor)
        await watched.bury(tasks[:1])
        if tasks:  # only without isolation can somebody have got away with the other end of a pipe
            await asyncio.wait(tasks[:-1], timeout=GOODBYE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in transports:
            transport.close()
    code = None if watched.stopped else watched.code if told else _shell_code(process.returncode)
    stdout, stderr, rest = map(bytes, kept)
    return Ended(code, watched.stopped, stdout, stderr, rest, perf_counter() - began)


class _Watched:
    """A running tree: its first process, why it was stopped, and how it ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], told: bool, born: Callable[[int], Awaitable[None]] | None = None
    ) -> None:
        self.process = process
        self.told = told
        self.born = born
        self.stopped = ""
        self.code: int | None = None
        self.root: int | None = None if told else process.pid
        self.handle: int | None = None

    async def listen(self, status: asyncio.StreamReader) -> None:
        """Bubblewrap's status: lines of JSON with `child-pid`, later `exit-code`."""
        while line := await status.readline():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self.code = said.get("exit-code", self.code)
                if "child-pid" in said:
                    self.root = said["child-pid"]
                    with contextlib.suppress(ProcessLookupError):
                        self.handle = os.pidfd_open(said["child-pid"])
                    if self.born is not None:
                        await self.born(said["child-pid"])

    async def read(self, stream: asyncio.StreamReader, kept: bytearray, most: int) -> None:
        """Keep what the stream has, up to `most` bytes, beyond which the tree is stopped."""
        while chunk := await stream.read(CHUNK):
            if len(kept) + len(chunk) > most:
                self.stop("output")
            kept += chunk[: most - len(kept)]

    async def look(self, look: Look) -> None:
        """Look until cancelled."""
        while not self.stopped:
            await asyncio.sleep(LOOK_EVERY)
            if self.root is not None and (why := look(self.root)):
                self.stop(why)

    def stop(self, why: str) -> None:
        """Kill the whole tree, for the first reason that there is."""
        self.stopped = self.stopped or why
        self.kill()

    def kill(self) -> None:
        """Its first process, with which all others in the process namespace die, and its process group."""
        with contextlib.suppress(ProcessLookupError):
            if self.handle is not None:
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            if self.process.returncode is None or not self.told:
                os.killpg(self.process.pid, signal.SIGKILL)

    async def bury(self, listening: Sequence[asyncio.Task[None]]) -> None:
        """Return when all of it is gone: the first process of a process namespace is the last one to go.

        Args:
            listening: The task of `listen`, which learns which process that is.
        """
        self.kill()
        try:
            async with asyncio.timeout(GOODBYE):
                await _ended(self.process)
                if listening:
                    await asyncio.wait(listening)
                if self.handle is not None:
                    self.kill()
                    await _readable(self.handle)
        except TimeoutError:
            log.warning("process %s of the sandbox does not die", self.root)
        finally:
            if self.handle is not None:
                os.close(self.handle)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for it without a thread, where the system can."""
    if process.returncode is not None:
        return
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        await asyncio.to_thread(process.wait)
        return
    try:
        await _readable(handle)
    finally:
        os.close(handle)
    process.wait()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    """An asynchronous reader of a pipe, and what closes it."""
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", 0)
    )
    return stream, transport


def _readable_file(data: bytes) -> IO[bytes]:
    """A file with these contents, to be read from its start; in memory and sealed against writing where possible.

    A file cannot be blocked on by a program that does not read it, as a pipe can.
    """
    sealing = hasattr(os, "memfd_create")
    made = os.fdopen(os.memfd_create("stdin", os.MFD_ALLOW_SEALING), "w+b") if sealing else TemporaryFile()  # noqa: SIM115
    made.write(data)
    made.seek(0)
    if sealing:
        import fcntl

        fcntl.fcntl(made, F_ADD_SEALS, SEALS)
    return made


async def _drain(stream: asyncio.StreamReader, kept: bytearray, most: int) -> None:
    while chunk := await stream.read(CHUNK):
        kept += chunk[: most - len(kept)]


def _shell_code(code: int | None) -> int | None:
    return 128 - code if code is not None and code < 0 else code
