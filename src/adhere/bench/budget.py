"""What a finished best-of-n run would have scored with fewer candidates: every candidate is graded, no model is asked.

    adhere eval ifeval --strategy 'best_of_n(n=8, early_stop=false)' --out runs/best
    adhere budget runs/best

The run's traces hold all candidates and what the scorer made of them; `adhere.score.budget` does the counting. The
quality of a candidate is whether it satisfies all constraints strictly; one whose call failed satisfies none.
"""

from __future__ import annotations

from typing import Any

import msgspec

from adhere.bench.run_dir import Run
from adhere.constraints import build_all, verify
from adhere.errors import DataError
from adhere.records import Constraint
from adhere.score.budget import Budget, Candidates, at_budget

__all__ = ["of_run"]


def of_run(run: Run) -> list[Budget]:
    """Accuracy for every number of candidates up to the run's, with intervals by instruction.

    Raises:
        DataError: if the run is not one of best-of-n.
        UsageError: if its drawing stopped early, so that rows have different numbers of candidates.
    """
    dialect = run.manifest["settings"]["dialect"]
    rows: list[Candidates] = []
    failed = 0
    for row in run.rows:
        steps = [step for step in msgspec.json.decode(row.trace) if step.get("step") == "candidate"]
        if row.response is None:
            failed += 1  # every candidate did: no trace, but a place in the denominator
            continue
        if not steps:
            raise DataError(f"row '{row.id}' has no candidates", hint="Give a run of --strategy best_of_n(…)")
        checkers = build_all(msgspec.json.decode(row.constraints, type=list[Constraint]), dialect)
        passes = [
            not step.get("failed") and bool(checkers) and all(s.passed for s in verify(step["text"], checkers).strict)
            for step in steps
        ]
        rows.append(Candidates([_score(step) for step in steps], [float(p) for p in passes]))
    if rows:
        n = len(rows[0].quality)
        rows += [Candidates([None] * n, [0.0] * n)] * failed
    return at_budget(rows, first_fixed="plain_first=False" not in str(run.manifest.get("strategy")))


def _score(step: dict[str, Any]) -> float | None:
    """A candidate's score as `pick` sees it: nothing for what failed or is empty, a verdict where there is no value."""
    if step.get("failed") or not step["text"].strip():
        return None
    value, passed = step["value"], step["passed"]
    return value if value is not None or passed is None else float(passed)
