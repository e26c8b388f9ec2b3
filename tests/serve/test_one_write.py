"""An answer's head and body leave together, and nothing that is held is ever lost."""

from __future__ import annotations

import asyncio
import socket

from adhere.serve.one_write import Corked
from serving import running

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Kept(asyncio.Transport):
    """A transport that notes what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.did.append(bytes(data))

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")


def does(*calls: str | bytes) -> list[bytes | str]:
    """What reaches the transport when these bytes are written and these methods called, and then the loop turns."""

    async def main() -> list[bytes | str]:
        kept = Kept()
        corked = Corked(kept, asyncio.get_running_loop())
        for call in calls:
            corked.write(call) if isinstance(call, bytes) else getattr(corked, call)()
        await asyncio.sleep(0)
        return kept.did

    return asyncio.run(main())


def test_a_head_waits_for_its_body_and_only_for_the_first_piece_of_it() -> None:
    assert does(HEAD, b"o", b"k") == [HEAD + b"o", b"k"]


def test_a_head_without_a_body_leaves_when_the_loop_turns() -> None:
    assert does(HEAD) == [HEAD]


def test_a_head_leaves_before_the_connection_is_closed_and_not_after_it_is_cut() -> None:
    assert does(HEAD, "close") == [HEAD, "close"]
    assert does(HEAD, "abort") == ["abort"]


def test_the_answers_of_one_connection_stay_apart() -> None:
    assert does(HEAD, b"ok", HEAD, b"no") == [HEAD + b"ok", HEAD + b"no"]


def test_a_body_that_looks_like_a_head_is_sent_with_it() -> None:
    assert does(HEAD, HEAD) == [HEAD + HEAD]


def test_the_server_answers_head_and_get_on_one_connection() -> None:
    with running("echo") as url:
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            for method, ends in ((b"HEAD", b"\r\n\r\n"), (b"GET", b'{"status":"ok"}'), (b"HEAD", b"\r\n\r\n")):
                client.sendall(method + b" /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                got = b""
                while not got.endswith(ends):
                    piece = client.recv(4096)
                    assert piece, got
                    got += piece
                assert got.startswith(b"HTTP/1.1 200 OK") and got.count(b"HTTP/1.1") == 1
