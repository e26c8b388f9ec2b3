"""Verifiable constraints: one file a family, one class a constraint.

from adhere.constraints import build, verify
checker = build(Constraint("words", {"at_most": 50}))
checker.check("Hello there.")        # Score(name='words', value=…, passed=True, reason='2 words, at most 50 wanted')
"""

from adhere.constraints.base import (
    Checker,
    Dialect,
    Text,
    Verdict,
    build,
    build_all,
    conflict,
    constraint,
    contradictions,
    kinds,
    loose_variants,
    verify,
)

__all__ = ["Checker", "Dialect", "Text", "Verdict", "build", "build_all", "conflict", "constraint",
           "contradictions", "kinds", "loose_variants", "verify"]  # fmt: skip
