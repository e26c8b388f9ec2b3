"""Zero-shot robustness (Sun et al. 2024, arXiv 2306.11270), part A: does accuracy depend on the instruction's phrasing?

Four BIG-bench tasks, each item in phrasings of our bank (styles of five authors) and under the controls: another task's
instruction, a negated one, random words. Options by teacher-forced log-likelihood a token. The spread over phrasings is
set against the spread that shuffling each item's verdicts over the phrasings gives, and the controls tell whether the
model reads instructions at all: one that does not shows no spread and is not robust.

Observed phrasings, in the paper's sense, are those that a model was tuned on; what SmolLM2 was tuned on is not known
phrase by phrase, so there are no such groups here. Part B, alignment by a soft prompt, is training and not run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import adhere
from adhere.bench.asking import Settings, answers_to
from adhere.bench.base import Options, Scored
from adhere.bench.figures import share
from adhere.bench.scored import cluster, grade_scored
from adhere.bench.zero_shot_robustness import BANK, BIGBENCH
from adhere.bench.zero_shot_robustness.asking import Pick, ask, rows
from adhere.bench.zero_shot_robustness.bank import CONTROLS, read_bank, read_bigbench
from adhere.bench.zero_shot_robustness.spread import control_summary, summary
from adhere.data.sets import locate
from adhere.engine.sync import call

TASKS = ("known_unknowns", "novel_concepts", "empirical_judgments", "strange_stories.boolean")


class Size(NamedTuple):
    """Items a task, phrasings of each, controls of each kind."""

    items: int
    phrasings: int
    controls: int


SIZES = {"smoke": Size(1, 2, 1), "small": Size(12, 10, 1), "medium": Size(99, 20, 2), "full": Size(99, 20, 2)}
PAPER = {
    "BIG-bench, observed -> unobserved, mean (deviation over instructions)": {
        "Flan-T5-XXL": "64.7 (2.8) -> 62.3 (6.9)",
        "Alpaca-7B": "46.7 (2.9) -> 42.9 (5.4)",
        "T0++": "56.0 (2.9) -> 52.9 (3.6)",
    }
}


def run(scale: str, model: str) -> dict[str, Any]:
    """The figures over phrasings, and the controls."""
    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    files = [file for file in BIGBENCH if any(file.path.endswith(f"/{task}.json") for task in TASKS)]
    items = [item for file in files for item in read_bigbench(locate(file).path)[: size.items]]
    asked = rows(items, read_bank(BANK), ("unobserved",), each=size.phrasings)
    asked += rows(items, read_bank(BANK), CONTROLS, each=size.controls)
    async with adhere.load(name) as loaded:
        options = Options(loaded)
        answers = await answers_to(asked, loaded, Settings(), ask=ask, options=options)
        scored = await grade_scored(answers, Pick(), options)
    right = [s for s in scored if s.instruction.meta["kind"] == "unobserved"]
    found, controls = summary(right, options), control_summary(scored, options)
    accuracy = _accuracy(right)
    by_task = {task: summary([s for s in right if s.instruction.meta["task"] == task], options) for task in TASKS}
    by_phrasing = {phrasing: _accuracy([s for s in right if s.instruction.meta["phrasing"] == phrasing])
                   for phrasing in dict.fromkeys(s.instruction.meta["phrasing"] for s in right)}  # fmt: skip
    chance = sum(1 / len(i.options) for i in items) / len(items)
    spread, null = found["spread"], found["chance"]
    shown = spread["value"] > (null["high"] or 0) and (found["agreement"]["high"] or 1) < 0.95
    return {
        "claim": "accuracy spreads over phrasings of one instruction by more than shuffling explains, and two "
        "phrasings often lead to different answers",
        "holds": "shown" if shown else "not shown",
        "headline": f"{name}: best minus worst phrasing {_points(spread)}, {_points(null)} by shuffling; "
        f"same answer under two phrasings {_percent(found['agreement'])}",
        "lines": [
            f"accuracy {_percent(accuracy)} (chance {100 * chance:.1f}%), worst phrasing {_percent(found['worst'])}, "
            f"best {_percent(found['best'])}, right in every phrasing {_percent(found['all_right'])}",
            f"deviation over phrasings {_points(found['deviation'])}; kappa {found['kappa']['value']}; "
            f"pairs of phrasings that differ for sure {found['differing']['value']}",
            *(f"{task:<28} spread {_points(f['spread'])}, by shuffling {_points(f['chance'])}, "
              f"agreement {_percent(f['agreement'])}" for task, f in by_task.items()),
            *(f"right instruction {control.replace('_', ' ')}: {_points(f)}" for control, f in controls.items()),
        ],
        "accuracy": accuracy, "chance_accuracy": chance, "figures": found, "by_task": by_task,
        "by_phrasing": by_phrasing, "controls": controls, "n": len(scored), "items": len(items),
        "scoring": "mean log-probability a token, teacher-forced, chat template", "paper": PAPER,
        "not_run": "part B (soft prompt), and observed against unobserved: both need a model tuned on known phrasings",
    }  # fmt: skip


def _accuracy(scored: list[Scored]) -> dict[str, Any]:
    verdicts = [s.score is not None and s.score.passed is True for s in scored]
    return share(verdicts, [cluster(s.instruction) for s in scored])


def _percent(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']}"
    return f"{100 * figure['value']:.1f}% [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def _points(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']} points"
    return f"{figure['value']:.1f} points [{figure['low']:.1f}, {figure['high']:.1f}]"
