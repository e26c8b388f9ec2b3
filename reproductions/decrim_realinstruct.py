"""DeCRIM on requests as people make them (Ferraz et al. 2024, arXiv 2410.06458, its RealInstruct part).

`decrim.py` gives critics IFEval's own constraints. Here nobody hands the critic a list: rules read the constraints out
of `realinstruct-synthetic`'s requests, programs check them, and the answer is refined by what they say. The grades come
from the requests' gold constraints, of which the critic knows some, and it misreads a few. So the critic is not the
metric, and what the rules did not read ("unread") can be damaged unseen: both shares are reported apart.

The control asks the plain request again instead of naming what failed: equal draws, equal stopping, equal choice. Gold
constraints that only a judge could decide (tone, content) are graded by nobody and left out; their number is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere.answer.decompose import Decomposition, decomposer
from adhere.answer.decrim import DeCRIM
from adhere.bench.base import get
from adhere.bench.reproduce import load
from adhere.constraints.scorer import checker
from adhere.records import Constraint, Instruction, Response
from adhere.score.statistics import rate

parts = load("decrim")  # the control, the grading and the figures are the same


class Size(NamedTuple):
    """Requests, tokens an answer, rounds."""

    requests: int
    tokens: int
    rounds: int


SIZES = {"smoke": Size(3, 16, 1), "small": Size(61, 96, 2), "medium": Size(61, 200, 3), "full": Size(61, 1024, 10)}
PAPER = {"RealInstruct, Mistral 7B with weak feedback, relative gain": 0.073,
         "GPT-4 misses a constraint in": "over 21 % of the requests"}  # fmt: skip
REFINED, CONTROL = "rules + program", "rules + program, resampled"


def run(scale: str, model: str) -> dict[str, Any]:
    """Plain answers, DeCRIM and its control on the same requests."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    requests = get("realinstruct-synthetic").instructions()[: size.requests]
    graded = [msgspec.structs.replace(r, constraints=_checkable(r.constraints)) for r in requests]
    graded = [g for g in graded if g.constraints]
    asked = [Instruction(g.id, g.messages) for g in graded]  # what a user would send
    async with adhere.load(name, max_tokens=size.tokens) as model:
        answerers = {
            "plain": model,
            REFINED: DeCRIM(model, "rules", "program", size.rounds),
            CONTROL: parts.Resample(model, "rules", "program", size.rounds),
        }
        found = await asyncio.gather(*(parts.answers_of(one, asked) for one in answerers.values()))
        read = [await decomposer("rules", model)(one) for one in asked]
    arms = {arm: parts.graded_by(graded, said, "fixed") for arm, said in zip(answerers, found, strict=True)}
    report = _report(arms, graded, read)
    report["size"] = size._asdict() | {
        "requests": len(graded),
        "constraints": len(arms["plain"].strict),
        "left out for want of a judge": sum(len(r.constraints) for r in requests) - len(arms["plain"].strict),
    }
    cut = sum(response.finish_reason == "length" for response in found[0])
    return report | {
        "plain answers cut at the cap": cut,
        "model": msgspec.to_builtins(model.info),
        "sampling": msgspec.structs.asdict(model.sampling),
        "paper": PAPER,
    }


def _checkable(constraints: Sequence[Constraint]) -> tuple[Constraint, ...]:
    return tuple(c for c in constraints if c.kind != "told")


def _report(arms: dict[str, Any], graded: Sequence[Instruction], read: Sequence[Decomposition]) -> dict[str, Any]:
    plain, refined, control = (arms[name] for name in ("plain", REFINED, CONTROL))
    known = _known(graded, read)
    figures = {name: parts.figures_of(arm, plain) | _split(arm, known) for name, arm in arms.items()}
    differences = {
        "constraints": {"plain": parts.difference(plain, refined), "resampled": parts.difference(control, refined)},
        "requests": {
            "plain": parts.difference(_by_request(plain), _by_request(refined)),
            "resampled": parts.difference(_by_request(control), _by_request(refined)),
        },
    }
    over_plain, over_control = differences["constraints"]["plain"], differences["constraints"]["resampled"]
    critic = _critic(refined.responses, graded, read)
    lines = [
        f"{name:<27} constraints {parts.percent(f['constraints'])}  requests {parts.percent(f['prompts'])}  harmed "
        f"{parts.percent(f['harmed'])}  read by the rules {parts.percent(f['read'])}  "
        f"unread {parts.percent(f['unread'])}  answers {f['answers drawn']}  calls {f['calls']}"
        for name, f in figures.items()
    ]
    lines += [
        f"DeCRIM minus {other:<10} {level:<12} {parts.points(d)}"
        for level, pair in differences.items()
        for other, d in pair.items()
    ]
    lines += ["the critic on the first answers: " + ", ".join(f"{k} {v}" for k, v in critic.items())]
    return {
        "claim": "told by programs what it missed of the constraints that rules read out of a request, a model meets "
        "more of the request's gold constraints than in its plain answer, and more than in as many plain draws",
        "holds": _holds(over_plain, over_control),
        "headline": f"of the gold constraints {parts.percent(figures['plain']['constraints'])} plain, "
        f"{parts.percent(figures[CONTROL]['constraints'])} by resampling, "
        f"{parts.percent(figures[REFINED]['constraints'])} refined; over it {parts.points(over_control)}",
        "lines": lines,
        "figures": figures,
        "differences": differences,
        "critic": critic,
    }


def _holds(over_plain: dict[str, Any], over_control: dict[str, Any]) -> str:
    """The bootstrap is too sure of a handful of changed requests: the exact test must agree."""
    if over_control["high"] < 0 and over_control["p"] < 0.05:
        return "against"
    return "shown" if all(d["low"] > 0 and d["p"] < 0.05 for d in (over_plain, over_control)) else "not shown"


def _known(graded: Sequence[Instruction], read: Sequence[Decomposition]) -> list[bool]:
    """For each gold constraint whether the rules read the very same one out of the request."""
    found = [{repr(checker(c, "fixed")) for c in one.constraints} for one in read]
    return [repr(checker(c, "fixed")) in there for g, there in zip(graded, found, strict=True) for c in g.constraints]


def _split(arm: Any, known: Sequence[bool]) -> dict[str, Any]:
    """The share met of the gold constraints that the critic knew, and of the others."""
    made = {}
    for name, wanted in (("read", True), ("unread", False)):
        rows = [n for n, one in enumerate(known) if one is wanted]
        made[name] = parts.plain_json(rate([arm.strict[n] for n in rows], [arm.prompts[n] for n in rows]))
    return made


def _by_request(arm: Any) -> Any:
    """The arm with one verdict a request: all its constraints met."""
    rows: dict[int, list[tuple[bool, bool]]] = {}
    for prompt, strict, loose in zip(arm.prompts, arm.strict, arm.loose, strict=True):
        rows.setdefault(prompt, []).append((strict, loose))
    return arm._replace(
        prompts=list(rows),
        strict=[all(s for s, _ in verdicts) for verdicts in rows.values()],
        loose=[all(x for _, x in verdicts) for verdicts in rows.values()],
    )


def _critic(
    responses: Sequence[Response], graded: Sequence[Instruction], read: Sequence[Decomposition]
) -> dict[str, int]:
    """What the rules gave the critic to look at, against the gold; and how many of its verdicts named a failure."""
    claimed = [{repr(checker(c, "fixed")) for c in _checkable(one.constraints)} for one in read]
    gold = [{repr(checker(c, "fixed")) for c in g.constraints} for g in graded]
    first = [next((s for s in r.trace if s["step"] == "critique"), {"verdicts": []}) for r in responses]
    verdicts = [v["met"] for critique in first for v in critique["verdicts"]]
    return {
        "constraints read": sum(map(len, claimed)),
        "of them gold, arguments and all": sum(len(a & b) for a, b in zip(claimed, gold, strict=True)),
        "requests without one": sum(not one for one in claimed),
        "named as failed": sum(v is False for v in verdicts),
        "undecided": sum(v is None for v in verdicts),
    }
