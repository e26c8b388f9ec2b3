"""Okapi (Lai et al. 2023, arXiv 2307.16039), its evaluation: how much of what a model knows survives translation?

The four tasks by log-likelihood, per language. The paper scores 26 languages so that tuning in one can be measured
there; its premise is that models answer worse the less of a language they have read. Here the same questions are put in
several languages, so that the premise is tested question by question: English minus the mean of the other languages,
paired, and with the languages' resource groups beside. `small` takes our own 32 questions in five languages; `medium`
and `full` take the published files, where `okapi/` of the data folder has them.

Not here: the three training stages (translated instructions, ranked answers, RLHF per language), the paper's own claim.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import adhere
from adhere.bench.asking import Settings
from adhere.bench.base import get
from adhere.bench.run import evaluate
from adhere.bench.run_dir import Run
from adhere.score.statistics import Rate, bootstrap_mean, compare

# Benchmark, and how many of its rows; None: all.
SIZES: dict[str, tuple[str, int | None]] = {
    "smoke": ("okapi-synthetic", 10),
    "small": ("okapi-synthetic", None),
    "medium": ("okapi", 12_000),
    "full": ("okapi-25shot", None),
}
PAPER = {
    "largest gain of RLHF over supervised tuning": "about +2.5 points (HellaSwag, LLaMA); ARC less, MMLU least",
    "low-resource languages": "gain least",
    "tables per language": "not verified by us",
}
TASKS = ("arc", "hellaswag", "mmlu", "truthfulqa")


def run(scale: str, model: str) -> dict[str, Any]:
    """The table, and English against the other languages."""
    name, limit = SIZES[scale]
    loaded = adhere.load(model)
    found = evaluate(get(name), loaded, Settings(limit=limit))
    by_question = _by_question(found)
    pairs = [(v["en"], sum(others) / len(others)) for v in by_question.values() if (others := _others(v)) and "en" in v]
    gap = bootstrap_mean([english - others for english, others in pairs])
    test = compare([others for _, others in pairs], [english for english, _ in pairs])
    languages = {k: v["accuracy"] for k, v in found.metrics["by_language"].items()}
    tasks = {k: v["accuracy"] for k, v in found.metrics["by_task"].items()}
    chance = found.metrics["chance"]["value"]
    above = [k for k, v in languages.items() if v["low"] > chance]
    holds = "shown" if gap.low > 0 and test.p_value < 0.05 else "against" if gap.high < 0 else "not shown"
    lines = [f"{k:<3} right {_shown(v)}" for k, v in sorted(languages.items(), key=lambda item: -item[1]["value"])]
    lines += [f"{k:<10} right {_shown(v)}" + _mc2(found, k) for k, v in tasks.items()]
    lines += [f"a guesser gets {chance:.1%}; above it by more than noise: {', '.join(sorted(above)) or 'no language'}"]
    lines += [f"English minus the others, same questions: {_points(gap)}, p = {test.p_value:.3f}"]
    return {
        "claim": "the same questions are answered better in English, which the model has read most of, than translated",
        "holds": holds,
        "headline": f"{model}: English minus the mean of the other languages {_points(gap)} on {gap.n} questions, "
        f"p = {test.p_value:.3f}; a guesser gets {chance:.1%}",
        "lines": lines,
        "figures": {"languages": languages, "tasks": tasks, "resource": found.metrics["by_resource"],
                    "average": found.metrics["average"], "chance": chance, "mc2": found.metrics.get("mc2")},
        "difference": {"value": gap.value, "low": gap.low, "high": gap.high, "n": gap.n, "p": test.p_value},
        "size": {"benchmark": name, "rows": len(found.rows)},
        "model": found.manifest["model"],
        "paper": PAPER,
    }  # fmt: skip


def _by_question(found: Run) -> dict[str, dict[str, float]]:
    """1 or 0 by question and language; a failed row is wrong."""
    right = {(v.id, v.sample): v.value or 0.0 for v in found.verdicts if v.kind == "accuracy"}
    grouped: dict[str, dict[str, float]] = defaultdict(dict)
    for row in found.rows:
        task, language, source = row.id.split("/", 2)
        grouped[f"{task}/{source}"][language] = right.get((row.id, row.sample), 0.0)
    return dict(grouped)


def _others(by_language: dict[str, float]) -> list[float]:
    return [value for language, value in by_language.items() if language != "en"]


def _mc2(found: Run, task: str) -> str:
    share = found.metrics["by_task"][task].get("mc2")
    return f", probability of the true answers {share['value']:.1%}" if share else ""


def _shown(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}], n={figure['n']}"


def _points(found: Rate) -> str:
    return f"{100 * found.value:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
