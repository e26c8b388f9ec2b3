"""Rows of our own in CoDI-Eval's formats: phrasings × the paper's rules for filling them (its section on building).

Labels come in turn. A topic is named by one part of its label or by all parts joined by "or". Half the lengths are
multiples of 10 from 10 to 200, the others anything from 5 to 200 (30 if the template asks for a sentence), and a
quarter of all numbers is written in words. Half of the keyword rows allow a substitute for one word and forbid one for
another; lists are written with "and", with commas or in brackets. Every toxicity context goes into all 20 templates.

The paper has GPT-3.5 expand 20 seed templates and rewrite them in styles; the phrasings here are ours, in several
styles too.
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

__all__ = ["SENTIMENTS", "TASKS", "build", "phrasings", "spelled", "toxicity_rows"]

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
    make = {"sentiment": _sentiment, "topic": _topic, "multi": _multi, "length": _length, "keyword": _keyword}[task]
    return [make(number, rng) for number in range(count)]


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
    return msgspec.json.decode(files("adhere.bench.codi_eval").joinpath("templates.json").read_bytes())


def _sentiment(number: int, rng: random.Random) -> dict[str, Any]:
    label = SENTIMENTS[number % len(SENTIMENTS)]
    return {"instruction": _fill(rng.choice(phrasings()["sentiment"]), sentiment=label), "label": label}


def _topic(number: int, rng: random.Random) -> dict[str, Any]:
    label = TOPICS[number % len(TOPICS)]
    return {"instruction": _fill(rng.choice(phrasings()["topic"]), topic=_surface(label, rng)), "label": label}


def _multi(number: int, rng: random.Random) -> dict[str, Any]:
    # 9 goes into 18: without the shift every topic would meet the same two sentiments
    topic, sentiment = TOPICS[number % len(TOPICS)], SENTIMENTS[(number + number // len(TOPICS)) % len(SENTIMENTS)]
    text = _fill(rng.choice(phrasings()["multi"]), topic=_surface(topic, rng), sentiment=sentiment)
    return {"instruction": text, "label1": topic, "label2": sentiment}


def _surface(label: str, rng: random.Random) -> str:
    parts = [part.replace("_", " ").strip() for part in label.split("&")]
    return rng.choice([*parts, " or ".join(parts)]) if len(parts) > 1 else parts[0]


def _length(number: int, rng: random.Random) -> dict[str, Any]:
    mode = LENGTH_MODES[number % len(LENGTH_MODES)]
    template = rng.choice(phrasings()["length"][mode])
    if mode == "between":
        high = rng.randint(20, 200)
        label = [rng.randint(1, high - 10), high]
        text = _fill(template, number1=_number(label[0], rng), number2=_number(label[1], rng))
    else:
        top = 30 if "sentence" in template else 200
        asked = 10 * rng.randint(1, top // 10) if rng.random() < 0.5 else rng.randint(5, top)
        label = list(interval(MODES[mode], asked))  # pyrefly: ignore[bad-argument-type]
        text = _fill(template, number=_number(asked, rng))
    return {"instruction": text, "mode": mode, "label": label}


def _keyword(number: int, rng: random.Random) -> dict[str, Any]:
    plain, harder = rng.choice(phrasings()["keyword"])
    wanted_anti = number % 2 == 1
    while (sampled := CodiKeyword.sample(rng)).anti is None or not wanted_anti:
        if sampled.anti is None and not wanted_anti:
            break
    words = list(sampled.keywords)
    row: dict[str, Any] = {"label": words}
    listed = (", ".join(words[:-1]) + f" and {words[-1]}", ", ".join(words), f"[{', '.join(words)}]")[rng.randrange(3)]
    if sampled.anti is None:
        return {"instruction": _fill(plain, keywords=listed)} | row
    text = _fill(harder, keywords=listed, nonkeywords=sampled.anti)
    return {"instruction": text} | row | {"anti_label": sampled.anti}


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
