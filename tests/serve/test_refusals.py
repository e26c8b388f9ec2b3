"""What clients do wrong: each gets OpenAI's error object with a 4xx status, and learns nothing beyond it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.errors import DataError, UsageError
from adhere.serve.errors import ApiError
from adhere.serve.keys import KeyFile, add_key
from adhere.serve.limits import Rates
from serving import ask, running

GOOD = json.dumps(ask("hello")).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("echo", max_body=40_000) as found:
        yield found


def send(url: str, content: bytes, path: str = "/chat/completions", **headers: str) -> httpx2.Response:
    return httpx2.post(url + path, content=content, headers={"content-type": "application/json"} | headers)


def checked(got: httpx2.Response, status: int) -> dict[str, Any]:
    """The error object, after a look at its shape and at what must not be in it."""
    assert got.status_code == status, got.text
    error = got.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    assert "Traceback" not in got.text and ".py" not in got.text and "0x" not in got.text
    return error


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"model": "\xff\xfe"}', "not UTF-8"),
        (b'{"model": "\\ud800", "messages": []}', "not JSON"),
        (b'{"model": "echo"}', "`messages`"),
        (b'{"model": "echo", "messages": []}', "length >= 1"),
        (b'{"model": "echo", "messages": ' + b"[" * 4000, "$.messages"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 400 + b"}", "seed"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "top_p": NaN}', "not JSON"),
        (GOOD[:-1] + b', "adhere": ' + b'{"a":' * 1900 + b"1" + b"}" * 1900 + b"}", "adhere"),
        (GOOD[:-1] + b', "metadata": ' + b'{"a":' * 1900 + b"1" + b"}" * 1900 + b"}", "nested too deeply"),
    ],
)
def test_bodies_that_cannot_be_read(url: str, content: bytes, said: str) -> None:
    assert said in checked(send(url, content), 400)["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 9}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"stop": ["x"] * 99}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"documents": [{"text": ""}]}, "documents[0].text"),
        ({"adhere": {"tracing": True}}, "adhere"),
    ],
)
def test_values_out_of_range_or_of_another_type_are_named(url: str, fields: dict[str, Any], param: str) -> None:
    error = checked(httpx2.post(f"{url}/chat/completions", json=ask("x") | fields), 400)
    assert error["param"] == param and error["type"] == "invalid_request_error"


FIELDS = ["model", "messages", "role", "content", "n", "stop", "constraints", "documents", "text", "adhere"]
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
)


@settings(max_examples=40)
@given(anything)
def test_no_json_at_all_is_an_unforeseen_error(value: Any) -> None:
    from adhere.serve.openai_schema import ChatRequest, decode

    try:
        decode(json.dumps(value).encode(), ChatRequest)
    except ApiError as error:
        assert error.status == 400


def test_an_unknown_model_is_404_with_the_nearest_names(url: str) -> None:
    error = checked(send(url, GOOD.replace(b"echo", b"ecco")), 404)
    assert error["code"] == "model_not_found" and "Did you mean 'echo'" in error["message"]


def test_unknown_paths_and_methods(url: str) -> None:
    assert checked(httpx2.get(f"{url}/nothing"), 404)["code"] == "not_found"
    assert checked(httpx2.get(f"{url}/chat/completions"), 405)
    assert httpx2.get(f"{url}/chat/completions").headers["allow"] == "POST"


def test_bodies_that_are_too_large_are_refused_before_they_are_read(url: str) -> None:
    assert checked(send(url, b" " * 40_001), 413)["code"] == "body_too_large"

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    checked(httpx2.post(f"{url}/chat/completions", content=chunks()), 413)
    # Announced and never sent: the answer does not wait for it.
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=5) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_keys_let_in_who_has_one_and_tell_nobody_else_anything(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    key = add_key(file, "alice")
    assert key not in file.read_text() and file.stat().st_mode & 0o777 == 0o600
    with running("echo", keys=file) as url:
        wrong = ["", "Bearer", "Bearer nonsense", f"Bearer {key}x", f"Basic {key}", "Bearer adh-alice-", "Bearer \xe9"]
        for header in wrong:
            sent = {"authorization": header.encode("latin-1")}
            got = httpx2.post(f"{url}/chat/completions", content=GOOD, headers=sent)
            error = checked(got, 401)
            assert error["code"] == "invalid_api_key" and "alice" not in got.text and key not in got.text
        assert send(url, GOOD, authorization=f"Bearer {key}").status_code == 200
        assert checked(httpx2.get(url.replace("/v1", "/metrics")), 401)
        assert httpx2.get(url.replace("/v1", "/healthz")).status_code == 200


def test_a_deleted_line_revokes_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adhere.serve.keys.LOOK_AGAIN", 0.0)
    file = tmp_path / "keys.txt"
    alice, bob = add_key(file, "alice"), add_key(file, "bob", 60)
    keys = KeyFile(file)
    assert keys.find(f"Bearer {bob}").rate == 60
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("alice")))
    with pytest.raises(ApiError):
        keys.find(f"Bearer {alice}")
    file.write_text("nonsense\n")  # while the file cannot be read, the keys stay as they were
    assert keys.find(f"Bearer {bob}").name == "bob"


def test_a_file_of_keys_that_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    with pytest.raises(DataError, match=r"keys\.txt"):
        KeyFile(file)
    add_key(file, "alice")
    with pytest.raises(UsageError, match="has a key named 'alice'"):
        add_key(file, "alice")
    with pytest.raises(UsageError, match="cannot be a key's name"):
        add_key(file, "Al Ice")
    with file.open("a") as more:
        more.write("bob 1234\n")
    with pytest.raises(DataError, match=r"keys\.txt:3"):
        KeyFile(file)


def test_a_rate_is_kept_per_key_and_says_when_to_come_back(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    slow, quick = add_key(file, "slow", 6), add_key(file, "quick")
    with running("echo", keys=file, rate=6000) as url:
        assert send(url, GOOD, authorization=f"Bearer {slow}").status_code == 200
        got = send(url, GOOD, authorization=f"Bearer {slow}")
        assert checked(got, 429)["type"] == "rate_limit_error" and 1 <= int(got.headers["retry-after"]) <= 10
        assert all(send(url, GOOD, authorization=f"Bearer {quick}").status_code == 200 for _ in range(20))


@given(rate=st.floats(1, 1000), gaps=st.lists(st.floats(0, 30), max_size=200))
def test_no_client_ever_gets_more_than_its_rate_and_what_it_saved_up(rate: float, gaps: list[float]) -> None:
    rates, now, taken = Rates(), 100.0, 0
    for gap in gaps:
        now += gap
        try:
            rates.take("me", rate, now)
        except ApiError as error:
            assert int(error.headers["retry-after"]) >= 1
        else:
            taken += 1
    assert taken <= max(1.0, rate / 6) + (now - 100) * rate / 60 + 1e-6


def test_the_log_holds_no_prompt_unless_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(ask("my secret")).encode()
    with running("echo") as url:
        send(url, body)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines[-1]["status"] == 200 and lines[-1]["model"] == "echo" and "secret" not in json.dumps(lines)
    with running("echo", log_prompts=True) as url:
        send(url, json.dumps(ask("my secret"), indent=2).encode())
    line = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert line["said"]["asked"]["messages"][0]["content"] == "my secret" == line["said"]["answered"][0]


def test_metrics_count_and_unknown_names_make_no_series(url: str) -> None:
    send(url, json.dumps(ask("a, b", constraints="no commas")).encode())
    send(url, json.dumps(ask("x", "invented-by-the-client")).encode())
    httpx2.get(f"{url}/invented/path")
    page = httpx2.get(url.replace("/v1", "/metrics")).text
    assert 'adhere_requests_total{endpoint="/v1/chat/completions",model="echo",status="200"}' in page
    assert 'adhere_verdicts_total{met="false",model="echo"}' in page
    assert "invented" not in page
