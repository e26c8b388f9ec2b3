"""Grades of the four tasks, and their figures together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from adhere.bench.base import Metric, Scored
from adhere.records import Instruction, Response, Score

__all__ = ["METRICS", "CodeTaskScorer", "f1", "summary", "the_assertion", "the_sentence"]

METRICS = {
    "average": Metric("mean of the four tasks' first figures"),
    "defect": Metric("defect detection: right, by the written word"),
    "defect_by_probability": Metric("defect detection: right, by the two words' probabilities"),
    "defect_by_probability_calibrated": Metric("the same, each divided by what content-free prompts give it"),
    "clone_f1": Metric("clone detection: F1 of yes, by the written word"),
    "clone": Metric("clone detection: right, by the written word"),
    "clone_by_probability": Metric("clone detection: right, by the two words' probabilities"),
    "clone_by_probability_calibrated": Metric("the same, each divided by what content-free prompts give it"),
    "assertion": Metric("assertion: exact but for white space"),
    "summary_bleu": Metric("summary: sentence BLEU-4, smoothed by halving"),
    "summary_rouge_l": Metric("summary: ROUGE-L"),
    "parsed": Metric("answers that could be read"),
    "majority": Metric("right, if the commoner word were always said (defect and clone)", unit=""),
}
_FIRST = ("defect", "clone", "assertion", "summary")
_FENCE = re.compile(r"```[^\n`]*\n?|`")


class CodeTaskScorer:
    """Grades an answer by its row's task; nothing that a model wrote is run."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """The task's figures as parts, and whether the answer could be read."""
        task, target = instruction.meta["task"], instruction.references[0]
        if task in ("defect", "clone"):
            parts = _classified(task, target, response)
        elif task == "assertion":
            said = the_assertion(response.text)
            right = "".join(said.split()) == "".join(target.split())
            parts = [_flag("assertion", right, f"'{said[:80]}', not '{target[:80]}'"), _flag("parsed", bool(said))]
        else:
            parts = _summarised(target, response)
        first = parts[0]
        return Score(task, first.value, first.passed, tuple(parts), first.reason)


def _classified(task: str, target: str, response: Response) -> list[Score]:
    from adhere.score.texts.extract import extract_answer

    said = extract_answer(response.text, "yes_no")
    parts = [_flag(task, said == target, f"{said or 'neither word'}, not {target}"), _flag("parsed", said is not None)]
    step = next((step for step in response.trace if step.get("step") == "choices"), None)
    return parts if step is None else parts + _by_probability(f"{task}_by_probability", target, step)


def _by_probability(name: str, target: str, step: dict[str, Any]) -> list[Score]:
    """Right by the likelier word, and where content-free prompts were put by the one that gains more on them."""
    from adhere.score.calibration import calibrated, logs

    found = {word: step["probabilities"][word] or 0.0 for word in ("yes", "no")}
    parts = [_likelier(name, found, target)]
    if "content_free" in step:
        seen = any(found.values())
        masses = [step["mass"] * p for p in found.values()]
        shares = calibrated(logs(masses), [logs(p) for p in step["content_free"]]) if seen else [0.0, 0.0]
        parts.append(_likelier(f"{name}_calibrated", dict(zip(found, shares, strict=True)), target))
    return parts


def _likelier(name: str, found: dict[str, float], target: str) -> Score:
    said = max(found, key=found.__getitem__)
    if min(found.values()) == found[said]:
        return Score(name, reason="neither word is likelier")
    return _flag(name, said == target, f"{said} ({found[said]:.2f}), not {target}")


def _summarised(target: str, response: Response) -> list[Score]:
    from adhere.score.texts.ngrams import bleu
    from adhere.score.texts.overlap import rouge_l

    said = the_sentence(response.text)
    return [
        Score("summary_bleu", bleu(said, [target]), reason=f"'{said[:120]}'"),
        Score("summary_rouge_l", rouge_l(said, [target]) if said else 0.0),
        _flag("parsed", bool(said)),
    ]


def _flag(name: str, right: bool, reason: str = "") -> Score:
    return Score(name, float(right), right, reason="" if right else reason)


def the_assertion(text: str) -> str:
    """The assert statement in an answer: its first line with one, else its first line."""
    lines = [line.strip() for line in _FENCE.sub("\n", text).split("\n") if line.strip()]
    return next((line[line.index("assert") :] for line in lines if "assert" in line), lines[0] if lines else "")


def the_sentence(text: str) -> str:
    """The summary in an answer: its first line of prose, up to the end of a sentence."""
    lines = [line.strip() for line in _FENCE.sub("\n", text).split("\n") if line.strip(" -*#\"'")]
    line = next((line for line in lines if not line.endswith(":")), "")
    return re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0].strip("\"' ")


class _Row(NamedTuple):
    task: str
    value: float
    said: str
    target: str


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """F1 of clones, the mean over the tasks, and what always saying one word would get; intervals by function."""
    from adhere.bench.figures import share, statistic
    from adhere.bench.scored import cluster

    rows = [_row(s) for s in scored]
    clusters = [cluster(s.instruction) for s in scored]
    found = {"average": statistic(_average, rows, clusters)}
    clones = [n for n, row in enumerate(rows) if row.task == "clone"]
    if clones:
        found["clone_f1"] = statistic(f1, [rows[n] for n in clones], [clusters[n] for n in clones])
    binary = [n for n, row in enumerate(rows) if row.target in ("yes", "no")]
    if binary:
        yes = [rows[n].target == "yes" for n in binary]
        common = 2 * sum(yes) > len(yes)
        found["majority"] = share([y == common for y in yes], [clusters[n] for n in binary])
    return found


def _row(s: Scored) -> _Row:
    from adhere.score.texts.extract import extract_answer

    said = extract_answer(s.response.text, "yes_no") if s.response is not None else None
    value = s.score.value if s.score is not None else None
    return _Row(s.instruction.meta["task"], value or 0.0, said or "", s.instruction.references[0])


def f1(rows: Sequence[_Row]) -> float | None:
    """F1 of "yes"; None without a row that is one. An answer that could not be read says neither."""
    right = sum(row.said == row.target == "yes" for row in rows)
    said, wanted = sum(row.said == "yes" for row in rows), sum(row.target == "yes" for row in rows)
    return 2 * right / (said + wanted) if wanted else None


def _average(rows: Sequence[_Row]) -> float | None:
    """The mean of what there is of: defect accuracy, clone F1, assertions that match, BLEU of summaries."""
    values = []
    for task in _FIRST:
        own = [row for row in rows if row.task == task]
        value = f1(own) if task == "clone" else sum(row.value for row in own) / len(own) if own else None
        if value is not None:
            values.append(value)
    return sum(values) / len(values) if values else None
