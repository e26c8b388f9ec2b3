"""INSTRUCTEVAL (Chia et al. 2023, arXiv 2306.04757): what a small tuned model solves and prefers; and the study.

1. The suite on a real model: BIG-bench Hard (27 tasks, 3 examples) and HumanEval as published, MMLU-, DROP- and
   CRASS-like questions and 60 pairs for alignment of our own, each beside what a guesser gets. The claim tested is the
   paper's on small open models, that they solve and align poorly: chance lies within the interval of most sets.
2. The study, on the published tables: what tuning adds to the same foundation model. Kinds of data cannot be told apart
   from foundations there, so the gains are given by foundation and carry no verdict.
3. The judge's parser: on how many replies of a real model "first digit" and the published "last digit" differ.

Writing is not rated here: a model of this size is no judge. `adhere eval instruct-eval --judge openai:…` does it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

import adhere
from adhere.bench.asking import Settings
from adhere.bench.base import get
from adhere.bench.instruct_eval import PROBLEMS, likert
from adhere.bench.instruct_eval.published import PROBLEM_COLUMNS, correlation, gains, mean_of, read_table
from adhere.bench.instruct_eval.sets import SETS, template
from adhere.bench.run import evaluate
from adhere.bench.run_dir import Run
from adhere.data.places import data_dir
from adhere.records import Instruction, Message
from adhere.score.statistics import Rate, bootstrap_mean

# Rows of each BBH task, problems, rows of each part of our own suite, replies for the parsers.
SIZES = {"smoke": (0, 0, 1, 2), "small": (3, 16, 60, 16), "medium": (20, 30, 60, 60), "full": (250, 164, 60, 200)}
PAPER = {
    "mean of the five sets": {"ChatGPT": 64.5, "Flan-T5-XXL": 50.8, "Vicuna-13B": 39.2, "LLaMA-13B": 38.2},
    "alignment": {"ChatGPT": 86.6, "Vicuna-13B": 65.9, "LLaMA-7B": 46.2},
}


def run(scale: str, model: str) -> dict[str, Any]:
    """All three parts."""
    per_task, problems, own, replies = SIZES[scale]
    loaded = adhere.load(model)
    bench = get("instruct-eval-synthetic")._replace(load=lambda: list(_rows(per_task, problems, own)))
    found = evaluate(bench, loaded, Settings())
    parts = [part for part in (*PROBLEMS, "hhh") if part in found.metrics["by_part"]]
    figures = {part: found.metrics[part] for part in parts}
    chance = _chances(found)
    with_options = [part for part in parts if chance[part] > 0]  # elsewhere a guesser gets nothing
    above = [part for part in with_options if (figures[part]["low"] or 0.0) > chance[part]]
    parsers = asyncio.run(_parsers(loaded, replies))
    study = _study()
    lines = [f"{part:<10} {_shown(figures[part])}; a guesser {chance[part]:.1%}" for part in parts]
    lines += study["lines"]
    lines += [f"the model as a judge, {parsers['replies']} replies: the two parsers differ on {parsers['differ']}"]
    weak = len(above) <= len(with_options) / 2
    return {
        "claim": "a small open model is not better than a guesser on most sets with options, of problems and alignment",
        "holds": "shown" if weak else "against",
        "headline": f"{model}: above a guesser on {len(above)} of {len(with_options)} sets with options "
        f"({', '.join(above) or 'none'}); " + "; ".join(f"{part} {figures[part]['value']:.0%}" for part in parts),
        "lines": lines,
        "figures": figures | {"by task": found.metrics["by_task"]},
        "chance": chance,
        "study": study,
        "parsers": parsers,
        "size": {"rows": len(found.rows), "by part": dict(Counter(_meta(row)["part"] for row in found.rows))},
        "model": found.manifest["model"],
        "paper": PAPER,
    }


def _rows(per_task: int, problems: int, own: int) -> Iterator[Instruction]:
    """BBH and HumanEval as published, where any of their rows are wanted; the other parts from our own suite."""
    place = (data_dir() or Path()) / "instruct-eval"
    public = {"bbh": per_task, "humaneval": problems}
    seen: Counter[str] = Counter()
    for row in get("instruct-eval-synthetic").load():
        part = row.meta["part"]
        seen[part] += 1
        if part != "writing" and not public.get(part) and seen[part] <= own:
            yield row
    for row in SETS["bbh"](place) if per_task else ():
        seen[row.meta["task"]] += 1
        if seen[row.meta["task"]] <= per_task:
            yield row
    if problems:
        yield from islice(SETS["humaneval"](place), problems)


def _meta(row: Any) -> dict[str, Any]:
    return msgspec.json.decode(row.meta)


def _chances(found: Run) -> dict[str, float]:
    """What a guesser gets, by part, weighted as its score: BBH and HHH over tasks."""
    tasks: dict[str, dict[str, list[float]]] = {}
    for meta in map(_meta, found.rows):
        key = meta["task"] if meta["part"] in ("bbh", "hhh") else ""
        tasks.setdefault(meta["part"], {}).setdefault(key, []).append(meta["chance"])
    return {part: sum(sum(v) / len(v) for v in of.values()) / len(of) for part, of in tasks.items()}


async def _parsers(loaded: Any, replies: int) -> dict[str, Any]:
    """The model as a judge that writes freely: what both parsers make of the same replies."""
    pairs = [row for row in get("instruct-eval-synthetic").load() if row.meta["part"] == "hhh"][:replies]
    asked = [template("relevance").render(prompt=row.prompt, text=row.meta["chosen"]) for row in pairs]
    said = await asyncio.gather(*(loaded.answer(Instruction("", (Message("user", text),))) for text in asked))
    first, published = [likert(r.text) for r in said], [likert(r.text, published=True) for r in said]
    return {
        "replies": len(said),
        "differ": sum(a is not None and a != b for a, b in zip(first, published, strict=True)),
        "without a level": first.count(None),
        "mean level as published": sum(level or 1 for level in published) / len(published),
    }


def _study() -> dict[str, Any]:
    """Gains of tuning by foundation, and how the sets rank models, of the published table."""
    table = read_table((data_dir() or Path()) / "instruct-eval/problem_solving_leaderboard.csv")
    by_foundation = {name: bootstrap_mean(list(of.values())) for name, of in gains(table).items()}
    solved = [line.figures for line in table if mean_of(line, PROBLEM_COLUMNS) is not None]
    ranks = {
        name: round(correlation([f["MMLU"] for f in solved], [f[name] for f in solved]), 2)
        for name in PROBLEM_COLUMNS[1:]
    }
    lines = [
        f"published: tuning adds {rate.value:+.1f} points to {name} {_interval(rate)}, {rate.n} models"
        for name, rate in sorted(by_foundation.items(), key=lambda item: -item[1].n)
        if rate.n > 1
    ]
    lines += [f"published: rank correlation with MMLU over {len(solved)} models: {ranks}"]
    return {"lines": lines, "gains": {k: v._asdict() for k, v in by_foundation.items()}, "ranks with MMLU": ranks}


def _interval(rate: Rate) -> str:
    return f"[{rate.low:+.1f}, {rate.high:+.1f}]"


def _shown(figure: dict[str, Any]) -> str:
    if figure["low"] is None:  # too few rows for an interval
        return f"{figure['value']:.1%}, n={figure['n']}"
    return f"{figure['value']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}], n={figure['n']}"
