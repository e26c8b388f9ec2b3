"""`report.html`: a run, or two side by side, as one file that opens anywhere and asks no network for anything.

    write_report(load("runs/A"), Path("runs/A/report.html"))
    write_comparison(load("runs/A"), load("runs/B"), Path("flips.html"))

The page (`static/`, plain JavaScript and CSS, joined here, no build step) carries its data compressed. What models and
data sets wrote is hostile: it travels as base64, so no text can end the script that holds it, the page writes it only
as text nodes, and a content security policy forbids every script but ours and every connection. Equal runs give equal
bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from functools import cache
from pathlib import Path
from typing import Any

from adhere.bench.compare import Comparison, compare_runs
from adhere.bench.run_dir import Run, replace_bytes
from adhere.errors import StoreError
from adhere.web.report_data import comparison_payload, run_payload, to_json

__all__ = ["comparison_html", "report_html", "write_comparison", "write_report"]

STATIC = Path(__file__).parent / "static"
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
    _write(report_html(run), path)


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
    _write(comparison_html(a, b, comparison or compare_runs(a, b)), path)


def report_html(run: Run) -> bytes:
    """The page of one run."""
    return _page(f"{_model(run)} on {_benchmark(run)}", run_payload(run))


def comparison_html(a: Run, b: Run, comparison: Comparison) -> bytes:
    """The page of two runs."""
    return _page(f"{_model(b)} against {_model(a)} on {_benchmark(b)}", comparison_payload(a, b, comparison))


def _page(title: str, payload: dict[str, Any]) -> bytes:
    template, style, script = _static()
    data = base64.b64encode(gzip.compress(to_json(payload), mtime=0)).decode()
    fields = {
        "policy": f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; base-uri 'none'",
        "title": html.escape(title),
        "style": style,
        "data": data,
        "script": script,
    }
    # One pass: a model named "{{data}}" is a name and nothing else.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], template).encode("utf-8", "replace")


@cache
def _static() -> tuple[str, str, str]:
    """Template, style and script."""
    template, style = ((STATIC / name).read_text("utf-8") for name in ("report.html", "report.css"))
    script = '"use strict";\n' + "\n".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    return template, style, script


def _digest(source: str) -> str:
    """A content security policy's name for an inline element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _model(run: Run) -> str:
    return str((run.manifest.get("model") or {}).get("name") or "a model")


def _benchmark(run: Run) -> str:
    return str((run.manifest.get("benchmark") or {}).get("name") or "a benchmark")


def _write(page: bytes, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(path, page)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint="Choose another place") from error
