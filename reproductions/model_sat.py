"""Model-SAT (AAAI 2025): does a router that reads aptitude records beat the best single candidate?

1. Recorded outcomes, no inference: (a) BIG-Bench Hard, one model answering directly or by chain of thought, 20 aptitude
   questions a task; also with every fifth task held out of test and training. (b) AlpacaEval: ten mid-size models, 20
   clusters of 200 instructions as the aptitude test, 300 to train on, 305 to test; then ten OTHER models that join by
   their test alone; and the same with records flattened to their mean.
   Five splits; intervals are by instruction.
2. A live zoo: the model and a calculator; a tool for words joins by its test alone.
3. A language model that reads the record as text: how much the order of its groups changes the score.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import adhere
from adhere.answer.routing.aptitude import Bank, Capability, aptitude_test, default_bank, overlapping
from adhere.answer.routing.baselines import arms, neighbours
from adhere.answer.routing.llm_router import LLMRouter
from adhere.answer.routing.router import CapabilityRouter, Outcome
from adhere.answer.routing.training import collect
from adhere.data.sets import DataFile, locate
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response
from adhere.score.statistics import bootstrap_mean


class Size(NamedTuple):
    """BBH items a task, AlpacaEval items (test, train, aptitude), live questions a group, part 3's, splits."""

    task: int
    alpaca: tuple[int, int, int]
    live: int
    texts: int
    orders: int
    splits: int


SIZES = {
    "smoke": Size(24, (12, 30, 40), 3, 1, 2, 1),
    "small": Size(250, (305, 300, 200), 8, 4, 6, 5),
    "medium": Size(250, (305, 300, 200), 20, 30, 12, 20),
    "full": Size(250, (305, 300, 200), 20, 200, 12, 20),
}
BBH = DataFile("instruct-eval/bbh.jsonl", "0b7fb4ae34bc8753d1bd4e135df619115f721f1cc0147d61ed5432bbb55b321b")
DIRECT_VS_COT = DataFile(
    "model-sat/bbh_codex_direct_vs_cot.jsonl", "8bb76d936a0d9204c78094a197449e9fcb7d30960d5a45feb195ecd4ca8d0662"
)
WINS = DataFile(
    "alpaca-farm/alpaca_eval2_lc_fixture.json", "d217201d27fd4fc6b7ca7e8021ecd114567f6a00ef4c538205466a354c27dc52"
)
ASKED = DataFile(
    "alpaca-farm/alpaca_eval_instructions.jsonl", "0ea719c58469034c2859a1341c76400b002fad7cd94fcbabef288bfd83b35ccb"
)
APTITUDE, CLUSTERS, HELD = 20, 20, 5
SHOWN = 300  # characters of an instruction that are embedded
PAPER = {"zoo of five below 10B, mean accuracy over seven sets": {
    "random": 67.74, "GTE-large": 70.67, "best model per set": 74.16, "Model-SAT": 75.28}}  # fmt: skip


def items(texts: Sequence[str], name: str) -> list[Instruction]:
    """Texts as instructions, cut."""
    return [Instruction(f"{name}-{n}", (Message("user", text[:SHOWN]),)) for n, text in enumerate(texts)]


class Recorded(NamedTuple):
    """A routing problem: instructions, scores (instructions, candidates), and the candidates' names."""

    rows: list[Instruction]
    scores: np.ndarray
    names: list[str]

    def part(self, at: Sequence[int] | np.ndarray) -> Recorded:
        """Some of the instructions."""
        return Recorded([self.rows[i] for i in at], self.scores[np.asarray(at, dtype=int)], self.names)


def records(problem: Recorded, groups: dict[str, list[int]], *, flat: bool = False) -> dict[str, Capability]:
    """The candidates' accuracies in each group of instructions; `flat` leaves only their mean."""
    made = {}
    for k, name in enumerate(problem.names):
        found = {g: float(np.nanmean(problem.scores[at, k])) for g, at in groups.items()}
        mean = sum(found.values()) / len(found)
        made[name] = Capability(name, dict.fromkeys(found, mean) if flat else found)
    return made


async def fitted(train: Recorded, known: dict[str, Capability], bank: Bank, embedder: Model) -> CapabilityRouter:
    """A router from recorded scores."""
    outcomes = [
        Outcome(row.id, name, float(score))
        for row, scores in zip(train.rows, train.scores, strict=True)
        for name, score in zip(train.names, scores, strict=True)
        if not np.isnan(score)
    ]
    return await CapabilityRouter.train(outcomes, train.rows, known, bank, embedder)


async def compared(router: CapabilityRouter, train: Recorded, test: Recorded, embedder: Model) -> dict[str, np.ndarray]:
    """What the router and its baselines get on each test item."""
    places = await embedder.embed([r.prompt for r in test.rows])
    known = await embedder.embed([r.prompt for r in train.rows])
    chosen = router.choices(places, test.names)
    found = arms(train.scores, test.scores, chosen, neighbours(places, known, train.scores))
    return found | {"router minus best single": found["router"] - found["best single"]}


def rates(found: dict[str, np.ndarray], clusters: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Means with 95% bootstrap intervals by item."""
    made = {arm: bootstrap_mean(values, clusters) for arm, values in found.items()}
    return {arm: {"value": r.value, "low": r.low, "high": r.high, "n": r.clusters} for arm, r in made.items()}


async def bbh(size: Size, embedder: Model) -> dict[str, Any]:
    """Direct answers against chains of thought, recorded."""
    asked = {(r["task"], r["index"]): r["input"] for r in lines(BBH)}
    tasks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines(DIRECT_VS_COT):
        tasks[row["task"]].append(row)
    rng, parts = np.random.default_rng(0), defaultdict(list)
    texts, scores, owner = [], [], []
    for task, rows in tasks.items():
        drawn = [rows[i] for i in rng.permutation(len(rows))[: size.task]]
        quiz = min(APTITUDE, len(drawn) // 4)
        for n, row in enumerate(drawn):
            parts["quiz" if n < quiz else "train" if n < len(drawn) // 2 else "test"].append(len(texts))
            texts.append(asked[task, row["index"]])
            scores.append([row["direct_correct"], row["cot_correct"]])
            owner.append(task)
    problem = Recorded(items(texts, "bbh"), np.array(scores, float), ["direct", "chain of thought"])
    held = set(list(tasks)[::HELD])
    found = {}
    for name, kept in (("all tasks", set(tasks)), ("held-out tasks", set(tasks) - held)):
        groups = {t: [i for i in parts["quiz"] if owner[i] == t] for t in tasks if t in kept}
        bank = Bank({t.replace("_", " "): tuple(problem.rows[i] for i in at) for t, at in groups.items()})
        known = records(problem, {t.replace("_", " "): at for t, at in groups.items()})
        train = problem.part([i for i in parts["train"] if owner[i] in kept])
        router = await fitted(train, known, bank, embedder)
        tested = [i for i in parts["test"] if name == "all tasks" or owner[i] in held]
        test = problem.part(tested)
        values = await compared(router, train, test, embedder)
        if name == "all tasks":
            seen = parts["quiz"] + parts["train"]
            best = {t: problem.scores[[i for i in seen if owner[i] == t]].mean(0).argmax() for t in tasks}
            values["best per task"] = np.array([problem.scores[i, best[owner[i]]] for i in tested])
            found["records"] = known
        found[name] = rates(values)
    return found


async def alpaca(size: Size, embedder: Model) -> dict[str, Any]:
    """Win rates of ten mid-size models, of ten that the router has not seen, and without the records' detail."""
    from scipy.cluster.vq import kmeans2

    fixture = json.loads(locate(WINS).path.read_text())
    texts = [r["instruction"] for r in lines(ASKED)]
    wins = {m: np.array(v["preference"], float) for m, v in fixture["models"].items() if m not in fixture["gamed"]}
    middle = sorted((m for m in wins if 0.025 < np.nanmean(wins[m]) < 0.08), key=lambda m: np.nanmean(wins[m]))[-20:]
    rows = items(texts, "alpaca")
    zoo, unseen = (Recorded(rows, np.stack([wins[m] for m in ms], 1), ms) for ms in (middle[::2], middle[1::2]))
    found: dict[str, list[dict[str, np.ndarray]]] = defaultdict(list)
    tested: list[str] = []
    n_test, n_train, n_quiz = size.alpaca
    for split in range(size.splits):
        order = np.random.default_rng(split).permutation(len(texts))[: n_test + n_train + n_quiz]
        test, train, quiz = np.split(order, [n_test, n_test + n_train])
        tested += [rows[i].id for i in test]
        places = await embedder.embed([rows[i].prompt for i in quiz])
        centres, label = kmeans2(places.astype(float), min(CLUSTERS, n_quiz // 5), seed=split, minit="++")
        groups, questions = {}, {}
        for k in sorted(set(label.tolist())):
            own = np.flatnonzero(label == k)
            name = rows[quiz[own[(places[own] @ centres[k]).argmax()]]].prompt[:80]  # the most central one describes it
            groups[name], questions[name] = quiz[own].tolist(), tuple(rows[i] for i in quiz[own])
        for name, flat in (("zoo", False), ("zoo, records flattened to their mean", True)):
            router = await fitted(zoo.part(train), records(zoo, groups, flat=flat), Bank(questions), embedder)
            found[name].append(await compared(router, zoo.part(train), zoo.part(test), embedder))
            if not flat:
                router.candidates = records(unseen, groups)
                found["unseen zoo"].append(await compared(router, unseen.part(train), unseen.part(test), embedder))
    joined = {name: {arm: np.concatenate([p[arm] for p in parts]) for arm in parts[0]} for name, parts in found.items()}
    return {name: rates(values, tested) for name, values in joined.items()}


def lines(file: DataFile) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in locate(file).path.read_text(encoding="utf-8").splitlines()]


class Calculator:
    """Sums and products; nothing else."""

    async def answer(self, instruction: Instruction) -> Response:
        """The number, where the prompt asks for one."""
        found = re.search(r"(\d+) ([+*]) (\d+)", instruction.prompt)
        if not found:
            return Response("I can only calculate.", "calculator")
        a, b = int(found[1]), int(found[3])
        return Response(str(a + b if found[2] == "+" else a * b), "calculator")


class WordTool:
    """Words backwards and in order; nothing else."""

    async def answer(self, instruction: Instruction) -> Response:
        """The word or words."""
        word, listed = re.search(r"'(\w+)' backwards", instruction.prompt), re.search(r": (.+)\.$", instruction.prompt)
        text = word[1][::-1] if word else ", ".join(sorted(listed[1].split(", "))) if listed else "I only do words."
        return Response(text, "words")


async def live(size: Size, name: str, embedder: Model) -> dict[str, Any]:
    """The model and a calculator; then the tool for words joins."""
    zoo = {"model": adhere.load(name, max_tokens=24), "calculator": Calculator(), "words": WordTool()}

    def tasks(questions: int, seed: int) -> dict[str, tuple[Instruction, ...]]:
        return {g: q for g, q in default_bank(questions, seed).groups.items() if q[0].references}

    bank = Bank(tasks(size.live, 0))
    drawn = [row for rows in tasks(3 * size.live, 1).values() for row in rows]
    again, fresh = set(overlapping(bank, drawn)), {}
    for row in drawn:
        if row.id not in again:
            fresh.setdefault(row.prompt, row)
    rows = list(fresh.values())
    train, test = rows[::2], rows[1::2]
    known = {c: await aptitude_test(a, bank, c) for c, a in zoo.items()}
    outcomes, _ = await collect(zoo, rows)
    table = {(o.item_id, o.candidate): o.score for o in outcomes}

    def recorded(part: list[Instruction], names: list[str]) -> Recorded:
        return Recorded(part, np.array([[table[i.id, n] for n in names] for i in part]), names)

    two, three = list(zoo)[:2], list(zoo)
    router = await fitted(recorded(train, two), {c: known[c] for c in two}, bank, embedder)
    before = await compared(router, recorded(train, two), recorded(test, two), embedder)
    router.add(known["words"])
    after = await compared(router, recorded(train, three), recorded(test, three), embedder)
    return {"model and calculator": rates(before), "the tool for words joined": rates(after)}


async def shuffled(size: Size, name: str, known: dict[str, Capability], groups: int = 8) -> dict[str, float]:
    """Spread of the language model's score over orders of the record, one by one and averaged by threes."""
    cut = {c: Capability(c, dict(list(r.groups.items())[:groups])) for c, r in known.items()}
    router = LLMRouter(adhere.load(name), cut, orders=size.orders)
    asked = items([f"Is {n} a prime number?" for n in range(7, 7 + size.texts)], "text")
    found = np.array([[await router.by_order(i, c) for c in cut] for i in asked])  # texts, candidates, orders
    width = max(1, size.orders // 2)
    halves = found[..., : 2 * width].reshape(*found.shape[:2], 2, width).mean(-1)
    picks = found.argmax(1)
    return {
        "mean score": float(found.mean()),
        "spread of one order": float(found.std(-1, ddof=1).mean()),
        f"spread of the mean of {width}": float((np.abs(halves[..., 0] - halves[..., 1]) / 2**0.5).mean()),
        "orders that choose as most do": float(np.mean([np.bincount(p).max() / len(p) for p in picks])),
    }


async def measure(scale: str, model: str) -> dict[str, Any]:
    """All parts."""
    size, embedder = SIZES[scale], adhere.load("minilm")
    first = await bbh(size, embedder)
    known = first.pop("records")
    return {"bbh": first, "alpaca": await alpaca(size, embedder), "live": await live(size, model, embedder),
            "order of the record": await shuffled(size, model, known)}  # fmt: skip


def run(scale: str, model: str) -> dict[str, Any]:
    """Routers and baselines with intervals."""
    found = asyncio.run(measure(scale, model))
    problems = {f"{part}: {name}": r for part in ("bbh", "alpaca", "live") for name, r in found[part].items()}
    ahead = {name: r["router minus best single"] for name, r in problems.items()}
    main = [ahead["bbh: all tasks"], ahead["alpaca: zoo"], ahead["alpaca: unseen zoo"]]
    holds = "shown" if all(a["low"] > 0 for a in main) else "not shown"
    shown = [name for name, a in ahead.items() if a["low"] > 0]
    return {
        "claim": "routing by aptitude records beats the candidate with the best training mean, on BBH (direct or chain "
        "of thought), on AlpacaEval, and on models that were not there in training",
        "holds": "against" if any(a["high"] < 0 for a in main) else holds,
        "headline": "router minus best single, points: "
        + "; ".join(f"{name} {_points(ahead[name])}" for name in list(ahead)[:4]),
        "lines": [
            *(f"{name:<46} {_arms(r)}" for name, r in problems.items()),
            *(f"router minus best single, {name:<40} {_points(a)}" for name, a in ahead.items()),
            *(f"order of the record: {what} {value:.4f}" for what, value in found["order of the record"].items()),
            f"more than noise in: {', '.join(shown) or 'none'}",
        ],
        **found, "paper": PAPER,
        "cost": "one sentence embedding and a product of matrices per instruction; only the chosen candidate answers",
    }  # fmt: skip


def _points(x: dict[str, float]) -> str:
    return f"{100 * x['value']:+.1f} [{100 * x['low']:+.1f}, {100 * x['high']:+.1f}], n={x['n']}"


def _arms(found: dict[str, dict[str, float]]) -> str:
    return "  ".join(f"{arm} {100 * r['value']:.1f}" for arm, r in found.items() if "minus" not in arm)
