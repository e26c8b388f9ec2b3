"""Rows in CoDI-Eval's formats: templates × the paper's rules for filling them (its section on building).

Labels come in turn. A topic is named by one part of its label or by all parts joined by "or". Half the lengths are
multiples of 10 from 10 to 200, the others anything from 5 to 200 (30 if the template asks for a sentence), and a
quarter of all numbers is written in words. Half of the keyword rows allow a substitute for one word and forbid one for
another; lists are written with "and", with commas or in brackets. Every toxicity context goes into all 20 templates.

The templates here, `phrasings`, are ours, in several styles; what a model makes of them is the rest of this package.
"""

from __future__ import annotations

import random
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from adhere.constraints.codi import CodiKeyword, interval
from adhere.data.codi_rows import MODES
from adhere.score.classifiers.codi import EMOTIONS, POLARITIES, TOPICS

__all__ = [
    "SENTIMENTS",
    "TASKS",
    "build",
    "fill",
    "fill_keyword",
    "fill_length",
    "labels",
    "phrasings",
    "spelled",
    "surface",
    "toxicity_rows",
]

TASKS = ("sentiment", "topic", "multi", "length", "keyword", "toxicity")
SENTIMENTS = (*EMOTIONS, *POLARITIES)
LENGTH_MODES = tuple(MODES)
IN_WORDS = 0.25  # share of numbers that are written out
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def build(task: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of one task, in upstream's fields; equal arguments give equal rows.

    Args:
        task: One of `TASKS`.
        count: How many; of "toxicity" contexts, each of which makes 20 rows.
        seed: Of everything random.

    Raises:
        KeyError: for another task.
    """
    rng = random.Random(f"{task}-{seed}")
    if task == "toxicity":
        return toxicity_rows(list(enumerate(phrasings()["contexts"][:count])))
    return [_row(task, number, rng) for number in range(count)]


def _row(task: str, number: int, rng: random.Random) -> dict[str, Any]:
    """A row with one of the packaged templates, drawn before anything else."""
    if task == "length":
        mode = LENGTH_MODES[number % len(LENGTH_MODES)]
        return fill_length(rng.choice(phrasings()["length"][mode]), mode, rng)
    if task == "keyword":
        return fill_keyword(rng.choice(phrasings()["keyword"])[number % 2], rng)
    return fill(rng.choice(phrasings()[task]), labels(task, number), rng)


def toxicity_rows(contexts: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """Upstream's rows of the toxicity task: each (id, text) in all templates, all rows of a context together."""
    return [
        {"instruction": template.replace("{context}", text), "context_id": key, "context": text}
        for key, text in contexts
        for template in phrasings()["toxicity"]
    ]


@lru_cache(maxsize=1)
def phrasings() -> dict[str, Any]:
    """The templates by task."""
    return msgspec.json.decode(files("adhere.write.codi_eval").joinpath("templates.json").read_bytes())


def labels(task: str, number: int) -> dict[str, str]:
    """The labels of the `number`-th row of "sentiment", "topic" or "multi": all of them in turn.

    Raises:
        KeyError: for another task.
    """
    topic, sentiment = TOPICS[number % len(TOPICS)], SENTIMENTS[number % len(SENTIMENTS)]
    # 9 goes into 18: without the shift every topic would meet the same two sentiments
    shifted = SENTIMENTS[(number + number // len(TOPICS)) % len(SENTIMENTS)]
    every = {"sentiment": {"label": sentiment}, "topic": {"label": topic}}
    return (every | {"multi": {"label1": topic, "label2": shifted}})[task]


def surface(label: str, rng: random.Random) -> str:
    """How a topic is named in an instruction: one part of its label, or all parts joined by "or"."""
    parts = [part.replace("_", " ").strip() for part in label.split("&")]
    return rng.choice([*parts, " or ".join(parts)]) if len(parts) > 1 else parts[0]


def fill(template: str, labels: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """A row of "sentiment", "topic" or "multi" from a template and its labels."""
    slots = {}
    if "{topic}" in template:
        slots["topic"] = surface(labels.get("label1") or labels["label"], rng)
    if "{sentiment}" in template:
        slots["sentiment"] = labels.get("label2") or labels["label"]
    return {"instruction": _fill(template, **slots)} | labels


def fill_length(template: str, mode: str, rng: random.Random) -> dict[str, Any]:
    """A row of "length" from a template of that mode, upstream's name of it."""
    top = 30 if "sentence" in template else 200
    if mode == "between":
        high = rng.randint(20, top)
        label = [rng.randint(1, high - 10), high]
        text = _fill(template, number1=_number(label[0], rng), number2=_number(label[1], rng))
    else:
        asked = 10 * rng.randint(1, top // 10) if rng.random() < 0.5 else rng.randint(5, top)
        label = list(interval(MODES[mode], asked))  # pyrefly: ignore[bad-argument-type]
        text = _fill(template, number=_number(asked, rng))
    return {"instruction": text, "mode": mode, "label": label}


def fill_keyword(template: str, rng: random.Random) -> dict[str, Any]:
    """A row of "keyword"; a template with `{nonkeywords}` gets a choice of two words and a forbidden one."""
    wanted_anti = "{nonkeywords}" in template
    while (sampled := CodiKeyword.sample(rng)).anti is None or not wanted_anti:
        if sampled.anti is None and not wanted_anti:
            break
    words = list(sampled.keywords)
    listed = (", ".join(words[:-1]) + f" and {words[-1]}", ", ".join(words), f"[{', '.join(words)}]")[rng.randrange(3)]
    if sampled.anti is None:
        return {"instruction": _fill(template, keywords=listed), "label": words}
    text = _fill(template, keywords=listed, nonkeywords=sampled.anti)
    return {"instruction": text, "label": words, "anti_label": sampled.anti}


def _number(value: int, rng: random.Random) -> str:
    return spelled(value) if rng.random() < IN_WORDS else str(value)


def spelled(value: int) -> str:
    """A number from 0 to 999 in words.

    >>> spelled(136)
    'one hundred and thirty-six'
    """
    if value < 20:
        return _ONES[value]
    if value < 100:
        rest = value % 10
        return _TENS[value // 10 - 2] + (f"-{_ONES[rest]}" if rest else "")
    rest = value % 100
    return f"{_ONES[value // 100]} hundred" + (f" and {spelled(rest)}" if rest else "")


def _fill(template: str, **slots: str) -> str:
    text = template
    for name, value in slots.items():
        text = text.replace("{" + name + "}", value)
    return text[0].upper() + text[1:] if template.startswith("{") else text
