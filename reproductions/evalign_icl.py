"""EvALign-ICL (Shukor et al. 2024, arXiv 2310.00647), text part: what do examples in the prompt do to a model's flaws?

Scenes told in words stand for images (`adhere.bench.scenes`: exact truth), a small model continues plain text as the
paper's models do. Four axes, each at 0, 2 and 4 shots (8 too at `medium`) over three seeds, which draw pool and tests
anew: hallucination (captions, CHAIR), abstention (absurd questions, F1), compositionality (matching, beside chance),
explanations (CIDEr and facts). Against plain ICL at the most shots: Multitask, Self-Correct and Chain-of-Hindsight, all
paired per question. "0 shots" is no example at all, not Flamingo's two examples without images.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

import adhere
from adhere.answer.few_shot import FewShot
from adhere.answer.hindsight import ChainOfHindsight
from adhere.answer.multitask import Multitask
from adhere.answer.self_correct import SelfCorrect
from adhere.bench.scenes import VOCABULARY, Task, check_disjoint, split
from adhere.engine import context
from adhere.engine.sync import call
from adhere.models.model import Model
from adhere.records import Example, Response
from adhere.roles import Answerer
from adhere.score.statistics import bootstrap_mean, compare
from adhere.score.texts.grounding import CHANCE, abstains, abstention_f1, chair, cider, itm_accuracy, vqa_accuracy

# scale: (shots, tests of each axis and seed, pool, shots of the classifier)
SIZES = {"smoke": ((0, 2), (2, 2, 2, 2), 6, 4), "small": ((0, 2, 4), (8, 12, 4, 6), 12, 8),
         "medium": ((0, 2, 4, 8), (100, 100, 100, 100), 200, 32),
         "full": ((0, 4, 8, 16, 32), (500, 500, 500, 500), 2048, 32)}  # fmt: skip
SEEDS = (0, 1, 2)
TOKENS: dict[Task, int] = {"caption": 32, "vqa": 8, "matching": 4, "explanation": 40}
PAPER = {"hallucination": "CHAIRs rises with shots; MT-ICL lowers it",
         "abstention": "SC-ICL and MT-ICL raise F1 over ICL",
         "matching": "near chance (50 %) on hard foils", "explanation": "CoH-ICL raises CIDEr over ICL"}  # fmt: skip


def run(scale: str, model: str) -> dict[str, Any]:
    """All four axes and the three comparisons."""
    shots, tests, pool, classifier = SIZES[scale]
    answerer = adhere.load(model, max_tokens=TOKENS["explanation"], chat=False)
    sizes = zip(TOKENS, tests, strict=True)
    axes = {task: call(axis(task, answerer, shots, n, pool, classifier)) for task, n in sizes}
    tables = {task: table(task, rows) for task, rows in axes.items()}
    plain = f"icl {shots[-1]}"
    f1 = [tables["vqa"][name]["f1"] for name in (plain, "self_correct")]
    vqa = compare(axes["vqa"][plain]["right"], axes["vqa"]["self_correct"]["right"])
    hallucinated = compare(axes["caption"][plain]["invents"], axes["caption"]["multitask"]["invents"])
    hindsight = bootstrap_mean(
        list(np.subtract(axes["explanation"]["hindsight"]["cider"], axes["explanation"][plain]["cider"]))
    )
    gain = f1_gain(axes["vqa"], plain, "self_correct")
    found = {
        "SC-ICL abstention F1 above ICL's, accuracy loss below 5 points": gain["low"] > 0 and vqa.difference > -0.05,
        "MT-ICL CHAIRs below ICL's": hallucinated.high < 0,
        "CoH-ICL CIDEr above ICL's": hindsight.low > 0,
    }
    lines = [f"{task:<12} {name:<13} {shown(row)}" for task, rows in tables.items() for name, row in rows.items()]
    lines += [f"{claim}: {'shown' if holds else 'not shown'}" for claim, holds in found.items()]
    return {
        "claim": "; ".join(found),
        "holds": "shown" if all(found.values()) else "not shown",
        "parts": found,
        "headline": f"{model}, {len(SEEDS)} seeds: abstention F1 {f1[0]:.2f} ICL, {f1[1]:.2f} SC-ICL "
        f"(difference [{gain['low']:+.2f}, {gain['high']:+.2f}]); CHAIRs MT-ICL minus ICL {hallucinated.sentence}",
        "lines": lines,
        "tables": tables,
        "comparisons": {
            "self_correct F1 minus icl": gain,
            "self_correct VQA accuracy minus icl": vqa._asdict(),
            "multitask CHAIRs minus icl": hallucinated._asdict(),
            "hindsight CIDEr minus icl": hindsight._asdict(),
        },
        "rows": axes,
        "model": answerer.name,
        "form": "text",
        "shots": shots,
        "seeds": SEEDS,
        "paper": PAPER,
    }


async def axis(
    task: Task, model: Model, shots: tuple[int, ...], tests: int, pool: int, classifier: int
) -> dict[str, dict[str, list[Any]]]:
    """Every strategy's answers to one axis's questions: name → column → one value a question, seed after seed."""
    found: dict[str, dict[str, list[Any]]] = {}
    for seed in SEEDS:
        examples, asked = split(task, pool=pool, tests=tests, seed=seed)
        check_disjoint(examples, asked)
        for name, strategy in strategies(task, model, examples, shots, classifier).items():
            with context.use(seed=seed), context.drawing(max_tokens=TOKENS[task]):
                answers = await asyncio.gather(*(strategy.answer(test.instruction) for test in asked))
            for column, values in judged(task, asked, answers).items():
                found.setdefault(name, {}).setdefault(column, []).extend(values)
    if task == "explanation":  # document frequencies over all tests, seeds together
        for columns in found.values():
            columns["cider"] = cider(columns["text"], columns.pop("gold"))
    return found


def strategies(
    task: Task, model: Model, pool: list[Example], shots: tuple[int, ...], classifier: int
) -> dict[str, Answerer]:
    """Plain ICL at every number of shots, and at the most shots what the paper proposes for the axis."""
    short, most = task in ("vqa", "matching"), shots[-1]
    made: dict[str, Answerer] = {f"icl {n}": FewShot(model, pool, n, form="text", short=short) for n in shots}
    if task in ("caption", "vqa", "matching"):
        side = {"caption": "objects", "vqa": "answerable", "matching": "because"}[task]
        made["multitask"] = Multitask(model, pool, side, most, form="text", short=short)
    if task == "vqa":
        made["self_correct"] = SelfCorrect(model, pool, most, classifier, form="text", short=True)
    if task == "explanation":
        made["hindsight"] = ChainOfHindsight(model, pool, most, form="text")
    return made


def judged(task: Task, asked: list[Example], answers: list[Response]) -> dict[str, list[Any]]:
    """Columns of one strategy's answers."""
    texts, metas = [a.text for a in answers], [t.instruction.meta for t in asked]
    columns: dict[str, list[Any]] = {
        "text": texts,
        "tokens": [a.usage.prompt_tokens + a.usage.completion_tokens for a in answers],
    }
    if task == "caption":
        columns["objects"] = [m["objects"] for m in metas]
        columns["invents"] = [
            chair([t], [m["objects"]], VOCABULARY).sentences.value == 1 for t, m in zip(texts, metas, strict=True)
        ]
    elif task == "vqa":
        columns["abstains"], columns["answerable"] = [abstains(t) for t in texts], [m["answerable"] for m in metas]
        columns["right"] = [vqa_accuracy(t, m["answers"]) == 1 for t, m in zip(texts, metas, strict=True)]
    elif task == "matching":
        columns["matches"] = [m["answers"][0] == "yes" for m in metas]
    else:
        columns["gold"] = [m["explanation"] for m in metas]
        columns["facts"] = [sum(f in t.lower() for f in m["facts"]) / 3 for t, m in zip(texts, metas, strict=True)]
    return columns


def table(task: Task, rows: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, Any]]:
    """The axis's measures of every strategy, with interval, n and the first measure's deviation over seeds."""
    found = {}
    for name, columns in rows.items():
        each = len(columns["text"]) // len(SEEDS)
        parts = [{k: v[i * each : (i + 1) * each] for k, v in columns.items()} for i in range(len(SEEDS))]
        first = [next(iter(MEASURES[task](part).values())) for part in parts]
        by_seed = [value["value"] if isinstance(value, dict) else value for value in first]
        found[name] = MEASURES[task](columns) | {
            "by seed": by_seed,
            "deviation": statistics.stdev(by_seed),
            "tokens": round(statistics.mean(columns["tokens"])),
            "n": len(columns["text"]),
        }
    return found


def _chair(columns: dict[str, list[Any]]) -> dict[str, Any]:
    found = chair(columns["text"], columns["objects"], VOCABULARY)
    return {"CHAIRs": found.sentences._asdict(), "CHAIRi": found.instances._asdict(), "silent": found.silent}


def _abstention(columns: dict[str, list[Any]]) -> dict[str, Any]:
    right = columns["right"]
    return abstention_f1(columns["abstains"], columns["answerable"])._asdict() | {"accuracy": sum(right) / len(right)}


MEASURES: dict[str, Callable[[dict[str, list[Any]]], dict[str, Any]]] = {
    "caption": _chair,
    "vqa": _abstention,
    "matching": lambda c: {"accuracy": itm_accuracy(c["text"], c["matches"])._asdict(), "chance": CHANCE},
    "explanation": lambda c: {measure: bootstrap_mean(c[measure])._asdict() for measure in ("cider", "facts")},
}


def f1_gain(rows: dict[str, dict[str, list[Any]]], one: str, other: str, draws: int = 2000) -> dict[str, float]:
    """The difference in F1 of two strategies on the same questions, with its bootstrap interval over questions."""
    positive = ~np.array(rows[one]["answerable"], bool)

    def f1(name: str, at: np.ndarray) -> np.ndarray:
        said = np.array(rows[name]["abstains"], bool)
        return 2 * (said & positive)[at].sum(-1) / np.maximum(said[at].sum(-1) + positive[at].sum(-1), 1)

    drawn = np.random.default_rng(0).integers(0, len(positive), (draws, len(positive)))
    low, high = np.quantile(f1(other, drawn) - f1(one, drawn), (0.025, 0.975))
    whole = np.arange(len(positive))
    difference = float(f1(other, whole) - f1(one, whole))
    return {"difference": difference, "low": float(low), "high": float(high), "n": len(positive)}


def shown(row: dict[str, Any]) -> str:
    """One line of the table."""
    parts = []
    for name, value in row.items():
        if isinstance(value, dict):
            parts.append(f"{name} {value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]")
        elif name in ("f1", "accuracy", "chance"):
            parts.append(f"{name} {value:.2f}" + (f" [{row['low']:.2f}, {row['high']:.2f}]" if name == "f1" else ""))
    return f"{', '.join(parts)}; ±{row['deviation']:.2f} over seeds, n={row['n']}, {row['tokens']} tokens each"
