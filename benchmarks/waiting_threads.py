"""llama.cpp's threads between two steps of a computation: asleep at once, or awake for a moment first.

    python benchmarks/waiting_threads.py [--sequences 4 16] [--max-tokens 100] [--rounds 3] [--threads 2] [--busy 0]

Each round starts a process of its own for either way, in turn (A B, B A, …), since OpenMP reads `GOMP_SPINCOUNT` once:
"asleep" sets it to 0, "awake" leaves what Adhere sets. `--busy N` lets N endless loops run beside it. The figure is
tokens written per second of wall time after the first answer, by SmolLM2 and without a store; the median of the rounds
is compared. Prints a line for each number of sequences, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

ONE = """
import asyncio, sys, time
import adhere
from adhere.records import Instruction

async def main(sequences, tokens, threads):
    async with adhere.load("smollm2", max_tokens=tokens, threads=threads, store=None) as model:
        await model.answer(Instruction.of("Say yes."))
        asked = [Instruction.of(f"Write a long story, number {n}, about a ship.") for n in range(sequences)]
        began = time.perf_counter()
        answers = await asyncio.gather(*map(model.answer, asked))
        print(sum(a.usage.completion_tokens for a in answers) / (time.perf_counter() - began))

asyncio.run(main(*map(int, sys.argv[1:])))
"""
WAYS = {"asleep": {"GOMP_SPINCOUNT": "0"}, "awake": {}}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sequences", type=int, nargs="+", default=[4, 16])
    arguments.add_argument("--max-tokens", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--busy", type=int, default=0)
    options = arguments.parse_args()
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    found = {}
    try:
        for sequences in options.sequences:
            rates = measured(sequences, options)
            middle = {way: statistics.median(rates[way]) for way in WAYS}
            found[sequences] = rates | {"ratio": middle["awake"] / middle["asleep"]}
            told = "   ".join(f"{way} {middle[way]:5.1f} ({', '.join(f'{r:.0f}' for r in rates[way])})" for way in WAYS)
            print(f"{sequences:>3} sequences, tokens a second: {told}   ratio {found[sequences]['ratio']:.2f}")
    finally:
        for loop in loops:
            loop.kill()
    print(json.dumps({"benchmark": "waiting_threads", "threads": options.threads, "busy": options.busy,
                      "cores": os.cpu_count(), "found": found}))  # fmt: skip
    return 0


def measured(sequences: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Tokens a second by way, one number a round."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(options.rounds):
        for way in sorted(WAYS, reverse=bool(turn % 2)):
            command = [sys.executable, "-c", ONE, *map(str, (sequences, options.max_tokens, options.threads))]
            done = subprocess.run(command, env=inherited | WAYS[way], capture_output=True, text=True, check=True)
            rates[way].append(float(done.stdout.split()[-1]))
    return rates


if __name__ == "__main__":
    raise SystemExit(main())
