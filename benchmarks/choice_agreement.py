"""Multiple choice by log-likelihood: ours beside lm-eval's, in one run, on the same weights and the same items.

    python benchmarks/choice_agreement.py [--model smollm2] [--limit N]

The items are Okapi's tasks in five languages (160, our own), BIG-bench Hard's questions with options if the shared data
are there, and long ones: few-shot prompts of some hundred tokens. lm-eval's `HFLM` and our torch backend open the same
Hugging Face folder in float32. Reported: share of items on which both choose the same option, by the sum and by the sum
per character; the largest difference of a log-likelihood; and how long each took, asked in one batch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from typing import Any, NamedTuple

import adhere
from adhere.bench.base import get
from adhere.data.places import data_dir
from adhere.models import hf_export
from adhere.score.choices import Choices, likelihoods

BATCH = 16


class Item(NamedTuple):
    """A question as both get it."""

    kind: str
    context: str
    options: list[str]


def items(limit: int | None) -> list[Item]:
    """Questions of several kinds, the first `limit` of each."""
    okapi = [Item(f"okapi {i.meta['task']}", i.prompt, i.meta["options"]) for i in get("okapi-synthetic").load()]
    found = okapi if limit is None else okapi[: 4 * limit]
    place = data_dir()
    if place is not None and (place / "instruct-eval/bbh.jsonl").is_file():
        from adhere.bench.instruct_eval.sets import SETS

        rows = [i for i in SETS["bbh"](place / "instruct-eval") if i.meta["chance"] > 0]
        labels: dict[str, set[str]] = {}
        for row in rows:
            labels.setdefault(row.meta["task"], set()).add(row.meta["label"])
        for row in rows[::211][:limit]:  # some of each task that has options
            context = "".join(row.meta["shots"]) + row.prompt
            found.append(Item("bbh, 3 examples", context, sorted(labels[row.meta["task"]])))
    return found


def ours(model: str, asked: list[Item]) -> tuple[list[Choices], float]:
    """All items at once, through the torch backend."""
    loaded = adhere.load(f"torch:{model}", store=None)

    async def run() -> list[Choices]:
        return list(await asyncio.gather(*(likelihoods(loaded, i.context, i.options) for i in asked)))

    began = time.perf_counter()
    return asyncio.run(run()), time.perf_counter() - began


def theirs(model: str, asked: list[Item]) -> tuple[list[list[float]], float]:
    """The same through lm-eval."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    peer = HFLM(pretrained=str(hf_export.ensure(model)), device="cpu", dtype="float32", batch_size=BATCH)
    requests = [
        Instance("loglikelihood", {}, (item.context, f" {option}"), n)
        for item in asked
        for n, option in enumerate(item.options)
    ]
    began = time.perf_counter()
    values = [value for value, _ in peer.loglikelihood(requests, disable_tqdm=True)]
    seconds = time.perf_counter() - began
    found, at = [], 0
    for item in asked:
        found.append(values[at : at + len(item.options)])
        at += len(item.options)
    return found, seconds


def compared(asked: list[Item], mine: list[Choices], peers: list[list[float]]) -> dict[str, Any]:
    """Agreement by kind and over all."""
    rows: dict[str, list[tuple[bool, bool, float]]] = {}
    for item, found, values in zip(asked, mine, peers, strict=True):
        norm = [value / len(option) for value, option in zip(values, item.options, strict=True)]
        gap = max(abs(a - b) for a, b in zip(found.logprobs, values, strict=True))
        same = found.best() == values.index(max(values)), found.best("char") == norm.index(max(norm))
        rows.setdefault(item.kind, []).append((*same, gap))
    everything = [row for kind in rows.values() for row in kind]
    return {
        kind: {
            "items": len(some),
            "same choice": sum(a for a, _, _ in some) / len(some),
            "same choice per character": sum(b for _, b, _ in some) / len(some),
            "largest difference, nats": max(gap for _, _, gap in some),
        }
        for kind, some in {**rows, "all": everything}.items()
    }


def main() -> None:
    """Run both and print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    asked = items(given.limit)
    mine, seconds = ours(given.model, asked)
    peers, peer_seconds = theirs(given.model, asked)
    table = compared(asked, mine, peers)
    for kind, row in table.items():
        shares = f"same choice {row['same choice']:.1%}, per character {row['same choice per character']:.1%}"
        gap = f"differ by at most {row['largest difference, nats']:.1e} nats"
        print(f"{kind:<20} {row['items']:>4} items   {shares}   {gap}")
    print(f"ours {seconds:.1f} s, lm-eval {peer_seconds:.1f} s: {peer_seconds / seconds:.2f} times as fast")
    import lm_eval

    print(json.dumps({"model": given.model, "agreement": table, "seconds": seconds, "lm-eval seconds": peer_seconds,
                      "lm-eval": lm_eval.__version__, "machine": platform.machine()}))  # fmt: skip


if __name__ == "__main__":
    main()
