"""From constraints to one machine that guarantees as many of them as compose.

Every kind of constraint has a rule (`rules.py`) that gives *ways* to hold it, in order of preference. The compiler
meets the machine so far with the first way that leaves anything; a constraint of which no way does is `left`, with the
reason, for whoever refines. `tests/answer/test_constrained.py` walks the machines at random and asks the checkers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from adhere.answer.constrained.alphabet import alphabet
from adhere.answer.constrained.json_shape import Json
from adhere.answer.constrained.lengths import Characters, Sentences, Words
from adhere.answer.constrained.lines import Divided, Items, Layout, NthParagraph, Paragraphs, Sections
from adhere.answer.constrained.machine import LIMIT, Empty, Machine, TooLarge, universe
from adhere.answer.constrained.phrases import Begins, Except, Occurs, OneOf, Only
from adhere.answer.constrained.rules import PARTLY, RULES, Cannot, Context, Way
from adhere.constraints.base import Checker, build, conflict
from adhere.constraints.ifeval.base import Both, Fixed
from adhere.records import Constraint, Instruction, decode, encode

__all__ = ["Left", "Plan", "contradictions", "plan_of"]


EVEN = (Divided, Items, NthParagraph, Paragraphs, Sections)  # pieces whose parts share an answer's length


class Left(NamedTuple):
    """A constraint that is not guaranteed, and why."""

    constraint: Constraint
    because: str


class Plan(NamedTuple):
    """What is guaranteed.

    Attributes:
        machine: The automaton of all answers that hold the compiled constraints; None where nothing was compiled, or a
            JSON schema does it.
        compiled: What every answer holds, in the instruction's order.
        left: The rest.
        schema: The JSON schema that the answer has to match, where one was asked for.
        parts: How many parts of about the same length the answer is to have: list items, paragraphs, sections.
    """

    machine: Machine | None
    compiled: tuple[Constraint, ...]
    left: tuple[Left, ...]
    schema: dict[str, Any] | None = None
    parts: int = 1


def plan_of(
    instruction: Instruction, constraints: Sequence[Constraint], *, tokens: int | None = None, limit: int = LIMIT
) -> Plan:
    """Compile the constraints of an instruction.

    The alphabet follows the scripts of the instruction's text and of the constraints' phrases.

    Args:
        instruction: What is asked.
        constraints: In order of importance: of two that contradict each other the first is compiled.
        tokens: The limit that the answer has to fit into; what cannot is left.
        limit: States that the engine's grammars may have.

    Raises:
        UnknownNameError, DataError: for a constraint that cannot be built.
    """
    texts = [m.text for m in instruction.messages]
    phrases = [text for constraint in constraints for text in _texts(constraint.args)]
    chars = alphabet([*texts, *phrases], phrases)
    return _planned(chars, tuple(encode(c) for c in constraints), tokens, limit)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@lru_cache(maxsize=64)
def _planned(chars: str, encoded: tuple[bytes, ...], tokens: int | None, limit: int) -> Plan:
    constraints = [decode(c, Constraint) for c in encoded]
    left: dict[int, str] = {}
    for first, second in contradictions(constraints):
        if first not in left:
            left.setdefault(second, f"contradicts {constraints[first].kind}")
    schema = next((c.args["schema"] for c in constraints if c.kind == "json" and c.args.get("schema")), None)
    if schema is not None:
        return _by_schema(constraints, left, schema)
    context = Context(tuple(c.kind for i, c in enumerate(constraints) if i not in left), tokens)
    ways: dict[int, list[Way]] = {}
    partly: dict[int, str] = {}
    for i, constraint in enumerate(constraints):
        if i in left:
            continue
        try:
            rule = RULES.get(constraint.kind)
            if rule is None:
                raise Cannot("no grammar can hold it")
            ways[i] = rule(_given(constraint.args), context)
            partly.update({i: PARTLY[constraint.kind]} if constraint.kind in PARTLY else {})
        except Cannot as reason:
            left[i] = str(reason)
    machine, failed = _composed(chars, ways, limit)
    left.update(failed)
    done = [i for i in ways if i not in failed]
    rest = [Left(constraints[i], left[i] if i in left else partly[i]) for i in sorted({*left, *partly})]
    pieces = [piece for i in done for piece in ways[i][0]]
    parts = max((wanted.low for p in pieces if isinstance(p, EVEN) and (wanted := p.wanted)), default=1)
    return Plan(machine if done else None, tuple(constraints[i] for i in done), tuple(rest), parts=max(1, parts))


def contradictions(constraints: Sequence[Constraint]) -> list[tuple[int, int]]:
    """The pairs, by position, that no answer can hold both.

    Asked of the native checkers: the lists of a benchmark's kinds tell what its authors did not combine.

    Raises:
        UnknownNameError, DataError: for a constraint that cannot be built.
    """
    native = [_native(build(c, "fixed")) for c in constraints]
    places = range(len(native))
    return [(j, i) for i in places for j in range(i) if any(conflict(a, b) for a in native[i] for b in native[j])]


def _native(checker: Checker) -> tuple[Checker, ...]:
    if isinstance(checker, Fixed):
        return _native(checker.native)
    return checker.parts if isinstance(checker, Both) else (checker,)


def _given(args: dict[str, Any]) -> dict[str, Any]:
    """As `constraints.build` reads them: null is not given, 5.0 is 5."""
    whole = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in args.items()}
    return {k: v for k, v in whole.items() if v is not None}


def _by_schema(constraints: list[Constraint], left: dict[int, str], schema: dict[str, Any]) -> Plan:
    at = next(i for i, c in enumerate(constraints) if c.kind == "json")
    rest = [Left(c, left.get(i, "a JSON schema stands alone")) for i, c in enumerate(constraints) if i != at]
    return Plan(None, (constraints[at],), tuple(rest), schema)


def _composed(chars: str, ways: dict[int, list[Way]], limit: int) -> tuple[Machine, dict[int, str]]:
    """The machine of as many constraints as compose, the small ones first; and why each other one does not."""
    indented = all(not isinstance(p, (Words, Characters, Items)) for way in ways.values() for p in way[0])
    machine = universe(chars).meet(Layout(indented=indented))
    failed: dict[int, str] = {}
    for i in sorted(ways, key=lambda i: (min(map(_size, ways[i])), i)):
        reasons = []
        for way in ways[i]:
            try:
                machine = _met(machine, way, limit)
                break
            except Empty:
                reasons.append("no answer can hold it together with the others")
            except TooLarge:
                reasons.append("the grammar of all of them would be too large")
        else:
            failed[i] = reasons[-1]
    return machine, failed


def _met(machine: Machine, way: Way, limit: int) -> Machine:
    for piece in way:
        machine = machine.meet(piece, limit)
    return machine


def _size(way: Way) -> int:
    """Which come first: what shrinks the alphabet, then forms, then phrases, then what counts far."""
    order: dict[type, int] = {
        Only: 0,
        Except: 0,
        OneOf: 1,
        Json: 1,
        Begins: 2,
        Characters: 9,
        Words: 8,
        Sentences: 7,
        Occurs: 5,
    }
    return max(order.get(type(piece), 4) for piece in way)
