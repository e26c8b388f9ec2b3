"""`PatchChecker`: a patch against the hidden tests of its task, in the sandbox.

The reference's procedure (Qurrent-AI/RES-Q, commit 39399b1): a clean tree, the cleaned patch by `git apply`, the test
script under a random name in the tree's root with a secret printed just before it exits with success, status 0 and the
secret in stdout. What differs: the tree is made anew for every check instead of reset, so no lock is needed; the script
runs in the sandbox instead of on the machine; a patch that goes in only after its form was mended is counted apart.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from adhere.answer.repo_edit.patches import apply, cleaned
from adhere.bench.res_q.environments import environment
from adhere.bench.res_q.tasks import Task
from adhere.sandbox import Job, Limits, run_job

__all__ = ["LIMITS", "Message", "PatchChecker", "Result", "with_secret"]

Message = Literal["PASS", "FAIL", "TIMED OUT", "PATCH FAILED"]
# The wall is the reference's 60 s; what a repository's tests may need of the rest.
LIMITS = Limits(cpu=60, wall=60, memory=2 * 2**30, processes=64, disk=512 * 2**20, file=64 * 2**20)
MOST_FEEDBACK = 4000  # characters
_SUCCESS = re.compile(r"sys\.exit\((0|exit_code)\)")


class Result(NamedTuple):
    """What became of a patch.

    Attributes:
        message: The reference's word.
        feedback: What git or the tests said.
        repair: By which mend of its form it went in; "" if by none.
        verdict: The sandbox's verdict on the tests; "" where they did not run.
    """

    message: Message
    feedback: str
    repair: str = ""
    verdict: str = ""

    @property
    def success(self) -> bool:
        """Whether it is solved by the reference's rules, under which a patch must go in as it is."""
        return self.message == "PASS" and not self.repair


class PatchChecker:
    """Checks patches.

    Args:
        limits: Of a test run.
        repair: Whether to mend the form of a patch that does not go in.
        unsafe: Run without isolation where there is none.

    Raises:
        CapabilityError: if code cannot be isolated here and `unsafe` is False.
    """

    def __init__(self, limits: Limits = LIMITS, repair: bool = True, unsafe: bool = False) -> None:
        from adhere.sandbox import isolation

        if not unsafe:
            isolation().required()
        self.limits = limits
        self.repair = repair
        self.unsafe = unsafe

    async def check(self, task: Task, answer: str) -> Result:
        """Whether the patch in an answer solves a task.

        Raises:
            CapabilityError: naming the interpreter or the packages that the task needs and that are not to be had.
            DataError: if the task's repository cannot be read.
        """
        python = await environment(task)
        with tempfile.TemporaryDirectory(prefix="adhere-res-q-") as place:
            tree = Path(place) / "tree"
            task.write_to(tree)
            applied = apply(cleaned(answer), tree, repair=self.repair)
            if not applied.done:
                return Result("PATCH FAILED", applied.said[-MOST_FEEDBACK:])
            secret, name = secrets.token_hex(16), f"test_{secrets.token_hex(8)}.py"
            job = Job(with_secret(task.test_script, secret), folder=tree, name=name)
            outcome = await run_job(job, self.limits, python=python, unsafe=self.unsafe)
        if outcome.verdict == "timeout":
            return Result("TIMED OUT", outcome.reason, applied.repair, "timeout")
        said = (outcome.stdout + outcome.stderr).replace(secret, "")[-MOST_FEEDBACK:]
        passed = outcome.passed and secret in outcome.stdout
        early = "" if passed or not outcome.passed else "it ended before its tests did\n"
        return Result("PASS" if passed else "FAIL", early + said, applied.repair, outcome.verdict)


def with_secret(script: str, secret: str) -> str:
    """The test script with a line that prints the secret just before it exits with success.

    That is before the first line with `sys.exit(0)` or `sys.exit(exit_code)`, as the reference has it; where there is
    none, at the end, which is reached only if nothing was raised. Before `sys.exit(exit_code)` the reference prints it
    whatever the code is, so that a module which turns the exit status into 0 (`atexit`) passes; here it is printed for
    the code 0 only.
    """
    says = f"print({secret!r}, flush=True)"
    lines = script.split("\n")
    for number, line in enumerate(lines):
        if found := _SUCCESS.search(line):
            said = says if found[1] == "0" else f"exit_code or {says}"
            head = line[: found.start()]
            # In a one-line `if done: sys.exit(0)` a line before it would print in any case: into that line, then.
            lines[number] = f"{head}{said}; {line[found.start() :]}" if head.strip() else f"{head}{said}\n{line}"
            return "\n".join(lines)
    return f"{script.rstrip()}\n{says}\n"
