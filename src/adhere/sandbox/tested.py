"""Code with tests: passed only if the tests were reached and ran to their end.

A program that leaves early with status 0 (`sys.exit(0)`, `os._exit(0)` while it is imported) has tested nothing. The
end of the tests hence says a word that is drawn anew for each run; without it nothing has passed (RES-Q's rule).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from adhere.sandbox.base import NOTHING, Job, Limits, Outcome
from adhere.sandbox.jobs import DEFAULT, run_job

__all__ = ["EARLY", "run_tests", "unspoken"]

EARLY = "it ended before its tests did"
# Code and tests share one module, as if pasted together, which is not `__main__`: examples at a file's end do not run.
_RUNNER = """
import os, sys, types
word = sys.stdin.readline()
module = types.ModuleType("solution")
sys.modules["solution"] = module
with open("solution.txt", encoding="utf-8") as file:
    code = file.read()
with open("tests.txt", encoding="utf-8") as file:
    tests = file.read()
exec(compile(code, "solution.py", "exec"), module.__dict__)
exec(compile(tests, "tests.py", "exec"), module.__dict__)
sys.stdout.flush()
os.write(1, word.encode())
"""


async def run_tests(
    code: str,
    tests: str,
    *,
    stdin: str = "",
    files: Mapping[str, str | bytes] = NOTHING,
    limits: Limits = DEFAULT,
    **options: Any,
) -> Outcome:
    """Run code and then its tests, in one module.

    Args:
        code: Python source that defines what is tested.
        tests: Python source that raises where a test fails.
        stdin: What code and tests may read.
        files: What lies in the working folder besides.
        limits: Of both together.
        options: `python` and `unsafe`, as for `run`.

    Raises:
        CapabilityError: if code cannot be isolated here and `unsafe` is False.
    """
    word = f"done-{secrets.token_hex(12)}\n"
    given = {**files, "solution.txt": code, "tests.txt": tests}
    return unspoken(await run_job(Job(_RUNNER, word + stdin, files=given), limits, **options), word)


def unspoken(outcome: Outcome, word: str) -> Outcome:
    """The outcome without the word at the end of its stdout; failed if it should have passed and did not say it."""
    head, found, _ = outcome.stdout.rpartition(word)
    if outcome.passed and not found:
        return msgspec.structs.replace(outcome, verdict="failed", reason=EARLY)
    return msgspec.structs.replace(outcome, stdout=head) if found else outcome
