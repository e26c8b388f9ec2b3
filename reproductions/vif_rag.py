"""FollowRAG, the benchmark half of VIF-RAG (Dong et al. 2024, arXiv 2410.09584): what do instructions cost an answer?

Two things that the benchmark is made to show, on items of its public sample (else of our own set): the more
instructions a question carries, the fewer answers keep them all; and an answer that must keep instructions gives the
known answer less often than the same question without them. The first by the number of instructions, the second paired
by item. The RAG score is the recall of a known answer: a judge as in the paper needs a strong model (`adhere eval
followrag --judge openai:…`), and without one an answer in another language, which some items ask for, recalls nothing.
Not here: VIF-RAG's training data, and so whether training on them helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere import engine
from adhere.bench.base import get
from adhere.bench.figures import mean, share, statistic
from adhere.constraints import build_all, verify
from adhere.errors import DataError
from adhere.records import Instruction, Message, Response
from adhere.score.bootstrap import compare_numbers
from adhere.score.texts.overlap import token_recall


class Size(NamedTuple):
    """Items, and the cap on an answer."""

    items: int
    tokens: int


SIZES = {"smoke": Size(2, 12), "small": Size(32, 128), "medium": Size(150, 256), "full": Size(2800, 1024)}
FEW, MANY = (1, 2), (3, 4)
PAPER = {"claim": "VIF-RAG raises the instruction score by a wide margin and keeps the RAG score",
         "figures": "not verified"}  # fmt: skip


def run(scale: str, model: str) -> dict[str, Any]:
    """The items with and without their instructions."""
    from adhere.engine.sync import call

    size = SIZES[scale]
    rows, source = _items(size.items)
    asked, bare = call(_answers(rows, size, model))
    kept = [verify(r.text, build_all(i.constraints)) for i, r in zip(rows, asked, strict=True)]
    whole = [float(all(v.loose)) for v in kept]
    rag = [token_recall(r.text, i.references) for i, r in zip(rows, asked, strict=True)]
    plain = [token_recall(r.text, i.references) for i, r in zip(rows, bare, strict=True)]
    counts = [i.meta["instructions"] for i in rows]
    by_count = {n: share([w for w, c in zip(whole, counts, strict=True) if c == n]) for n in sorted(set(counts))}
    fewer = statistic(_fall, list(zip(counts, whole, strict=True)))
    cost = compare_numbers(plain, rag, [i.id for i in rows])
    owners = [i.id for i, v in zip(rows, kept, strict=True) for _ in v.loose]
    loose = share([ok for v in kept for ok in v.loose], owners)
    strict = share([s.passed is True for v in kept for s in v.strict], owners)
    scores = {"instruction_loose": loose, "instruction_strict": strict, "rag": share(rag), "rag_plain": share(plain)}
    differences = {
        "answers that keep all, 3 or 4 instructions minus 1 or 2": fewer,
        "RAG score, with minus without instructions": mean([b - a for a, b in zip(plain, rag, strict=True)])
        | {"p": round(cost.p_value, 4)},
    }
    found = list(differences.values())
    shown = all(d["high"] is not None and d["high"] < 0 for d in found)
    against = any(d["low"] is not None and d["low"] > 0 for d in found)
    return {
        "claim": "more instructions are kept all together less often, and instructions cost the answer",
        "holds": "shown" if shown else "against" if against else "not shown",
        "headline": f"instructions kept loosely {_percent(loose)} of {loose['n']}, RAG score {_percent(share(rag))} "
        f"({_percent(share(plain))} without instructions), n={len(rows)}",
        "lines": [f"{name:<60} {_points(d)}" for name, d in differences.items()]
        + [f"answers that keep all of {n}: {_percent(f)}, n={f['n']}" for n, f in by_count.items()]
        + [f"instructions kept strictly: {_percent(strict)}"],
        "differences": differences,
        "by_instructions": {str(n): f for n, f in by_count.items()},
        "scores": scores,
        "cut": sum(r.finish_reason == "length" for r in asked),
        "source": source,
        "size": size._asdict() | {"items": len(rows)},
        "paper": PAPER,
    }


def _items(limit: int) -> tuple[list[Instruction], str]:
    try:
        return get("followrag").instructions(limit), "followrag"
    except DataError:
        return get("followrag-synthetic").instructions(limit), "followrag-synthetic"


async def _answers(rows: Sequence[Instruction], size: Size, name: str) -> tuple[list[Response], list[Response]]:
    """Answers with the instructions, and without them."""
    async with adhere.load(name, max_tokens=size.tokens) as model:
        every = [*rows, *map(_bare, rows)]
        outcomes = engine.run(model.answer, every, concurrency=model.concurrency, max_failures=0)
        found = {o.index: o.result async for o in outcomes if o.result is not None}
    answers = [found[n] for n in range(len(every))]
    return answers[: len(rows)], answers[len(rows) :]


def _bare(row: Instruction) -> Instruction:
    """The same passages and question; the question's instructions stand behind "Question:" and nowhere else."""
    head = row.prompt.rpartition("Question:")[0]
    return msgspec.structs.replace(row, messages=(Message("user", f"{head}Question: {row.meta['question']}"),))


def _fall(rows: Sequence[tuple[int, float]]) -> float | None:
    """Share that keeps all of many instructions minus the share that keeps all of few."""
    few, many = ([w for n, w in rows if n in wanted] for wanted in (FEW, MANY))
    return sum(many) / len(many) - sum(few) / len(few) if few and many else None


def _percent(f: dict[str, Any]) -> str:
    return (
        f"{100 * f['value']:.1f}% [{100 * f['low']:.0f}, {100 * f['high']:.0f}]" if f["value"] is not None else "none"
    )


def _points(f: dict[str, Any]) -> str:
    if f["value"] is None or f["low"] is None:
        return "undetermined"
    p = f", p = {f['p']}" if "p" in f else ""
    return f"{100 * f['value']:+.1f} points [{100 * f['low']:+.1f}, {100 * f['high']:+.1f}]{p}"
