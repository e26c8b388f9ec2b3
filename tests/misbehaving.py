"""A real HTTP server on loopback that does what a script says: answers well, or misbehaves in one named way.

    async with Misbehaving(["busy:1", "garbage"]) as server:   # two bad answers, then good ones
        OpenAIEndpoint("tiny", server.url)

It speaks just enough HTTP/1.1 (keep-alive, Content-Length) to be told apart from a sane server by nothing else than
its behaviour, and it counts: calls, connections, how many were in flight at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

GOOD_KEY = "sk-right"


class Misbehaving:
    """The server. `script` holds one word a POST, in order of arrival; when it is used up, answers are good.

    Words: `ok`, `busy:SECONDS` or `busy:DATE` (429 with Retry-After), `status:CODE:MESSAGE`, `half` (half a body),
    `garbage` (200 that is not JSON), `shape` (JSON of another shape), `silence` (no answer), `reset`, `huge`,
    `echo` and `noecho` (answers to a scoring request).

    Where the body says `stream`, `ok` streams the good answer word by word, and `cut`, `stall`, `noise` and `fail`
    begin to and then close, go silent, send no JSON, or send an error object.
    """

    def __init__(self, script: list[str] | None = None, *, capacity: int | None = None, delay: float = 0.0) -> None:
        self.script = list(script or [])
        self.capacity = capacity  # calls at once that it bears; more are answered 429
        self.delay = delay
        self.pace = 0.0  # seconds between the words of a stream
        self.models: list[dict[str, Any]] = [{"id": "tiny", "owned_by": "tests"}, {"id": "tiny-chat"}]
        self.key: str | None = None  # where set, other keys are refused
        self.answer: Callable[[dict[str, Any]], Any] = completion  # of a body: JSON, or (status, JSON)
        self.posts: list[dict[str, Any]] = []  # every body received
        self.times: list[float] = []
        self.connections = self.in_flight = self.refused = 0
        self.load: list[int] = []  # in-flight count at each arrival

    async def __aenter__(self) -> Misbehaving:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._server.close_clients() if hasattr(self._server, "close_clients") else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await _read(reader):
                await self._reply(*request, writer)
            await _send(writer, 400, {"error": "not HTTP"})
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _reply(
        self, method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            said = f"Incorrect API key provided: {headers.get('authorization', '')}"
            return await _send(writer, 401, {"error": {"message": said}})
        if method == "GET":
            listed = {"object": "list", "data": self.models}
            return await _send(writer, 200 if self.models else 404, listed)
        self.posts.append(json.loads(body))
        self.times.append(time.monotonic())
        self.in_flight += 1
        self.load.append(self.in_flight)
        try:
            await self._act(self.script.pop(0) if self.script else "ok", self.posts[-1], writer)
        finally:
            self.in_flight -= 1

    async def _act(self, word: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        verb, _, rest = word.partition(":")
        if self.capacity is not None and self.in_flight > self.capacity:
            verb, rest = "busy", "0"
        if body["model"] not in [m["id"] for m in self.models] and self.models:
            return await _send(writer, 404, {"error": {"message": f"The model {body['model']} does not exist"}})
        await asyncio.sleep(self.delay if verb == "ok" else 0)
        if verb == "busy":
            self.refused += 1
            return await _send(writer, 429, {"error": {"message": "slow down"}}, f"Retry-After: {rest}\r\n")
        if verb == "status":
            code, _, message = rest.partition(":")
            return await _send(writer, int(code), {"error": {"message": message}})
        if verb == "silence":
            await asyncio.sleep(60)
        elif verb == "reset":
            writer.transport.abort()
        elif verb == "half":
            whole = json.dumps(completion(body)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[: len(whole) // 2])
            await writer.drain()
            writer.close()
        elif verb == "garbage":
            await _send(writer, 200, b"<html>It works!</html>")
        elif verb == "shape":
            await _send(writer, 200, {"result": "hello"})
        elif verb == "huge":
            await _send(writer, 200, b'"' + b"x" * (40 * 1024 * 1024) + b'"')
        elif body.get("stream"):
            await self._stream(verb, body, writer)
        else:
            made = self.answer(body)
            await _send(writer, *(made if isinstance(made, tuple) else (200, made)))

    async def _stream(self, verb: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        words = completion(body)["choices"][0]["message"]["content"].split(" ")
        for at, word in enumerate(words):
            if at == 1 and verb != "ok":
                break
            delta = {"index": 0, "delta": {"content": word if at == 0 else f" {word}"}, "finish_reason": None}
            _chunk(writer, b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n")
            await writer.drain()
            await asyncio.sleep(self.pace)
        if verb == "stall":
            await asyncio.sleep(60)
        elif verb == "cut":
            writer.transport.abort()
            return
        elif verb == "noise":
            _chunk(writer, b"data: <html>oops</html>\n\n")
        elif verb == "fail":
            _chunk(writer, b'data: {"error": {"message": "out of memory"}}\n\n')
        else:
            last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            _chunk(writer, b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A good answer: the prompt's last line, upper-cased."""
    asked = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    text = str(asked).splitlines()[-1].upper()
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
    return {"model": body["model"], "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def echoing(body: dict[str, Any]) -> dict[str, Any]:
    """Answers as vLLM does to `echo`: the prompt's tokens (here: words with their space) with log-probabilities."""
    words = [w if i == 0 else f" {w}" for i, w in enumerate(body["prompt"].split(" "))]
    tokens = ["<s>", *words, " new"]
    values = [None, *(-0.5 * (i + 1) for i in range(len(words))), -9.0]
    found = {"tokens": tokens, "token_logprobs": values, "top_logprobs": None}
    return {
        "model": body["model"],
        "choices": [{"text": "".join(tokens), "finish_reason": "length", "logprobs": found}],
    }


def not_echoing(body: dict[str, Any]) -> dict[str, Any]:
    """Answers as llama-server does: `echo` is ignored, the log-probabilities are of what it generated."""
    found = {"tokens": [" Paris"], "token_logprobs": [-0.26], "top_logprobs": None}
    return {"model": body["model"], "choices": [{"text": " Paris", "finish_reason": "length", "logprobs": found}]}


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n" % len(data) + data + b"\r\n")


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    start = await reader.readexactly(1)
    if not start.isalpha():  # a TLS greeting, say
        return None
    head = start + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _send(writer: asyncio.StreamWriter, status: int, body: Any, extra: str = "") -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\n{extra}Content-Type: application/json\r\n".encode())
    writer.write(f"Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
    await writer.drain()
