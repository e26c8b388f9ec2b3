"""`leaderboard.html`: several models on several benchmarks as one file that opens anywhere.

    write_leaderboard(leaderboard(runs), Path("leaderboard.html"))

Built as the report is (`page.py`). It shows the table, a map of levels, a radar for few models, and each leader against
the others.
"""

from __future__ import annotations

from pathlib import Path

from adhere.bench.leaderboard import Leaderboard
from adhere.records import to_builtins
from adhere.web.page import assemble, write

__all__ = ["leaderboard_html", "write_leaderboard"]

# Later files use what earlier ones define.
SCRIPTS = ("dom.js", "data.js", "charts.js", "figures.js", "leaderboard_charts.js", "leaderboard.js")


def write_leaderboard(board: Leaderboard, path: Path) -> None:
    """Write the page.

    Raises:
        StoreError: if the file cannot be written.
    """
    write(leaderboard_html(board), path)


def leaderboard_html(board: Leaderboard) -> bytes:
    """The page of a leaderboard."""
    models, benchmarks = len(board.models), len(board.columns)
    title = f"{models} model{'s' * (models != 1)} on {benchmarks} benchmark{'s' * (benchmarks != 1)}"
    styles = ("report.css", "leaderboard.css")
    return assemble(title, to_builtins(board), template="leaderboard.html", styles=styles, scripts=SCRIPTS)
