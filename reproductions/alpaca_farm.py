"""AlpacaFarm and AlpacaEval (arXiv 2305.14387, 2404.04475): length control, and annotators that disagree like people.

Three things that need no strong judge of our own. The length-controlled win rate is refitted for every model of the
leaderboard whose verdicts are at hand, and compared with the published rate. Annotators whose truth is known show what
label noise of 25 % and random order do. And a small model plays the pool of annotators on pairs that GPT-4 has graded
(pairs of nearly equal length, for length alone is right on three of four otherwise): how far it agrees, how much it
varies, and the noise that would make it vary like the paper's crowdworkers.

Not here: the loop of training methods (the training papers'), and the ranking of methods, which needs a strong judge.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import adhere
from adhere.bench.alpaca import FILE, FIXTURE
from adhere.data.sets import DataFile, locate
from adhere.engine.seeds import derive
from adhere.engine.sync import call
from adhere.records import Instruction
from adhere.score.judges.base import Preference
from adhere.score.preferences.annotators import SimulatedAnnotators
from adhere.score.preferences.length_control import Gamed, fit_difficulty, length_controlled
from adhere.score.preferences.length_control_fit import sigmoid
from adhere.score.preferences.quality import agreement, bias, fit_noise, published, tastes, variance
from adhere.score.statistics import bootstrap_mean


class Size(NamedTuple):
    """Leaderboard models, bootstrap draws of each, graded pairs, votes on each."""

    models: int
    draws: int
    pairs: int
    votes: int


SIZES = {"smoke": Size(12, 10, 2, 2), "small": Size(99, 100, 36, 4), "medium": Size(99, 1000, 300, 4),
         "full": Size(99, 1000, 650, 4)}  # fmt: skip
GRADED = DataFile("helpsteer2-preference/graded_outputs.jsonl",
                  "194c5174b768a7de7189bc665b34aa6919ff33c9460722c3cdadac2b1e089132")  # fmt: skip
EVALUATORS = DataFile("alpaca-farm/evaluators_leaderboard.csv",
                      "db679d719e2a8705333ea2adbc184e77958226de58fe3146a815763e18ec5a3d")  # fmt: skip
PAPER = {"crowdworkers' variance": 0.3434, "crowdworkers' agreement": 0.6566, "AlpacaFarm's pool, agreement": 0.578,
         "p_flip": 0.25, "Spearman with Chatbot Arena": {"raw": 0.93, "length-controlled": 0.98}}  # fmt: skip
MATCHED = 0.2  # lengths within a fifth of each other
CLEAR = 3.0  # log odds apart: GPT-4 was sure
SHORT = 500  # characters of an output, so that two fit into a small model's view


def run(scale: str, model: str) -> dict[str, Any]:
    """Measure the three; `model` plays the annotators."""
    size = SIZES[scale]
    control, pool = _length_control(size), _small_annotators(model, size)
    noise = _known_truth(300 if scale == "smoke" else 2000)
    refit, raw = control["with gamed baselines"], control["raw"]["mean error"]
    needed = noise["p_flip fitted to people"]
    shown = refit["mean error"] < 1.3 and refit["spearman"] > 0.97 and raw > 2 and abs(needed - 0.25) < 0.05
    people = next(p for p in published(locate(EVALUATORS).path) if p.name == "humans")
    return {
        "claim": "a GLM of three weights gives each model's win rate at equal lengths, and label noise of a quarter "
        "gives simulated annotators the variance of people",
        "holds": "shown" if shown else "not shown",
        "headline": f"length control within {refit['mean error']} points of the leaderboard for {refit['models']} "
        f"models (raw: {raw}); the variance of people asks for a noise of {needed}",
        "lines": [_line(name, found) for name, found in control.items()]
        + [_listed(found) for found in (noise, {"played by": model} | pool)],
        "figures": {"length control": control, "known truth": noise, "pool played by a small model": pool},
        "paper": PAPER | {"people, AlpacaEval's table": people._asdict()},
    }


def _line(name: str, found: dict[str, Any]) -> str:
    return f"{name:<24}" + _listed(found)


def _listed(found: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items() if v is not None)


def _length_control(size: Size) -> dict[str, Any]:
    """The refits against the published rates."""
    data = json.loads(locate(FIXTURE).path.read_text())
    models = {n: m for n, m in data["models"].items() if m["official"] and n != data["baseline"]}
    chosen = dict(list(models.items())[: size.models])
    theirs = np.array([m["official"]["length_controlled_winrate"] for m in chosen.values()])
    hard, base = data["instruction_difficulty_recovered"], data["len_1"]
    own = fit_difficulty([m["preference"] for m in models.values()], [m["len_2"] for m in models.values()], base)

    def refit(difficulty: Sequence[float] | None, gamed: Sequence[Gamed] = ()) -> dict[str, Any]:
        found = [length_controlled(m["preference"], m["len_2"], base, difficulty, gamed, draws=size.draws)
                 for m in chosen.values()]  # fmt: skip
        inside = [f.low <= t / 100 <= f.high for f, t in zip(found, theirs, strict=True)]
        return _errors(np.array([100 * f.value for f in found]), theirs) | {
            "published rate within the interval": round(float(np.mean(inside)), 3)
        }

    return {
        "raw": _errors(np.array([m["official"]["win_rate"] for m in chosen.values()]), theirs),
        "no difficulties": refit(None),
        "recovered difficulties": refit(hard),
        "own difficulties": refit(own),
        "with gamed baselines": refit(hard, _gamed(data)),
    }


def _gamed(data: dict[str, Any]) -> list[Gamed]:
    """The two gamed baselines, labelled by their published model: their annotations are not at hand."""
    hard, base = np.array(data["instruction_difficulty_recovered"]), np.array(data["len_1"], float)
    made = []
    for version in data["gamed"].values():
        gap = base - np.array(version["len_2"], float)
        length, difficulty, level = version["weights"]
        labels = sigmoid(length * np.tanh(gap / gap.std(ddof=1)) + difficulty * hard + level)
        made.append(Gamed(labels.tolist(), version["len_2"]))
    return made


def _errors(ours: Any, theirs: Any) -> dict[str, Any]:
    from scipy.stats import spearmanr

    gaps = np.abs(ours - theirs)
    return {"models": len(gaps), "mean error": round(float(gaps.mean()), 2), "largest": round(float(gaps.max()), 2),
            "spearman": round(float(spearmanr(ours, theirs).statistic), 3)}  # fmt: skip


class _Known(SimulatedAnnotators):
    """Annotators that know the truth (the output that begins with "good"), or like the first output only."""

    def __init__(self, p_flip: float, taste: bool = False) -> None:
        self.p_flip, self.taste, self.seed, self.graded, self.models = p_flip, taste, 0, False, [None]  # type: ignore[list-item]

    async def _ask(self, position: int, question: str, given: tuple[str, ...], first: Any) -> Any:
        from adhere.score.judges.base import Order

        second_wins = 0.0 if self.taste else float(given[1].startswith("good"))
        return Order(first, second_wins if first == "a" else 1 - second_wins)


def _known_truth(pairs: int) -> dict[str, Any]:
    asked = Instruction.of("Which is good?")

    async def verdicts(judge: Any, n: int) -> list[Preference]:
        return await asyncio.gather(*(judge.compare(asked, f"bad {k}", f"good {k}") for k in range(n)))

    def for_b(judge: Any) -> float:
        return round(float(np.mean([f.probability_b for f in call(verdicts(judge, pairs))])), 4)

    return {
        "pairs": pairs,
        "agreement, no noise": for_b(_Known(0.0)),
        "agreement, 25% noise": for_b(_Known(0.25)),
        "first output chosen by one who always does, order drawn": round(1 - for_b(_Known(0.0, taste=True)), 4),
        "p_flip fitted to people": round(fit_noise([[1.0], [0.0]], PAPER["crowdworkers' variance"]), 3),
    }


def _small_annotators(name: str, size: Size) -> dict[str, Any]:
    """The pool, played by a small model, on graded pairs of nearly equal length."""
    rows = _pairs(size.pairs)
    judge = SimulatedAnnotators(adhere.load(name), p_flip=0.0)

    async def ask() -> list[list[float | None]]:
        return await asyncio.gather(*(judge.votes(asked, a, b, size.votes) for asked, a, b, _ in rows))

    votes, gold = call(ask()), [[g] for *_, g in rows]
    single = [agreement([v], [g]) for v, g in zip(votes, gold, strict=True)]
    found = bootstrap_mean(single)
    taste = tastes([(a, b) for _, a, b, _ in rows], [v[0] for v in votes])
    return {
        "pairs": len(rows), "votes": size.votes, "no verdict": sum(v is None for item in votes for v in item),
        "agreement with GPT-4": [round(float(x), 4) for x in (found.value, found.low, found.high)],
        "bias": round(bias(votes, gold), 4), "variance": round(variance(votes), 4),
        "prefers longer": _share(taste.longer), "prefers first": _share(taste.first),
        "p_flip to vary like people": round(fit_noise(votes, PAPER["crowdworkers' variance"]), 3),
    }  # fmt: skip


def _share(value: float) -> float | None:
    return None if value != value else round(value, 3)  # of no pair there is no share


def _pairs(count: int) -> list[tuple[Instruction, str, str, float]]:
    """(instruction, a, b, which is better), one pair an instruction, in an order drawn by their texts."""
    asked = {r["index"]: r["instruction"] for r in _rows(FILE)}
    by_index: dict[int, list[dict[str, Any]]] = {}
    for row in _rows(GRADED):
        if 20 <= len(row["output"]) <= SHORT:
            by_index.setdefault(row["index"], []).append(row)
    found = []
    for index, rows in by_index.items():
        fit = [pair for pair in combinations(rows, 2) if _comparable(*pair)]
        if fit and len(asked[index]) < SHORT:
            x, y = random.Random(index).choice(fit)
            a, b = (y, x) if derive("sides", x["output"], y["output"]) & 1 else (x, y)
            better = float(b["log_odds"] > a["log_odds"])
            found.append((Instruction.of(asked[index], id=f"alpaca/{index}"), a["output"], b["output"], better))
    return random.Random(0).sample(found, min(count, len(found)))


def _comparable(x: dict[str, Any], y: dict[str, Any]) -> bool:
    """Clearly of different quality, and of nearly the same length."""
    one, other = len(x["output"]), len(y["output"])
    return abs(x["log_odds"] - y["log_odds"]) > CLEAR and abs(one - other) <= MATCHED * max(one, other)


def _rows(file: DataFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(locate(file).path).read_text().splitlines()]
