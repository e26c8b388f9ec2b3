"""Answers whose correctness and faithfulness are known by construction, to measure the measures with.

A small invented world: places with a founder, a year, a number of seats and a colour, a passage each. Of every question
are made a short right answer, a verbose one, verbose wrong ones (with a value from another passage, or from nowhere), a
right one with facts that no passage holds, two that copy the question first, and a refusal. What a measure should say
of each is thus known, which for a model's answers only people can tell.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from adhere.engine.seeds import derive

__all__ = ["Judged", "known_truth"]

PASSAGES = 8  # shown with a question, one of them the right one
_STARTS = ("Har", "Ver", "Low", "Tel", "Bran", "Mor", "Ost", "Fen", "Cal", "Dun", "Esk", "Gar")
_ENDS = ("mark", "rin", "dale", "wick", "more", "stead", "holm", "ford", "ley", "mouth")
_THINGS = ("theatre", "library", "stadium", "cinema", "chapel", "museum")
_FIRST = ("Odile", "Tomas", "Ines", "Karl", "Ruth", "Hugo", "Nell", "Emil", "Pia", "Aldous", "Greta", "Ivo")
_LAST = (
    "Brandt",
    "Ekdal",
    "Calvo",
    "Neder",
    "Brackle",
    "Marr",
    "Astbury",
    "Tross",
    "Lund",
    "Finn",
    "Holm",
    "Sand",
)
_COLOURS = ("blue", "green", "yellow", "red", "white", "grey", "orange", "brown")
_EXTRAS = (
    "Its director also won two national prizes for gardening.",
    "Nearly a million tourists from Asia come every summer.",
    "A famous film was shot there after the war.",
    "The roof was replaced by solar panels last spring.",
)
# Of each fact: how the passage says it, how it is asked, and how a verbose answer puts it.
_FACTS = {
    "founder": ("It was founded by {}.", "Who founded {}?", "the person who founded it was {}"),
    "year": ("Its doors opened in {}.", "When did {} open?", "that happened in the year {}"),
    "seats": ("It has {} seats.", "How many seats does {} have?", "the total number is {}"),
    "colour": ("Its front is painted {}.", "What colour is the front of {}?", "you would find it painted {}"),
}


class Judged(NamedTuple):
    """An answer with the truth about it.

    Attributes:
        cluster: Its question's number.
        kind: How it was made.
        question, passages, references: As in a benchmark.
        text: The answer.
        correct: 1 if it gives the answer, else 0.
        faithful: The share of its claims that the passages hold; None for a refusal, which claims nothing.
    """

    cluster: int
    kind: str
    question: str
    passages: tuple[str, ...]
    references: tuple[str, ...]
    text: str
    correct: float
    faithful: float | None


def known_truth(questions: int, seed: int = 0) -> list[Judged]:
    """Eight answers to each of so many questions; the same seed makes the same."""
    return [
        row for number in range(questions) for row in _answers(number, random.Random(derive("truth", seed, number)))
    ]


def _answers(number: int, draw: random.Random) -> list[Judged]:
    places = _places(draw)
    fact = draw.choice(sorted(_FACTS))
    passages = tuple(_passage(name, facts) for name, facts in places)
    at = draw.randrange(PASSAGES)
    name, facts = places[at]
    right = facts[fact]
    others = [other[fact] for _, other in places if other[fact] != right]
    elsewhere = draw.choice(others) if others else _value(fact, draw)
    nowhere = _unseen(fact, draw, {word for _, other in places for value in other.values() for word in value.split()})
    question, said = _FACTS[fact][1].format(name), _FACTS[fact][2]

    def verbose(value: str) -> str:
        return f"Based on what I was able to read, {said.format(value)}, as far as I understand."

    made = (
        ("short", right, 1.0, 1.0),
        ("verbose", verbose(right), 1.0, 1.0),
        ("verbose, value of another passage", verbose(elsewhere), 0.0, 0.0),
        ("verbose, value from nowhere", verbose(nowhere), 0.0, 0.0),
        ("right with unsupported facts", f"{verbose(right)} {draw.choice(_EXTRAS)}", 1.0, 0.5),
        ("copies the question, right", f"You asked: {question} {verbose(right)}", 1.0, 1.0),
        ("copies the question, wrong", f"You asked: {question} {verbose(nowhere)}", 0.0, 0.0),
        ("refusal", "I don't know.", 0.0, None),
    )
    return [Judged(number, kind, question, passages, (right,), text, c, f) for kind, text, c, f in made]


def _places(draw: random.Random) -> list[tuple[str, dict[str, str]]]:
    names: list[str] = []
    while len(names) < PASSAGES:
        name = f"the {draw.choice(_STARTS)}{draw.choice(_ENDS)} {draw.choice(_THINGS)}"
        if name not in names:
            names.append(name)
    return [(name, {fact: _value(fact, draw) for fact in _FACTS}) for name in names]


def _value(fact: str, draw: random.Random) -> str:
    if fact == "founder":
        return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"
    if fact == "year":
        return str(draw.randint(1750, 1990))
    return str(draw.randint(60, 2400)) if fact == "seats" else draw.choice(_COLOURS)


def _unseen(fact: str, draw: random.Random, seen: set[str]) -> str:
    """A value of which no passage holds a word; where all are taken, one that no passage ever has."""
    for _ in range(200):
        if not seen.intersection((value := _value(fact, draw)).split()):
            return value
    return {"founder": "Zora Quist", "colour": "violet"}.get(fact, "41")


def _passage(name: str, facts: dict[str, str]) -> str:
    told = " ".join(_FACTS[fact][0].format(value) for fact, value in facts.items())
    return f"This is about {name}. {told}"
