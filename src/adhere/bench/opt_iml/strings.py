"""Forty tasks on short strings in eight categories, with exact answers: our own collection, made anew from a seed.

    strings(train=40, test=6)      # a bank for `split`: the same tasks and instances on every machine

Their inputs are a few common words or small numbers, their answers follow from a rule that the definition states.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from adhere.bench.opt_iml.bank import Pair, Task

__all__ = ["strings"]

WORDS = """apple ball cat desk egg fish goat hat ink jam kite lamp milk nest oak pear quilt rope sun tree urn van wolf
yarn zoo bread cloud drum eagle flute grape house island jewel knife lemon maple night ocean paper river stone
tiger""".split()  # noqa: SIM905  a list of them is a screen long

Rule = Callable[[list[str]], str]
Made = tuple[str, Rule]


def _words(draw: random.Random) -> list[str]:
    return draw.sample(WORDS, draw.randint(3, 5))


def _repeats(draw: random.Random) -> list[str]:
    few = draw.sample(WORDS, 2)
    return [draw.choice(few) for _ in range(draw.randint(3, 5))]


def _numbers(draw: random.Random) -> list[str]:
    return [str(n) for n in draw.sample(range(1, 100), 2)]


def _table(draw: random.Random) -> list[str]:
    """Pairs and a question: "cat=3", "oak=7", "?", "oak"."""
    words = draw.sample(WORDS, 3)
    values = draw.sample(range(1, 10), 3)
    return [*(f"{word}={value}" for word, value in zip(words, values, strict=True)), "?", draw.choice(words)]


def _cells(items: list[str]) -> list[tuple[str, int]]:
    return [(key, int(value)) for key, value in (item.split("=") for item in items if "=" in item)]


def _yes(verdict: bool) -> str:
    return "yes" if verdict else "no"


# Category: how its inputs are drawn, and its tasks: name → (definition, rule).
TASKS: dict[str, tuple[Callable[[random.Random], list[str]], dict[str, Made]]] = {
    "order": (_words, {
        "reverse": ("Write the words in reverse order.", lambda w: " ".join(w[::-1])),
        "sort": ("Write the words in alphabetical order.", lambda w: " ".join(sorted(w))),
        "sort_down": ("Write the words in alphabetical order, from z to a.", lambda w: " ".join(sorted(w)[::-1])),
        "rotate": ("Move the first word to the end.", lambda w: " ".join(w[1:] + w[:1])),
        "swap": ("Swap the first word and the last word.", lambda w: " ".join([w[-1], *w[1:-1], w[0]])),
    }),
    "case": (_words, {
        "upper": ("Write everything in capital letters.", lambda w: " ".join(w).upper()),
        "title": ("Begin each word with a capital letter.", lambda w: " ".join(w).title()),
        "upper_first": ("Write the first word in capital letters.", lambda w: " ".join([w[0].upper(), *w[1:]])),
        "upper_last": ("Write the last word in capital letters.", lambda w: " ".join([*w[:-1], w[-1].upper()])),
        "sentence": ("Begin the first word with a capital letter.", lambda w: " ".join(w).capitalize()),
    }),
    "counting": (_repeats, {
        "words": ("Count the words.", lambda w: str(len(w))),
        "distinct": ("Count the different words.", lambda w: str(len(set(w)))),
        "first": ("Count how often the first word occurs.", lambda w: str(w.count(w[0]))),
        "last": ("Count how often the last word occurs.", lambda w: str(w.count(w[-1]))),
        "letters": ("Count the letters of the first word.", lambda w: str(len(w[0]))),
    }),
    "selection": (_words, {
        "first": ("Write the first word.", lambda w: w[0]),
        "last": ("Write the last word.", lambda w: w[-1]),
        "second": ("Write the second word.", lambda w: w[1]),
        "longest": ("Write the longest word, the first of equals.", lambda w: max(w, key=len)),
        "shortest": ("Write the shortest word, the first of equals.", lambda w: min(w, key=len)),
    }),
    "arithmetic": (_numbers, {
        "add": ("Add the two numbers.", lambda n: str(int(n[0]) + int(n[1]))),
        "subtract": ("Subtract the second number from the first.", lambda n: str(int(n[0]) - int(n[1]))),
        "multiply": ("Multiply the two numbers.", lambda n: str(int(n[0]) * int(n[1]))),
        "larger": ("Write the larger number.", lambda n: max(n, key=int)),
        "smaller": ("Write the smaller number.", lambda n: min(n, key=int)),
    }),
    "template": (lambda draw: draw.sample(WORDS, 2), {
        "like": ("Say that you like both things.", lambda w: f"I like {w[0]} and {w[1]}."),
        "not": ("Say that the first thing is not the second.", lambda w: f"A {w[0]} is not a {w[1]}."),
        "from": ("Say the way from the first thing to the second.", lambda w: f"From {w[0]} to {w[1]}."),
        "tags": ("Put each thing in angle brackets.", lambda w: f"<{w[0]}> <{w[1]}>"),
        "order": ("Say that the second thing comes before the first.", lambda w: f"First the {w[1]}, then the {w[0]}."),
    }),
    "lookup": (_table, {
        "value": ("Write the number of the word after the question mark.", lambda t: str(dict(_cells(t))[t[-1]])),
        "largest": ("Write the word with the largest number.", lambda t: max(_cells(t), key=lambda c: c[1])[0]),
        "smallest": ("Write the word with the smallest number.", lambda t: min(_cells(t), key=lambda c: c[1])[0]),
        "keys": ("Write the words of the table without their numbers.", lambda t: " ".join(k for k, _ in _cells(t))),
        "asked": ("Write the word after the question mark.", lambda t: t[-1]),
    }),
    "classification": (_repeats, {
        "ends": ("Are the first and the last word the same? Answer yes or no.", lambda w: _yes(w[0] == w[-1])),
        "starts": ("Are the first two words the same? Answer yes or no.", lambda w: _yes(w[0] == w[1])),
        "many": ("Are there more than three words? Answer yes or no.", lambda w: _yes(len(w) > 3)),
        "sorted": ("Are the words in alphabetical order? Answer yes or no.", lambda w: _yes(w == sorted(w))),
        "vowel": ("Does the first word begin with a vowel? Answer yes or no.", lambda w: _yes(w[0][0] in "aeiou")),
    }),
}  # fmt: skip


def strings(train: int = 40, test: int = 6, seed: int = 0) -> list[Task]:
    """The forty tasks, each with two examples, `train` and `test` instances of different inputs."""
    bank = []
    for category, (inputs, tasks) in TASKS.items():
        for name, (definition, rule) in tasks.items():
            draw = random.Random(f"{seed} {category} {name}")
            pairs: dict[str, Pair] = {}
            for _ in range(100 * (2 + train + test)):
                items = inputs(draw)
                text = " ".join(items)
                pairs.setdefault(text, Pair(text, rule(items)))
                if len(pairs) == 2 + train + test:
                    break
            made = list(pairs.values())
            bank.append(
                Task(
                    f"{category}_{name}",
                    category,
                    definition,
                    tuple(made[:2]),
                    tuple(made[2 + test :]),
                    tuple(made[2 : 2 + test]),
                    f"{category}_{name}",
                )
            )
    return bank
