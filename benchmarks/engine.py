"""What the engine costs a row: an instant fake answerer, 100,000 rows, against gather, distilabel and inspect-ai.

    python benchmarks/engine.py [--rows 100000] [--many 1000000] [--peers-python .venv-bench/bin/python]

Every measurement is a fresh process, medians of `--rounds` in turn; imports are not counted. `gather` is what one
writes without an engine: it holds every row and every task. The peers run fewer rows (`--peer-rows`), because they are
too slow for more; their fixed cost is taken out by a second run of a tenth of that. Ends in one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def rows(n: int) -> Iterator[Any]:
    """Instructions, made as they are asked for."""
    from adhere.records import Instruction, Message

    return (Instruction(str(i), (Message("user", f"Say {i}"),)) for i in range(n))


async def instant(instruction: Any) -> Any:
    """The fake answerer."""
    from adhere.records import Response

    return Response("ok")


class Instant:
    """The fake answerer as a backend."""

    concurrency = 64

    def __init__(self) -> None:
        from adhere.models.base import ModelInfo

        self.info = ModelInfo("instant", "fake", "instant", capabilities=("chat",))

    async def generate(self, request: Any) -> Any:
        return await instant(request)


async def gather(n: int) -> int:
    return len(await asyncio.gather(*(instant(row) for row in rows(n))))


async def gather_bounded(n: int) -> int:
    places = asyncio.Semaphore(64)

    async def one(row: Any) -> Any:
        async with places:
            return await instant(row)

    return len(await asyncio.gather(*(one(row) for row in rows(n))))


async def engine_with(fn: Callable[[Any], Awaitable[Any]], n: int) -> int:
    from adhere import engine

    done = 0
    async for outcome in engine.run(fn, rows(n)):
        assert outcome.failure is None, outcome
        done += 1
    return done


async def bare(n: int) -> int:
    return await engine_with(instant, n)


def with_model(store: str | None) -> Callable[[int], Awaitable[int]]:
    from adhere.engine import Store
    from adhere.models.model import Model

    model = Model(Instant(), store=Store(store) if store else None)
    return lambda n: engine_with(model.answer, n)


def one(name: str, n: int, store: str | None) -> dict[str, float]:
    """One measurement, in this process."""
    import adhere.models.model  # noqa: F401  imports are not counted

    work = {"gather": gather, "gather, 64 at once": gather_bounded, "engine.run": bare}.get(name) or with_model(store)
    wall, cpu = time.perf_counter(), time.process_time()
    assert asyncio.run(work(n)) == n
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "rows": n,
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(name: str, n: int, store: str = "") -> dict[str, float]:
    return measure([sys.executable, __file__, "--one", name, "--rows", str(n), "--store", store])


def summary(name: str, runs: list[dict[str, float]]) -> dict[str, Any]:
    """Medians a row; `runs` are of one size."""
    n = runs[0]["rows"]
    return {
        "name": name,
        "rows": n,
        "wall_us": round(statistics.median(r["wall_s"] for r in runs) / n * 1e6, 1),
        "cpu_us": round(statistics.median(r["cpu_s"] for r in runs) / n * 1e6, 1),
        "rss_mb": round(max(r["rss_mb"] for r in runs)),
    }


def measure_ours(n: int, rounds: int) -> list[dict[str, Any]]:
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            store = str(Path(folder) / f"{turn}.sqlite")
            for name in ("gather", "gather, 64 at once", "engine.run", "with Model"):
                runs.setdefault(name, []).append(ours(name, n))
            for name in ("with Model and Store, cold", "with Model and Store, warm"):
                runs.setdefault(name, []).append(ours(name, n, store))
    return [summary(name, found) for name, found in runs.items()]


def measure_peer(python: Path, name: str, n: int) -> dict[str, Any]:
    """A peer's cost a row, its fixed cost taken out."""
    command = [str(python), str(HERE / "peers" / f"engine_{name}.py")]
    small, large = measure([*command, str(n // 10)]), measure([*command, str(n)])
    row = {key: max(0.0, large[key] - small[key]) for key in ("wall_s", "cpu_s")}
    row |= {"rows": large["rows"] - small["rows"], "rss_mb": large["rss_mb"]}
    return summary(name, [row]) | {"rows": n, "fixed_s": round(small["wall_s"] - row["wall_s"] / 9, 1)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--many", type=int, default=1_000_000, help="for memory; 0 leaves it out")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peers-python", type=Path, default=Path(".venv-bench/bin/python"))
    arguments.add_argument("--peer-rows", type=int, default=1000)
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    arguments.add_argument("--store", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.rows, options.store or None)))
        return
    table = measure_ours(options.rows, options.rounds)
    if options.many:
        for name in ("gather", "engine.run"):
            table.append(summary(name, [ours(name, options.many)]))
    if options.peers_python.is_file():
        table += [measure_peer(options.peers_python, name, options.peer_rows) for name in ("distilabel", "inspect")]
    else:
        print(f"no peers: {options.peers_python} is not there (see benchmarks/requirements-peers.txt)", file=sys.stderr)
    print_table(table)
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps({"benchmark": "engine", **machine, "table": table}))


def print_table(table: list[dict[str, Any]]) -> None:
    base = next(row["cpu_us"] for row in table if row["name"] == "engine.run")
    print(f"{'':<28}{'rows':>10}{'µs a row':>12}{'CPU µs a row':>14}{'× engine.run':>14}{'peak MB':>9}")
    for row in table:
        print(
            f"{row['name']:<28}{row['rows']:>10,.0f}{row['wall_us']:>12,.1f}{row['cpu_us']:>14,.1f}"
            f"{row['cpu_us'] / base:>14,.1f}{row['rss_mb']:>9,}"
        )


if __name__ == "__main__":
    main()
