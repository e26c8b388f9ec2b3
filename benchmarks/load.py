"""200 clients at once, for a minute, on an instant server behind `adhere serve`: errors, rate, latency, memory.

    python benchmarks/load.py [--clients 200] [--seconds 60]

Each client asks again as soon as it has its answer; every fifth request brings constraints.
Memory is read each second; `growth` is its change over the second half of the run. Exits 1 after any error. Ends in one
JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from contextlib import ExitStack
from typing import Any

from proxy import WISHES, adhere, body, fixed_upstream, quantile

TIMEOUT = 60.0


async def client(session: Any, url: str, until: float, number: int, times: list[float], errors: list[str]) -> None:
    """One client; notes the seconds of each answer, and each error."""
    at = number
    while time.monotonic() < until:
        at += 1
        more: dict[str, Any] = {"constraints": WISHES[:3]} if at % 5 == 0 else {}
        began = time.perf_counter()
        try:
            async with session.post(f"{url}/chat/completions", json=body(more)) as got:
                raw = await got.read()
                if got.status != 200 or b'"choices"' not in raw or (more and b'"verdicts"' not in raw):
                    errors.append(f"{got.status}: {raw[:100]!r}")
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
        times.append(time.perf_counter() - began)


async def run(url: str, clients: int, seconds: float, memory: Any) -> dict[str, Any]:
    """All clients at once; what they met."""
    import aiohttp

    times: list[float] = []
    errors: list[str] = []
    held: list[float] = []
    until = time.monotonic() + seconds
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        tasks = [asyncio.create_task(client(session, url, until, n, times, errors)) for n in range(clients)]
        while not all(task.done() for task in tasks):
            held.append(memory())
            await asyncio.wait(tasks, timeout=1)
    half = held[len(held) // 2 :]
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(times),
        "errors": len(errors),
        "examples": sorted(set(errors))[:3],
        "per_second": round(len(times) / seconds, 1),
        "p50_ms": round(quantile(times, 50), 1),
        "p99_ms": round(quantile(times, 99), 1),
        "rss_mb": {"start": round(held[0], 1), "highest": round(max(held), 1), "growth": round(half[-1] - half[0], 1)},
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=60)
    options = arguments.parse_args()
    with ExitStack() as stack:
        upstream = stack.enter_context(fixed_upstream())
        server = stack.enter_context(adhere(upstream.url))
        found = asyncio.run(run(server.url, options.clients, options.seconds, server.rss_mb))
    memory = found["rss_mb"]
    print(
        f"{found['clients']} clients, {found['seconds']:g} s: {found['requests']:,} answers, {found['errors']} errors"
    )
    print(f"{found['per_second']:.0f} a second, p50 {found['p50_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms")
    print(f"memory {memory['start']} MB at first, {memory['highest']} MB at most")
    print(f"in the second half it grew by {memory['growth']} MB")
    for example in found["examples"]:
        print(f"  {example}")
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps({"benchmark": "load", **machine, **found}))
    return bool(found["errors"])


if __name__ == "__main__":
    sys.exit(main())
