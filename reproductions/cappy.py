"""Cappy (Tan et al. 2023, arXiv 2311.06720): does a small scorer that learnt a task pick better than the self-score?

The generator stays as it is, zero-shot: for every input one greedy answer and draws by the paper's four decodings. The
training inputs' answers, labelled by ROUGE-L, adapt MiniLM (22M) with a regression head; on test inputs it picks among
the same candidates as the baselines: first greedy, first sample, the model's own log-likelihood (sum, mean per token),
and agreement (minimum Bayes risk, ours). Inputs are split before anything is generated. Then the ablation without the
graded samples, and options of multiple-choice tasks scored against the model's option log-likelihood. Differences from
the paper: one scorer for all tasks, from MiniLM instead of a pretrained Cappy; greedy stands for a beam of 4.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

import adhere
from adhere.answer.best_of_n import pick
from adhere.data.sets import DataFile, locate
from adhere.engine.run import run_sync
from adhere.engine.sync import call
from adhere.errors import DataError
from adhere.models.llamacpp import LlamaCpp
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, Score
from adhere.score.budget import Candidates, at_budget, lines
from adhere.score.consensus import Consensus
from adhere.score.small.candidates import candidates, prompt_text
from adhere.score.small.data import TaskRow, labelled
from adhere.score.small.scorer import SmallScorer
from adhere.score.statistics import bootstrap_mean, compare, rate
from adhere.score.texts.overlap import exact_match, rouge_l


# inputs a task to learn from and to test on, candidates an input, rows of training, questions to learn from and to test
class Size(NamedTuple):
    train: int
    test: int
    n: int
    rows: int
    learn: int
    ask: int


SIZES = {"smoke": Size(3, 2, 3, 32, 0, 0), "small": Size(18, 16, 7, 1280, 40, 30),
         "medium": Size(200, 100, 17, 24_576, 125, 125), "full": Size(200, 100, 17, 102_400, 125, 125)}  # fmt: skip
# The paper's four decodings, cooler: at its temperature of 1 a model of 135M parameters hardly writes words.
DECODINGS = {"greedy": {"temperature": 0.0}, "sampling": {"temperature": 0.7}, "temperature": {"temperature": 0.5},
             "top_k": {"temperature": 0.8, "top_k": 40}, "top_p": {"temperature": 0.8, "top_p": 0.95}}  # fmt: skip
BATCH = 16  # rows a step; the paper's 128 would leave a small run a dozen steps
MAX_TOKENS = 32  # the paper's answers have up to 64; these tasks' references stay below 20
PAPER = {"model": "FLAN-T5-large, 45 BIG-Bench tasks, ROUGE-L", "beam": 23.5, "sampling": 19.6, "self_sum": 24.1,
         "cappy": 30.4}  # fmt: skip
BBH = DataFile("instruct-eval/bbh.jsonl", "0b7fb4ae34bc8753d1bd4e135df619115f721f1cc0147d61ed5432bbb55b321b")
T = TypeVar("T")
BASELINES = ("greedy", "sample", "self_sum", "self_mean")
CHOICE_TASKS = ("hyperbaton", "snarks", "sports_understanding")

WORDS = {
    "name": "Anna Ben Clara David Emma Felix Grace Henry Ivy Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Victor",
    "verb": "walk paint clean open visit help cook pack repair call follow",
    "thing": "garden bridge kitchen museum engine piano harbour library market window bakery ladder castle tunnel",
    "look": "old small green quiet broken new large wooden narrow famous",
    "city": "Lisbon Oslo Cairo Lima Tokyo Dublin Prague Athens Quito Seoul Vienna Accra Bergen Turin Porto Delhi",
    "month": "January March April June July September October December",
}


def some(r: random.Random, kinds: str) -> list[str]:
    """A random word of each kind."""
    return [r.choice(WORDS[kind].split()) for kind in kinds.split()]


def past(verb: str) -> str:
    """Of the verbs above, which are all regular."""
    return verb + ("d" if verb.endswith("e") else "ed")


def city(r: random.Random) -> tuple[str, str]:
    """A sentence and the city in it."""
    a, b, c, look, thing = some(r, "name name city look thing")
    moved, built = f"Last year {a} moved to {c} and bought a {look} {thing}.", f"The {thing} in {c} was built for {a}."
    return r.choice((moved, built, f"{a} met {b} in {c} near the {look} {thing}.")), c


def date(r: random.Random) -> tuple[str, str]:
    """A sentence and the date in it."""
    a, look, thing, month = some(r, "name look thing month")
    day = f"{r.randint(1, 28)} {month} {r.randint(1950, 2024)}"
    opened, since = f"The {thing} was opened on {day} by {a}.", f"Since {day} the {look} {thing} belongs to {a}."
    return r.choice((opened, since, f"{a} wrote on {day} that the {thing} is {look}.")), day


def without(r: random.Random) -> tuple[str, str]:
    """A word and a sentence, and the sentence without the word."""
    a, verb, look, one, other = some(r, "name verb look thing thing")
    return (
        f"{look} | {a} {past(verb)} the {look} {one} and the {other}.",
        f"{a} {past(verb)} the {one} and the {other}.",
    )


def question(r: random.Random) -> tuple[str, str]:
    """A sentence as a question."""
    a, verb, look, thing = some(r, "name verb look thing")
    return f"{a} {past(verb)} the {look} {thing}.", f"Did {a} {verb} the {look} {thing}?"


TASKS: dict[str, tuple[str, Callable[[random.Random], tuple[str, str]]]] = {
    "city": ("Write the name of the city in the sentence.", city),
    "date": ("Write the date in the sentence.", date),
    "without": ("Write the sentence without the word before the bar.", without),
    "question": ("Turn the sentence into a question.", question),
}
BBH_TASKS = {"word_sorting": "Sort the words alphabetically.", "object_counting": "Answer with a number."}


class Task(NamedTuple):
    """Inputs to learn from and to test on; none is in both, and none comes twice."""

    name: str
    learn: list[Instruction]
    test: list[Instruction]


def instances(scale: str, size: Size) -> Iterator[Task]:
    """The tasks, split before anything is generated."""
    wanted = size.train + size.test
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for name, (order, make) in TASKS.items():
        rng, pairs = random.Random(f"cappy {name}"), dict[str, str]()
        while len(pairs) < wanted:
            pairs |= [make(rng)]
        found[name] = order, pairs
    for name, rows in bbh(tuple(BBH_TASKS) if scale != "smoke" else ()).items():
        pairs = {row["input"].rpartition("List: ")[2]: row["target"] for row in rows}
        shortest = sorted(pairs.items(), key=lambda p: (len(p[0]), p[0]))[:wanted]  # what 135M parameters may get right
        random.Random(f"cappy {name}").shuffle(shortest)
        found[name] = BBH_TASKS[name], dict(shortest)
    for name, (order, pairs) in found.items():
        made = [
            Instruction(f"{name}-{i}", (Message("user", f"{order}\n\nInput: {x}\nOutput:"),), references=(y,))
            for i, (x, y) in enumerate(pairs.items())
        ]
        yield Task(name, made[: size.train], made[size.train :])


def bbh(tasks: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Rows of BIG-Bench Hard by task; nothing where the file is not on this machine."""
    if not tasks:
        return {}
    try:
        rows = [msgspec.json.decode(line) for line in locate(BBH).path.read_bytes().splitlines() if line.strip()]
    except DataError:
        return {}
    return {task: [row for row in rows if row["task"] == task] for task in tasks}


def generator(model: str) -> Model:
    """The model continuing plain text, a line; llama.cpp reads the prompt of an input's candidates once."""
    made = adhere.load(model, chat=False, max_tokens=MAX_TOKENS, stop=("\n",))
    if isinstance(made.backend, LlamaCpp):
        made.backend = LlamaCpp(made.backend.path, name=model, reuse_prefix=True)
    return made


def drawn(model: Model, asked: list[Instruction], n: int) -> list[list[Response]]:
    """The candidates of each instruction."""

    async def one(instruction: Instruction) -> list[Response]:
        return [response for _, response in await candidates(model, instruction, n, DECODINGS)]

    found = {o.index: o.result for o in run_sync(one, asked, concurrency=model.concurrency, max_failures=0)}
    return [found[i] or [] for i in range(len(asked))]


def run(scale: str, model: str) -> dict[str, Any]:
    """ROUGE-L and exact match of what each way of picking picks, with paired differences; ablation; multiple choice."""
    size = SIZES[scale]
    tasks = list(instances(scale, size))
    answerer = generator(model)
    learn, test = [i for task in tasks for i in task.learn], [i for task in tasks for i in task.test]
    found = drawn(answerer, learn + test, size.n)
    rows = [TaskRow(prompt_text(i), i.references, tuple(r.text for r in f)) for i, f in zip(learn, found, strict=False)]
    by_task = pieces(rows, [len(task.learn) for task in tasks])
    scorers = {"cappy": fitted(by_task, size.rows, True), "cappy_ungraded": fitted(by_task, size.rows, False)}
    picks, quality = picked(test, found[len(learn) :], scorers)
    rouge = {way: [q[0] for q in values] for way, values in quality.items()}
    exact = {way: rate([q[1] for q in values]) for way, values in quality.items()}
    means = {way: bootstrap_mean(values) for way, values in rouge.items()}
    gains = {
        way: bootstrap_mean([c - b for c, b in zip(rouge["cappy"], values, strict=True)])
        for way, values in rouge.items()
        if way != "cappy"
    }
    against = [gains[way] for way in BASELINES]
    worse, better = any(gain.high < 0 for gain in against), all(gain.low > 0 for gain in against)
    budget = at_budget(picks, first_fixed=True)
    choice = multiple_choice(answerer, size) if size.ask else {}
    by_task_of = {way: pieces(values, [len(task.test) for task in tasks]) for way, values in rouge.items()}
    shares = {way: f"{100 * mean.value:.1f}" for way, mean in means.items()}
    return {
        "claim": "a small scorer that learnt the task picks better samples (ROUGE-L) than greedy, one sample, and the "
        "model's own log-likelihood, summed or per token",
        "holds": "shown" if better else "against" if worse else "not shown",
        "headline": f"{model}, {size.n} candidates: ROUGE-L {shares['cappy']} by Cappy, {shares['greedy']} greedy, "
        f"{shares['self_sum']} and {shares['self_mean']} by self-score, {shares['oracle']} oracle; n={len(test)}",
        "lines": [
            *(f"{way:<15} ROUGE-L {points(means[way])}   exact {100 * exact[way].value:5.1f}" for way in rouge),
            *(f"Cappy minus {way:<15} {points(gain)}" for way, gain in gains.items()),
            *lines(budget),
            *choice.get("lines", ()),
            *(() if choice or not size.ask else ("no BIG-Bench Hard here (ADHERE_DATA): own tasks only",)),
            f"paper, {PAPER['model']}: beam 23.5, sampling 19.6, self-score (sum) 24.1, Cappy 30.4",
        ],
        "rouge_l": {way: mean._asdict() for way, mean in means.items()},
        "exact_match": {way: share._asdict() for way, share in exact.items()},
        "cappy_minus": {way: gain._asdict() for way, gain in gains.items()},
        "by_task": {
            task.name: {way: sum(values[n]) / len(task.test) for way, values in by_task_of.items()}
            for n, task in enumerate(tasks)
        },
        "budget": [
            {"k": b.k, "picked": b.picked.value, "oracle": b.oracle.value, "random": b.random.value} for b in budget
        ],
        "classification": choice,
        "training": {name: scorer.history for name, scorer in scorers.items()},
        "size": size._asdict(),
        "model": {"name": answerer.name, "digest": answerer.info.digest, "engine": answerer.info.engine},
        "cost": {
            "candidates": sum(map(len, found)),
            "completion_tokens": sum(r.usage.completion_tokens for answers in found for r in answers),
        },
        "paper": PAPER,
    }


def pieces(values: list[T], sizes: list[int]) -> list[list[T]]:
    """The list cut into pieces of these sizes."""
    rest = iter(values)
    return [list(islice(rest, size)) for size in sizes]


def points(value: Any) -> str:
    """A mean with its interval, in percent."""
    return f"{100 * value.value:5.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def fitted(tasks: list[list[TaskRow]], rows: int, graded: bool) -> SmallScorer:
    """A scorer that learnt all tasks; each task's negatives are its own targets."""
    mixed = [row for task in tasks for row in labelled(task, graded=graded)]
    random.Random(0).shuffle(mixed)
    repeats = [mixed[i % len(mixed)] for i in range(rows)]
    return SmallScorer.pretrained().pretrain(repeats, batch=BATCH)


def picked(
    test: list[Instruction], found: list[list[Response]], scorers: dict[str, SmallScorer]
) -> tuple[list[Candidates], dict[str, list[tuple[float, float]]]]:
    """Cappy's scores with the true qualities, and (ROUGE-L, exact match) of what each way picks."""
    curves: list[Candidates] = []
    quality: dict[str, list[tuple[float, float]]] = {}
    for instruction, answers in zip(test, found, strict=True):
        texts = [answer.text for answer in answers]
        truth = [(rouge_l(t, instruction.references), exact_match(t, instruction.references)) for t in texts]
        tokens = [[t.logprob for t in answer.logprobs or ()] for answer in answers]
        agreed = call(Consensus().rank(instruction, answers))
        values: dict[str, list[float | None]] = {
            "self_sum": [sum(t) if t else None for t in tokens],
            "self_mean": [sum(t) / len(t) if t else None for t in tokens],
            "consensus": [score.value for score in agreed],
            "oracle": [q[0] for q in truth],
        }
        for name, scorer in scorers.items():
            values[name] = [*scorer.score(prompt_text(instruction), texts)]
        chosen = {way: pick(texts, [Score(way, v) for v in scores]) for way, scores in values.items()}
        for way, index in {"greedy": 0, "sample": 1, **chosen}.items():
            quality.setdefault(way, []).append(truth[index])
        filled = [value if text.strip() else None for value, text in zip(values["cappy"], texts, strict=True)]
        curves.append(Candidates(filled, [q[0] for q in truth]))
    return curves, quality


def multiple_choice(model: Model, size: Size) -> dict[str, Any]:
    """Accuracy of option scoring after adapting on a part of each task, against the model's option log-likelihood."""
    rows = {task: [parsed(row) for row in found] for task, found in bbh(CHOICE_TASKS).items()}
    if not rows:
        return {}
    learn, test = [], []
    for task, found in rows.items():
        random.Random(f"cappy {task}").shuffle(found)
        learn += [TaskRow(q, (options[right],), tuple(options)) for q, options, right in found[: size.learn]]
        test += found[size.learn : size.learn + size.ask]
    scorer = SmallScorer.pretrained().fit(learn, "exact_match", train_size=size.rows // 2, batch=BATCH)

    async def likely(item: Choice) -> list[tuple[float, float]]:
        tokens = [[t.logprob for t in await model.logprobs(f"{item[0]}\nAnswer:", f" {o}")] for o in item[1]]
        return [(sum(t), sum(t) / len(t)) for t in tokens]

    found = {o.index: o.result or [] for o in run_sync(likely, test, max_failures=0)}
    right = {"cappy": [scorer.classify(q, options) == answer for q, options, answer in test]}
    for at, way in enumerate(("likelihood_sum", "likelihood_mean")):
        values = [[value[at] for value in found[i]] for i in range(len(test))]
        right[way] = [v.index(max(v)) == answer for v, (_, _, answer) in zip(values, test, strict=True)]
    differences = {way: compare(right[way], right["cappy"]) for way in right if way != "cappy"}
    chance = sum(1 / len(options) for _, options, _ in test) / len(test)
    return {
        "tasks": list(rows),
        "accuracy": {way: rate(values)._asdict() for way, values in right.items()},
        "chance": chance,
        "cappy_minus": {way: difference._asdict() for way, difference in differences.items()},
        "lines": [
            f"options of {', '.join(rows)} (chance {100 * chance:.0f}%):",
            *(f"  by {way}: {rate(values)}" for way, values in right.items()),
            *(f"  a = {way}, b = Cappy: {difference.sentence}" for way, difference in differences.items()),
        ],
    }


Choice = tuple[str, list[str], int]  # question, options, which is right


def parsed(row: dict[str, Any]) -> Choice:
    """(question, options, which is right) of a row of BBH; without options it is a yes or no."""
    asked, _, listed = row["input"].partition("\nOptions:\n")
    options = re.findall(r"^\([A-Z]\) (.*)$", listed, re.M)
    if not options:
        return row["input"], ["no", "yes"], ["no", "yes"].index(row["target"].lower())
    return asked, options, ord(row["target"].strip("()")) - ord("A")
