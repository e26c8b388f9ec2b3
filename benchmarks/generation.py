"""Generation through Adhere against the same llama.cpp engine driven bare, in one run: tokens per second and the ratio.

    python benchmarks/generation.py [--prompts 64] [--max-tokens 64] [--rounds 3] [--threads N]

"adhere" is the whole path of `adhere eval`: `engine.run` over instructions, `Model` (with a store on disk that is empty
at the start of every round, so that every answer is made and written), the backend. "bare" is the binding alone with
the same model file, slots, context, threads and sampler, in a thread pool of as many threads as slots. The two take
turns (A B, B A, …) and each has made one answer before the clock starts.
The figure is tokens written per second of wall time, and per second of this process's CPU time, which other work on the
machine disturbs less. How many texts are the same is printed: Adhere lets prompts in one at a time, the bare engine
together, which changes the order of a few sums.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from adhere.engine import Store, run
from adhere.models import weights
from adhere.models.base import Sampling
from adhere.models.llamacpp import LlamaCpp
from adhere.models.machine import pick_threads
from adhere.models.model import Model
from adhere.records import Instruction, Response

TOPICS = ("rain", "a lighthouse", "bread", "the moon", "a lost key", "winter", "an old map", "a river", "a violin",
          "the library", "a train", "honey", "a clock", "the desert", "a letter", "snow")  # fmt: skip
ASKS = ("Write a short story about {}.", "Explain {} to a child in a few sentences.", "List five facts about {}.",
        "Describe {} without using the letter z, in two paragraphs, and end with a question.")  # fmt: skip


class Round(NamedTuple):
    """What one pass over the prompts took."""

    tokens: int
    wall: float
    cpu: float


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--prompts", type=int, default=64)
    arguments.add_argument("--max-tokens", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=None, help="default: by the machine's load")
    options = arguments.parse_args()
    prompts = [ask.format(topic) for ask in ASKS for topic in TOPICS]
    prompts = [prompts[i % len(prompts)] + " " * (i // len(prompts)) for i in range(options.prompts)]
    path, threads = weights.resolve("smollm2"), options.threads or pick_threads()
    backend = LlamaCpp(path, name="smollm2", threads=threads)
    bare = open_bare(path, backend, threads)
    ways: dict[str, Callable[[], list[str]]] = {
        "adhere": lambda: asyncio.run(through_adhere(backend, prompts, options.max_tokens)),
        "bare": lambda: driven_bare(bare, backend.concurrency, prompts, options.max_tokens),
    }
    asyncio.run(through_adhere(backend, prompts[:1], 1))
    driven_bare(bare, 1, prompts[:1], 1)
    rounds: dict[str, list[Round]] = {name: [] for name in ways}
    texts: dict[str, list[str]] = {}
    for turn in range(options.rounds):
        for name in sorted(ways, reverse=bool(turn % 2)):
            began, cpu = time.perf_counter(), time.process_time()
            answers = ways[name]()
            wall, used = time.perf_counter() - began, time.process_time() - cpu
            texts[name] = [text for text, _ in answers]
            rounds[name].append(Round(sum(count for _, count in answers), wall, used))
            print(f"round {turn + 1} {name:<7} {rounds[name][-1].tokens / wall:7.1f} tokens/s", file=sys.stderr)
    report(options, backend, threads, rounds, sum(a == b for a, b in zip(texts["adhere"], texts["bare"], strict=True)))
    return 0


async def through_adhere(backend: LlamaCpp, prompts: list[str], max_tokens: int) -> list[tuple[str, int]]:
    """(text, tokens) per prompt, as `adhere eval` gets them."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "responses.sqlite") as store:
        model = Model(backend, sampling=Sampling(max_tokens=max_tokens), store=store)
        found: dict[int, Response] = {}
        async for outcome in run(model.answer, [Instruction.of(p) for p in prompts], concurrency=model.concurrency):
            if outcome.result is None:
                raise SystemExit(f"prompt {outcome.index} failed: {outcome.failure}")
            found[outcome.index] = outcome.result
        return [(found[i].text, found[i].usage.completion_tokens) for i in range(len(prompts))]


def open_bare(path: Path, backend: LlamaCpp, threads: int) -> Any:
    """The binding's server with the settings of the backend, and nothing of Adhere."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = backend.concurrency
    params.n_ctx = backend.context * backend.concurrency
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_prompt = False
    params.verbosity, params.fit_params, params.cache_ram_mib, params.ui = -1, False, 0, False
    return xllamacpp.Server(params)


def driven_bare(server: Any, slots: int, prompts: list[str], max_tokens: int) -> list[tuple[str, int]]:
    """(text, tokens) per prompt, straight from the server."""

    def ask(prompt: str) -> tuple[str, int]:
        answer = server.handle_chat_completions(
            {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens, "temperature": 0,
             "samplers": ["temperature"]}
        )  # fmt: skip
        return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]

    with ThreadPoolExecutor(slots) as pool:
        return list(pool.map(ask, prompts))


def report(
    options: argparse.Namespace, backend: LlamaCpp, threads: int, rounds: dict[str, list[Round]], same: int
) -> None:
    wall = {name: statistics.median(r.tokens / r.wall for r in found) for name, found in rounds.items()}
    cpu = {name: statistics.median(r.tokens / r.cpu for r in found) for name, found in rounds.items()}
    print(f"{'':<8} {'tokens/s':>10} {'tokens/CPU-s':>14}")
    for name in rounds:
        print(f"{name:<8} {wall[name]:>10.1f} {cpu[name]:>14.1f}")
    print(f"{'ratio':<8} {wall['adhere'] / wall['bare']:>10.3f} {cpu['adhere'] / cpu['bare']:>14.3f}")
    print(
        f"{options.prompts} prompts, {options.max_tokens} tokens at most, {options.rounds} rounds, "
        f"{threads} threads, {backend.concurrency} slots; same text {same}/{options.prompts}"
    )
    figures = {
        "benchmark": "generation", "prompts": options.prompts, "max_tokens": options.max_tokens,
        "rounds": options.rounds, "threads": threads, "slots": backend.concurrency,
        "engine": backend.info.engine_version,
        "tokens_per_second": wall, "tokens_per_cpu_second": cpu, "ratio": wall["adhere"] / wall["bare"],
        "ratio_cpu": cpu["adhere"] / cpu["bare"], "same_text": same, "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(main())
