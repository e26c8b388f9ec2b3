"""How many programs a second the sandbox runs on one processor, beside the bare interpreter that runs them.

    python benchmarks/sandbox.py [--programs 100]

The process and all that it starts are held to one processor. Each program has a sandbox of its own and prints one line;
"HumanEval" runs a published solution with its tests, where the data directory has it. Bare is `subprocess.run` of the
same interpreter on the same program: what remains above it is what isolation costs. Prints a table, then one line of
JSON. Asked of the sandbox: at least 10 a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = "print(sum(range(1000)))"
ASKED = 10.0  # a second


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--programs", type=int, default=100)
    options = arguments.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before the import: it counts the processors

    from adhere.sandbox import bubblewrap, isolation

    mode = isolation().required()
    rates = {
        "bare": rate(lambda: bare(options.programs, bubblewrap.interpreter().executable), options.programs),
        "sandbox": rate(lambda: asyncio.run(sandboxed(options.programs)), options.programs),
    }
    if problems := humaneval():
        rates["HumanEval"] = rate(lambda: asyncio.run(tested(problems)), len(problems))
    for name, found in rates.items():
        print(f"{name:<10} {found:7.1f} a second   {1000 / found:6.1f} ms each")
    cost = 1000 / rates["sandbox"] - 1000 / rates["bare"]
    print(f"isolation ({mode}) costs {cost:.1f} ms a program")
    figures = {name: round(found, 1) for name, found in rates.items()}
    print(json.dumps({"benchmark": "sandbox", "a_second": figures, "isolation_ms": round(cost, 1), "mode": mode,
                      "asked": ASKED, "python": platform.python_version()}))  # fmt: skip
    return int(rates["sandbox"] < ASKED)


def rate(work: Callable[[], object], programs: int) -> float:
    """Programs a second."""
    began = time.perf_counter()
    work()
    return programs / (time.perf_counter() - began)


def bare(programs: int, python: str) -> None:
    """The interpreter alone, one after the other."""
    for _ in range(programs):
        subprocess.run([python, "-s", "-c", PROGRAM], check=True, stdout=subprocess.DEVNULL)


async def sandboxed(programs: int) -> None:
    """Each in its sandbox."""
    from adhere.sandbox import run_many

    async for outcome in run_many([PROGRAM] * programs):
        assert outcome.stdout == "499500\n", outcome


def humaneval() -> list[tuple[str, str]]:
    """Published solutions and their tests; none where the data are not to be had."""
    from adhere.bench.base import get
    from adhere.errors import DataError

    here = Path(__file__).resolve().parents[2] / "shared" / "data"
    if here.is_dir():
        os.environ.setdefault("ADHERE_DATA", str(here))
    try:
        rows = get("humaneval").instructions(60)
    except DataError:
        return []
    return [(r.meta["code"] + r.references[0], f"{r.meta['test']}\ncheck({r.meta['entry_point']})\n") for r in rows]


async def tested(problems: list[tuple[str, str]]) -> None:
    """Solutions with their tests."""
    from adhere.sandbox import run_tests

    for code, tests in problems:
        outcome = await run_tests(code, tests)
        assert outcome.passed, outcome


if __name__ == "__main__":
    raise SystemExit(main())
