"""CoDI-Eval (Chen et al. 2024, arXiv 2401.00690): what control a small model has, and how much the phrasing matters.

(1) Length by mode, greedy, numbers that fit into the cap, with texts of constant length as baselines. (2) Keywords:
plain lists against lists with "or" and a forbidden word. (3) Length constraints, each in eight phrasings. (4) Length at
temperature 1: one sample against the best of several by the checker, which also grades it, so that this is an upper
bound. (5) Sentiment and topic by the small heads that ship with Adhere; see their card for how far to trust them. (6)
The model writes instructions itself: what of its templates and rewrites each filter lets through, and how many rows are
left to the grammar.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import msgspec

import adhere
from adhere.bench.base import Options, get
from adhere.bench.codi_eval.rows import instructions, interleaved, read_task
from adhere.bench.figures import mean, share
from adhere.bench.run import Settings, evaluate_async
from adhere.bench.run_dir import Run
from adhere.constraints.codi import interval
from adhere.data.codi_rows import MODES
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.write.codi_eval import MOST, SEEDS, CodiEvalWriter, Task
from adhere.write.codi_eval.fill import build, phrasings, spelled


class Size(NamedTuple):
    """Length rows, keyword rows, constraints of the phrasing test, prompts and samples of best-of-n, labelled rows of
    sentiment and of topic each, tokens an answer; tasks that are written, rows of each."""

    length: int
    keyword: int
    phrased: int
    best_of: tuple[int, int]
    labelled: int
    tokens: int
    written: tuple[tuple[Task, ...], int]


SIZES = {
    "smoke": Size(5, 2, 1, (2, 2), 2, 24, (("length",), 1)),  # written by an echo: the writer's prompts take long
    "small": Size(80, 40, 8, (20, 8), 36, 120, (("length",), 10)),
    "medium": Size(80, 40, 20, (40, 8), 72, 120, (("length", "keyword", "topic"), 100)),
    "full": Size(1000, 1000, 20, (200, 8), 1000, 300, (get_args(Task), 1000)),
}
WORDS_PER_TOKEN = 0.6
EASY = ("at most", "at least", "between")
NUMBERS = {"equal to": 20, "at most": 60, "at least": 30, "around": 40, "between": 50}
PAPER = {"GPT-4": {"length": 73.8, "keyword": 86.2, "multi": 70.2, "toxicity": 93.6}}
CONSTANT = (0, 50, 100)  # words


def run(scale: str, model: str) -> dict[str, Any]:
    """All six parts with one model."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    length, keyword = _lengths(size), read_task("keyword")[: size.keyword]
    phrased = _phrased(size.phrased)
    prompts, samples = size.best_of
    drawn = length[:prompts]
    labelled = interleaved([read_task(t)[: size.labelled] for t in ("sentiment", "topic")])
    async with adhere.load(name, max_tokens=size.tokens) as model:
        greedy = await _done([*length, *keyword, *phrased, *labelled], model, Settings())
        written = await _written(model if size is not SIZES["smoke"] else Model(Echo()), *size.written)
        info, sampling = msgspec.to_builtins(model.info), msgspec.structs.asdict(model.sampling)
    async with adhere.load(name, max_tokens=size.tokens, temperature=1.0, top_p=0.9) as model:
        sampled = await _done(drawn, model, Settings(samples=samples))
    right = _right(greedy)
    modes = {m: [i for i in length if i.meta["kind"] == m] for m in MODES}
    kinds = {k: [i for i in keyword if i.meta["kind"] == k] for k in ("plain list", "or, not")}
    found: dict[str, Any] = {
        "length by mode": {m: share([right[i.id, 0] for i in rows]) for m, rows in modes.items()},
        "constant texts": {f"{n} words": await _constant(length, n) for n in CONSTANT},
        "keywords": {k: share([right[i.id, 0] for i in rows]) for k, rows in kinds.items()},
        "phrasings": _spread(phrased, right),
        "sentiment and topic": {t: share([right[i.id, 0] for i in labelled if i.meta["task"] == t])
                                for t in ("sentiment", "topic")},
        "written": written,
        "best of n": _best_of(drawn, _right(sampled), samples),
    }  # fmt: skip
    easy = [right[i.id, 0] for i in length if i.meta["kind"] in EASY]
    exact = [right[i.id, 0] for i in length if i.meta["kind"] == "equal to"]
    found["easy modes"], found["exact length"] = share(easy), share(exact)
    return _report(found) | {
        "size": size._asdict() | {"greedy answers": len(greedy.rows), "sampled answers": len(sampled.rows)},
        "model": info,
        "sampling": sampling,
        "cut": greedy.manifest["cut_share"],
        "paper": PAPER,
    }


def _lengths(size: Size) -> list[Instruction]:
    """Rows whose least number of words fits into the cap, as many of each mode; what is lacking is filled by rule."""
    made = instructions("length", build("length", 1000))
    rows = [*read_task("length"), *(msgspec.structs.replace(i, id=f"own-{i.id}") for i in made)]
    fitting = [i for i in rows if i.constraints[0].args["low"] <= WORDS_PER_TOKEN * size.tokens]
    modes = [[i for i in fitting if i.meta["kind"] == m][: size.length // len(MODES)] for m in MODES]
    return interleaved(modes)


async def _done(wanted: Sequence[Instruction], model: Any, settings: Settings) -> Run:
    return await evaluate_async(get("codi-eval")._replace(load=lambda: wanted), model, settings)


def _right(done: Run) -> dict[tuple[str, int], bool]:
    return {(row.id, row.sample): row.strict_all is True for row in done.rows}


def _phrased(count: int) -> list[Instruction]:
    """Constraints of all modes in turn, each in its mode's eight phrasings; numbers in figures or in words."""
    rng = random.Random(0)
    rows = []
    for number in range(count):
        mode = list(MODES)[number % len(MODES)]
        asked = NUMBERS[mode] + 5 * (number // len(MODES))
        low, high = (asked - 30, asked) if mode == "between" else interval(MODES[mode], asked)  # pyrefly: ignore
        say = rng.choice((str, spelled))
        for template in phrasings()["length"][mode]:
            slots = {"{number1}": low, "{number2}": high} if mode == "between" else {"{number}": asked}
            for slot, value in slots.items():
                template = template.replace(slot, say(value))
            rows.append({"instruction": template, "mode": mode, "label": [low, high], "constraint": number})
    made = instructions("length", rows)
    return [
        msgspec.structs.replace(i, id=f"phrased-{n}", meta=i.meta | {"constraint": row["constraint"]})
        for n, (i, row) in enumerate(zip(made, rows, strict=True))
    ]


def _spread(phrased: Sequence[Instruction], right: dict[tuple[str, int], bool]) -> dict[str, Any]:
    """Of each constraint the share of phrasings that succeed; of all the share whose outcome hangs on the phrasing."""
    by: dict[int, list[bool]] = {}
    for i in phrased:
        by.setdefault(i.meta["constraint"], []).append(right[i.id, 0])
    shares = [sum(v) / len(v) for v in by.values()]
    return {
        "constraints": len(by),
        "success": mean(shares),
        "outcome depends on the phrasing": share([0 < s < 1 for s in shares]),
        "range": mean([float(max(v)) - float(min(v)) for v in by.values()]),
        "shares": [round(s, 3) for s in shares],
    }


async def _constant(length: Sequence[Instruction], words: int) -> dict[str, Any]:
    scorer = get("codi-eval").scorer
    assert scorer is not None
    grade = scorer(Options())
    return share([bool((await grade.score(i, Response("word " * words))).passed) for i in length])


def _best_of(drawn: Sequence[Instruction], right: dict[tuple[str, int], bool], samples: int) -> dict[str, Any]:
    first = [right[i.id, 0] for i in drawn]
    best = [any(right[i.id, s] for s in range(samples)) for i in drawn]
    each = [right[i.id, s] for i in drawn for s in range(samples)]
    average = [sum(right[i.id, s] for s in range(samples)) / samples for i in drawn]
    return {
        "n": samples,
        "one sample": share(each, [i.id for i in drawn for _ in range(samples)]),
        "first sample": share(first),
        "best": share(best),
        "best minus one sample": mean([b - a for a, b in zip(average, best, strict=True)]),
    }


async def _written(writer: Model, tasks: Sequence[Task], rows: int) -> dict[str, Any]:
    """What the model writes of each task: every step's counts, the share of its texts that survive, and who wrote."""
    found: dict[str, Any] = {}
    for task in tasks:
        report = (await CodiEvalWriter(writer, task, rows).compose()).report
        survive = {}
        for kind, steps in report["steps"].items():
            for step, counts in steps.items():
                kept, texts = counts["kept"], counts["found"]
                survive[f"{kind}, {step}"] = share([True] * kept + [False] * (texts - kept)) if texts else None
        left = _left(report["steps"], rows)
        found[task] = report | {"by": writer.info.name, "survive": survive, "left to the grammar of 1000": left}
    return found


def _left(steps: dict[str, Any], rows: int) -> int:
    """How many of the paper's 1,000 rows would be the grammar's at this rate, at the least: few rows are all seeds, and
    the more texts are kept the more of the next are near duplicates."""
    kept = sum(counts["kept"] for kind in steps.values() for counts in kind.values())
    return max(0, round(MOST - SEEDS * len(steps) - kept * MOST / rows))


def _written_lines(written: dict[str, Any]) -> list[str]:
    lines = []
    for task, report in written.items():
        for kind, steps in report["steps"].items():
            for step, counts in steps.items():
                dropped = ", ".join(f"{why} {n}" for why, n in counts["dropped"].items())
                lines.append(
                    f"written, {kind}, {step}: {counts['kept']} of {counts['wanted']} wanted, out of"
                    f" {counts['found']} texts of {counts['calls']} calls; dropped: {dropped or 'none'}"
                )
        shares = ", ".join(f"{name} {n}" for name, n in report["writers"].items())
        lines.append(
            f"written with {report['by']}, {task}: {report['rows']} rows by {shares}; at this rate at least"
            f" {report['left to the grammar of 1000']} of {MOST:,} by the grammar"
        )
    return lines


def _report(found: dict[str, Any]) -> dict[str, Any]:
    easy, exact, gain = found["easy modes"], found["exact length"], found["best of n"]["best minus one sample"]
    spread = found["phrasings"]["outcome depends on the phrasing"]
    plain, harder = (found["keywords"][k] for k in ("plain list", "or, not"))
    claims = {
        "at most, at least and between succeed more often than equal": easy["low"] > exact["high"],
        "plain keyword lists succeed more often than lists with or and not": plain["value"] > harder["value"],
        "the outcome depends on the phrasing": spread["low"] > 0 and spread["value"] > 0,
        "best of n beats one sample": gain["low"] is not None and gain["low"] > 0,
    }
    lines = [f"length, {m}: {_p(f)}" for m, f in found["length by mode"].items()]
    lines += [f"length, always {w}: {_p(f)}" for w, f in found["constant texts"].items()]
    lines += [f"keywords, {k}: {_p(f)}" for k, f in found["keywords"].items()]
    lines += [f"{t}, by small heads: {_p(f)}" for t, f in found["sentiment and topic"].items()]
    lines += _written_lines(found["written"])
    lines += [f"{'yes' if held else 'no '}: {claim}" for claim, held in claims.items()]
    return {
        "claim": "exact length is the hardest mode, phrasing matters, and choosing by the checker helps",
        "headline": f"easy length modes {_p(easy)}, exact {_p(exact)}; {spread['value']:.0%} of constraints succeed or"
        f" fail by phrasing; best of {found['best of n']['n']} {_p(found['best of n']['best'])} against one sample's"
        f" {_p(found['best of n']['one sample'])}",
        "holds": "shown" if all(claims.values()) else "not shown",
        "claims": claims,
        "lines": lines,
    } | found


def _p(rate: dict[str, Any]) -> str:
    return f"{100 * rate['value']:.0f}% [{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]"
