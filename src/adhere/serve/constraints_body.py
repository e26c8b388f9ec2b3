"""The `constraints` of a request: read once, checked against every answer, reported in the reply.

Plain words ("no commas, at most 50 words"), `{"kind", "args"}` objects, or a list of both. They are what the answer is
held against: a strategy works towards them, a plain model is only checked, and what the model is asked stays as the
client wrote it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from adhere.constraints import Checker, Text, build, contradictions
from adhere.constraints.plain import parse_wish
from adhere.errors import AdhereError
from adhere.records import Constraint
from adhere.serve.errors import ApiError

__all__ = ["MOST", "MOST_BYTES", "Wishes", "read"]

MOST = 100
MOST_BYTES = 64 * 1024
BLANK = "the answer is empty"


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """A constraint as an object."""

    kind: str
    args: dict[str, Any] = {}


class Wishes(NamedTuple):
    """What an answer is held against.

    Attributes:
        constraints: As records, for a strategy.
        checkers: What decides each.
        asked: The words that asked for each; "" where it came as an object.
        warnings: Pairs that no answer can satisfy.
    """

    constraints: tuple[Constraint, ...]
    checkers: tuple[Checker, ...]
    asked: tuple[str, ...]
    warnings: tuple[str, ...]

    def verdicts(self, text: str, choice: int = 0) -> list[dict[str, Any]]:
        """One verdict a constraint; `met` is None where it cannot be decided, which is not a pass."""
        made = []
        shared = Text(text)
        for constraint, checker, asked in zip(self.constraints, self.checkers, self.asked, strict=True):
            met, reason = _decide(checker, shared)
            verdict: dict[str, Any] = {"constraint": {"kind": constraint.kind, "args": constraint.args}}
            if asked:
                verdict["asked"] = asked
            made.append(verdict | {"met": met, "reason": reason, "choice": choice})
        return made


def _decide(checker: Checker, text: Text) -> tuple[bool | None, str]:
    if not text.stripped:  # an empty answer satisfies nothing (IFEval's rule), not even "no commas"
        return False, BLANK
    try:
        score = checker.check(text)
    except Exception as error:
        return None, f"the check failed ({type(error).__name__})"
    return score.passed, score.reason


def read(raw: bytes) -> Wishes:
    """The constraints in a body.

    Raises:
        ApiError: 400, for words that are not understood, unknown kinds and arguments that do not fit.
    """
    if len(raw) > MOST_BYTES:
        raise ApiError(400, f"'constraints' is larger than {MOST_BYTES // 1024} KiB", param="constraints")
    try:
        return _read(raw)
    except (AdhereError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"'constraints': {error}", code="invalid_constraints", param="constraints") from error


@lru_cache(maxsize=1024)  # a client sends the same ones with every request
def _read(raw: bytes) -> Wishes:
    given = msgspec.json.decode(raw, type=str | Given | list[str | Given] | None)
    items = given if isinstance(given, list) else [] if given is None else [given]
    constraints: list[Constraint] = []
    asked: list[str] = []
    for item in items:
        if isinstance(item, Given):
            constraints.append(Constraint(item.kind, item.args))
            asked.append("")
            continue
        parsed = parse_wish(item)
        if parsed.unparsed or not parsed.constraints:
            words = "; ".join(parsed.unparsed) or item
            raise ApiError(400, f"not understood: {words[:300]!r}", code="invalid_constraints", param="constraints")
        constraints += parsed.constraints
        asked += [item[start:end] for start, end in parsed.spans]
    if len(constraints) > MOST:
        raise ApiError(400, f"more than {MOST} constraints", code="invalid_constraints", param="constraints")
    checkers = tuple(build(c, "fixed") for c in constraints)
    warnings = tuple(
        f"no answer can satisfy both {_named(one)} and {_named(other)}" for one, other in contradictions(checkers)
    )
    return Wishes(tuple(constraints), checkers, tuple(asked), warnings)


def _named(checker: Checker) -> str:
    args = ", ".join(f"{k}={v!r}" for k, v in checker.args.items())
    return f"{checker.kind}({args})" if args else checker.kind
