"""Clients that people have: each works unchanged against the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from adhere.serve.keys import add_key
from serving import running

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-bench" / "bin" / "python"
HELLO: list[Any] = [{"role": "user", "content": "hello, world"}]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    file = tmp_path_factory.mktemp("keys") / "keys.txt"
    return file, add_key(file, "tests")


@pytest.fixture(scope="module")
def url(keys: tuple[Path, str]) -> Iterator[str]:
    with running("echo", strategies=["best_of_n(n=2)"], keys=keys[0]) as found:
        yield found


@pytest.fixture
def client(url: str, keys: tuple[Path, str]) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=keys[1], max_retries=0)


def test_the_openai_package_asks_lists_and_reads_verdicts(client: openai.OpenAI) -> None:
    wishes = {"constraints": "no commas", "adhere": {"trace": True}}
    got = client.chat.completions.create(model="echo+best_of_n(n=2)", messages=HELLO, extra_body=wishes)
    assert got.choices[0].message.content == "hello, world" and got.usage is not None
    assert got.model_extra is not None and got.model_extra["adhere"]["verdicts"][0]["met"] is False
    assert "echo" in [m.id for m in client.models.list()] and client.models.retrieve("echo").owned_by == "adhere"
    done = client.completions.create(model="echo", prompt="one two three", max_tokens=2)
    assert done.choices[0].text == "one two" and done.choices[0].finish_reason == "length"


def test_the_openai_package_streams(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "hello, world"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 4


def test_the_openai_package_asks_side_by_side(url: str, keys: tuple[Path, str]) -> None:
    async def main() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=url, api_key=keys[1], max_retries=0) as client:
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(model="echo", messages=[{"role": "user", "content": f"number {i}"}])
                    for i in range(20)
                )
            )
            async with client.chat.completions.stream(model="echo", messages=HELLO) as stream:
                final = await stream.get_final_completion()
            return [r.choices[0].message.content for r in replies] + [final.choices[0].message.content]

    assert asyncio.run(main()) == [*(f"number {i}" for i in range(20)), "hello, world"]


def test_the_openai_package_raises_its_own_errors(client: openai.OpenAI, url: str) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'ecco'"):
        client.chat.completions.create(model="ecco", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="at most 1024"):
        client.chat.completions.create(model="echo", messages=HELLO, max_tokens=10**6)
    with pytest.raises(openai.AuthenticationError, match="wrong API key"):
        openai.OpenAI(base_url=url, api_key="sk-none", max_retries=0).models.list()


def test_curl_needs_no_headers_but_the_key(url: str, keys: tuple[Path, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    body = json.dumps({"model": "echo", "messages": HELLO})
    done = subprocess.run(
        ["curl", "-s", f"{url}/chat/completions", "-H", f"authorization: Bearer {keys[1]}", "-d", body],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "hello, world"


@pytest.mark.slow
def test_lm_eval_evaluates_through_its_chat_completions_model(url: str, keys: tuple[Path, str], tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"q": f"say {n}", "a": f"say {n}"}) + "\n" for n in range(6)))
    (tmp_path / "parrot.yaml").write_text(
        f"task: parrot\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {rows}}}}}\ntest_split: test\n"
        "output_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n"
        "generation_kwargs: {until: ['STOP'], max_gen_toks: 20}\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    command = [
        sys.executable, "-m", "lm_eval", "--model", "local-chat-completions", "--tasks", "parrot",
        "--model_args", f"model=echo,base_url={url}/chat/completions,num_concurrent=3",
        "--include_path", str(tmp_path), "--apply_chat_template", "--output_path", str(tmp_path / "out"),
    ]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    environment = os.environ | offline | {"OPENAI_API_KEY": keys[1]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(next((tmp_path / "out").rglob("results_*.json")).read_text())
    assert found["results"]["parrot"]["exact_match,none"] == 1.0


INSPECT = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
task = Task(dataset=[Sample(input=f"say {n}", target=f"say {n}") for n in range(6)], scorer=match())
how = {"max_tokens": 20, "temperature": 0, "seed": 1, "display": "plain", "log_dir": sys.argv[1]}
log = eval(task, model="openai/echo", model_args={"responses_api": False}, **how)[0]
assert log.status == "success", log.error
assert log.results.scores[0].metrics["accuracy"].value == 1.0, log.results
"""


@pytest.mark.slow
def test_inspect_evaluates_through_its_openai_provider(url: str, keys: tuple[Path, str], tmp_path: Path) -> None:
    """Through its chat API (`responses_api=False`; by itself it asks OpenAI's newer one, which the server has not).

    inspect-ai pins older versions of our own dependencies: it lives among the peers of the benchmarks.
    """
    have = PEERS.is_file() and subprocess.run([PEERS, "-c", "import inspect_ai, openai"], capture_output=True)
    if not have or have.returncode:
        pytest.skip(f"no inspect-ai at {PEERS} (see benchmarks/requirements-peers.txt)")
    # It counts tokens with a table from the network, or from litellm's wheel.
    tables = next((PEERS.parents[1] / "lib").glob("python*/site-packages/litellm/litellm_core_utils/tokenizers"), "")
    environment = os.environ | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": keys[1], "TIKTOKEN_CACHE_DIR": str(tables)}
    command = [PEERS, "-c", INSPECT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
