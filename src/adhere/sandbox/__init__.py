"""Runs code that nobody has read: isolated by bubblewrap, limited in everything, with one verdict.

    from adhere.sandbox import Limits, run, run_sync

    outcome = run_sync("print(sum(range(10)))", limits=Limits(cpu=2, wall=4))
    outcome.verdict        # passed | failed | timeout | memory | forbidden | crashed

A program is one Python file, with what it reads and the files beside it. It sees a read-only system, a private /tmp
and nothing else: no home, no network, no other processes. Nothing of Adhere is imported inside. Where this machine
cannot isolate code, `run` refuses unless told `unsafe=True`. What is promised and what is not: docs/sandbox.md.

Above the engine, below all that may want to run code; imports neither models nor benchmarks.
"""

from adhere.sandbox.base import VERDICTS, Job, Limits, Outcome, Verdict
from adhere.sandbox.bubblewrap import Isolation, isolation
from adhere.sandbox.jobs import run, run_job, run_many, run_sync
from adhere.sandbox.tested import run_tests

__all__ = [
    "VERDICTS",
    "Isolation",
    "Job",
    "Limits",
    "Outcome",
    "Verdict",
    "isolation",
    "run",
    "run_job",
    "run_many",
    "run_sync",
    "run_tests",
]
