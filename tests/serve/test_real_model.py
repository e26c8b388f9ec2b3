"""SmolLM2 behind the server: what only a real engine shows, in this process and through the command line."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adhere.models.llamacpp import LlamaCpp
from adhere.models.model import Model
from adhere.models.openai_http import OpenAIEndpoint
from serving import ask, running

pytestmark = pytest.mark.weights
COMMAND = [sys.executable, "-c", "from adhere.cli.serve import command; command()"]


@pytest.fixture(scope="module")
def engine(smollm2: Path) -> LlamaCpp:
    return LlamaCpp(smollm2, name="smollm2", slots=4)


@pytest.fixture(scope="module")
def url(engine: LlamaCpp) -> Iterator[str]:
    with running(Model(engine), strategies=["best_of_n(n=2)"]) as found:
        yield found


def say(url: str, text: str = "Name three rivers.", **fields: Any) -> dict[str, Any]:
    body = ask(text, "smollm2") | {"temperature": 0, "max_tokens": 12, **fields}
    got = httpx2.post(f"{url}/chat/completions", json=body, timeout=120)
    assert got.status_code == 200, got.text
    return got.json()


def test_tokens_are_streamed_as_they_come_and_spell_the_same_answer(url: str) -> None:
    whole = say(url, logprobs=True, top_logprobs=2)
    body = ask(
        "Name three rivers.", "smollm2", temperature=0, max_tokens=12, stream=True, logprobs=True, top_logprobs=2
    )
    pieces, tokens = [], []
    with httpx2.stream("POST", f"{url}/chat/completions", json=body, timeout=120) as got:
        for line in got.iter_lines():
            if line.startswith("data: {"):
                choice = json.loads(line[6:])["choices"][0]
                pieces.append(choice["delta"].get("content", ""))
                tokens += (choice["logprobs"] or {"content": []})["content"]
    message, logprobs = whole["choices"][0]["message"], whole["choices"][0]["logprobs"]["content"]
    assert "".join(pieces) == message["content"] and len([p for p in pieces if p]) == 12
    assert [t["token"] for t in tokens] == [t["token"] for t in logprobs]
    assert all(len(t["top_logprobs"]) == 2 and t["logprob"] <= 0 for t in tokens)
    assert whole["choices"][0]["finish_reason"] == "length" and whole["usage"]["completion_tokens"] == 12


def test_a_seed_fixes_the_answer_of_a_model_and_of_a_strategy(url: str) -> None:
    for model in ("smollm2", "smollm2+best_of_n(n=2)"):
        fields = {"model": model, "temperature": 1.0, "constraints": "no commas"}
        one, again, other = (say(url, seed=seed, **fields) for seed in (7, 7, 8))
        assert one["choices"][0]["message"] == again["choices"][0]["message"] != other["choices"][0]["message"]


def test_a_json_schema_holds(url: str) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"],
              "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    text = say(url, "Ann is 30. Give her age as JSON.", response_format=form, max_tokens=40)["choices"][0]["message"]
    assert set(json.loads(text["content"])) == {"age"}


def test_a_prompt_that_is_too_long_is_the_clients_fault(url: str) -> None:
    for stream in (False, True):
        body = ask("word " * 5000, "smollm2", stream=stream)
        got = httpx2.post(f"{url}/chat/completions", json=body, timeout=60)
        assert got.status_code == 400 and "context" in got.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_client_leaves_the_engine_stops(url: str, engine: LlamaCpp, stream: bool) -> None:
    async def leave() -> None:
        body = ask("Write a very long story.", "smollm2", max_tokens=1024, stream=stream)
        async with httpx2.AsyncClient() as client:
            call = asyncio.create_task(client.post(f"{url}/chat/completions", json=body, timeout=120))
            while not engine._running:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(leave())
    deadline = time.monotonic() + 20  # all 1024 tokens would take longer
    while engine._running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not engine._running
    assert say(url)["usage"]["completion_tokens"] == 12


def test_a_time_out_stops_the_engine_too(engine: LlamaCpp) -> None:
    with running(Model(LlamaCpp(engine.path, name="smollm2", slots=1)), timeout=1.5) as url:
        body = ask("Write a very long story.", "smollm2", max_tokens=1024)
        got = httpx2.post(f"{url}/chat/completions", json=body, timeout=60)
        assert got.status_code == 504 and got.json()["error"]["code"] == "timeout"
        streamed = httpx2.post(f"{url}/chat/completions", json=body | {"stream": True}, timeout=60)
        assert streamed.status_code == 504 or '"code":"timeout"' in streamed.text.split("\n\n")[-2]


def test_llama_cpps_own_server_behind_ours_streams_and_its_silent_echo_is_refused(smollm2: Path) -> None:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(smollm2)
    settings.n_parallel, settings.n_ctx = 2, 2048
    settings.verbosity, settings.fit_params, settings.cache_ram_mib, settings.ui = -1, False, 0, False
    settings.api_keys = ["sk-real"]
    upstream = xllamacpp.Server(settings)
    address = f"{upstream.listening_address}/v1"
    name = asyncio.run(OpenAIEndpoint("", address, api_key="sk-real").models())[0]
    with running(Model(OpenAIEndpoint(name, address, api_key="sk-real"))) as url:
        model = httpx2.get(f"{url}/models").json()["data"][0]["id"]
        body = ask("Name a river.", model, max_tokens=8, temperature=0)
        whole = httpx2.post(f"{url}/chat/completions", json=body | {"constraints": "no commas"}, timeout=60).json()
        assert whole["adhere"]["verdicts"] and whole["usage"]["completion_tokens"] <= 8
        lines = httpx2.post(f"{url}/chat/completions", json=body | {"stream": True}, timeout=60).text.split("\n\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        pieces = [c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]]
        assert "".join(pieces) == whole["choices"][0]["message"]["content"] and lines[-2] == "data: [DONE]"
        echo = {"model": model, "prompt": "The capital of France is", "echo": True, "logprobs": 1, "max_tokens": 1}
        refused = httpx2.post(f"{url}/completions", json=echo, timeout=60)
        assert refused.status_code == 400 and "does not do it" in refused.json()["error"]["message"]
    del upstream


def test_the_command_serves_prints_how_to_ask_and_finishes_what_it_has_begun(smollm2: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = ["--model", "smollm2", "--strategy", "decrim", "--port", "0"]
    with log.open("wb") as err:
        server = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "serves smollm2, smollm2+decrim" in line and "curl " in line, log.read_text()
        example = line.partition("try: ")[2].replace("smollm2+decrim", "smollm2").replace("}],", '}],"max_tokens":9,')
        done = subprocess.run(
            example.replace("curl", "curl -s"), shell=True, capture_output=True, text=True, timeout=120
        )
        assert json.loads(done.stdout)["adhere"]["verdicts"][0]["constraint"]["kind"] == "no_commas"

        url = line.split()[0]
        body = ask("Tell me a story.", "smollm2", max_tokens=60, stream=True, temperature=0)
        with httpx2.stream("POST", f"{url}/chat/completions", json=body, timeout=120) as got:
            lines = got.iter_lines()
            first = next(lines)
            server.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert first.startswith("data: ") and rest[-2:] == ["data: [DONE]", ""]
        assert sum('"content":' in r for r in rest) >= 50
        assert server.wait(30) == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{url}/models")
    finally:
        server.kill()
        server.wait()
    assert all("story" not in entry for entry in log.read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategy", "decrimm"], "Did you mean 'decrim'"),
        (["--strategy", "best_of_n(n=)"], "best_of_n(n="),
        (["--model", "smolm2"], "Did you mean 'smollm2'"),
        (["--model", "echo", "--keys", "no/such/file"], "no/such/file"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(arguments: list[str], said: str) -> None:
    from adhere.cli.serve import command
    from adhere.errors import AdhereError

    with pytest.raises(AdhereError) as caught:
        command.main([*arguments, "--port", "0"], standalone_mode=False)
    assert said in str(caught.value)


def test_a_port_that_is_taken_is_named_before_any_model_is_loaded() -> None:
    import socket

    from adhere.cli.serve import command
    from adhere.errors import UsageError

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen on"):
        command.main(["--model", "no-such-model", "--port", str(taken.getsockname()[1])], standalone_mode=False)
