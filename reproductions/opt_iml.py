"""OPT-IML (Iyer et al. 2022, arXiv 2212.12017): what more training tasks do at each of three levels of generalisation.

The paper's central figure in miniature: with equal updates, training on more tasks raises performance on tasks and
categories never seen, while that on unseen instances of seen tasks stays where it was. Here a llama of under a million
weights is trained from nothing on our forty string tasks, words as tokens, loss on the target alone: on 6 of the
supervised tasks, then on all of them, with several seeds. Measured on every level: exact match (the argmax of each
target token is right) and the target's log-probability in nats per token, which moves before the first exact match
does. Seen tasks are compared on the 6 that both arms train on. The split and the averages are the benchmark's
(`adhere.bench.opt_iml`).

Not here: a real model tuned on 1,500 tasks, mixtures and caps, demonstrations, and the leakage check's human eye.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from adhere.bench.opt_iml import prompt
from adhere.bench.opt_iml.bank import LEVELS, Pair, Task, split
from adhere.bench.opt_iml.strings import strings
from adhere.models.machine import pick_threads
from adhere.score.statistics import bootstrap_mean


class Size(NamedTuple):
    """Updates, rows of one, seeds, tasks of the small arm, test instances of a task, width, layers."""

    steps: int
    batch: int
    seeds: int
    few: int
    test: int
    width: int
    layers: int


SIZES = {
    "smoke": Size(3, 8, 1, 6, 2, 32, 1),
    "small": Size(300, 48, 3, 6, 20, 96, 3),
    "medium": Size(2_000, 64, 5, 6, 40, 128, 4),
    "full": Size(8_000, 64, 10, 6, 100, 192, 6),
}
PAPER = "with more training tasks held-out and partially supervised ones rise, fully supervised ones stay (figure)"
TRAIN = 400  # instances of a task


def run(scale: str, model: str) -> dict[str, Any]:
    """Both arms with every seed; differences are paired by task and seed."""
    size = SIZES[scale]
    bank = strings(train=TRAIN, test=size.test)
    levels, ids = split(bank).levels(bank), _vocabulary(bank)
    rows: list[tuple[str, str, str, dict[str, float]]] = []  # seed and task, level, measure, by arm
    for seed in range(size.seeds):
        supervised = [task for task in bank if levels[task.id] == "supervised"]
        few = random.Random(f"few {seed}").sample(supervised, size.few)
        arms = {"few": few, "all": supervised}
        by_arm = {arm: _measured(_trained(tasks, ids, size, seed), ids, bank) for arm, tasks in arms.items()}
        for task in bank:
            if levels[task.id] != "supervised" or task in few:  # what only one arm has seen is no level of both
                for measure in ("exact", "nats"):
                    found = {arm: values[task.id][measure] for arm, values in by_arm.items()}
                    rows.append((f"{task.category} {seed}", levels[task.id], measure, found))
    figures = {level: {m: _compared(rows, level, m) for m in ("exact", "nats")} for level in LEVELS}
    unseen = [figures[level]["nats"]["difference"] for level in LEVELS[:2]]
    seen = figures["supervised"]["exact"]["difference"]
    shown = all(d["low"] > 0 for d in unseen) and seen["low"] <= 0 <= seen["high"]
    moved = [f"{level} {_shown(figures[level]['nats'])} nats" for level in LEVELS]
    return {
        "claim": "with equal updates, more training tasks raise unseen tasks and unseen categories (log-probability of "
        "the target) and leave seen tasks as they are (exact match)",
        "holds": "shown" if shown else "against" if any(d["high"] < 0 for d in unseen) else "not shown",
        "headline": f"{size.few} → {len(supervised)} training tasks, {size.seeds} seeds: {'; '.join(moved)}",
        "lines": [f"{level:<21} {m:<6} {_shown(f)}" for level, both in figures.items() for m, f in both.items()],
        "figures": figures,
        "size": size._asdict() | {"tasks": len(bank), "supervised": len(supervised)},
        "paper": PAPER,
    }


def _shown(figure: dict[str, Any]) -> str:
    d = figure["difference"]
    return f"{figure['few']:.3f} → {figure['all']:.3f}: {d['value']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]"


@cache
def _tokens(text: str) -> list[str]:
    return re.findall(r"\n|\w+|[^\w\s]", text)


def _vocabulary(bank: Sequence[Task]) -> dict[str, int]:
    rows = [f"{prompt(task, pair.input)} {pair.output}" for task in bank for pair in (*task.train, *task.test)]
    return {word: n for n, word in enumerate(["<pad>", "<end>", *sorted({w for row in rows for w in _tokens(row)})])}


def _trained(tasks: Sequence[Task], ids: dict[str, int], size: Size, seed: int) -> Any:
    """A llama trained from nothing on rows drawn evenly over the tasks."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(pick_threads())
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(ids), hidden_size=size.width, intermediate_size=3 * size.width,
        num_hidden_layers=size.layers, num_attention_heads=4, max_position_embeddings=128, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=size.steps, pct_start=0.1)
    draw = random.Random(f"rows {seed}")
    model.train()
    for _ in range(size.steps):
        picked = [(task := draw.choice(tasks), draw.choice(task.train)) for _ in range(size.batch)]
        loss = model(**_batch(ids, picked)).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        plan.step()
    return model


def _batch(ids: dict[str, int], rows: Sequence[tuple[Task, Pair]]) -> dict[str, Any]:
    """Right-padded rows; labels on the target and its end alone."""
    import torch

    made = []
    for task, pair in rows:
        before = [ids[w] for w in _tokens(prompt(task, pair.input))]
        after = [*(ids[w] for w in _tokens(pair.output)), ids["<end>"]]
        made.append((before + after, [-100] * len(before) + after))
    longest = max(len(row) for row, _ in made)
    inputs = torch.tensor([[*row, *[0] * (longest - len(row))] for row, _ in made])
    labels = torch.tensor([[*row, *[-100] * (longest - len(row))] for _, row in made])
    return {"input_ids": inputs, "attention_mask": (inputs != 0).long(), "labels": labels}


def _measured(model: Any, ids: dict[str, int], bank: Sequence[Task]) -> dict[str, dict[str, float]]:
    """By task: share of exact targets, and their log-probability in nats per token."""
    import torch

    model.eval()
    found = {}
    for task in bank:
        batch = _batch(ids, [(task, pair) for pair in task.test])
        labels = batch.pop("labels")[:, 1:]
        with torch.inference_mode():
            steps = torch.log_softmax(model(**batch).logits[:, :-1], -1)
        wanted = labels != -100
        right = ((steps.argmax(-1) == labels) | ~wanted).all(1).float().mean()
        chosen = steps.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        found[task.id] = {"exact": float(right), "nats": float(chosen[wanted].mean())}
    return found


def _compared(rows: Sequence[tuple[str, str, str, dict[str, float]]], level: str, measure: str) -> dict[str, Any]:
    """Means of both arms and their difference, the bootstrap by category and seed."""
    picked = [(group, values) for group, *which, values in rows if which == [level, measure]]
    found = bootstrap_mean([v["all"] - v["few"] for _, v in picked], [group for group, _ in picked])
    means = {arm: sum(v[arm] for _, v in picked) / len(picked) for arm in ("few", "all")}
    return means | {"difference": {"value": found.value, "low": found.low, "high": found.high, "n": found.n}}
