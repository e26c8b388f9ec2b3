"""MMMT-IF (Epstein et al. 2024, arXiv 2409.18216): are scattered orders lost, and does repeating bring them back?

Our own chats of eight turns, at temperature 1 as in the paper: the orders where they came (four samples, for PIF-4-K),
after the current question only, both, and never shown, which is how much of them is met by luck. All placements on the
same turns, differences paired, intervals over chats. The history holds the model's own answers. Without a model: one
canned answer to everything, and the best of the four samples of a turn as a checker would pick it.

The images' part: twelve drawn images, a question on each, answered through OCR without and with the orders of the chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import adhere
from adhere.bench.asking import Settings, answers_to
from adhere.bench.base import Options, Scored
from adhere.bench.figures import share
from adhere.bench.mmmt_if.chats import scenes
from adhere.bench.mmmt_if.dialogue import PLACEMENTS, Placement, ask, rows
from adhere.bench.mmmt_if.reading import read_and_answer
from adhere.bench.mmmt_if.scoring import Pif, placement_summary, summary
from adhere.bench.scored import cluster, grade_scored
from adhere.engine.sync import call
from adhere.records import Response
from adhere.vision import RapidOCR


class Size(NamedTuple):
    """Chats, turns of each, samples of the dispersed placement, tokens an answer, images asked about."""

    chats: int
    turns: int
    samples: int
    tokens: int
    images: int = 12


SIZES = {
    "smoke": Size(1, 2, 2, 12, 2),
    "small": Size(12, 8, 4, 60),
    "medium": Size(12, 8, 4, 120),
    "full": Size(12, 8, 4, 256),
}
CANNED = "I am not sure, but here is my best answer."
PAPER = {
    "mean PIF of Gemini 1.5 Pro, GPT-4o and Claude 3.5 Sonnet": {"turn 1": 0.81, "turn 20": 0.64},
    "PIF-4-4": {"Gemini 1.5 Pro, GPT-4o": 0.11, "Claude 3.5 Sonnet": 0.28, "its mean PIF": 0.77},
    "orders also at the end": "+22.3 points",
}


def run(scale: str, model: str) -> dict[str, Any]:
    """All placements on the same turns."""
    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    RapidOCR()  # where its package is missing, that is said before minutes of answering
    chats = [chat for chat in scenes() if chat.turns[0].instructions][: size.chats]
    chats += [chat for chat in scenes() if chat not in chats][: size.chats - len(chats)]
    async with adhere.load(name, max_tokens=size.tokens, temperature=1.0) as loaded:
        options = Options(loaded)
        scored: list[Scored] = []
        for placement in PLACEMENTS:
            chosen = [r for r in rows(chats, (placement,)) if r.meta["turn"] <= size.turns]
            settings = Settings(samples=size.samples if placement == "dispersed" else 1)
            answers = await answers_to(chosen, loaded, settings, ask=ask, options=options)
            scored += await grade_scored(answers, Pif(), options)
        images = await read_and_answer(loaded, images=size.images)
    dispersed = _of(scored, "dispersed")
    canned = await grade_scored([(s.instruction, 0, Response(CANNED), None) for s in dispersed], Pif(), options)
    found = summary(dispersed, options)
    placed = placement_summary(scored, options)
    pif = {placement: _pif(_of(scored, placement)) for placement in PLACEMENTS} | {"canned answer": _pif(canned)}
    best = _best(dispersed)
    by_orders = {str(n): _pif([s for s in dispersed if s.instruction.meta["orders"] == n]) for n in range(1, 6)}
    all_n = found[f"pif_{size.samples}_{size.samples}"]
    falls, repeated = found["per_order"], placed["both_minus_dispersed"]
    low = pif["dispersed"]["low"]
    fewer = low is not None and all_n["value"] < low
    holds = (falls["high"] or 0) < 0 and (repeated["low"] or 0) > 0 and fewer
    against = (falls["low"] or 0) > 0 or (repeated["high"] or 0) < 0
    return {
        "claim": "PIF falls with each further order, fewer turns are perfect in all samples than PIF suggests, and "
        "orders repeated after the question are followed more often than dispersed ones",
        "holds": "shown" if holds else "against" if against else "not shown",
        "headline": f"{name}: PIF {_percent(pif['dispersed'])} dispersed, {_percent(pif['both'])} repeated at the end, "
        f"{_percent(pif['never'])} never shown; PIF-{size.samples}-{size.samples} {_percent(all_n)}",
        "lines": [
            *(f"PIF {placement:<14} {_percent(figure)}" for placement, figure in pif.items()),
            *(f"{key.replace('_', ' '):<24} {_points(figure)}" for key, figure in placed.items()),
            f"with each further order   {_points(found['per_order'])};  turn {_points(found['per_turn'])}",
            *(f"{key.replace('_', '-').upper():<9} {_percent(f)}" for key, f in found.items() if key.startswith("pif")),
            f"best of {size.samples} samples of a turn, chosen by PIF: {_percent(best)}",
            f"OCR reads the key string of {_percent(images['read'])} of {size.images} images",
            *(f"key string in the answer, {arm:<9} {_percent(figure)}" for arm, figure in images["named"].items()),
            f"orders cost {_points(images['orders_cost'])};  the image brings {_points(images['image_brings'])}",
        ],
        "pif": pif, "by_orders": by_orders, "placements": placed, "figures": found, "best_of_samples": best,
        "images": images,
        "history": "the model's own answers", "splitter": "sentences by Punkt",
        "n": len(scored), "chats": len(chats), "new_tokens_cap": size.tokens, "paper": PAPER,
        "examples": [{"id": s.instruction.id, "orders": s.instruction.meta["told"], "answer": s.response.text}
                     for s in dispersed[-3:] if s.response is not None],
    }  # fmt: skip


def _of(scored: Sequence[Scored], placement: Placement) -> list[Scored]:
    return [s for s in scored if s.instruction.meta["placement"] == placement]


def _values(scored: Sequence[Scored]) -> list[float]:
    return [s.score.value or 0.0 if s.score is not None else 0.0 for s in scored]


def _pif(scored: Sequence[Scored]) -> dict[str, Any]:
    return share(_values(scored), [cluster(s.instruction) for s in scored])


def _best(scored: Sequence[Scored]) -> dict[str, Any]:
    """Of the samples of each turn the one with the highest PIF: what choosing by the checkers would reach."""
    best: dict[str, tuple[float, str]] = {}
    for s, value in zip(scored, _values(scored), strict=True):
        best[s.instruction.id] = max(best.get(s.instruction.id, (0.0, "")), (value, cluster(s.instruction)))
    return share([value for value, _ in best.values()], [s.split("/")[0] for s in best])


def _percent(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "none"
    interval = "" if figure["low"] is None else f" [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"
    return f"{100 * figure['value']:.1f}%{interval}"


def _points(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return "not determined"
    return f"{figure['value']:+.1f} points [{figure['low']:+.1f}, {figure['high']:+.1f}]"
