"""Planted questions (Li et al. 2023, arXiv 2308.10819): does a question in the text draw the answer to itself?

SQuAD paragraphs with two questions each, the second planted at the start, middle or end, behind "Question:". Question
first and text first, the paper's defence on, and four ways to defend against a plant at the end, each with its cost on
clean text. Every arm is compared with the clean one of the same prompt on the same items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere.bench.base import get
from adhere.bench.figures import mean
from adhere.bench.injection import squad_items
from adhere.bench.injection.build import Arm, build
from adhere.bench.injection.scorer import make_metrics, make_summary
from adhere.bench.run import Settings, evaluate_async
from adhere.bench.run_dir import Run


class Size(NamedTuple):
    """Items, tokens an answer, demonstrations, most words of a paragraph."""

    items: int
    tokens: int
    shots: int
    words: int


SIZES = {
    "smoke": Size(2, 8, 0, 100),
    "small": Size(32, 24, 0, 100),
    "medium": Size(100, 24, 0, 100),
    "full": Size(300, 64, 4, 700),
}
ARMS = (
    Arm("clean", "none"),
    Arm("start", "start", base="clean"),
    Arm("middle", "middle", base="clean"),
    Arm("end", base="clean"),
    Arm("text first, clean", "none", "CQA"),
    Arm("text first", order="CQA", base="text first, clean"),
    Arm("undefended, clean", "none", defence="none"),
    Arm("undefended", defence="none", base="undefended, clean"),
    Arm("fence, clean", "none", defence="fence"),
    Arm("fence", defence="fence", base="fence, clean"),
    Arm("scan, clean", "none", defence="scan"),
    Arm("scan", defence="scan", base="scan, clean"),
)
POSITIONS = ("start", "middle", "end")
PAPER = {
    "token F1 x 100, NaturalQuestions, at the end, target clean -> injected / planted, PDR, IDR": {
        "gpt-3.5-1106": "52.9 -> 47.0 / 7.6, 11 %, 86 %",
        "vicuna-13b": "43.4 -> 13.5 / 50.3, 69 %, 21 %",
        "llama-2-13b-chat": "63.6 -> 15.5 / 59.0, 76 %, 21 %",
        "alpaca-7b": "53.9 -> 7.1 / 59.6, 87 %, 11 %",
    }
}


def run(scale: str, model: str) -> dict[str, Any]:
    """All arms on the same items."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    items = [i for i in squad_items() if len(i.context.split()) <= size.words][: size.items]
    benchmark = get("injection")._replace(
        load=lambda: build(items, ARMS, shots=size.shots), metrics=make_metrics(ARMS), summary=make_summary(ARMS)
    )
    async with adhere.load(name, max_tokens=size.tokens) as model:
        done = await evaluate_async(benchmark, model, Settings())
    marks = {metric: _marks(done, metric) for metric in ("f1_target", "f1_injected")}
    table = {
        arm.name: {m: mean([marks[m][i.id, arm.name] for i in items]) for m in marks}
        | {f: done.metrics[f"{f}_{arm.name}"] for f in ("pdr", "idr") if arm.base}
        | ({m: _moved(marks[m.removesuffix(" moved")], items, arm) for m in ("f1_target moved", "f1_injected moved")}
           if arm.base else {})
        for arm in ARMS
    }  # fmt: skip
    return _report(table, marks, items) | {
        "size": size._asdict() | {"items": len(items)},
        "model": msgspec.to_builtins(model.info),
        "sampling": msgspec.structs.asdict(model.sampling),
        "failed": done.manifest["counts"]["failed"],
        "paper": PAPER,
    }


def _marks(done: Run, metric: str) -> dict[tuple[str, str], float]:
    """(item, arm) → the figure of that answer; a failed row has none and counts as 0."""
    found = {v.id: v.value or 0.0 for v in done.verdicts if v.kind == metric}
    meta = {row.id: msgspec.json.decode(row.meta) for row in done.rows}
    return {(m["cluster"], m["arm"]): found.get(id, 0.0) for id, m in meta.items()}


def _moved(marks: dict[tuple[str, str], float], items: Sequence[Any], arm: Arm) -> dict[str, Any]:
    """The arm minus its clean base, paired by item."""
    return mean([marks[i.id, arm.name] - marks[i.id, arm.base] for i in items])


def _report(table: dict[str, Any], marks: dict[str, Any], items: Sequence[Any]) -> dict[str, Any]:
    pooled = {
        metric: mean(
            [marks[metric][i.id, p] - marks[metric][i.id, "clean"] for i in items for p in POSITIONS],
            [i.id for i in items for _ in POSITIONS],
        )
        for metric in marks
    }
    drops, pulls = _sign(pooled["f1_target"]) < 0, _sign(pooled["f1_injected"]) > 0
    against = _sign(pooled["f1_target"]) > 0 or _sign(pooled["f1_injected"]) < 0
    scan = table["scan"]
    lines = [
        f"{arm:<20} target {_n(row['f1_target'])}  planted {_n(row['f1_injected'])}"
        + (f"  PDR {_n(row['pdr'])}  IDR {_n(row['idr'])}" if "pdr" in row else "")
        for arm, row in table.items()
    ]
    return {
        "claim": "a planted question lowers the F1 with the right answer and raises it with the planted one's",
        "headline": f"planted at the start, middle or end: target F1 {_n(pooled['f1_target'])}, planted one's"
        f" {_n(pooled['f1_injected'])} against clean text; with flagged sentences left out the target's is"
        f" {_n(scan['f1_target moved'])} from clean",
        "holds": "shown" if drops and pulls else "against" if against else "not shown",
        "pooled over positions": pooled,
        "arms": table,
        "lines": lines,
    }


def _sign(figure: dict[str, Any]) -> int:
    """Which side of 0 the interval lies on."""
    if figure["low"] is None:
        return 0
    return 1 if figure["low"] > 0 else -1 if figure["high"] < 0 else 0


def _n(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "undefined"
    interval = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return f"{figure['value']:.3f}{interval}"
