"""What `adhere serve` adds to a call, beside the litellm proxy, in front of the same instant server in the same run.

    python benchmarks/proxy.py [--requests 1000] [--litellm .venv-litellm/bin/litellm]

Three servers on this machine: one that gives a fixed completion at once (`peers/fixed_upstream.py`), `adhere serve` and
litellm in front of it. One at a time: each call through a proxy stands beside a direct one, made just before or just
after it (in turn), with the same client; what is added is the difference of the two, so that the machine's drift falls
out, and the quantiles are those of the differences. The proxies take turns, 20 such pairs each.
Then with 16 calls at a time: there what is added is the quantile through a proxy minus that of direct calls.
CPU is what the proxy's process used for a call. Adhere is asked with 0, 3 and 10 constraints to check.
Ends in one JSON line.

litellm lives in an environment of its own, since it pins what the other peers need newer:
python -m venv .venv-litellm && .venv-litellm/bin/pip install -r benchmarks/requirements-litellm.txt
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEY = "sk-5f2c9d7e4b1a8c3d6e9f0a2b4c6d8e0f"  # litellm refuses to start without a strong one
WISHES = [
    "at most 200 words", "at least 3 sentences", "all lowercase", "no commas", "include the word river",
    "do not use the word ocean", "at least 2 bullets", "in English", "end with the phrase 'the end'", "2 paragraphs",
]  # fmt: skip
WARM_UP = 50
PAIRS = 20  # in a block
WORKERS, CROWD = 16, 160  # calls at a time, and in a block
QUANTILES = (50, 90, 99)
Targets = dict[str, "tuple[Server, dict[str, Any]]"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=1000)
    arguments.add_argument("--litellm", type=Path, default=Path(".venv-litellm/bin/litellm"))
    options = arguments.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        upstream = stack.enter_context(fixed_upstream())
        servers = {"direct": upstream, "adhere": stack.enter_context(adhere(upstream.url))}
        if options.litellm.is_file():
            servers["litellm"] = stack.enter_context(litellm(options.litellm, upstream.url, Path(scratch)))
        else:
            print(f"no peer: {options.litellm} is not there", file=sys.stderr)
        targets = {
            "direct": (servers["direct"], {}),
            "adhere": (servers["adhere"], {}),
            "adhere, 3 checks": (servers["adhere"], {"constraints": WISHES[:3]}),
            "adhere, 10 checks": (servers["adhere"], {"constraints": WISHES}),
        }
        if "litellm" in servers:
            targets["litellm"] = (servers["litellm"], {})
        found = asyncio.run(measured(targets, options.requests))
        report(found, servers)


# Servers -------------------------------------------------------------------------------------------------------------


class Server:
    """A process that listens: its address, how long it took to answer, how much memory it holds."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}/v1"
        self.started = 0.0

    def rss_mb(self) -> float:
        """Resident memory now."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        threads = (path for pid in self._pids() for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(path.read_text().split()[0]) for path in threads) / 1e9

    def _pids(self) -> list[str]:
        """The process and its children (litellm and uvicorn may fork)."""
        pids = [str(self.process.pid)]
        for pid in pids:
            pids += Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return pids


@contextmanager
def running(command: Callable[[int], list[str]], name: str, seconds: float = 180) -> Iterator[Server]:
    """Start a server on a free port and wait for its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # spares it 12 s of waiting for the network
        process = subprocess.Popen(command(port), stdout=log, stderr=log, env=environment)
        server = Server(process, port)
        try:
            while not answers(server.url):
                if process.poll() is not None or time.perf_counter() - began > seconds:
                    log.seek(0)
                    sys.exit(f"{name} did not start:\n{log.read().decode()[-3000:]}")
                time.sleep(0.05)
            server.started = time.perf_counter() - began
            yield server
        finally:
            process.terminate()
            process.wait(20)


def answers(url: str) -> bool:
    """Whether a completion comes back."""
    import httpx2

    try:
        got = httpx2.post(f"{url}/chat/completions", json=body({}), headers={"authorization": f"Bearer {KEY}"})
        return got.status_code == 200
    except httpx2.HTTPError:
        return False


def fixed_upstream() -> Any:
    """The instant server."""
    place = str(HERE / "peers")
    return running(
        lambda port: [
            sys.executable, "-m", "uvicorn", "--app-dir", place, "--port", str(port), "--log-level", "warning",
            "fixed_upstream:app",
        ],
        "the fixed upstream",
    )  # fmt: skip


def adhere(upstream: str) -> Any:
    """Ours, with its access log on."""
    return running(
        lambda port: [
            sys.executable, "-m", "adhere", "serve", "--model", f"openai:fixed@{upstream}", "--port", str(port),
        ],
        "adhere serve",
    )  # fmt: skip


def litellm(program: Path, upstream: str, scratch: Path) -> Any:
    """The peer, with its smallest configuration."""
    config = scratch / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: fixed\n    litellm_params:\n"
        f"      {{model: openai/fixed, api_base: '{upstream}', api_key: sk-none}}\n"
        f"general_settings: {{master_key: {KEY}}}\nlitellm_settings: {{telemetry: false}}\n"
    )
    return running(
        lambda port: [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)], "litellm"
    )


# Measuring -----------------------------------------------------------------------------------------------------------


def body(more: dict[str, Any]) -> dict[str, Any]:
    """A request."""
    return {"model": "fixed", "messages": [{"role": "user", "content": "Tell me about a river."}], **more}


class Found:
    """What one way of calling came to: of direct calls their seconds, of proxies what they add and take."""

    def __init__(self, targets: Targets) -> None:
        self.direct: list[float] = []
        self.calls = {name: [] for name in targets if name != "direct"}  # seconds through the proxy
        self.pairs = {name: [] for name in self.calls}  # the same minus those of the direct call beside it
        self.cpu = dict.fromkeys(self.calls, 0.0)

    def added(self, name: str, percent: int) -> float:
        """Milliseconds."""
        if self.pairs[name]:
            return quantile(self.pairs[name], percent)
        return quantile(self.calls[name], percent) - quantile(self.direct, percent)


async def measured(targets: Targets, requests: int) -> dict[str, Found]:
    """Both ways of calling."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(name: str) -> float:
            server, more = targets[name]
            headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
            sent = json.dumps(body(more)).encode()
            began = time.perf_counter()
            async with session.post(f"{server.url}/chat/completions", data=sent, headers=headers) as got:
                raw = await got.read()
            seconds = time.perf_counter() - began
            assert got.status == 200 and (not more or b'"verdicts"' in raw), raw[:300]
            return seconds

        for name in targets:
            await side_by_side(lambda name=name: call(name), 1, WARM_UP)
        alone, crowd = Found(targets), Found(targets)
        for _ in range(max(1, requests // PAIRS)):
            for name in alone.calls:
                before = targets[name][0].cpu_s()
                await paired(call, name, alone)
                alone.cpu[name] += targets[name][0].cpu_s() - before
        for _ in range(max(1, requests // CROWD)):
            crowd.direct += await side_by_side(lambda: call("direct"), WORKERS, CROWD)
            for name in crowd.calls:
                before = targets[name][0].cpu_s()
                crowd.calls[name] += await side_by_side(lambda name=name: call(name), WORKERS, CROWD)
                crowd.cpu[name] += targets[name][0].cpu_s() - before
        return {"one at a time": alone, f"{WORKERS} at a time": crowd}


async def paired(call: Callable[[str], Awaitable[float]], name: str, found: Found) -> None:
    """Calls through a proxy and direct ones, side by side, each going first every other time."""
    for at in range(PAIRS):
        seconds = {}
        for which in ("direct", name) if at % 2 else (name, "direct"):
            seconds[which] = await call(which)
        found.direct.append(seconds["direct"])
        found.calls[name].append(seconds[name])
        found.pairs[name].append(seconds[name] - seconds["direct"])


async def side_by_side(call: Callable[[], Awaitable[float]], workers: int, requests: int) -> list[float]:
    """Seconds of `requests` calls, so many at a time."""
    left = iter(range(requests))

    async def worker() -> list[float]:
        return [await call() for _ in left]

    return [seconds for found in await asyncio.gather(*(worker() for _ in range(workers))) for seconds in found]


def quantile(values: list[float], percent: int) -> float:
    """In milliseconds."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] * 1000


def report(found: dict[str, Found], servers: dict[str, Server]) -> None:
    """Print the tables and the JSON line."""
    added: dict[str, dict[str, dict[str, float]]] = {}
    for how, times in found.items():
        direct = {q: quantile(times.direct, q) for q in QUANTILES}
        print(f"\n{how}: direct calls {', '.join(f'p{q} {ms:.2f} ms' for q, ms in direct.items())}; added:")
        added[how] = {"direct": {f"p{q}": round(ms, 3) for q, ms in direct.items()}}
        for name, calls in times.calls.items():
            row = {f"p{q}": round(times.added(name, q), 3) for q in QUANTILES}
            row["cpu"] = round(times.cpu[name] / len(calls) * 1000, 3)
            added[how][name] = row
            print(f"  {name:<20}" + "".join(f"{key} {ms:8.2f} ms  " for key, ms in row.items()))
    state = {
        name: {"started_s": round(server.started, 2), "rss_mb": round(server.rss_mb(), 1)}
        for name, server in servers.items()
    }
    for name, values in state.items():
        print(f"{name:<10} answered after {values['started_s']:6.2f} s, holds {values['rss_mb']:7.1f} MB")
    ratios = {
        how: {key: round(rows["litellm"][key] / rows["adhere"][key], 1) for key in ("p50", "cpu")}
        for how, rows in added.items()
        if "litellm" in rows
    }
    for how, ratio in ratios.items():
        print(f"{how}: litellm adds {ratio['p50']} times as much at the median and takes {ratio['cpu']} times the CPU")
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps({"benchmark": "proxy", **machine, "added_ms": added, "ratios": ratios, "servers": state}))


if __name__ == "__main__":
    main()
