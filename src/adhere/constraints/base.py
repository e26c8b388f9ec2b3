"""What a constraint is: a small frozen struct whose fields are its arguments, with four methods.

    class Words(Ranged):                              # registered as "words"
        def measure(self, text): ...

`check` is the metric, the filter, the reward and the guardrail: pure, deterministic, bounded in time, no network.
`Text` holds what several checkers need of one text (its words, sentences, language), each computed once. Two dialects
exist: `ifeval` grades as a benchmark's published reference does, defects included, so that numbers compare; `fixed`
grades what the instruction says. A class whose reference is defective returns the right checker from `fixed()`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar, cast

import msgspec

from adhere.errors import DataError
from adhere.records import Constraint, Score, Span
from adhere.registry import find, parts
from adhere.registry import register as _register_part

__all__ = [
    "Checker",
    "Dialect",
    "Text",
    "Verdict",
    "build",
    "build_all",
    "conflict",
    "constraint",
    "kinds",
    "loose_variants",
    "verify",
]

Dialect = Literal["ifeval", "fixed"]
C = TypeVar("C", bound="type[Checker]")


class Text:
    """A response with its features, each computed at most once, on demand. Features live in `constraints/text.py`."""

    def __init__(self, raw: str) -> None:
        self.raw = raw

    @classmethod
    def of(cls, text: str | Text) -> Text:
        """`text` itself if it is a Text already."""
        return text if isinstance(text, Text) else cls(text)

    @cached_property
    def stripped(self) -> str:
        """Without surrounding white space."""
        return self.raw.strip()

    @cached_property
    def lower(self) -> str:
        """In lower case."""
        return self.raw.lower()

    @cached_property
    def lines(self) -> list[str]:
        """Split on "\\n" alone, as every reference checker does."""
        return self.raw.split("\n")

    def feature(self, compute: Callable[[str], Any]) -> Any:
        """`compute(raw)`, remembered under the function itself: for features that only one family needs."""
        known = self.__dict__.setdefault("_features", {})
        if compute not in known:
            known[compute] = compute(self.raw)
        return known[compute]


class Checker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all constraints: subclass, declare arguments as fields, implement `check`, decorate with `@constraint`.

    Class attributes (set by the decorator):
        kind: The registered name, e.g. "words" or "keywords:existence".
        family: The group that charts show it under, e.g. "length".
        claims: Languages that it is made for ("en", …), or "*" where it does not depend on one.
        excludes: Kinds that it can never hold together with, whatever their arguments; the class body sets it.
    """

    kind: ClassVar[str] = ""
    family: ClassVar[str] = ""
    claims: ClassVar[str] = "*"
    excludes: ClassVar[frozenset[str]] = frozenset()

    def check(self, text: str | Text) -> Score:
        """Judge a response: `passed`, a `reason` (observed versus expected) and the `spans` that decided it."""
        raise NotImplementedError

    def passes(self, text: str | Text) -> bool:
        """`check(text).passed is True`; override where the verdict is much cheaper than its reasons."""
        return self.check(text).passed is True

    def describe(self, rng: random.Random) -> str:
        """A sentence that asks for this, in one of several phrasings, e.g. "Use at least 3 bullet points."."""
        raise NotImplementedError

    @classmethod
    def sample(cls, rng: random.Random) -> Self:
        """Random sensible arguments."""
        return cls()

    def conflicts_with(self, other: Checker) -> bool:
        """Whether no sensible response can satisfy both. `conflict(a, b)` asks both sides."""
        return other.kind in self.excludes

    def fixed(self) -> Checker:
        """The checker that grades what the instruction says; itself where the reference has no defect."""
        return self

    def as_published(self) -> Checker:
        """The checker for the `ifeval` dialect: itself. Raises ValueError where the reference cannot use the arguments.

        A keyword that is no regular expression is such a case: only the reference takes keywords for expressions.
        """
        return self

    @property
    def args(self) -> dict[str, Any]:
        """The arguments that differ from their defaults, as plain JSON values."""
        defaults = {f.name: f.default for f in msgspec.structs.fields(self)}
        made = cast("dict[str, Any]", msgspec.to_builtins(self))
        changed = {k: v for k, v in made.items() if v != defaults.get(k, msgspec.NODEFAULT)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in changed.items()}

    def to_constraint(self) -> Constraint:
        """As a record."""
        return Constraint(self.kind, self.args)

    def verdict(self, passed: bool, reason: str, spans: Iterable[Span] = (), *, value: float | None = None) -> Score:
        """A `Score` under this constraint's name."""
        return Score(self.kind, float(passed) if value is None else value, passed, reason=reason, spans=tuple(spans))

    def undecided(self, reason: str) -> Score:
        """A `Score` that is neither a pass nor a failure: what the check needs cannot be known of this text."""
        return Score(self.kind, None, None, reason=reason)


def constraint(kind: str, *, family: str, paper: str | None = None, claims: str = "*") -> Callable[[C], C]:
    """Register a checker class under `kind` and put it in a `family`."""

    def add(cls: C) -> C:
        cls.kind, cls.family, cls.claims = kind, family, claims
        return _register_part(kind, paper=paper, room="constraints")(cls)

    return add


def kinds() -> dict[str, type[Checker]]:
    """All constraint classes by kind."""
    return {name: part.target for name, part in parts("constraints").items()}


def build(wanted: Constraint, dialect: Dialect = "ifeval") -> Checker:
    """The checker of a constraint record.

    Arguments whose value is null are dropped, as IFEval's data need, and 5.0 is taken for 5, as IFBench's need.

    Raises:
        UnknownNameError: if no such kind is registered (nearest names in the hint).
        DataError: if an argument is unknown, missing, or of the wrong type or value.
    """
    cls: type[Checker] = find("constraints", wanted.kind).target
    args = {k: _whole(v) for k, v in wanted.args.items() if v is not None}
    try:
        made = msgspec.convert(args, type=cls)
        return made.fixed() if dialect == "fixed" else made.as_published()
    except (msgspec.ValidationError, ValueError) as error:
        fields = (
            ", ".join(f"{f.name}{'' if f.required else '?'}" for f in msgspec.structs.fields(cls)) or "no arguments"
        )
        raise DataError(f"constraint '{wanted.kind}': {error}", hint=f"It takes: {fields}") from error


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def build_all(wanted: Sequence[Constraint], dialect: Dialect = "ifeval") -> tuple[Checker, ...]:
    """The checkers of several constraint records, in order."""
    return tuple(build(c, dialect) for c in wanted)


def conflict(one: Checker, other: Checker) -> bool:
    """Whether either side says that both cannot hold."""
    return one.conflicts_with(other) or other.conflicts_with(one)


def contradictions(checkers: Sequence[Checker]) -> list[tuple[Checker, Checker]]:
    """The pairs among several constraints that no sensible response can satisfy together."""
    return [(a, b) for n, a in enumerate(checkers) for b in checkers[n + 1 :] if conflict(a, b)]


LOOSE_LIMIT = 1_000_000


class Verdict(NamedTuple):
    """What `verify` found: the strict scores in full, and whether each constraint holds loosely."""

    strict: tuple[Score, ...]
    loose: tuple[bool, ...]


def verify(response: str, checkers: Sequence[Checker]) -> Verdict:
    """Judge one response against several constraints, strictly and loosely (IFEval, section 2.3).

    Strict: the response as it is; a blank response fails everything. Loose: some of eight clean-ups passes (without the
    first line, the last, both; each of these with every `*` removed). A response of more than a million characters is
    read strictly only: no model writes one, and eight readings of it would take long.
    """
    text = Text(response)
    if not text.stripped:
        scores = tuple(c.verdict(False, "the response is empty") for c in checkers)
        return Verdict(scores, (False,) * len(checkers))
    strict = tuple(c.check(text) for c in checkers)
    if all(s.passed for s in strict):
        return Verdict(strict, (True,) * len(strict))
    variants = loose_variants(response) if len(response) <= LOOSE_LIMIT else []
    loose = tuple(bool(s.passed) or any(c.passes(v) for v in variants) for s, c in zip(strict, checkers, strict=True))
    return Verdict(strict, loose)


def loose_variants(response: str) -> list[Text]:
    """The distinct non-blank clean-ups other than the response itself, in the reference's order."""
    first, last = response.find("\n"), response.rfind("\n")
    without_first = response[first + 1 :].strip() if first >= 0 else ""
    without_last = response[:last].strip() if first >= 0 else ""
    without_both = response[first + 1 : last].strip() if first < last else ""
    cut = (without_first, without_last, without_both)
    candidates = [response.replace("*", ""), *cut, *(c.replace("*", "") for c in cut)]
    distinct = dict.fromkeys(c for c in candidates if c.strip() and c != response)
    return [Text(c) for c in distinct]
