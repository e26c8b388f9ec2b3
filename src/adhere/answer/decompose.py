"""Decomposers: a request's single constraints, apart from its task (DeCRIM's step 2, arXiv 2410.06458).

    decompose = decomposer("rules")
    found = await decompose(instruction)        # found.constraints, found.texts, found.source

Each constraint stands by itself and is worded as a statement about the answer. What no checker covers is kept as
`told`, which only a model can judge. "gold" takes `instruction.constraints`; "rules" reads the text with
`adhere.constraints.plain` and calls no model; "self" asks the answering model, any other answerer or model name that
one; "auto" takes the given constraints, or where there are none reads the text by rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from itertools import combinations
from typing import NamedTuple

from adhere.answer.base import ask, base_model
from adhere.constraints import conflict
from adhere.constraints.plain import find_in, parse
from adhere.constraints.scorer import checker
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, encode
from adhere.roles import Answerer
from adhere.score.judges.critics import wording

__all__ = ["Clash", "Decompose", "Decomposition", "contradictions", "decomposer", "read_list"]

MOST = 20  # statements that a model may list, or rules keep as told: each costs a judge a call
LONGEST_OUTPUT = 8_000  # characters of a model's list that are read
LONGEST_LINE = 400  # characters of one constraint

_MARK = re.compile(r"(?:[-*•–]|\(?\d{1,2}[.):])\s*(.+)")
_WRAPPED = re.compile(r'^(["“])([^"“”]+)["”][.,]?$')
_NOTHING = re.compile(r"(?:none|no (?:constraints?|requirements?)|n/?a|nothing)[.!]?", re.IGNORECASE)
_CLAUSES = re.compile(r";\s|,?\s+(?:and|but)(?: also)?\s+", re.IGNORECASE)
_INTRODUCTION = re.compile(r"^(?:also|and|but|then|finally|please|make sure(?: that)?|remember(?: that)?)[\s,]+", re.I)


class Decomposition(NamedTuple):
    """What a request asks of its answer.

    Attributes:
        constraints: In the order of the request, without repetition.
        texts: Each as a sentence.
        source: "gold", "rules", "model", or "none" where nothing looked.
        problem: Why there may be fewer than there should be: a model whose output was no list.
    """

    constraints: tuple[Constraint, ...]
    texts: tuple[str, ...]
    source: str
    problem: str = ""


class Clash(NamedTuple):
    """Two constraints (their positions) that no answer can meet together."""

    one: int
    other: int
    reason: str


Decompose = Callable[[Instruction], Awaitable[Decomposition]]


def decomposer(kind: str | Answerer | None, model: Answerer) -> Decompose:
    """The decomposer of that kind, see the module.

    Args:
        kind: "auto", "gold", "rules", "self", a model's name, or an answerer; None decomposes nothing.
        model: The answering model, for "self".

    Raises:
        UnknownNameError, WeightsError: for a model that cannot be had.
    """
    if kind is None:
        return _nothing
    if not isinstance(kind, str):
        return _by_model(kind)
    if kind == "self":
        return _by_model(base_model(model))
    if kind in _WITHOUT_MODEL:
        return _WITHOUT_MODEL[kind]
    from adhere.models.names import load

    return _by_model(load(kind))


def contradictions(constraints: Iterable[Constraint]) -> list[Clash]:
    """The pairs that cannot hold together, as far as their checkers know.

    Raises:
        UnknownNameError, DataError: for a constraint that cannot be built.
    """
    built = [(n, constraint, checker(constraint, "fixed")) for n, constraint in enumerate(constraints)]
    return [
        Clash(n, m, f"“{wording(a)}” and “{wording(b)}” cannot both hold")
        for (n, a, one), (m, b, other) in combinations(built, 2)
        if conflict(one, other)
    ]


def read_list(output: str) -> list[str] | None:
    """The items of a list that a model wrote: marked lines, a JSON list of texts, or None where it is no list.

    At most `MOST` items from the first `LONGEST_OUTPUT` characters, repetitions and overlong lines left out; "none"
    is an empty list. Lines without a mark count as talk around the list.
    """
    text = output[:LONGEST_OUTPUT].strip()
    items = _json_list(text)
    if items is None:
        items = [found[1] for line in text.splitlines() if (found := _MARK.fullmatch(line.strip()))]
        if not items:
            return [] if _NOTHING.fullmatch(text) else None
    clean = (_WRAPPED.sub(r"\2", " ".join(item.split()).strip("* ")) for item in items)
    kept = dict.fromkeys(c for c in clean if 1 < len(c) <= LONGEST_LINE and not _NOTHING.fullmatch(c))
    return list(kept)[:MOST]


def _json_list(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else None


async def _nothing(instruction: Instruction) -> Decomposition:
    return Decomposition((), (), "none")


async def _gold(instruction: Instruction) -> Decomposition:
    return _made(instruction.constraints, "gold")


async def _rules(instruction: Instruction) -> Decomposition:
    """What the rules find in the text, and of the sentences that sound like a demand each clause that they do not."""
    found = find_in(instruction.prompt)
    clauses = [
        clause
        for sentence in found.unparsed
        for raw in _CLAUSES.split(sentence)
        if 1 < len(clause := _INTRODUCTION.sub("", raw.strip()).strip(" .,")) <= LONGEST_LINE
    ]
    return _made((*found.constraints, *_read(clauses[:MOST])), "rules")


async def _auto(instruction: Instruction) -> Decomposition:
    return await (_gold if instruction.constraints else _rules)(instruction)


_WITHOUT_MODEL: dict[str, Decompose] = {"auto": _auto, "gold": _gold, "rules": _rules}


def _by_model(model: Answerer) -> Decompose:
    async def decompose(instruction: Instruction) -> Decomposition:
        prompt = Template.of("adhere.answer", "decrim_decompose").render(request=instruction.prompt)
        output = (await ask(model, prompt, temperature=0.0)).text
        items = read_list(output)
        if items is None:
            return Decomposition((), (), "model", f"the decomposer wrote no list but {output.strip()[:120]!r}")
        return _made(_read(items), "model")

    return decompose


def _read(statements: Iterable[str]) -> list[Constraint]:
    """Statements as constraints: checkable where the rules understand them, the rest as it was told."""
    made: list[Constraint] = []
    for statement in statements:
        parsed = parse(statement)
        if parsed.constraints and not parsed.unparsed:
            made += parsed.constraints
        else:
            made.append(Constraint("told", {"text": statement}))
    return made


def _made(constraints: Iterable[Constraint], source: str) -> Decomposition:
    """Without repetition.

    Raises:
        UnknownNameError, DataError: for a constraint that cannot be built.
    """
    distinct = tuple({encode(c): c for c in constraints}.values())
    return Decomposition(distinct, tuple(map(wording, distinct)), source)
