"""Verbalizer manipulation (Li et al. 2023, arXiv 2307.10558): natural >= neutral >= unnatural, whatever is asked?

60 review sentences and 60 sentence pairs of our own under the paper's twelve word pairs, read by the two words'
probabilities: raw, and after subtracting the prior (the same prompt with "N/A" for an input). Two models. The prior
matters at this size: a small model tends to one word for everything, which is an accuracy of exactly a half.

Not here: fine-tuning on natural prompts, which in a trial took the unnatural ones from 0.50 to 0.00 (the card has it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere.bench.base import get
from adhere.bench.figures import mean, share, statistic
from adhere.bench.run import Settings, evaluate_async
from adhere.bench.run_dir import Run
from adhere.bench.verbalizer import FOLDER
from adhere.bench.verbalizer.tasks import GROUPS, instructions, read_folder


class Size(NamedTuple):
    """Sentences of each set, and the models beside the one that was named; a base model reads plain text."""

    items: int
    others: tuple[str, ...]


SIZES = {
    "smoke": Size(2, ()),
    "small": Size(20, ("gemma3-base",)),
    "medium": Size(60, ("gemma3-base",)),
    "full": Size(60, ("gemma3-base", "hf:Qwen/Qwen2.5-0.5B-Instruct", "hf:Qwen/Qwen2.5-7B-Instruct")),
}
BASE_MODELS = ("gemma3-base",)
FIRST = "first rule's word"
PAPER = "natural and neutral rise with size in four families; unnatural does not, and stays near or below chance"


class Answer(NamedTuple):
    """One prompt's verdict, raw and calibrated."""

    group: str
    verbalizer: str
    dataset: str
    cluster: str
    right: float
    calibrated: float
    first: float


def run(scale: str, model: str) -> dict[str, Any]:
    """All models on the same prompts."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    wanted = instructions({n: (task, items[: size.items]) for n, (task, items) in read_folder(FOLDER).items()})
    benchmark = get("verbalizer")._replace(load=lambda: wanted)
    found, infos = {}, {}
    for each in dict.fromkeys((name, *size.others)):
        async with adhere.load(each, chat=each not in BASE_MODELS) as model:
            found[each] = _answers(await evaluate_async(benchmark, model, Settings()))
            infos[each] = msgspec.to_builtins(model.info)
    models = {each: _table(answers) for each, answers in found.items()}
    return _report(name, models) | {
        "size": {"items": size.items, "prompts": len(wanted), "models": len(models)},
        "model": infos,
        "models": models,
        "paper": PAPER,
    }


def _answers(done: Run) -> list[Answer]:
    meta = {row.id: msgspec.json.decode(row.meta) for row in done.rows}
    values = {(v.id, v.kind): v.value or 0.0 for v in done.verdicts}
    return [
        Answer(m["group"], m["verbalizer"], m["dataset"], m["cluster"],
               *(values.get((id, kind), 0.0) for kind in ("accuracy", "calibrated", "first_word")))
        for id, m in meta.items()
    ]  # fmt: skip


def _table(answers: list[Answer]) -> dict[str, Any]:
    def by(key: str, of: str) -> dict[str, Any]:
        groups = dict.fromkeys(getattr(a, key) for a in answers)
        return {g: share([getattr(a, of) for a in answers if getattr(a, key) == g],
                         [a.cluster for a in answers if getattr(a, key) == g]) for g in groups}  # fmt: skip

    clusters = [a.cluster for a in answers]
    steps = {
        f"{reading}, {one} minus {other}": statistic(_difference(one, other, field), answers, clusters)
        for reading, field in (("raw", "right"), ("calibrated", "calibrated"))
        for one, other in (("natural", "neutral"), ("neutral", "unnatural"), ("natural", "unnatural"))
    }
    return {
        "raw": by("group", "right"),
        "calibrated": by("group", "calibrated"),
        "raw by verbalizer": by("verbalizer", "right"),
        "calibrated by verbalizer": by("verbalizer", "calibrated"),
        "raw by set": by("dataset", "right"),
        FIRST: mean([a.first for a in answers], clusters),
    } | steps


def _difference(one: str, other: str, field: str) -> Callable[[Any], float | None]:
    def difference(rows: Any) -> float | None:
        parts = [[getattr(a, field) for a in rows if a.group == group] for group in (one, other)]
        return sum(parts[0]) / len(parts[0]) - sum(parts[1]) / len(parts[1]) if all(parts) else None

    return difference


def _report(name: str, models: dict[str, Any]) -> dict[str, Any]:
    gaps = {each: table["calibrated, natural minus unnatural"] for each, table in models.items()}
    means = [[table["calibrated"][group]["value"] for group in GROUPS] for table in models.values()]
    ordered = [each == sorted(each, reverse=True) for each in means]
    apart = [gap["low"] is not None and gap["low"] > 0 for gap in gaps.values()]
    reversed_ = any(gap["high"] is not None and gap["high"] < 0 for gap in gaps.values())
    lines = [
        f"{each}, {reading}: " + ", ".join(f"{g} {_p(table[reading][g])}" for g in GROUPS)
        for each, table in models.items()
        for reading in ("raw", "calibrated")
    ]
    lines += [f"{each}: natural minus unnatural, calibrated {_points(gap)}" for each, gap in gaps.items()]
    lines += [
        f"{each}: says the first rule's word {table[FIRST]['value']:.2f} of the time" for each, table in models.items()
    ]
    return {
        "claim": "accuracy is highest under natural words and lowest under swapped ones",
        "headline": f"{name}, calibrated: natural minus unnatural {_points(gaps[name])}",
        "holds": "shown" if all(ordered) and all(apart) else "against" if reversed_ else "not shown",
        "lines": lines,
    }


def _p(rate: dict[str, Any]) -> str:
    return f"{rate['value']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}]"


def _points(figure: dict[str, Any]) -> str:
    interval = "" if figure["low"] is None else f" [{100 * figure['low']:+.0f}, {100 * figure['high']:+.0f}]"
    return f"{100 * figure['value']:+.1f} points{interval}"
