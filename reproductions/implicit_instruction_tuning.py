"""Implicit instruction tuning (Hewitt et al. 2024, arXiv 2409.14254), the product of experts: do three rules make a
base model answer?

A base model in Tulu's format on the authors' validation prompts, greedily, 96 new tokens: bare, with all three rules,
and with each rule switched off. Told without a judge: does the answer end by itself, how much of it repeats (share of
4-grams seen before in it), does it write the next turn's tag instead of ending, and how near is it in meaning (MiniLM)
to a reference. The references are answers of SmolLM2-135M-Instruct: a stand-in, good for topic and form, not for truth.

Also the paper's response ranking: how often the base model finds an instruction's own answer likelier, by token, than
the answer to another one. Response tuning and single-task tuning are not in here.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import adhere
from adhere.answer import ProductOfExperts
from adhere.answer.product_of_experts import tulu
from adhere.data.sets import DataFile, locate
from adhere.engine.store import Store
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.models.torch_backend import Torch
from adhere.records import Instruction, Message, Response
from adhere.roles import Answerer
from adhere.score.statistics import bootstrap_mean, compare, rate

PROMPTS = DataFile(
    "implicit-instruction-tuning/val.jsonl", "97495f6826ac319cdfde133d8ed9dfe537ca5afd762e57491718e3d8b0d413fd",
    "https://raw.githubusercontent.com/john-hewitt/implicit-ins/fe1c2d8d5d66e44bb7c51cf47a5921e08a4b500d/eval/val_eval/val.jsonl",
)  # fmt: skip


class Size(NamedTuple):
    """Prompts, new tokens of an answer, ranked pairs, other answers per pair, tokens of a ranked answer."""

    prompts: int
    tokens: int
    pairs: int
    others: int
    ranked: int


SIZES = {
    "smoke": Size(2, 8, 2, 1, 8),
    "small": Size(24, 96, 12, 3, 32),
    "medium": Size(56, 96, 56, 5, 80),
    "full": Size(56, 512, 56, 5, 256),  # with a larger --model, e.g. the folder of Llama-2-7B
}
VERDICTS = ("ended", "continued")  # the other measures are shares of an answer
BASE = "gemma3-base"  # a true base model; the default --model is an instruct one
ABLATIONS = {"all rules": {}, "no eos": {"eos": False}, "no uniform": {"uniform": False},
             "no diversity": {"diversity": False}}  # fmt: skip
PAPER = {"AlpacaEval win rate against the instruction-tuned twin (Llama-2-7B)": {
    "base": 2.4, "all rules": 24.4, "no eos": 10.4, "no diversity": 14.3, "no uniform": 16.3},
    "response ranking": {"Llama-2-7B": 80.4, "OLMo-7B": 74.5}}  # fmt: skip


_TAG = re.compile(r"[<\[|]\s*(user|assistant)\b", re.IGNORECASE)


def repeated(text: str) -> float:
    """The share of an answer's 4-grams of words that came in it before; 0 where it has none."""
    words = text.split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def continued(text: str) -> bool:
    """Whether the answer goes on with a tag, of the user's next turn or of its own.

    Written without its bars it counts as well: the rules make "<|" unlikely, which alone would be no merit.
    """
    return _TAG.search(text) is not None


async def bare(model: Model, instruction: Instruction) -> Response:
    """The base model in the same format, without rules."""
    return await model.generate((Message("user", tulu(instruction.messages)),))


async def similarity(texts: Sequence[str], references: Sequence[str]) -> list[float]:
    """Cosine of MiniLM's vectors, row by row, below 0 as 0; an empty answer is like nothing."""
    minilm = adhere.load("minilm")
    a, b = [await minilm.embed([t.strip() or "." for t in side]) for side in (texts, references)]
    await minilm.close()
    return [max(0.0, float(x @ y)) if t.strip() else 0.0 for t, x, y in zip(texts, a, b, strict=True)]


async def ranking(model: Model, pairs: Sequence[tuple[Instruction, str]], others: int) -> list[bool]:
    """For each pair and each other answer, whether the own one has the higher mean log-probability by token."""
    rng = random.Random(0)

    async def mean(instruction: Instruction, answer: str) -> float:
        found = await model.logprobs(tulu(instruction.messages), answer)
        return sum(t.logprob for t in found) / len(found) if found else -math.inf

    won = []
    for at, (instruction, own) in enumerate(pairs):
        rest = rng.sample([answer for n, (_, answer) in enumerate(pairs) if n != at], others)
        first, *scores = await asyncio.gather(*(mean(instruction, answer) for answer in (own, *rest)))
        won.extend(first > score for score in scores)
    return won


async def measure(size: Size, name: str) -> dict[str, Any]:
    """The answers of all arms, the references, and the ranking."""
    lines = locate(PROMPTS).path.read_text(encoding="utf-8").splitlines()[: size.prompts]
    prompts = [Instruction.of(json.loads(line)["instruction"]) for line in lines]
    stand_in = adhere.load("smollm2", max_tokens=size.tokens)
    references = [r.text for r in await asyncio.gather(*map(stand_in.answer, prompts))]
    await stand_in.close()
    # Half precision: an ordinary processor computes Gemma's 262,144 logits three times as fast.
    backend = Torch(name, dtype="bfloat16")
    model = Model(backend, sampling=Sampling(max_tokens=size.tokens), store=Store.default(), chat=False)
    arms: dict[str, list[Response]] = {"base": list(await asyncio.gather(*(bare(model, i) for i in prompts)))}
    for arm, switches in ABLATIONS.items():
        strategy: Answerer = ProductOfExperts(model, **switches)
        arms[arm] = list(await asyncio.gather(*map(strategy.answer, prompts)))
    cut = [backend.tokenizer.decode(backend.tokenizer(r, add_special_tokens=False)["input_ids"][: size.ranked])
           for r in references]  # fmt: skip
    pairs = list(zip(prompts, cut, strict=True))[: size.pairs]
    won = await ranking(model, pairs, size.others)
    await model.close()
    return {
        "arms": arms,
        "references": references,
        "won": won,
        "of": [i.id for i, _ in pairs for _ in range(size.others)],
    }


def run(scale: str, model: str) -> dict[str, Any]:
    """Four measures of five arms, with intervals, and each arm against the bare model."""
    size = SIZES[scale]
    name = BASE if model == "smollm2" else model.removeprefix("torch:")
    found = asyncio.run(measure(size, name))
    values = {arm: {
        "ended": [float(r.finish_reason == "stop") for r in answers],
        "continued": [float(continued(r.text)) for r in answers],
        "repeated": [repeated(r.text) for r in answers],
        "similarity": asyncio.run(similarity([r.text for r in answers], found["references"])),
    } for arm, answers in found["arms"].items()}  # fmt: skip
    table: dict[str, dict[str, Any]] = {
        arm: {m: (rate if m in VERDICTS else bootstrap_mean)(v)._asdict() for m, v in by.items()}
             | {"tokens": float(np.mean([r.usage.completion_tokens for r in found["arms"][arm]]))}
             for arm, by in values.items()}  # fmt: skip
    against = {
        f"{a} -> {b}, {m}": _said(compare(values[a][m], values[b][m]))
        for a, b in (("base", "all rules"), *((arm, "all rules") for arm in ABLATIONS if arm != "all rules"))
        for m in values["base"]
    }
    wanted = {"ended": 1, "continued": -1, "repeated": -1, "similarity": 1}
    moves = {m: against[f"base -> all rules, {m}"] for m in wanted}
    right = [m for m, c in moves.items() if c["more_than_noise"] and c["difference"] * wanted[m] > 0]
    wrong = [m for m, c in moves.items() if c["more_than_noise"] and c["difference"] * wanted[m] < 0]
    ranked = rate(found["won"], found["of"])
    lines = [f"{arm:<13} ended {_percent(t['ended'])}  next tag {_percent(t['continued'])}  repeated "
             f"{_percent(t['repeated'])}  similarity {t['similarity']['value']:.2f}  {t['tokens']:.0f} tokens"
             for arm, t in table.items()]  # fmt: skip
    lines += [f"{m}, base -> all rules: {c['sentence']}" for m, c in moves.items()]
    lines.append(f"response ranking of the base model: {ranked}; chance 50%, paper 74 to 80%")
    return {
        "claim": "with the three rules a base model ends its answers more often, goes on to the next turn less often, "
        "repeats itself less and comes nearer to a reference",
        "holds": "shown" if len(right) == len(wanted) else "against" if wrong and not right else "not shown",
        "headline": f"{name}: ended {_percent(table['base']['ended'])} -> {_percent(table['all rules']['ended'])}, "
        f"repeated 4-grams {_percent(table['base']['repeated'])} -> {_percent(table['all rules']['repeated'])}; "
        f"{len(right)} of 4 measures move as claimed, {len(wrong)} the other way",
        "lines": lines,
        "arms": table,
        "comparisons": against,
        "response_ranking": ranked._asdict(),
        "n": size.prompts,
        "new_tokens_cap": size.tokens,
        "references": "answers of SmolLM2-135M-Instruct, a stand-in; no judge was used",
        "paper": PAPER,
        "examples": {arm: [r.text for r in answers[:3]] for arm, answers in found["arms"].items()},
    }


def _said(comparison: Any) -> dict[str, Any]:
    return comparison._asdict() | {"sentence": comparison.sentence, "more_than_noise": comparison.more_than_noise}


def _percent(mean: dict[str, Any]) -> str:
    return f"{100 * mean['value']:.0f}% [{100 * mean['low']:.0f}, {100 * mean['high']:.0f}]"
