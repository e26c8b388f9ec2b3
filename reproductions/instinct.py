"""INSTINCT (Lin et al. 2024, arXiv 2310.02905): does a network on the writer's hidden states find good points sooner?

(a) Known function: on the true hidden states of a small model, the reward of a point is how like (cosine) its state is
to that of one point drawn at random, plus noise of a tenth of its spread. Mean best-so-far of NeuralUCB against random
choice and a Gaussian process on z, over seeds. No luck of a task is in it.
(b) Real: a base model writes from soft prompts, a small chat model is scored by log-likelihood on a few pairs. Every
point's instruction is decoded and scored, so that the curves of all choosers are exact; beside them APE's sampling of
as many drafts. Plus how many distinct instructions there are, and the coupling claim: R^2 of the network on points that
it has not seen, from h and from z.

Intervals are over seeds (a) and over tasks and seeds (b); the paper's tasks, models and 165 tries are larger.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

import adhere
from adhere.engine.seeds import derive
from adhere.engine.sync import call
from adhere.score.statistics import bootstrap_mean
from adhere.write.instructions.bandits import Bandit, GaussianProcess, NeuralBandit, RandomChoice, State
from adhere.write.instructions.proposers import Written
from adhere.write.instructions.scoring import Likelihood
from adhere.write.instructions.search import evaluate_instruction
from adhere.write.instructions.soft_prompts import Domain, SoftPromptProposer
from adhere.write.instructions.tasks import read_task, split

TASKS = ("antonyms", "singular_to_plural", "sentiment")
WRITER, NOISE = "gemma3-base", 0.1
PAPER = {"claim": "lowest average rank over 30 tasks against APE, InstructZero and evolutionary search",
         "models": "Vicuna-13B writes, ChatGPT answers, 165 tries"}  # fmt: skip


class Scale(NamedTuple):
    """Known function: points, seeds, initial, budget. Real: tasks, points, seeds, initial, budget, scoring pairs."""

    points: int
    known_seeds: int
    tasks: int
    domain: int
    seeds: int
    initial: int
    budget: int
    pairs: int
    words: int


SCALES = {
    "smoke": Scale(24, 2, 1, 8, 1, 3, 5, 2, 8),
    "small": Scale(120, 10, 2, 48, 3, 6, 18, 10, 16),
    "medium": Scale(400, 10, 3, 400, 3, 15, 60, 20, 64),
    "full": Scale(2000, 20, 3, 2000, 5, 40, 165, 20, 64),
}


def choosers(seed: int) -> dict[str, Bandit]:
    """What is compared, with its own seed."""
    return {"neural_ucb": NeuralBandit(seed=seed), "gp": GaussianProcess(), "random": RandomChoice()}


def curve(domain: Domain, true: np.ndarray, noisy: np.ndarray, bandit: Bandit, seed: int, size: Scale) -> np.ndarray:
    """The best true reward so far after each try; the first tries are the same for all choosers of a seed."""
    rng = np.random.default_rng(derive("curve", seed))
    seen = [int(i) for i in rng.permutation(len(true))[: size.initial]]
    while len(seen) < min(size.budget, len(true)):
        pool = np.setdiff1d(np.arange(len(true)), seen)
        state = State(domain.z, domain.hidden, seen, [float(noisy[i]) for i in seen], pool, rng)
        seen.append(bandit.choose(state).point)
    return np.maximum.accumulate(true[seen])


def known_function(domain: Domain, size: Scale, seeds: int) -> dict[str, Any]:
    """Part (a): final best-so-far in standard deviations below the maximum, per chooser and seed."""
    states = (domain.hidden - domain.hidden.mean(0)) / domain.hidden.std(0)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    regret: dict[str, list[float]] = {name: [] for name in choosers(0)}
    for seed in range(seeds):
        rng = np.random.default_rng(derive("known function", seed))
        true = states @ states[rng.integers(len(states))]
        noisy = true + NOISE * true.std() * rng.normal(size=len(true))
        for name, bandit in choosers(seed).items():
            reached = curve(domain, true, noisy, bandit, seed, size)[-1]
            regret[name].append(float((true.max() - reached) / true.std()))
    return summary(regret, "regret")


def real(task_name: str, writer: Any, sampler: Any, answerer: Any, size: Scale) -> dict[str, Any]:
    """Part (b) on one task: the whole domain decoded and scored, then the curves."""
    task = read_task(task_name)
    parts = split(task.induce)
    pairs, scorer = parts.scoring[: size.pairs], Likelihood(answerer)
    domain = SoftPromptProposer(domain=size.domain, max_tokens=size.words).open(writer, parts.shown)
    texts = [text for text, _ in domain.write(range(len(domain.z)))]

    @functools.cache
    def score(text: str) -> float:
        return float(np.mean(call(evaluate_instruction(text, pairs, scorer))))

    of_text = {text: score(text) for text in dict.fromkeys(texts)}
    rewards = np.array([of_text[text] for text in texts])
    # APE's sampling with the same writer: twice as many drafts as tries, of which each seed draws its own.
    drafts = call(Written("reference", "ape_forward").propose(parts.shown, sampler, 2 * size.budget, 0))
    reached: dict[str, list[float]] = {name: [] for name in (*choosers(0), "ape")}
    for seed in range(size.seeds):
        for name, bandit in choosers(seed).items():
            reached[name].append(float(curve(domain, rewards, rewards, bandit, seed, size)[-1]))
        sampled = np.random.default_rng(derive("ape", seed)).permutation(len(drafts))[: size.budget]
        reached["ape"].append(max(score(drafts[int(i)].text) for i in sampled))
    best = max(of_text, key=lambda text: of_text[text])
    return {
        "task": task_name, "points": len(texts), "distinct": len(of_text), "best": best, "best_score": of_text[best],
        "no_instruction": score(""), "best_human": max(score(text) for text in task.human_instructions),
        "reached": reached, "coupling": coupling(domain, rewards), "pairs": len(pairs),
    }  # fmt: skip


def coupling(domain: Domain, rewards: np.ndarray, folds: int = 4) -> dict[str, float]:
    """R^2 on points that the network was not trained on, from the hidden state and from z, over folds."""
    order = np.random.default_rng(derive("folds")).permutation(len(rewards))
    found = {}
    for name, features in (("h", domain.hidden), ("z", domain.z)):
        guess = np.zeros(len(rewards))
        for fold in range(folds):
            test = order[fold::folds]
            train = [int(i) for i in np.setdiff1d(order, test)]
            fit = NeuralBandit(seed=fold).fit(features, train, [float(rewards[i]) for i in train])
            guess[test] = fit.scores(fit.network(fit.inputs(features[test])))
        found[name] = float(1 - np.sum((rewards - guess) ** 2) / max(np.sum((rewards - rewards.mean()) ** 2), 1e-12))
    return found


def summary(values: dict[str, list[float]], what: str) -> dict[str, Any]:
    """Means, and NeuralUCB minus each of the others, paired, with intervals (for regret below 0 is better)."""
    ours = np.array(values["neural_ucb"])
    others = {name: np.array(v) for name, v in values.items() if name != "neural_ucb"}
    return {
        what: values,
        "mean": {name: float(np.mean(v)) for name, v in values.items()},
        "difference": {name: bootstrap_mean(ours - v)._asdict() for name, v in others.items()},
    }


def run(scale: str, model: str) -> dict[str, Any]:
    """Both parts and what they show."""
    size = SCALES[scale]
    answerer = adhere.load(f"torch:{model}" if model == "smollm2" else model, chat=False)
    shown = split(read_task(TASKS[0]).induce).shown
    states = SoftPromptProposer(domain=size.points).open(answerer, shown)
    known = known_function(states, size, size.known_seeds)
    writer = answerer if scale == "smoke" else adhere.load(f"torch:{WRITER}", chat=False)
    sampler = answerer if scale == "smoke" else adhere.load(WRITER, chat=False)  # the same weights, sooner
    tasks = [real(name, writer, sampler, answerer, size) for name in TASKS[: size.tasks]]
    pooled = {name: [v for t in tasks for v in t["reached"][name]] for name in tasks[0]["reached"]}
    scores = summary(pooled, "score")
    beats = all(known["difference"][name]["high"] < 0 for name in ("random", "gp"))
    better = {name: d["low"] > 0 for name, d in scores["difference"].items()}
    coupled = sum(t["coupling"]["h"] > t["coupling"]["z"] for t in tasks)
    lines = [
        f"(a) regret in standard deviations after {size.budget} of {len(states.z)} points, {size.known_seeds} seeds:"
    ]
    lines += [f"    {name:<11} {value:.2f}" for name, value in known["mean"].items()]
    lines += [f"    NeuralUCB minus {name}: {_interval(d)}" for name, d in known["difference"].items()]
    for t in tasks:
        means = "  ".join(f"{name} {np.mean(v):.2f}" for name, v in t["reached"].items())
        r2 = t["coupling"]
        lines.append(f"(b) {t['task']}: {t['distinct']} instructions from {t['points']} points; best of all "
                     f"{t['best_score']:.2f} “{t['best']}”; none {t['no_instruction']:.2f}, best human "
                     f"{t['best_human']:.2f}; reached: {means}; R² from h {r2['h']:.2f}, z {r2['z']:.2f}")  # fmt: skip
    lines += [f"    score, NeuralUCB minus {name}: {_interval(d)}" for name, d in scores["difference"].items()]
    return {
        "claim": "in equal tries NeuralUCB on hidden states gets further than random choice and a GP on z: (a) on a "
        "known function of the states, (b) in the score of real tasks",
        "holds": "shown" if beats and better["random"] and better["gp"] and scale != "smoke" else "not shown",
        "headline": f"{model}: known function, regret {known['mean']['neural_ucb']:.2f} against "
        f"{known['mean']['random']:.2f} (random) and {known['mean']['gp']:.2f} (GP), n={size.known_seeds} seeds; real "
        f"tasks: above {', '.join(k for k, v in better.items() if v) or 'none of the baselines'} beyond noise; h "
        f"predicts better than z on {coupled} of {len(tasks)}",
        "lines": lines, "known": known, "tasks": tasks, "real": scores,
        "settings": size._asdict() | {"writer": WRITER}, "paper": PAPER,
    }  # fmt: skip


def _interval(d: dict[str, Any]) -> str:
    return f"{d['value']:+.2f} [{d['low']:+.2f}, {d['high']:+.2f}], n={d['n']}"
