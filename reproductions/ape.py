"""APE (Zhou et al. 2023, arXiv 2211.01910): does scoring on a few pairs pick instructions that work on unseen pairs?

Six instruction-induction tasks. The pool of each: drafts that a small base model writes few-shot, and one human
instruction of every one of the 24 tasks, of which one is right. Scored by log-likelihood per answer token on a few
pairs; judged on held-out pairs against no instruction, the pool's mean, and what people wrote. Then: does the search
pick the right task's instruction out of 24, do the two scores agree, and does a bandit find as good a one for less?

Not the paper's claim at its size: its writers (InstructGPT) guess the instruction, small ones do not; so the right one
is put into the pool. Pairs are the unit that intervals are drawn over.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import numpy as np

import adhere
from adhere.engine.seeds import derive
from adhere.engine.sync import call
from adhere.score.statistics import bootstrap_mean
from adhere.write.instructions.allocators import ALLOCATORS, Ledger
from adhere.write.instructions.cleaning import clean
from adhere.write.instructions.metrics import interquartile_mean
from adhere.write.instructions.proposers import Bank, FewShot
from adhere.write.instructions.scoring import APE, Accuracy, Likelihood
from adhere.write.instructions.search import evaluate_instruction, search_instruction_async
from adhere.write.instructions.tasks import Pair, Task, read_task, split

TASKS = ("singular_to_plural", "antonyms", "first_word_letter", "sentiment", "sum", "larger_animal")
ALL = (*TASKS, "active_to_passive", "cause_and_effect", "common_concept", "diff", "informal_to_formal", "letters_list",
       "negation", "num_to_verbal", "orthography_starts_with", "rhymes", "second_word_letter", "sentence_similarity",
       "synonyms", "taxonomy_animal", "translation_en-de", "translation_en-es", "translation_en-fr",
       "word_in_context")  # fmt: skip
WRITER = "gemma3-base"
SHARE = 0.4  # of full scoring's calls that the bandit may spend
PAPER = {"model": "InstructGPT", "iqm_best_ape": 0.810, "iqm_human": 0.749, "tasks_at_least_human": "24 of 24"}


class Scale(NamedTuple):
    """How much of it: tasks, drafts, scoring pairs, held-out pairs."""

    tasks: int
    drafts: int
    scoring: int
    held_out: int


SCALES = {"smoke": Scale(1, 3, 2, 2), "small": Scale(6, 8, 12, 16), "medium": Scale(6, 12, 16, 50), "full": Scale(24, 90, 20, 100)}  # fmt: skip  # noqa: E501


class Remembered:
    """A scorer that asks once for each instruction and pair."""

    worst = Likelihood.worst

    def __init__(self, scorer: Likelihood | Accuracy) -> None:
        self.scorer, self.name = scorer, scorer.name
        self.known: dict[tuple[str, Pair], asyncio.Task[float]] = {}

    async def score(self, instruction: str, pair: Pair) -> float:
        """The score, computed or remembered."""
        key = instruction, pair
        if key not in self.known:
            self.known[key] = asyncio.ensure_future(self.scorer.score(instruction, pair))
        return await self.known[key]


def run(scale: str, model: str) -> dict[str, Any]:
    """The held-out table per task, and the four checks."""
    size = SCALES[scale]
    answerer = adhere.load(f"torch:{model}" if model == "smollm2" else model, chat=False)
    writer = adhere.load(WRITER, chat=False) if model == "smollm2" and scale != "smoke" else answerer
    people = {name: read_task(name).human_instructions for name in (ALL if scale != "smoke" else TASKS)}
    bank = {name: texts[derive("bank", name) % len(texts)] for name, texts in people.items()}
    rows = [call(one_task(read_task(name), writer, answerer, bank, size)) for name in ALL[: size.tasks]]
    call(answerer.close())
    return report(rows, scale, model)


async def one_task(task: Task, writer: Any, answerer: Any, bank: dict[str, str], size: Scale) -> dict[str, Any]:
    """Everything that is measured on one task."""
    scorer = Remembered(Likelihood(answerer))
    drafts = await FewShot().propose(split(task.induce).shown, writer, size.drafts, seed=0)
    pool = list(dict.fromkeys([d.text for d in drafts if d.text] + list(bank.values())))
    known = {"scorer": scorer, "pairs": size.scoring, "candidates": len(pool)}
    found = await search_instruction_async(task, None, answerer, proposer=Bank(pool), **known)
    of_bank = await search_instruction_async(task, None, answerer, proposer=Bank(list(bank.values())), **known)
    chosen, searched = found.best.instruction, {row.instruction: row.score for row in found.table}
    held = task.execute[: size.held_out]
    unseen = {text: await evaluate_instruction(text, held, scorer) for text in searched}
    none = np.array(await evaluate_instruction("", held, scorer))
    human = {text: await evaluate_instruction(text, held, scorer) for text in task.human_instructions}
    choice, mean = np.array(unseen[chosen]), np.mean(list(unseen.values()), 0)
    best_human = max(human, key=lambda text: np.mean(human[text]))
    accuracy = Accuracy(answerer, task.metric, APE._replace(stop=("\n",), max_tokens=24))
    marks = {k: float(np.mean(await evaluate_instruction(t, held, accuracy)))
             for k, t in {"none": "", "choice": chosen, "best_human": best_human}.items()}  # fmt: skip
    return {
        "task": task.name, "metric": task.metric, "choice": chosen, "best_human": best_human, "accuracy": marks,
        "pool": len(pool), "drafts": [d.text for d in drafts], "choice_of_bank": of_bank.best.instruction,
        "right_task": of_bank.best.instruction == clean(bank[task.name]), "n": len(held),
        "log_likelihood": {name: float(np.mean(values)) for name, values in {
            "none": none, "mean_of_pool": mean, "choice": choice, "mean_human": list(human.values()),
            "best_human": human[best_human]}.items()},
        "choice_minus_pool": bootstrap_mean(choice - mean)._asdict(),
        "pool_minus_none": bootstrap_mean(mean - none)._asdict(),
        "spearman": spearman([searched[t] for t in searched], [np.mean(unseen[t]) for t in searched]),
        "frugal": {name: await frugal(name, task, scorer, searched, size) for name in ("ucb", "halving")},
    }  # fmt: skip


async def frugal(name: str, task: Task, scorer: Remembered, searched: dict[str, float], size: Scale) -> dict[str, Any]:
    """What an allocator finds with a share of the calls, in the full score of its choice."""
    pairs = split(task.induce).scoring[: size.scoring]
    ledger = Ledger(pairs, scorer, int(SHARE * len(searched) * len(pairs)))
    ledger.add(searched)
    await ALLOCATORS[name](ledger, ledger.left)
    picked, best = ledger.candidates[ledger.ranking()[0]], max(searched, key=lambda text: searched[text])
    values = np.array(await evaluate_instruction(best, pairs, scorer))
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    loss = searched[best] - searched[picked]
    return {"calls": ledger.calls, "of": ledger.values.size, "loss": loss, "one_error": error, "within": loss <= error}


def report(rows: list[dict[str, Any]], scale: str, model: str) -> dict[str, Any]:
    """The checks, in words and figures."""
    n = len(rows)
    ordered = sum(
        r["log_likelihood"]["choice"] > r["log_likelihood"]["mean_of_pool"] > r["log_likelihood"]["none"] for r in rows
    )
    sure = sum(r["choice_minus_pool"]["low"] > 0 and r["pool_minus_none"]["low"] > 0 for r in rows)
    right, agree = sum(r["right_task"] for r in rows), [r["spearman"] for r in rows]
    within = {name: sum(r["frugal"][name]["within"] for r in rows) for name in ("ucb", "halving")}
    checks = {
        "choice above the pool's mean above no instruction on 5 of 6 tasks": ordered >= 5 / 6 * n,
        "the right task's instruction picked out of 24 on 4 of 6 tasks": right >= 4 / 6 * n,
        "search and held-out scores agree (median Spearman above 0.5)": float(np.median(agree)) > 0.5,
        "UCB within one standard error of full scoring with 40% of the calls, on 5 of 6": within["ucb"] >= 5 / 6 * n,
    }
    lines = [line(r) for r in rows] + [f"{'holds' if ok else 'FAILS'}: {what}" for what, ok in checks.items()]
    return {
        "claim": "; ".join(checks),
        "holds": "not shown" if scale == "smoke" or not all(checks.values()) else "shown",
        "headline": f"{model}: ordered as claimed on {ordered} of {n} tasks ({sure} with both intervals above 0), "
        f"right task picked on {right} of {n}, median Spearman {np.median(agree):.2f}, UCB within one error on "
        f"{within['ucb']} of {n} (halving {within['halving']}) at {SHARE:.0%} of the calls",
        "lines": lines,
        "checks": checks,
        "tasks": rows,
        "iqm_accuracy": {k: interquartile_mean([r["accuracy"][k] for r in rows]) for k in rows[0]["accuracy"]},
        "settings": SCALES[scale]._asdict() | {"writer": WRITER, "share": SHARE},
        "paper": PAPER,
    }


def line(row: dict[str, Any]) -> str:
    """One task in words."""
    ll, low, high = row["log_likelihood"], row["choice_minus_pool"]["low"], row["choice_minus_pool"]["high"]
    return (
        f"{row['task']:<20} none {ll['none']:6.2f}  pool {ll['mean_of_pool']:6.2f}  choice {ll['choice']:6.2f}  "
        f"human {ll['mean_human']:6.2f} best {ll['best_human']:6.2f}  choice-pool [{low:+.2f}, {high:+.2f}] "
        f"n={row['n']}  rho {row['spearman']:.2f}  accuracy none/choice/human "
        f"{'/'.join(format(v, '.0%') for v in row['accuracy'].values())}  “{row['choice']}”"
    )


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)
