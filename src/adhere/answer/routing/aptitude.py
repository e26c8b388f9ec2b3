"""Aptitude tests: the same questions for every candidate, by group, and the record of what each can do.

Model-SAT ("Capability Instruction Tuning: A New Paradigm for Dynamic LLM Routing", AAAI 2025), section 3: 50 groups of
20 questions; a candidate's accuracies, written out as text, describe it to the router, so that a new candidate joins by
taking the test. The bank here is ours: families of constraints, and small tasks that can be checked without a judge.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from adhere.answer.base import Strategy
from adhere.constraints.base import kinds
from adhere.constraints.scorer import ConstraintScorer
from adhere.data.rows import read_prompts
from adhere.engine.run import run
from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Message, Record, Response, Score
from adhere.roles import Answerer, Scorer

__all__ = [
    "Bank",
    "Capability",
    "Correctness",
    "aptitude_test",
    "capability_text",
    "default_bank",
    "read_bank",
    "shown",
]

QUESTIONS = 20  # a group: the paper's
OF_CONSTRAINTS = {
    "case": "writing in capital or lower case letters, capitalised words",
    "format": "bullet points, numbered lists, headings, sections, tables, JSON, titles",
    "keywords": "using or avoiding given words, how often a word or letter appears",
    "length": "how many words, sentences, lines or paragraphs a text has",
    "punctuation": "writing without commas or other characters",
    "startend": "beginning or ending a text with a given phrase",
}
TOPICS = ("a river", "the moon", "winter", "a small shop", "bread", "bicycles", "the sea", "a library", "tea", "bees")


class Capability(Record, omit_defaults=False):
    """What a candidate can do.

    Attributes:
        candidate: Its name in the pool.
        groups: Accuracy by the group's description, 0 to 1.
        questions: How many each group's accuracy is from.
        failed: Questions that ended in an error and count as wrong.
    """

    candidate: str
    groups: dict[str, float]
    questions: int = QUESTIONS
    failed: int = 0

    @property
    def mean(self) -> float:
        """Mean accuracy over the groups."""
        return sum(self.groups.values()) / len(self.groups)


class Bank(NamedTuple):
    """The questions of an aptitude test by the description of their group."""

    groups: dict[str, tuple[Instruction, ...]]

    def __len__(self) -> int:
        return sum(map(len, self.groups.values()))


class Correctness:
    """Whether a response is right: its constraints hold, or it says a reference, the number or words by themselves."""

    def __repr__(self) -> str:
        return "Correctness()"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """`value` is the share of constraints that hold, or 1 and 0 for a reference that is said or not.

        Raises:
            DataError: naming the row, if it has neither constraints nor references.
        """
        if instruction.constraints:
            return await ConstraintScorer("fixed").score(instruction, response)
        if not instruction.references:
            raise DataError(
                f"row '{instruction.id}' has neither constraints nor references",
                hint="A question whose answer cannot be checked teaches a router nothing",
            )
        right = any(_says(response.text, reference) for reference in instruction.references)
        return Score("correct", float(right), right)


def shown(question: Instruction, candidate: Answerer) -> Instruction:
    """A question as a candidate sees it: what grades a strategy's answer stays outside, as in an evaluation.

    A strategy that obeys constraints would otherwise be judged with a help that it does not get later.
    """
    if not isinstance(candidate, Strategy):
        return question
    return msgspec.structs.replace(question, constraints=(), references=())


async def aptitude_test(
    answerer: Answerer, bank: Bank, candidate: str = "", scorer: Scorer | None = None
) -> Capability:
    """Let a candidate take the test.

    Args:
        answerer: A model or strategy.
        bank: The questions.
        candidate: Its name in the record.
        scorer: Tells what is right; constraints and references where not given.

    Returns:
        Its record. A question that fails counts as wrong, and in `failed`.

    Raises:
        DataError: for a question that cannot be checked, before any answer.
    """
    judge = scorer or Correctness()
    asked = [(group, question) for group, questions in bank.groups.items() for question in questions]
    for _, question in asked:
        if scorer is None:
            await judge.score(question, Response(""))

    async def one(item: tuple[str, Instruction]) -> float:
        found = await judge.score(item[1], await answerer.answer(shown(item[1], answerer)))
        return found.value or 0.0

    got: dict[str, list[float]] = {group: [] for group in bank.groups}
    failed = 0
    async for outcome in run(one, asked, concurrency=getattr(answerer, "concurrency", 16)):
        got[outcome.item[0]].append(outcome.result or 0.0)
        failed += outcome.failure is not None
    groups = {group: sum(values) / len(values) for group, values in got.items()}
    return Capability(candidate, groups, max(map(len, bank.groups.values())), failed)


def capability_text(capability: Capability, order: Sequence[int] | None = None) -> str:
    """The record as the sentence that describes a candidate to a language model, groups in the given order."""
    groups = list(capability.groups.items())
    chosen = groups if order is None else [groups[i] for i in order]
    return "The model achieves " + ", ".join(f'accuracy {100 * a:.1f}% on the task of "{g}"' for g, a in chosen) + "."


def default_bank(questions: int = QUESTIONS, seed: int = 0) -> Bank:
    """Families of constraints on short texts, sums, products, look-ups, yes-or-no, spelling, sorting: our templates."""
    rng = random.Random(seed)
    groups: dict[str, tuple[Instruction, ...]] = {}
    for family, description in OF_CONSTRAINTS.items():
        own = [cls for kind, cls in sorted(kinds().items()) if cls.family == family and ":" not in kind]
        groups[description] = tuple(_constrained(rng, own[n % len(own)], family, n) for n in range(questions))
    for name, (description, make) in _TASKS.items():
        made = (make(rng) for _ in range(questions))
        groups[description] = tuple(
            Instruction(f"{name}-{n}", (Message("user", prompt),), references=(answer,), meta={"group": description})
            for n, (prompt, answer) in enumerate(made)
        )
    return Bank(groups)


def read_bank(path: str | Path) -> Bank:
    """A bank from a file of prompts with a column `group`, the description of the group.

    Raises:
        DataError: naming the first row without a group.
    """
    groups: dict[str, list[Instruction]] = {}
    for row in read_prompts(path):
        group = row.meta.get("group")
        if not isinstance(group, str) or not group.strip():
            raise DataError(f"{path}: row '{row.id}' has no group", hint='Add "group": "a description of the task"')
        groups.setdefault(group.strip(), []).append(row)
    return Bank({group: tuple(rows) for group, rows in groups.items()})


def overlapping(bank: Bank, items: Iterable[Instruction]) -> list[str]:
    """Ids of items that ask what the bank asks: they must not be trained or tested on."""
    known = {_squeezed(question.prompt) for questions in bank.groups.values() for question in questions}
    return [item.id for item in items if _squeezed(item.prompt) in known]


def check_capabilities(names: Iterable[str], capabilities: Mapping[str, Capability]) -> None:
    """Raises UsageError for a candidate that has not taken the test, naming the command."""
    for name in names:
        if name not in capabilities:
            raise UsageError(
                f"candidate '{name}' has no capability record", hint=f"Run its aptitude test: adhere route test {name}"
            )


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())


def _says(text: str, reference: str) -> bool:
    """Whether the reference stands in the text by itself: 12 is not said by "120", "no" not by "know"."""
    wanted = re.escape(reference.strip())
    return bool(re.search(rf"(?<![\w.])(?<!\d,){wanted}(?![\w]|[.,]\d)", text[:100_000], re.IGNORECASE))


def _constrained(rng: random.Random, cls: type, family: str, number: int) -> Instruction:
    wanted = cls.sample(rng)
    prompt = f"Write a short text about {rng.choice(TOPICS)}. {wanted.describe(rng)}"
    return Instruction(f"{family}-{number}", (Message("user", prompt),), (wanted.to_constraint(),))


_NAMES, _CITIES = ("Anna", "Ben", "Carla", "David", "Emma"), ("Rome", "Paris", "Oslo", "Madrid", "Cairo", "Lima")
_LANDS = ("Italy", "France", "Norway", "Spain", "Egypt", "Peru")  # in the order of the cities
_WORDS = ("house", "river", "stone", "cloud", "table", "music", "paper", "light", "chair", "bread", "train", "apple")


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(10, 500), rng.randint(10, 500)
    return f"What is {a} + {b}?", str(a + b)


def _product(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randint(3, 40), rng.randint(3, 20)
    return f"What is {a} * {b}?", str(a * b)


def _look_up(rng: random.Random) -> tuple[str, str]:
    name, city, other = rng.choice(_NAMES), *rng.sample(_CITIES, 2)
    return f"{name} took a train from {other} and arrived in {city}. In which city did {name} arrive?", city


def _yes_no(rng: random.Random) -> tuple[str, str]:
    place, land = rng.randrange(len(_CITIES)), rng.randrange(len(_LANDS))
    land = place if rng.random() < 0.5 else land
    answer = "yes" if land == place else "no"
    return f"Is {_CITIES[place]} a city in {_LANDS[land]}? Answer yes or no.", answer


def _spelling(rng: random.Random) -> tuple[str, str]:
    word = rng.choice(_WORDS)
    return f"Write the word '{word}' backwards.", word[::-1]


def _ordering(rng: random.Random) -> tuple[str, str]:
    words = rng.sample(_WORDS, 3)
    return f"Sort these words by the alphabet: {', '.join(words)}.", ", ".join(sorted(words))


_TASKS = {
    "sums": ("arithmetic, addition of numbers, sums", _sum),
    "products": ("arithmetic, multiplication of numbers, products", _product),
    "look-ups": ("reading a short story, who did what, which city", _look_up),
    "yes-no": ("geography, countries and cities, yes or no questions", _yes_no),
    "spelling": ("spelling, letters of a word, words backwards", _spelling),
    "ordering": ("sorting words, alphabetical order", _ordering),
}
