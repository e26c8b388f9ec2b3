"""The thin client against servers that say every legal thing, and some that are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adhere.serve.http_client import BrokenOff, Pool, Reply, Unreachable


def against(answers: list[bytes], work: Callable[[Pool, str], Awaitable[Any]], *, piece: int = 0) -> Any:
    """Run `work` beside a server that reads a request and sends the next answer, in pieces of so many bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                answer = answers.pop(0)
                for at in range(0, len(answer), piece or len(answer)):
                    writer.write(answer[at : at + (piece or len(answer))])
                    await writer.drain()
                    await asyncio.sleep(0)
                if b"connection: close" in answer or not answer.startswith(b"HTTP/1.1"):
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def main() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pool = Pool(5.0)
        try:
            return await work(pool, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x")
        finally:
            pool.close()
            server.close()

    return asyncio.run(main())


async def whole(reply: Reply) -> bytes:
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    reply.close()
    return b"".join(pieces)


async def ask(pool: Pool, url: str) -> tuple[int, bytes]:
    reply = await pool.post(url, {"a": "b"}, b"{}")
    return reply.status, await whole(reply)


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("piece", [0, 1, 7])
def test_bodies_come_whole_however_they_are_framed_and_cut(piece: int) -> None:
    async def work(pool: Pool, url: str) -> list[tuple[int, bytes]]:
        return [await ask(pool, url) for _ in range(4)]

    found = against([LENGTH, CHUNKED, CONTINUED, UNTIL_CLOSE], work, piece=piece)
    assert found == [(200, b"hello"), (200, b"hello"), (201, b"hello"), (200, b"hello")]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nconnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\nContent-",
    ],
)
def test_what_is_cut_off_or_no_http_is_an_error_and_never_a_short_answer(answer: bytes) -> None:
    async def work(pool: Pool, url: str) -> None:
        with pytest.raises(BrokenOff):
            await ask(pool, url)

    against([answer], work)


def test_a_slow_reader_makes_the_server_wait_and_loses_nothing() -> None:
    big = b"x" * 5_000_000

    async def work(pool: Pool, url: str) -> None:
        reply = await pool.post(url, {}, b"")
        await asyncio.sleep(0.2)
        assert reply._connection is not None and reply._connection.paused
        assert await whole(reply) == big
        assert (await ask(pool, url))[1] == b"hello"

    against([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big) + big, LENGTH], work)


def test_bytes_that_nobody_asked_for_do_not_reach_the_next_answer() -> None:
    async def work(pool: Pool, url: str) -> None:
        assert (await ask(pool, url))[1] == b"hello"
        await asyncio.sleep(0.05)
        assert (await ask(pool, url))[1] == b"hello"

    against([LENGTH + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", LENGTH], work)


def test_a_reply_that_is_closed_half_way_drops_its_connection() -> None:
    async def work(pool: Pool, url: str) -> None:
        reply = await pool.post(url, {}, b"")
        reply.close()
        assert (await ask(pool, url))[1] == b"hello"

    against([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", LENGTH], work)


def test_silence_is_a_timeout_and_nobody_there_is_unreachable() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await Pool(0.2).post(f"http://127.0.0.1:{port}/", {}, b"")
        with pytest.raises(Unreachable):
            await Pool(5).post("http://127.0.0.1:9/", {}, b"")
        server.close()

    asyncio.run(main())


def test_tls_is_spoken_and_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Any) -> None:
    import shutil
    import ssl
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(LENGTH)
        await writer.drain()

    async def main() -> bytes:
        server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(Unreachable):
            await ask(Pool(5), url)
        trusting = Pool(5)
        trusting.__dict__["_trust"] = ssl.create_default_context(cafile=str(certificate))
        found = (await ask(trusting, url))[1]
        server.close()
        return found

    assert asyncio.run(main()) == b"hello"
