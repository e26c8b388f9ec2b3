"""Many clients at once. The whole minute is `benchmarks/load.py`; these are its first seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_200_clients_at_once_meet_no_error_and_memory_stays_bounded() -> None:
    command = [sys.executable, str(BENCHMARKS / "load.py"), "--seconds", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == 0 and found["requests"] >= found["clients"] == 200
    assert found["rss_mb"]["highest"] < 400
