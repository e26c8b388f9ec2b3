"""Instructed models on code (Yuan et al. 2023, arXiv 2308.01240): do demonstrations help, and does BM25 choose better?

Summaries of functions of the running interpreter's standard library, split by module, the docstring's first sentence
being the target; assertions, defects and clones of our own set. One demonstration: none, the same for all, drawn for
each, or the nearest by BM25 (at `medium` and `full` three as well). Greedy, 32 tokens.

The claims: BM25 beats random and fixed demonstrations on generation (summaries, assertions), and on classification
(defects, clones) no way of choosing does. Not here: fine-tuning, and models of one family in several sizes.
"""

from __future__ import annotations

import ast
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import adhere
from adhere import engine
from adhere.answer.code_words import code_words
from adhere.bench.code_tasks.asking import put
from adhere.bench.code_tasks.rows import Item, instruction_of, own_items
from adhere.bench.code_tasks.scoring import CodeTaskScorer
from adhere.bench.code_tasks.shots import METHODS, Shots
from adhere.bench.figures import mean
from adhere.models.model import Model
from adhere.score.bootstrap import compare_numbers


class Size(NamedTuple):
    """Summaries, assertions, and defects and clones each; numbers of shots; functions in the pool; planted cases."""

    summaries: int
    assertions: int
    classified: int
    shots: tuple[int, ...]
    pool: int
    planted: int = 200


SIZES = {
    "smoke": Size(1, 1, 1, (1,), 50, 20), "small": Size(40, 20, 20, (1,), 3000),
    "medium": Size(150, 20, 40, (1, 3), 3000), "full": Size(500, 20, 40, (1, 3, 5), 20_000),
}  # fmt: skip
PAPER = "BM25 clearly beats random and fixed demonstrations on generation only (abstract; no figures verified)"
FIRST = {"summary": "summary_bleu", "assertion": "assertion", "defect": "defect_by_probability",
         "clone": "clone_by_probability"}  # fmt: skip
GENERATION, CLASSIFICATION = ("summary", "assertion"), ("defect", "clone")
LINES = (3, 40)  # of a function


def run(scale: str, model: str) -> dict[str, Any]:
    """Every way of choosing on the same items."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    library = standard_library()
    modules = sorted({item.cluster for item in library})
    held_out = set(random.Random(0).sample(modules, len(modules) // 5))
    asked = [i for i in library if i.cluster in held_out]
    items = random.Random(1).sample(asked, min(size.summaries, len(asked)))
    pool = [i for i in library if i.cluster not in held_out][: size.pool] + own_items("train")
    own = own_items("test")
    for task, count in {"assertion": size.assertions, "defect": size.classified, "clone": size.classified}.items():
        items += [i for i in own if i.task == task][:count]
    arms: dict[str, list[float]] = {}
    async with adhere.load(name) as loaded:
        arms["none"] = await _arm(loaded, items, None, pool, 0)
        for k in size.shots:
            for method in METHODS:
                arms[f"{method}, {k}"] = await _arm(loaded, items, method, pool, k)
    found = await _planted(pool, size.planted)
    differences = {
        f"bm25 minus {other}, {k} shot, {kind}": _difference(arms[f"{other}, {k}"], arms[f"bm25, {k}"], items, tasks)
        for k in size.shots
        for other in ("random", "fixed")
        for kind, tasks in (("generation", GENERATION), ("classification", CLASSIFICATION))
    } | {
        f"bm25 minus none, {size.shots[0]} shot, {kind}": _difference(
            arms["none"], arms[f"bm25, {size.shots[0]}"], items, tasks
        )
        for kind, tasks in (("generation", GENERATION), ("classification", CLASSIFICATION))
    }
    figures = {arm: {task: _figure(values, items, task) for task in FIRST} for arm, values in arms.items()}
    over = [differences[f"bm25 minus {other}, {size.shots[0]} shot, generation"] for other in ("random", "fixed")]
    shown = (
        "shown" if all(d["low"] > 0 for d in over) else "against" if any(d["high"] < 0 for d in over) else "not shown"
    )
    lines = [
        f"{arm:<10} " + "  ".join(f"{t} {100 * f['value']:.1f}" for t, f in row.items()) for arm, row in figures.items()
    ]
    lines += [
        f"{what}: {100 * d['value']:+.1f} points [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], p = {d['p']}"
        for what, d in differences.items()
    ]
    lines.append(f"planted near-duplicates found first by BM25: {found} of {size.planted}")
    return {
        "claim": "demonstrations chosen by BM25 beat random and fixed ones on generation",
        "holds": shown,
        "headline": f"one demonstration by BM25 minus a random one, generation: {100 * over[0]['value']:+.1f} points "
        f"[{100 * over[0]['low']:+.1f}, {100 * over[0]['high']:+.1f}]",
        "lines": lines,
        "figures": figures,
        "differences": differences,
        "planted found": found,
        "pool": len(pool),
        "paper": PAPER,
    }


async def _arm(model: Model, items: Sequence[Item], method: Any, pool: Sequence[Item], k: int) -> list[float]:
    """The first figure of each item, 0 to 1."""
    shots = {t: Shots([i for i in pool if i.task == t], method, k, lambda i: i.code) for t in FIRST} if k else {}
    scorer = CodeTaskScorer()

    async def value(item: Item) -> float:
        row = instruction_of(item)
        picked = await shots[item.task].pick(item.code) if k else []
        score = await scorer.score(row, await put(model, row, picked))
        return next(part.value or 0.0 for part in score.parts if part.name == FIRST[item.task])

    values = [0.0] * len(items)
    async for outcome in engine.run(value, items, concurrency=model.concurrency, max_failures=0):
        values[outcome.index] = outcome.result or 0.0
    return values


def _figure(values: Sequence[float], items: Sequence[Item], task: str) -> dict[str, Any]:
    at = [n for n, item in enumerate(items) if item.task == task]
    return mean([values[n] for n in at], [items[n].id.split("/")[1] for n in at])


def _difference(a: Sequence[float], b: Sequence[float], items: Sequence[Item], tasks: Sequence[str]) -> dict[str, Any]:
    """b minus a over the items of some tasks, clustered by function."""
    at = [n for n, item in enumerate(items) if item.task in tasks]
    found = compare_numbers([a[n] for n in at], [b[n] for n in at], [items[n].id.split("/")[1] for n in at])
    kept = {"value": found.difference, "low": found.low, "high": found.high, "p": found.p_value}
    return {k: round(v, 4) for k, v in kept.items()} | {"n": len(at)}


async def _planted(pool: Sequence[Item], count: int) -> int:
    """How often a function with a line added finds the function itself."""
    code = list(dict.fromkeys(item.code for item in pool if item.task == "summary"))
    shots = Shots(code, "bm25", 1, str)
    chosen = random.Random(2).choices(code, k=count)
    return sum([(await shots.pick(f"{text}\n    return None"))[0] == text for text in chosen])


def standard_library() -> list[Item]:
    """Functions with a sentence of documentation, without doubles; the docstring is taken out of the code."""
    found: dict[str, Item] = {}
    for path in sorted(Path(ast.__file__).parent.glob("*.py")):
        if path.stem in sys.stdlib_module_names:
            for node in ast.parse(path.read_text(encoding="utf-8", errors="replace")).body:
                if isinstance(node, ast.FunctionDef) and (said := ast.get_docstring(node)) and len(node.body) > 1:
                    node.body = node.body[1:]
                    code, sentence = ast.unparse(node), said.split("\n\n")[0].replace("\n", " ").split(". ")[0]
                    if LINES[0] <= code.count("\n") + 1 <= LINES[1] and 3 <= len(sentence.split()) <= 25:
                        item = Item("summary", f"summary/{path.stem}.{node.name}", code, sentence, path.stem)
                        found.setdefault(code_words(code), item)
    return list(found.values())
