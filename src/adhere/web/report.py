"""`report.html`: a run, or two side by side, as one file that opens anywhere and asks no network for anything.

    write_report(load("runs/A"), Path("runs/A/report.html"))
    write_comparison(load("runs/A"), load("runs/B"), Path("flips.html"))

The page (`static/`, plain JavaScript and CSS, joined by `page.py`, no build step) carries its data compressed. Equal
runs give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adhere.bench.compare import Comparison, compare_runs
from adhere.bench.run_dir import Run
from adhere.web.page import assemble, write
from adhere.web.report_data import comparison_payload, run_payload

__all__ = ["comparison_html", "report_html", "write_comparison", "write_report"]

# Later files use what earlier ones define.
SCRIPTS = (
    "dom.js", "data.js", "charts.js", "heatmap.js", "list.js", "trace.js", "detail.js", "explorer.js", "figures.js",
    "page.js",
)  # fmt: skip


def write_report(run: Run, path: Path) -> None:
    """Write the report of one run.

    Raises:
        StoreError: if the file cannot be written.
    """
    write(report_html(run), path)


def write_comparison(a: Run, b: Run, path: Path, comparison: Comparison | None = None) -> None:
    """Write the report of two runs of the same instructions, b against a.

    Args:
        a: The run compared with.
        b: The run compared.
        path: Where to write.
        comparison: What `compare_runs(a, b)` found, where it is at hand.

    Raises:
        DataError: if the runs cannot be compared.
        StoreError: if the file cannot be written.
    """
    write(comparison_html(a, b, comparison or compare_runs(a, b)), path)


def report_html(run: Run) -> bytes:
    """The page of one run."""
    return _page(f"{_model(run)} on {_benchmark(run)}", run_payload(run))


def comparison_html(a: Run, b: Run, comparison: Comparison) -> bytes:
    """The page of two runs."""
    return _page(f"{_model(b)} against {_model(a)} on {_benchmark(b)}", comparison_payload(a, b, comparison))


def _page(title: str, payload: dict[str, Any]) -> bytes:
    return assemble(title, payload, template="report.html", styles=("report.css",), scripts=SCRIPTS)


def _model(run: Run) -> str:
    return str((run.manifest.get("model") or {}).get("name") or "a model")


def _benchmark(run: Run) -> str:
    return str((run.manifest.get("benchmark") or {}).get("name") or "a benchmark")
