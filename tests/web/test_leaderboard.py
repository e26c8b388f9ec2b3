"""The leaderboard's page: what is in its bytes, and what a reader sees in a real Chromium."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adhere.bench.leaderboard import Cell, Column, Leaderboard, Line, leaderboard
from adhere.bench.run_dir import Run
from adhere.records import encode
from adhere.web.leaderboard import leaderboard_html, write_leaderboard

Make = Callable[..., Run]
HOSTILE = '</script><img src=x onerror="document.title=1">{{data}}'


def board() -> Leaderboard:
    """Two models, four columns: a clear best, noise, a figure that is no share, and a cell that was not run."""
    line = Line(HOSTILE, 0.4, 0.2, 0.6, 0.001, 50, "more than noise")
    noise = Line("smollm2", 0.02, -0.1, 0.14, 0.7, 50, "no detectable difference")
    columns = (
        Column(
            "core", "prompt_strict", "prompts, strict", "share", "higher", "smollm2", "smollm2", 0.001, 0.002, (line,)
        ),
        Column("codi-eval", "accuracy", "accuracy", "share", "higher", HOSTILE, None, 0.7, 0.7, (noise,)),
        Column("tlg", "distance", "distance", "words", "lower", notes=("not the same token cap: 64, 256",)),
        Column("injection", "drop", "drop", "share", "lower"),
    )
    cells = (
        (Cell(0.7, 0.6, 0.8, 50, level=0.7, best=True), Cell(0.50, 0.4, 0.6, 50, level=0.5),
         Cell(12.34, 10.0, 14.0, 50, 1, 2, level=1.0), Cell(0.1, 0.05, 0.2, 50, level=0.9)),
        (Cell(0.3, 0.2, 0.4, 50, level=0.3), Cell(0.52, 0.4, 0.6, 50, level=0.52), None,
         Cell(0.2, 0.1, 0.3, 50, level=0.8)),
    )  # fmt: skip
    return Leaderboard(("smollm2", HOSTILE), columns, cells, (1.25, 1.75), (HOSTILE,))


def test_the_page_holds_the_board_and_no_text_of_it() -> None:
    page = leaderboard_html(board()).decode()
    assert "onerror" not in page
    packed = re.search(r'id="data">([^<]*)<', page)
    assert packed is not None
    held = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    assert held == json.loads(encode(board()))
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_equal_boards_give_equal_bytes() -> None:
    assert leaderboard_html(board()) == leaderboard_html(board())


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    path = tmp_path / "leaderboard.html"

    def open_(shown: Leaderboard) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        write_leaderboard(shown, path)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(path.as_uri())
        WebDriverWait(browser, 30, poll_frequency=0.05).until(
            lambda b: b.execute_script("return Boolean(document.querySelector('main'))")
        )
        return browser

    return open_


def texts(browser: Any, selector: str) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
    )


def test_a_reader_sees_figures_the_best_and_what_is_missing(page: Any) -> None:
    seen = page(board())
    assert texts(seen, ".board tbody th") == ["smollm2", f"{HOSTILE}fake"]
    assert texts(seen, ".board tbody strong") == ["70.0%", "50.0%", "12.3", "10.0%", "30.0%", "52.0%", "20.0%"]
    assert texts(seen, ".board td.best strong") == ["70.0%"]
    assert texts(seen, ".board td.missing") == ["–"]
    assert "10 – 14 · 2 undecided · 1 failed" in texts(seen, ".board tbody small")[2]
    assert "tlg: not the same token cap" in texts(seen, ".warning")[0]
    assert "best: p = 0.002 after Holm" in texts(seen, ".duels td.gained")[0]
    assert seen.get_log("browser") == []
    assert seen.title == "Leaderboard: 2 models on 4 benchmarks"


def test_a_column_sorts_best_first_then_worst_first_with_what_is_missing_last(page: Any) -> None:
    seen = page(board())

    def click(column: int) -> list[str]:
        seen.execute_script("document.querySelectorAll('.board thead button')[arguments[0]].click()", column)
        return [name[:7] for name in texts(seen, ".board tbody th")]

    other = HOSTILE[:7]
    assert click(2) == [other, "smollm2"]
    assert click(2) == ["smollm2", other]
    assert click(3) == click(3) == ["smollm2", other]  # the cell that was not run
    assert click(4) == ["smollm2", other]  # lower is better
    assert click(0) == ["smollm2", other]


def test_the_radar_shows_shares_and_leaves_a_gap_where_nothing_was_run(page: Any) -> None:
    seen = page(board())
    assert texts(seen, ".radar text.axis") == ["core", "codi-eval", "injection(reversed)"]
    assert len(texts(seen, ".radar svg polygon.series")) == 2
    shown = board()
    gap = msgspec.structs.replace(shown, cells=(shown.cells[0], (None, *shown.cells[1][1:])))
    seen = page(gap)
    assert len(texts(seen, ".radar svg polygon.series")) == 1
    assert len(texts(seen, ".radar g.model:nth-of-type(2) line")) == 1
    few = msgspec.structs.replace(shown, columns=shown.columns[:2], cells=tuple(row[:2] for row in shown.cells))
    assert "at least three benchmarks" in texts(page(few), "#radar .empty")[0]


def test_real_runs_make_a_page_without_a_complaint(page: Any, made_run: Make) -> None:
    runs = [made_run(25, model=model, skill=skill) for model, skill in (("a", 0.3), ("b", 0.8))]
    seen = page(leaderboard(runs))
    for n in range(len(texts(seen, "main button"))):
        seen.execute_script("document.querySelectorAll('main button')[arguments[0]]?.click()", n)
    assert seen.get_log("browser") == []
    assert len(texts(seen, ".levels .level")) == 2


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Any) -> None:
    seen = page(board())
    seen.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        assert seen.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        seen.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
