"""DeCRIM (Ferraz et al. 2024, arXiv 2410.06458): does a model mend what a critic tells it that it missed?

IFEval prompts whose constraints a small model can repair in a short answer (length, keywords, commas, case, bullets,
title, postscript, end phrase, quotation). First answer greedy, refinements at temperature 0.7, the best kept. The
critics: the model itself, one trained on the checkers' verdicts on other prompts, the checkers ("oracle"), and the
checkers on what rules read out of the prompt. The control of each is the same loop that asks the plain request again
instead of naming what failed: equal draws, equal stopping, equal choice, so that the difference is what refining adds.
(Drawing exactly as often per prompt as DeCRIM did would cut the control short wherever DeCRIM was lucky.)

`decrim_realinstruct.py` asks the same of everyday requests, whose constraints the critic has to read by itself.

With the oracle the critic is the metric, so being above the plain answer is no finding; the loose reading is held out.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere import engine
from adhere.answer.decompose import decomposer
from adhere.answer.decrim import DeCRIM
from adhere.bench.base import get
from adhere.bench.grading import build_checkers
from adhere.bench.ifeval import IFEVAL
from adhere.constraints import Dialect, verify
from adhere.data.sets import locate
from adhere.models.model import Model
from adhere.records import Instruction, Response, encode
from adhere.score.judges.weak_critic import Trained, label, train_weak_critic
from adhere.score.statistics import Rate, bootstrap_mean, compare, rate


class Size(NamedTuple):
    """Prompts, prompts that the model answers for the weak critic, tokens an answer, rounds, prompts to decompose."""

    prompts: int
    training: int
    tokens: int
    rounds: int
    lists: int


SIZES = {
    "smoke": Size(3, 8, 16, 1, 2),
    "small": Size(36, 16, 72, 2, 8),
    "medium": Size(100, 123, 200, 3, 100),
    "full": Size(441, 100, 1024, 10, 441),
}
PAPER = {"Mistral 7B with weak feedback, relative gain": {"RealInstruct": 0.073, "IFEval": 0.080},
         "self-critic": "no gain (from memory)"}  # fmt: skip
NATIVE = {
    "words": "length_constraints:number_words", "sentences": "length_constraints:number_sentences",
    "keywords": "keywords:existence", "forbidden": "keywords:forbidden_words", "keyword_count": "keywords:frequency",
    "no_commas": "punctuation:no_comma", "lowercase": "change_case:english_lowercase",
    "uppercase": "change_case:english_capital", "bullets": "detectable_format:number_bullet_lists",
    "title": "detectable_format:title", "postscript": "detectable_content:postscript",
    "ends_with": "startend:end_checker", "quoted": "startend:quotation",
}  # fmt: skip
REPAIRABLE = set(NATIVE.values())
LONGEST_DEMAND = {"num_words": 60, "num_sentences": 6}  # "at least" more does not fit into the cap
CROSSED = 6  # constraints of other prompts that each training answer is labelled with


class Resample(DeCRIM):
    """The control: the same loop, which asks the plain request again."""

    def refinement(self, instruction: Instruction, *feedback: Any, **more: Any) -> Instruction:
        """The request itself."""
        return instruction


class Arm(NamedTuple):
    """An arm's responses, and of each constraint its prompt's number and whether it is met, strictly and loosely."""

    responses: list[Response]
    prompts: list[int]
    strict: list[bool]
    loose: list[bool]


def run(scale: str, model: str) -> dict[str, Any]:
    """All arms with their controls, the critics and the decomposers, on the same prompts."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    usable = [i for i in get("ifeval").instructions() if _usable(i, everything=size.prompts > 200)]
    chosen, others = usable[: size.prompts], usable[max(100, size.prompts) :]
    hidden = [msgspec.structs.replace(i, constraints=()) for i in chosen]  # what a user would send
    async with adhere.load(name, max_tokens=size.tokens) as model:
        trained = await _weak_critic(model, others, size)
        wanted: dict[str, tuple[Any, Sequence[Instruction]]] = {"plain": (model, chosen)}
        for arm, decompose, critic, asked in (
            ("self", "gold", "self", chosen),
            ("weak", "gold", trained.critic, chosen),
            ("oracle", "gold", "oracle", chosen),
            ("rules + program", "rules", "program", hidden),
        ):
            wanted[arm] = DeCRIM(model, decompose, critic, size.rounds), asked
            wanted[f"{arm}, resampled"] = Resample(model, decompose, critic, size.rounds), asked
        # side by side, so that the last prompts of an arm do not wait for an empty engine
        found = await asyncio.gather(*(answers_of(*pair) for pair in wanted.values()))
        arms = dict(zip(wanted, found, strict=True))
        arms["oracle, last kept"] = [_last(r) for r in arms["oracle"]]  # the same draws, another choice
        unread = [i for i in usable if int(i.id) % 2 == 0]  # the rules were written looking at the odd ones
        decomposers = {
            "rules": await _decomposing("rules", model, unread[:100]),
            "self": await _decomposing("self", model, chosen[: size.lists]),
        }
    graded = {arm: graded_by(chosen, responses) for arm, responses in arms.items()}
    return _report(graded, decomposers, trained.metrics) | {
        "size": size._asdict() | {"prompts": len(chosen), "constraints": len(graded["plain"].strict)},
        "model": msgspec.to_builtins(model.info),
        "sampling": msgspec.structs.asdict(model.sampling),
        "paper": PAPER,
    }


def _usable(instruction: Instruction, everything: bool) -> bool:
    """Whether all is repairable; at scale full everything is used but prompts that name a constraint twice."""
    if everything:
        return len(set(map(encode, instruction.constraints))) == len(instruction.constraints)
    return all(
        c.kind in REPAIRABLE
        and not (c.args.get("relation") == "at least" and any(c.args.get(n, 0) > m for n, m in LONGEST_DEMAND.items()))
        for c in instruction.constraints
    )


async def _each(fn: Any, items: Sequence[Any], concurrency: int) -> list[Any]:
    """What an async function makes of each item, in their order; a failure ends the run."""
    found = {o.index: o.result async for o in engine.run(fn, items, concurrency=concurrency, max_failures=0)}
    return [found[n] for n in range(len(items))]


async def answers_of(answerer: Any, instructions: Sequence[Instruction]) -> list[Response]:
    """What a model or strategy answers, side by side, in the order of the instructions."""
    return await _each(answerer.answer, instructions, answerer.concurrency)


async def _weak_critic(model: Model, others: Sequence[Instruction], size: Size) -> Trained:
    """Trained on the model's answers to some other prompts and GPT-4's archived ones, cut to the same length, each
    labelled with the constraints of its own prompt and with some of other prompts."""
    archive = locate(IFEVAL).path.with_name("reference_gpt4_2023.jsonl")
    rows = map(json.loads, archive.read_text(encoding="utf-8").splitlines())
    answers = {str(row["key"]): [row["response"][: 4 * size.tokens]] for row in rows}
    mine = others[: size.training]
    for instruction, response in zip(mine, await answers_of(model, mine), strict=True):
        answers.setdefault(instruction.id, []).append(response.text)
    draw = random.Random(0)
    pool = [c for i in others for c in i.constraints if c.kind in REPAIRABLE]
    crossed = [msgspec.structs.replace(i, constraints=(*i.constraints, *draw.sample(pool, CROSSED))) for i in others]
    return await train_weak_critic(label(crossed, answers))


def _last(response: Response) -> Response:
    texts = [s["text"] for s in response.trace if s["step"] in ("draft", "refine")]
    judged = sum(s["step"] == "critique" for s in response.trace)  # a repeated answer is not judged, nor kept
    return msgspec.structs.replace(response, text=texts[judged - 1])


async def _decomposing(kind: str, model: Model, instructions: Sequence[Instruction]) -> dict[str, Any]:
    """Precision and recall of a decomposer by IFEval's ids, as multisets by prompt; what it keeps as told has none."""

    async def one(instruction: Instruction) -> Counter[str]:
        found = await decomposer(kind, model)(msgspec.structs.replace(instruction, constraints=()))
        return Counter(NATIVE[c.kind] for c in found.constraints if c.kind in NATIVE)

    found = await _each(one, instructions, model.concurrency)
    gold = [Counter(c.kind for c in i.constraints if c.kind in REPAIRABLE) for i in instructions]
    right = sum((f & g).total() for f, g in zip(found, gold, strict=True))
    claimed, there = sum(f.total() for f in found), sum(g.total() for g in gold)
    return {"precision": round(right / claimed, 4) if claimed else None, "recall": round(right / there, 4),
            "prompts": len(found), "claimed": claimed, "gold": there}  # fmt: skip


def graded_by(chosen: Sequence[Instruction], responses: list[Response], dialect: Dialect = "ifeval") -> Arm:
    """Each answer against the constraints of its prompt."""
    checkers = build_checkers(chosen, dialect)
    found = [verify(r.text, checkers[i.id]) for i, r in zip(chosen, responses, strict=True)]
    numbers = [n for n, verdict in enumerate(found) for _ in verdict.loose]
    return Arm(
        responses, numbers, [bool(s.passed) for v in found for s in v.strict], [x for v in found for x in v.loose]
    )


def _report(arms: dict[str, Arm], decomposers: dict[str, Any], trained: dict[str, float]) -> dict[str, Any]:
    plain = arms["plain"]
    figures = {name: figures_of(arm, plain) for name, arm in arms.items()}
    differences = {
        name: {"plain": difference(plain, arm), "resampled": difference(arms[f"{name}, resampled"], arm),
               "resampled, loose": difference(arms[f"{name}, resampled"], arm, "loose")}
        for name, arm in arms.items() if f"{name}, resampled" in arms
    }  # fmt: skip
    critics = {name: _critic(arms[name], plain) for name in ("self", "weak", "oracle")}
    over_plain, over_control = differences["oracle"]["plain"], differences["oracle"]["resampled"]
    # the bootstrap is too sure of a handful of changed prompts: the exact test must agree
    shown = "shown" if over_plain["low"] > 0 and over_control["low"] > 0 and over_control["p"] < 0.05 else "not shown"
    met = {name: percent(figures[name]["constraints"]) for name in figures}
    lines = [
        f"{name:<26} constraints {met[name]}  prompts {percent(f['prompts'])}  "
        f"loose {percent(f['constraints, loose'])}  harmed {percent(f['harmed'])}  answers {f['answers drawn']}"
        for name, f in figures.items()
    ]
    lines += [
        f"{name:<15} minus plain {points(d['plain'])}   minus its control {points(d['resampled'])}"
        for name, d in differences.items()
    ]
    lines += [
        f"critic {name:<6} " + "  ".join(f"{k} {percent(v)}" for k, v in c.items()) for name, c in critics.items()
    ]
    lines += [
        f"weak critic, prompts held out of its training: accuracy {trained['accuracy']}, AUC {trained.get('auc')}"
    ]
    lines += [f"decomposer {kind:<5} " + ", ".join(f"{k} {v}" for k, v in d.items()) for kind, d in decomposers.items()]
    return {
        "claim": "told by a good critic what it missed, a model meets more constraints than in its plain answer, and "
        "more than in as many plain draws chosen from by the same critic",
        "holds": "against" if over_control["high"] < 0 and over_control["p"] < 0.05 else shown,
        "headline": f"oracle critic: {met['oracle']} of the constraints met, {met['plain']} plain, "
        f"{met['oracle, resampled']} by resampling; refining adds {points(over_control)}",
        "lines": lines,
        "figures": figures,
        "differences": differences,
        "critics": critics | {"weak, held out of its training": trained},
        "decomposers": decomposers,
    }


def figures_of(arm: Arm, plain: Arm) -> dict[str, Any]:
    """Constraints and prompts met, constraints met in the plain answer but not here ("harmed"), and what it cost."""
    whole = [[], []]
    for n in range(len(arm.responses)):
        for kept, reading in zip(whole, (arm.strict, arm.loose), strict=True):
            kept.append(all(ok for ok, m in zip(reading, arm.prompts, strict=True) if m == n))
    before = [n for n, met in enumerate(plain.strict) if met]
    steps = [s for r in arm.responses for s in r.trace]
    return {
        "prompts": plain_json(rate(whole[0])),
        "constraints": plain_json(rate(arm.strict, arm.prompts)),
        "prompts, loose": plain_json(rate(whole[1])),
        "constraints, loose": plain_json(rate(arm.loose, arm.prompts)),
        "harmed": plain_json(rate([not arm.strict[n] for n in before], [arm.prompts[n] for n in before])),
        "changed": sum(a.text != b.text for a, b in zip(arm.responses, plain.responses, strict=True)),
        "answers drawn": len(arm.responses) + sum(s["step"] == "refine" for s in steps),
        "calls": sum(s["calls"] for s in steps if s["step"] == "cost") or len(arm.responses),
        "tokens": sum(r.usage.prompt_tokens + r.usage.completion_tokens for r in arm.responses),
        "stopped": dict(Counter(s["stopped"] for s in steps if s["step"] == "choose")),
    }


def difference(a: Arm, b: Arm, reading: str = "strict") -> dict[str, Any]:
    """Constraints met in b minus in a, paired: bootstrap by prompt, p of the exact sign-flip test."""
    one, other = getattr(a, reading), getattr(b, reading)
    found = bootstrap_mean([float(y) - float(x) for x, y in zip(one, other, strict=True)], a.prompts)
    test = compare(one, other, a.prompts)
    return plain_json(found) | {"p": round(test.p_value, 4), "gained": test.only_b, "lost": test.only_a}


def _critic(arm: Arm, plain: Arm) -> dict[str, Any]:
    """A critic's verdicts on the first answers, which are the same for all critics."""
    said: list[bool | None] = []
    for response in arm.responses:
        said += [v["met"] for v in next(s for s in response.trace if s["step"] == "critique")["verdicts"]]
    failed = [n for n, met in enumerate(plain.strict) if not met]
    return {
        "accuracy": plain_json(rate([a is b for a, b in zip(said, plain.strict, strict=True)], plain.prompts)),
        "recall of failures": plain_json(rate([said[n] is False for n in failed], [plain.prompts[n] for n in failed])),
        "positive rate": plain_json(rate([verdict is True for verdict in said], plain.prompts)),
    }


def plain_json(found: Rate) -> dict[str, Any]:
    """JSON has no NaN: a rate over nothing is null."""
    return {
        k: None if v != v else round(float(v), 4) if isinstance(v, float) else v for k, v in found._asdict().items()
    }


def percent(rate: dict[str, Any]) -> str:
    """As a line shows it."""
    return f"{100 * rate['value']:.1f}% [{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]" if rate["n"] else "none"


def points(d: dict[str, Any]) -> str:
    """As a line shows it."""
    return f"{100 * d['value']:+.1f} points [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], p = {d['p']}"
