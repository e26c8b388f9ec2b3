"""Auto-CoT (Zhang et al. 2023, arXiv 2210.03493): do diverse demonstrations dilute the errors that similar ones repeat?

(a) The mechanism, with exact truth and no model: word problems of eight templates, and a scripted thinker that is wrong
with probability .9 on one template and .1 elsewhere. Shown if errors gather in clusters (permutation test) and, for
questions of the bad template, retrieved demonstrations are wrong more often than random ones, and those of the clusters
not more often than random ones. (b) A real small model on three toy tasks: accuracy, and how often the answer can be
read, for zero-shot, zero-shot-CoT, Auto-CoT, and random and retrieved demonstrations. No reading of (b) is tuned.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import adhere
from adhere.answer.auto_cot import AutoCoT, clusters
from adhere.answer.base import ask
from adhere.answer.demonstrations import Rules, zero_shot_chain
from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.engine.sync import call
from adhere.errors import DataError
from adhere.models.model import Model
from adhere.records import Example, Instruction, Response
from adhere.score.statistics import bootstrap_mean, compare, rate
from adhere.score.texts.extract import Kind, after_trigger, extract_answer, normalise

# scale: (scripted thinkers, pool of (b), questions a task, demonstrations, cap of an answer)
SIZES = {"smoke": (2, 3, 1, 2, 24), "small": (20, 12, 12, 3, 80), "medium": (50, 40, 100, 4, 128),
         "full": (50, 200, 500, 8, 256)}  # fmt: skip
POOL, TESTS, BAD = 240, 24, 5  # of (a): questions, questions of the bad template, and which that is
PAPER = {"MultiArith, wrong answers by cluster": ".14 .19 .23 .15 .54 .15 .08 .24", "GSM8K accuracy": "46.9 -> 47.9",
         "Coin accuracy": "97.2 -> 99.9", "Letters accuracy": "59.0 -> 59.7",
         "Retrieval / Random": "82.8 / 86.2"}  # fmt: skip
NAMES = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate", "Liam", "Mona",
         "Noah", "Olga", "Peter", "Rosa", "Simon", "Tina", "Victor"]  # fmt: skip
TEMPLATES = (
    "{a} has {x} apples in a basket and picks {y} more from the tree. How many apples are there?",
    "A train travels {x} kilometres every hour. How many kilometres does it travel in {y} hours?",
    "The school buys {x} boxes with {y} pencils each for its pupils. How many pencils is that?",
    "{a} is {x} years old and her brother is {y} years younger. How old is the brother?",
    "A recipe needs {x} grams of flour a cake. How many grams of flour do {y} cakes need?",
    "{a} had {x} dollars and spent {y} dollars on a book in the shop. How much money is left?",
    "A garden is {x} metres long and {y} metres wide. What is its area in square metres?",
    "{x} birds sit on a fence, and then {y} of them fly away. How many birds stay?",
)


Maker = Callable[[random.Random], tuple[str, str]]
CONDITIONS = ("zero_shot", "zero_shot_cot", "auto_cot", "random", "retrieve")


def problem(template: int, rng: random.Random) -> Example:
    """A word problem with its right answer, of one of the eight templates."""
    x, y = rng.randint(20, 99), rng.randint(2, 19)
    answer = (x + y, x * y, x * y, x - y, x * y, x - y, x * y, x - y)[template]
    text = TEMPLATES[template].format(a=rng.choice(NAMES), x=x, y=y)
    return Example(Instruction.of(text, template=template), (Response(str(answer)),))


class Thinker:
    """Thinks in a fixed form; wrong by one where a hash of question and seed says so."""

    def __init__(self, pool: list[Example], seed: int) -> None:
        self.seed = seed
        self.known = {
            e.instruction.prompt: (int(e.instruction.meta["template"]), int(e.responses[0].text)) for e in pool
        }

    def wrong(self, question: str) -> bool:
        """Whether its chain for a question comes to a wrong answer."""
        template, _ = self.known[question]
        return derive("thinker", self.seed, question) / 2**31 < (0.9 if template == BAD else 0.1)

    async def answer(self, instruction: Instruction) -> Response:
        """A chain of thought, or its answer when asked to conclude."""
        question = instruction.prompt.split("Q: ")[-1].split("\nA:")[0]
        answer = self.known[question][1] + self.wrong(question)
        return Response(str(answer) if "Therefore" in instruction.prompt else f"Working it out gives {answer}.")


def run(scale: str, model: str) -> dict[str, Any]:
    """Both parts."""
    thinkers, pool, tests, k, cap = SIZES[scale]
    found = call(mechanism(thinkers))
    shares = found["wrong demonstrations"]
    mechanism_holds = (
        sum(p < 0.01 for p in found["p"]) >= 0.95 * thinkers
        and shares["retrieve"]["low"] > shares["random"]["high"]
        and shares["random"]["high"] >= shares["cluster"]["low"]
    )
    answerer = adhere.load(model, max_tokens=cap, chat=False)
    tasks = {name: call(task(make, kind, answerer, pool, tests, k)) for name, (make, kind) in TASKS.items()}
    rows = {c: [row for t in tasks.values() for row in t["rows"][c]] for c in CONDITIONS}
    readable = {c: rate([row["readable"] for row in rows[c]]) for c in CONDITIONS}
    right = {c: rate([row["right"] for row in rows[c]]) for c in CONDITIONS}
    more = compare([r["readable"] for r in rows["zero_shot_cot"]], [r["readable"] for r in rows["auto_cot"]])
    model_holds = readable["auto_cot"].value >= 0.95 and more.low > 0
    wrong = ", ".join(f"{select} {_percent(share)}" for select, share in shares.items())
    lines = [f"(a) wrong demonstrations for questions of the bad template, {thinkers} thinkers: {wrong}"]
    lines += [
        f"    errors gather in clusters at p < .01 for {sum(p < 0.01 for p in found['p'])} of {thinkers} thinkers"
    ]
    lines += [f"(b) {c:<14} right {right[c]}; readable {readable[c]}; {cost(rows[c])} tokens each" for c in CONDITIONS]
    return {
        "claim": "errors gather in clusters, retrieved demonstrations repeat them and clustered ones do not (a); "
        "at least 95 % of Auto-CoT's answers are readable, more than zero-shot-CoT's (b)",
        "holds": "shown" if mechanism_holds and model_holds else "not shown",
        "parts": {"mechanism": mechanism_holds, "model": model_holds},
        "headline": f"(a) wrong demonstrations: {wrong}; (b) {model}: readable {readable['auto_cot']} with Auto-CoT, "
        f"{readable['zero_shot_cot']} zero-shot-CoT",
        "lines": lines,
        "mechanism": found,
        "tasks": tasks,
        "readable": {c: readable[c]._asdict() for c in CONDITIONS},
        "right": {c: right[c]._asdict() for c in CONDITIONS},
        "auto_cot_minus": {
            c: compare([r["right"] for r in rows[c]], [r["right"] for r in rows["auto_cot"]])._asdict()
            for c in CONDITIONS
            if c != "auto_cot"
        },
        "model": answerer.name,
        "form": "text",
        "sampling": {"temperature": 0.0, "max_tokens": cap},
        "paper": PAPER,
    }


def cost(rows: list[dict[str, Any]]) -> int:
    """Tokens an answer, read and written; building the demonstrations is not in it."""
    return round(sum(r["prompt_tokens"] + r["completion_tokens"] for r in rows) / len(rows))


async def mechanism(thinkers: int) -> dict[str, Any]:
    """Errors by cluster, and the share of wrong demonstrations shown to questions of the bad template."""
    rng = random.Random(0)
    pool = [problem(n % len(TEMPLATES), rng) for n in range(POOL)]
    tests = [problem(BAD, rng) for _ in range(TESTS)]
    minilm = adhere.load("minilm")
    vectors = await minilm.embed([f"Q: {e.instruction.prompt}\nA:" for e in pool])
    groups = clusters(vectors, len(TEMPLATES)).members
    p_values, by_cluster = [], []
    shares: dict[str, list[float]] = {"retrieve": [], "random": [], "cluster": []}
    for seed in range(thinkers):
        thinker = Thinker(pool, seed)
        wrong = np.array([thinker.wrong(e.instruction.prompt) for e in pool], float)
        p_values.append(gathering(wrong, groups, seed))
        by_cluster.append([round(float(wrong[list(g)].mean()), 2) for g in groups])
        for select, found in shares.items():
            strategy = AutoCoT(thinker, pool, select=select, form="text", embedder=minilm)  # type: ignore[arg-type]
            shown = [await strategy.shown(test.instruction) for test in tests]
            found.append(float(np.mean([bool(d.wrong) for s in shown for d in s.demo])))
    return {
        "p": p_values,
        "errors by cluster": by_cluster[0],
        "wrong demonstrations": {s: bootstrap_mean(v)._asdict() for s, v in shares.items()},
    }


def gathering(wrong: np.ndarray, groups: tuple[tuple[int, ...], ...], seed: int, draws: int = 2000) -> float:
    """Permutation p-value of the spread of error rates over clusters."""
    rng = np.random.default_rng(seed)

    def spread(errors: np.ndarray) -> float:
        return sum(len(g) * (errors[list(g)].mean() - errors.mean()) ** 2 for g in groups)

    seen = spread(wrong)
    return float(1 + sum(spread(rng.permutation(wrong)) >= seen for _ in range(draws))) / (1 + draws)


def coin(rng: random.Random) -> tuple[str, str]:
    """Two people and a coin."""
    flips = [rng.random() < 0.5 for _ in range(2)]
    people = zip(rng.sample(NAMES, 2), flips, strict=True)
    acts = " ".join(f"{name} {'flips' if flip else 'does not flip'} the coin." for name, flip in people)
    text = f'A coin is heads up. {acts} Is the coin still heads up? Note that "flip" here means "reverse".'
    return text, "no" if sum(flips) % 2 else "yes"


def letters(rng: random.Random) -> tuple[str, str]:
    """The last letters of two names."""
    pair = rng.sample(NAMES, 2)
    text = f'Take the last letters of each words in "{" ".join(pair)}" and concatenate them.'
    return text, "".join(name[-1] for name in pair)


def addition(rng: random.Random) -> tuple[str, str]:
    """A story with one addition."""
    x, y = rng.randint(2, 30), rng.randint(2, 30)
    a, b = rng.sample(NAMES, 2)
    return f"{a} has {x} marbles. {b} gives {a} {y} more marbles. How many marbles does {a} have now?", str(x + y)


TASKS: dict[str, tuple[Maker, Kind]] = {
    "coin flip": (coin, "yes_no"),
    "last letters": (letters, "letters"),
    "addition": (addition, "number"),
}


async def task(make: Maker, kind: Kind, model: Model, size: int, tests: int, k: int) -> dict[str, Any]:
    """Every condition on the same questions, which the pool does not hold."""
    rng = random.Random(derive("auto-cot", kind))
    rows: dict[str, str] = {}
    while len(rows) < size + tests:
        question, answer = make(rng)
        rows.setdefault(question, answer)
    pool = [Example(Instruction.of(q), (Response(a),)) for q, a in list(rows.items())[:size]]
    rules = Rules(max_lines=7) if kind == "letters" else Rules()
    ways = {
        name: AutoCoT(model, pool, kind=kind, k=k, select=select, rules=rules, form="text")  # type: ignore[arg-type]
        for name, select in (("auto_cot", "cluster"), ("random", "random"), ("retrieve", "retrieve"))
    }
    found: dict[str, Any] = {"rows": {}}
    try:
        demos = (await ways["auto_cot"].fit()).demo
        found |= {"demonstrations": len(demos), "wrong demonstrations": sum(bool(d.wrong) for d in demos)}
    except DataError as error:  # no chain passes the rules: Auto-CoT has no answer then, and that counts as wrong
        found |= {"demonstrations": 0, "failed": str(error)}
    for condition in CONDITIONS:

        async def one(question: str, gold: str, condition: str = condition) -> dict[str, Any]:
            with context.metered() as spent:
                text, answer = await reply(model, ways, condition, question, kind)
            readable = after_trigger(text) is not None and extract_answer(text, kind) is not None
            row = {
                "question": question,
                "text": text[-300:],
                "readable": readable,
                "right": answer == normalise(gold, kind),
            }
            return row | {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens}

        found["rows"][condition] = await asyncio.gather(*(one(q, a) for q, a in list(rows.items())[size:]))
    return found


async def reply(
    model: Model, ways: dict[str, AutoCoT], condition: str, question: str, kind: Kind
) -> tuple[str, str | None]:
    """What the model wrote, and the answer that was read off it."""
    if condition == "zero_shot":
        text = (await ask(model, f"Q: {question}\nA: The answer is", max_tokens=16, stop=("\nQ:",))).text
        return f"The answer is{text}", extract_answer(f"The answer is{text}", kind)
    if condition == "zero_shot_cot":  # two calls; the answer is that of the second
        chain = await zero_shot_chain(model, question, kind, "text")
        return chain.rationale, chain.answer
    try:
        text = (await ways[condition].answer(Instruction.of(question))).text
    except DataError:
        return "", None
    return text, extract_answer(text, kind)


def _percent(found: dict[str, Any]) -> str:
    return f"{100 * found['value']:.1f}% [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"
