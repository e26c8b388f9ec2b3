"""`make bench`: every benchmark in turn, each with its peers in the same run; prints the ratios at the end.

    python benchmarks/run_all.py [--quick] [--peers-python .venv-bench/bin/python] [--data-dir DIR]

Each script can be run by itself and ends in one JSON line; those lines are collected here. Run it on a quiet machine:
generation and evaluation take about half an hour on two cores (`--quick`: a few minutes, fewer rows).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--peers-python", default=".venv-bench/bin/python")
    arguments.add_argument("--data-dir", default=os.environ.get("ADHERE_DATA"))
    options = arguments.parse_args()
    peers = ["--peers-python", options.peers_python] if Path(options.peers_python).is_file() else []
    data = ["--data-dir", options.data_dir] if options.data_dir else []
    jobs: list[list[str]] = [
        ["startup.py", "--peers-bin", str(Path(options.peers_python).parent)],
        ["engine.py", *peers, *(["--rows", "20000"] if options.quick else [])],
    ]
    if data:
        jobs += [["constraints.py", *data], ["plain_words.py", *data]]
    jobs += [["proxy.py", *(["--requests", "200"] if options.quick else [])]]
    jobs += [["sandbox.py"], ["choice_agreement.py", "--limit", "8" if options.quick else "40"]]
    jobs += [["load.py", *(["--seconds", "10"] if options.quick else [])]]
    jobs += [["generation.py", *(["--prompts", "32", "--rounds", "1"] if options.quick else [])]]
    if data:
        jobs += [["eval_ifeval.py", *data, "--limit", "4" if options.quick else "64"]]
    collected, failed = [], []
    for job in jobs:
        print(f"\n== {' '.join(job)}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / job[0]), *job[1:]], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")
        last = done.stdout.strip().splitlines()[-1:] or [""]
        try:
            collected.append(json.loads(last[0]))
        except json.JSONDecodeError:
            failed.append(job[0])
        if done.returncode:
            failed.append(job[0])
    print("\n== all figures, one line a benchmark")
    for figures in collected:
        print(json.dumps(figures))
    if failed:
        print(f"failed: {', '.join(dict.fromkeys(failed))}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
