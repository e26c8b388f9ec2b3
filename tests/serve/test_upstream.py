"""Another server behind ours and what it may do wrong: one client gets an error object, the others notice nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from adhere.models.model import Model
from adhere.models.openai_http import OpenAIEndpoint
from adhere.serve.errors import ApiError
from adhere.serve.stream import Events
from misbehaving import GOOD_KEY, Misbehaving, echoing, not_echoing
from serving import ask, running

SSE = "text/event-stream"


def through(
    script: list[str],
    work: Callable[[httpx2.AsyncClient, Misbehaving], Awaitable[Any]],
    *,
    key: str | None = None,
    strategies: tuple[str, ...] = (),
    **settings: Any,
) -> Any:
    """Run `work` with a client of a server of ours whose upstream does what the script says."""

    async def main() -> Any:
        async with Misbehaving(script) as upstream:
            upstream.key = GOOD_KEY
            model = Model(OpenAIEndpoint("tiny", upstream.url, api_key=key or GOOD_KEY))
            with running(model, strategies=strategies, **settings) as url:
                async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
                    return await work(client, upstream)

    return asyncio.run(main())


async def chat(client: httpx2.AsyncClient, **fields: Any) -> httpx2.Response:
    return await client.post("/chat/completions", json=ask("say it", "tiny") | fields)


def data(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_the_bytes_of_request_and_answer_pass_untouched() -> None:
    sent = b'{ "model":"tiny",  "messages":[{"role":"user","content":"hi", "odd":1}], "their_own": [1.50, null] }'

    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        upstream.answer = lambda body: {"choices": [{"message": {"content": "x"}}], "their": {"own": 1.50}}
        got = await client.post("/chat/completions", content=sent)
        assert got.content == json.dumps(upstream.answer({})).encode()
        assert upstream.posts[0]["their_own"] == [1.5, None] and upstream.posts[0]["messages"][0]["odd"] == 1

    through([], work)


def test_our_own_fields_stay_here_and_verdicts_are_added() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        got = (await chat(client, constraints="all lowercase", temperature=0.3)).json()
        assert got["choices"][0]["message"]["content"] == "SAY IT"
        assert got["adhere"]["verdicts"][0]["met"] is False
        assert set(upstream.posts[0]) == {"model", "messages", "temperature"}
        documents = [{"text": "Obey me."}]
        await chat(client, documents=documents)
        assert "Obey me." in upstream.posts[1]["messages"][-1]["content"]
        assert upstream.posts[1]["messages"][0]["role"] == "system" and "documents" not in upstream.posts[1]

    through([], work)


def test_a_token_limit_is_set_and_kept() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        await chat(client)
        await chat(client, max_completion_tokens=7)
        assert upstream.posts[0]["max_tokens"] == 50
        assert upstream.posts[1]["max_completion_tokens"] == 7 and "max_tokens" not in upstream.posts[1]
        assert (await chat(client, max_tokens=51)).json()["error"]["code"] == "max_tokens"
        twice = b'{"model":"tiny","messages":[{"role":"user","content":"x"}],"max_tokens":9999,"max_tokens":5}'
        await client.post("/chat/completions", content=twice)
        assert upstream.posts[2]["max_tokens"] == 5

    through([], work, max_tokens=50)


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("garbage", 502, "upstream_garbage"),
        ("shape", 502, "upstream_garbage"),
        ("huge", 502, "upstream_garbage"),
        ("half", 502, "upstream_broke_off"),
        ("status:500:boom", 502, "upstream_failed"),
        ("status:302:elsewhere", 502, "upstream_failed"),
        ("status:401:Incorrect key sk-right", 502, "upstream_key"),
        ("status:400:bad schema", 400, "upstream_refused"),
        ("status:404:no such model", 404, "upstream_refused"),
        ("busy:7", 429, "upstream_busy"),
    ],
)
def test_each_failure_of_the_upstream_is_an_error_object(word: str, status: int, code: str) -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        got = await chat(client)
        error = got.json()["error"]
        assert (got.status_code, error["code"]) == (status, code)
        assert GOOD_KEY not in got.text
        if status == 429:
            assert got.headers["retry-after"] == "7"
        assert (await chat(client)).status_code == 200

    through([word], work)


def test_an_upstream_that_is_not_there_is_502() -> None:
    with running(Model(OpenAIEndpoint("tiny", "http://127.0.0.1:9/v1"))) as url:
        got = httpx2.post(f"{url}/chat/completions", json=ask("x", "tiny"))
    assert got.status_code == 502 and got.json()["error"]["code"] == "upstream_unreachable"


def test_a_used_connection_that_closes_is_replaced_and_a_new_one_that_closes_is_an_error() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        assert (await chat(client)).status_code == 200
        upstream.script = ["reset"]  # as a server does that closes an idle connection just when we take it
        assert (await chat(client)).status_code == 200
        assert (len(upstream.posts), upstream.connections) == (3, 2)
        upstream.script = ["reset", "reset"]
        assert (await chat(client)).json()["error"]["code"] == "upstream_broke_off"

    through([], work)


def test_connections_are_used_again_streams_included() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        for stream in (False, True, False, True, False):
            assert (await chat(client, stream=stream)).status_code == 200
        assert upstream.connections == 1

    through([], work)


def test_silence_is_a_timeout_for_one_client_and_nothing_for_the_others() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        stalled = asyncio.create_task(chat(client))
        while not upstream.posts:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        good = await asyncio.gather(*(chat(client) for _ in range(20)))
        assert {g.status_code for g in good} == {200} and not stalled.done()
        assert time.monotonic() - began < 30
        got = await stalled
        assert got.status_code == 504 and got.json()["error"]["code"] in ("timeout", "upstream_timeout")

    through(["silence"], work, timeout=3)


def test_a_stream_passes_as_it_comes() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        upstream.pace = 0.2
        async with client.stream("POST", "/chat/completions", json=ask("a b c d", "tiny", stream=True)) as got:
            assert got.headers["content-type"].startswith(SSE)
            arrived = [(time.monotonic(), chunk) async for chunk in got.aiter_text()]
        assert arrived[-1][0] - arrived[0][0] > 0.4
        found = data("".join(chunk for _, chunk in arrived))
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in found[:-1]) == "A B C D"
        assert found[-1] == "[DONE]"

    through([], work)


def test_a_streams_verdicts_come_before_its_end() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        found = data((await chat(client, stream=True, constraints="all uppercase, at least 3 words")).text)
        assert found[-1] == "[DONE]" and found[-2]["choices"] == []
        assert [v["met"] for v in found[-2]["adhere"]["verdicts"]] == [True, False]

    through([], work)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("cut", "upstream_broke_off"),
        ("stall", "upstream_timeout"),
        ("noise", "upstream_garbage"),
        ("fail", "upstream_failed"),
    ],
)
def test_a_stream_that_fails_half_way_ends_in_an_error_event_and_is_never_passed_off_as_whole(
    word: str, code: str
) -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        got = await chat(client, stream=True, constraints="no commas")
        found = data(got.text)
        assert got.status_code == 200 and found[0]["choices"][0]["delta"]["content"] == "SAY"
        assert found[-1]["error"]["code"] == code and "[DONE]" not in got.text and "adhere" not in found[-1]
        assert (await chat(client)).status_code == 200

    through([word], work, timeout=2)


@pytest.mark.parametrize(("word", "status"), [("busy:1", 429), ("garbage", 502), ("status:500:boom", 502)])
def test_a_failure_before_the_stream_begins_is_an_ordinary_error(word: str, status: int) -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        got = await chat(client, stream=True)
        assert got.status_code == status and got.headers["content-type"] == "application/json"

    through([word], work)


def test_when_the_client_leaves_the_upstream_is_left_too() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        upstream.pace = 0.05
        text = " ".join("word" for _ in range(2000))
        async with client.stream("POST", "/chat/completions", json=ask(text, "tiny", stream=True)) as got:
            await anext(got.aiter_text())
        deadline = time.monotonic() + 10
        while upstream.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert upstream.in_flight == 0

    through([], work)


def test_a_strategy_around_an_upstream_survives_a_busy_answer_and_reports_lasting_ones() -> None:
    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        got = await chat(client, model="tiny+best_of_n(n=2)")
        assert got.status_code == 200 and len(upstream.posts) >= 3
        upstream.script = ["status:400:no"] * 9
        assert (await chat(client, model="tiny+best_of_n(n=2)")).status_code == 400

    through(["busy:0"], work, strategies=("best_of_n(n=2)",))


def test_echo_is_passed_on_where_it_is_done_and_refused_where_it_is_not() -> None:
    body = {"model": "tiny", "prompt": "The capital of France", "echo": True, "logprobs": 1, "max_tokens": 1}

    async def work(client: httpx2.AsyncClient, upstream: Misbehaving) -> None:
        upstream.answer = echoing
        got = await client.post("/completions", json=body)
        # vLLM spells its beginning-of-text token out; the prompt follows.
        assert got.status_code == 200, got.text
        upstream.answer = not_echoing
        refused = await client.post("/completions", json=body)
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "echo"
        ids = await client.post("/completions", json=body | {"prompt": [1, 2, 3]})
        assert ids.status_code == 400
        assert (await client.post("/completions", json=body | {"stream": True})).status_code == 400

    through([], work)


def test_events_are_cut_at_their_ends_wherever_the_chunks_are_cut() -> None:
    whole = [b"data: {}\n\n", b": ping\r\n\r\n", b"event: x\ndata: 1\n\n", b"data: [DONE]\n\n"]
    stream = b"".join(whole)
    for size in range(1, len(stream)):
        events = Events()
        found = [e for at in range(0, len(stream), size) for e in events.feed(stream[at : at + size])]
        assert found == whole and events.rest == b""
    with pytest.raises(ApiError, match="endless"):
        list(Events().feed(b"x" * 5_000_000))
