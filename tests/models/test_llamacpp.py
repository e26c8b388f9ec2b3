"""The llama.cpp backend on the real SmolLM2: the same text whatever runs beside it, and every trap an error."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adhere.errors import CapabilityError, DataError, ModelError, UsageError, WeightsError
from adhere.models.base import Request, Sampling
from adhere.models.llamacpp import LlamaCpp
from adhere.records import ImagePart, ImageUrl, Message, Response, TextPart

pytestmark = pytest.mark.weights

PROMPTS = [
    "Name three rivers.", "What is rain?", "Write one sentence about the sea.", "Who wrote Hamlet?", "Say hello.",
    "List two fruits and explain at some length why people in cold countries like them so much in winter.",
    "Translate 'good morning' to Spanish.", "What is 7 + 5?", "Describe a cat in ten words.", "Why is the sky blue?",
]  # fmt: skip
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def backend(smollm2: Path) -> Iterator[LlamaCpp]:
    made = LlamaCpp(smollm2, name="smollm2", slots=8)
    yield made
    asyncio.run(made.close())


def ask(text: str, chat: bool = True, **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"max_tokens": 24, **sampling}), chat)


def run(backend: LlamaCpp, *requests: Request) -> list[Response]:
    async def together() -> list[Response]:
        return await asyncio.gather(*(backend.generate(request) for request in requests))

    return asyncio.run(together())


# The text does not depend on what runs beside it ----------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.8, "seed": 3}], ids=["greedy", "drawn"])
def test_the_text_is_the_same_alone_in_a_batch_and_with_other_threads(
    backend: LlamaCpp, smollm2: Path, sampling: dict[str, Any]
) -> None:
    requests = [ask(prompt, **sampling) for prompt in PROMPTS]
    batch = [response.text for response in run(backend, *requests)]
    reverse = [response.text for response in run(backend, *requests[::-1])][::-1]
    single = LlamaCpp(smollm2, slots=1, threads=2)
    alone = [response.text for response in run(single, *requests)]
    asyncio.run(single.close())
    assert batch == reverse == alone
    assert len(set(batch)) == len(batch)


def test_a_seed_names_a_text(backend: LlamaCpp) -> None:
    first, again, other = run(backend, *(ask("Tell me a story.", temperature=1.0, seed=s) for s in (1, 1, 2)))
    assert first.text == again.text != other.text


def test_every_seed_is_a_fixed_one_even_the_number_that_means_any_to_the_engine(backend: LlamaCpp) -> None:
    for seed in (2**32 - 1, 2**63, None):
        first, again = run(backend, *(ask("Tell me a story.", temperature=1.0, seed=seed) for _ in range(2)))
        assert first.text == again.text


def test_top_k_of_one_and_a_tiny_top_p_are_greedy_at_any_temperature(backend: LlamaCpp) -> None:
    greedy, by_k, by_p = run(
        backend,
        ask("Name three rivers."),
        ask("Name three rivers.", temperature=3.0, top_k=1, seed=5),
        ask("Name three rivers.", temperature=3.0, top_p=1e-6, seed=5),
    )
    assert greedy.text == by_k.text == by_p.text


def test_no_sampler_that_was_not_asked_for_cuts_the_tail_of_the_distribution(backend: LlamaCpp) -> None:
    """The engine's own defaults (top-k 40, min-p 0.05) would never draw a token outside the likeliest 40."""
    prompt = "My favourite word is"
    likeliest = run(backend, ask(prompt, chat=False, max_tokens=1, top_logprobs=40))[0].logprobs
    assert likeliest is not None
    top = {token for token, _ in likeliest[0].top}
    draws = run(backend, *(ask(prompt, chat=False, max_tokens=1, temperature=1.0, seed=s) for s in range(120)))
    outside = sum(draw.text not in top for draw in draws)
    assert outside > 10


# What comes back ------------------------------------------------------------------------------------------------------


def test_the_cap_cuts_and_says_so(backend: LlamaCpp) -> None:
    (response,) = run(backend, ask("Tell me a long story.", max_tokens=7))
    assert (response.finish_reason, response.usage.completion_tokens) == ("length", 7)
    assert response.model == "smollm2"


def test_stop_strings_end_the_answer_and_are_not_part_of_it(backend: LlamaCpp) -> None:
    whole, cut = run(backend, ask("1, 2, 3, 4,", chat=False), ask("1, 2, 3, 4,", chat=False, stop=("7",)))
    assert "7" in whole.text
    assert whole.text.startswith(cut.text)
    assert cut.finish_reason == "stop"
    assert "7" not in cut.text


def test_a_prefill_is_continued_and_not_repeated(backend: LlamaCpp) -> None:
    turns = (Message("user", "Name three colours."), Message("assistant", "1. Blue\n2."))
    (response,) = run(backend, Request(turns, Sampling(max_tokens=12)))
    assert not response.text.startswith("1.")
    assert "3." in response.text


def test_chat_text_is_what_the_model_wrote_nothing_taken_out(backend: LlamaCpp) -> None:
    text = "<think>hm</think> {'name': 'f'} <tool_call>x</tool_call>\n  end  "
    grammar = "root ::= " + json.dumps(text)
    assert run(backend, ask("Hi", grammar=grammar, max_tokens=80))[0].text == text


def test_a_grammar_is_obeyed_in_chat_and_plain(backend: LlamaCpp) -> None:
    grammar = 'root ::= ("yes" | "no") " 🎉é"'
    for response in run(backend, *(ask("Is water wet?", chat, grammar=grammar) for chat in (True, False))):
        assert response.text in ("yes 🎉é", "no 🎉é")


def test_a_json_schema_is_obeyed_in_chat_and_plain(backend: LlamaCpp) -> None:
    for chat in (True, False):
        (response,) = run(backend, ask("Ann is 30 years old.", chat, json_schema=PERSON, max_tokens=80))
        assert json.loads(response.text).keys() == {"name", "age"}


def test_token_logprobs_of_greedy_text_are_the_exact_ones(backend: LlamaCpp) -> None:
    prompt = "The capital of France is"
    (response,) = run(backend, ask(prompt, chat=False, max_tokens=8, top_logprobs=3))
    exact = asyncio.run(backend.logprobs(prompt, response.text))
    assert response.logprobs is not None
    assert [t.token for t in response.logprobs] == [t.token for t in exact]
    # Other pieces, other rounding of activations to 8 bits: 0.3 nats a token is what that may cost.
    assert [t.logprob for t in response.logprobs] == pytest.approx([t.logprob for t in exact], abs=0.3)
    assert all(len(t.top) == 3 and t.top[0] == (t.token, t.logprob) for t in response.logprobs)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (ask("", chat=False), ModelError, "prompt is empty"),
        (Request((), Sampling()), ModelError, "prompt is empty"),
        (ask("word " * 3000), ModelError, r"the prompt has 30\d\d tokens, the context 2048"),
        (ask("word " * 2040, chat=False, max_tokens=50), ModelError, "ran out after"),
        (ask("x", max_tokens=0), UsageError, "at least 1"),
        (ask("x", temperature=-1.0), UsageError, "out of range"),
        (ask("x", grammar="root ::= (("), ModelError, "grammar"),
        (ask("x", grammar='%llguidance {}\nstart: "a"'), UsageError, "GBNF"),
        (ask("x", json_schema={"type": "nonsense"}), UsageError, "not a JSON schema"),
        (ask("x", json_schema=PERSON, grammar='root ::= "a"'), UsageError, "not both"),
        (Request((Message("wizard", "x"),), Sampling()), DataError, "not a role"),  # pyrefly: ignore
        (Request((Message("user", (TextPart("x"), ImagePart(ImageUrl("a.png")))),)), CapabilityError, "images"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_said(backend: LlamaCpp, request_: Request, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run(backend, request_)


def test_a_schema_that_the_engine_cannot_hold_is_an_error_not_free_text(backend: LlamaCpp) -> None:
    schema = {"type": "string", "pattern": "^(?=.*[0-9])(?=.*[A-Z]).{8}$"}  # look-ahead is beyond its automata
    with pytest.raises(ModelError, match="JSON schema"):
        run(backend, ask("Say something.", json_schema=schema, max_tokens=60))


def test_a_lone_surrogate_in_a_prompt_is_replaced(backend: LlamaCpp) -> None:
    with_surrogate, replaced = run(backend, ask("a\ud800b"), ask("a?b"))
    assert with_surrogate.text == replaced.text


def test_one_bad_request_does_not_harm_the_others(backend: LlamaCpp) -> None:
    async def together() -> list[Any]:
        requests = [ask("Say hello."), ask("word " * 3000), ask("Say hello.")]
        return await asyncio.gather(*(backend.generate(r) for r in requests), return_exceptions=True)

    first, bad, last = asyncio.run(together())
    assert first.text == last.text
    assert isinstance(bad, ModelError)


def test_chat_without_a_template_is_refused(smollm2: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    base.write_bytes(smollm2.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatX", 1))
    model = LlamaCpp(base, slots=1)
    assert "chat" not in model.info.capabilities
    with pytest.raises(CapabilityError, match="chat"):
        run(model, ask("Hi"))
    assert run(model, ask("The capital of France is", chat=False))[0].text


def test_files_that_are_not_models_are_refused_at_once(smollm2: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with smollm2.open("rb") as file:
        cut.write_bytes(file.read(5_000_000))
    (tmp_path / "text.gguf").write_text("hello")
    for name, message in (("cut.gguf", "cut off"), ("text.gguf", "not a GGUF"), ("none.gguf", "no model file")):
        with pytest.raises(WeightsError, match=message):
            LlamaCpp(tmp_path / name)


def test_numbers_that_make_no_sense_are_refused(smollm2: Path) -> None:
    for option in ({"slots": 0}, {"context": -1}, {"threads": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            LlamaCpp(smollm2, **option)


# Living together ------------------------------------------------------------------------------------------------------


def test_a_cancelled_call_frees_its_slot(smollm2: Path) -> None:
    """Finishing the first call would take minutes; the second needs its only slot."""
    model = LlamaCpp(smollm2, slots=1, context=8192)

    async def cancel_then_ask() -> Response:
        counting = asyncio.create_task(model.generate(ask("1 2 3 4 5 6 7 8 9", chat=False, max_tokens=8000)))
        await asyncio.sleep(1.0)
        assert not counting.done()
        counting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await counting
        return await asyncio.wait_for(model.generate(ask("Say hello.")), timeout=60)

    assert asyncio.run(cancel_then_ask()).text
    asyncio.run(model.close())


# 0: the engine has not started yet; 1: on a quiet machine it writes.
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_closing_stops_running_calls_and_refuses_new_ones(smollm2: Path, seconds: float) -> None:
    model = LlamaCpp(smollm2, slots=1, context=8192)

    async def close_early() -> None:
        counting = asyncio.create_task(model.generate(ask("1 2 3 4 5 6 7 8 9", chat=False, max_tokens=8000)))
        await asyncio.sleep(seconds)
        await asyncio.wait_for(model.close(), timeout=60)
        with pytest.raises(ModelError, match="stopped"):
            await counting
        with pytest.raises(ModelError, match="closed"):
            await model.generate(ask("Say hello."))

    asyncio.run(close_early())


def test_two_models_live_in_one_process(backend: LlamaCpp, smollm2: Path) -> None:
    other = LlamaCpp(smollm2, slots=2, context=512)

    async def together() -> list[Response]:
        return await asyncio.gather(*(m.generate(ask("Say hello.")) for m in (backend, other, backend, other)))

    texts = {response.text for response in asyncio.run(together())}
    asyncio.run(other.close())
    assert len(texts) == 1


def test_the_loopback_port_is_locked(backend: LlamaCpp) -> None:
    run(backend, ask("Say hello.", max_tokens=2))
    body = json.dumps({"prompt": "x", "max_tokens": 1}).encode()
    address = backend._engine.listening_address
    assert address.startswith("http://127.0.0.1:")
    call = urllib.request.Request(f"{address}/completion", body, {"Origin": "http://evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(call)
    assert caught.value.code == 401
    assert caught.value.headers.get("Access-Control-Allow-Origin") not in ("*", "http://evil.example")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({}, "PASSIVE 20000"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "PASSIVE 20000"),  # torch was there first
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
        ({"GOMP_SPINCOUNT": "0"}, "PASSIVE 0"),
    ],
)
def test_waiting_threads_soon_sleep_unless_the_user_says_otherwise(own: dict[str, str], said: str) -> None:
    unset = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {k: v for k, v in os.environ.items() if k not in unset} | own
    code = "import adhere.models.llamacpp, os; print(*map(os.environ.get, ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT']))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


def test_it_runs_with_no_network_but_loopback(smollm2: Path) -> None:
    """In a network namespace of its own, where every outside address is unreachable."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs unshare and ip")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("unshare is refused here")
    code = f"""
import asyncio, socket
from adhere.models.llamacpp import LlamaCpp
from adhere.models.base import Request, Sampling
from adhere.records import Message
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    raise SystemExit("the outside is reachable")
except OSError:
    pass
model = LlamaCpp({str(smollm2)!r}, slots=1)
print(asyncio.run(model.generate(Request((Message("user", "Say hello."),), Sampling(max_tokens=8)))).text)
"""
    script = 'ip link set lo up && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script, sys.executable, code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
