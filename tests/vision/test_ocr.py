"""Text out of images, by the real RapidOCR."""

from __future__ import annotations

import ast
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adhere.vision
from adhere.bench.mmmt_if.chats import scenes
from adhere.bench.mmmt_if.images import drawn
from adhere.bench.mmmt_if.reading import questions
from adhere.errors import DataError, DependencyError
from adhere.vision import RapidOCR, ocr
from adhere.vision.ocr import Word, in_reading_order

Images = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def reader() -> RapidOCR:
    pytest.importorskip("rapidocr")
    return RapidOCR()


@pytest.mark.parametrize("scene", ["cafe", "station", "museum", "hike", "clinic"])
def test_the_key_string_of_a_drawn_image_is_read(reader: RapidOCR, scene: str) -> None:
    """A receipt, a table, a ticket, a signpost, a card; the reproduction of MMMT-IF reads all twelve."""
    asked = next(question for question in questions() if question.scene == scene)
    assert asked.named(reader.read(asked.picture))


def test_a_table_is_read_row_by_row(reader: RapidOCR) -> None:
    lines = next(chat.images[0].text for chat in scenes() if chat.id == "weather").split("\n")
    read = reader.read(drawn("\n".join(lines))).split("\n")
    assert [line.split() for line in read] == [line.split() for line in lines]


def test_a_blank_image_has_no_text(reader: RapidOCR) -> None:
    assert reader.read(drawn("")) == ""
    assert reader.read(drawn("   \n  ")) == ""


def test_an_image_is_read_once(reader: RapidOCR, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(drawn("READ ME ONCE"))
    assert reader.read(tmp_path / "a.png") == "READ ME ONCE"
    monkeypatch.setattr(ocr, "_engine", lambda: pytest.fail("asked again"))
    assert reader.read((tmp_path / "a.png").read_bytes()) == "READ ME ONCE"


def test_nothing_is_fetched_and_nothing_is_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rapidocr")
    monkeypatch.setattr(socket, "socket", lambda *args, **options: pytest.fail("opened a socket"))
    ocr._engine.cache_clear()
    assert "FRESH" in RapidOCR().read(drawn("FRESH START"))
    assert RapidOCR().read(drawn("")) == ""
    assert capfd.readouterr() == ("", "")


def test_bad_images_are_refused_before_the_engine_sees_them(reader: RapidOCR, tmp_path: Path) -> None:
    (tmp_path / "corrupt.png").write_bytes(drawn("SIGN")[:200])
    with pytest.raises(DataError, match=r"corrupt\.png is no image that can be read"):
        reader.read(tmp_path / "corrupt.png")
    with pytest.raises(DataError, match="is no file"):
        reader.read(tmp_path)


def test_more_text_than_a_few_pages_is_refused_before_it_is_read(
    reader: RapidOCR, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr, "MOST_TEXT", 5)
    with pytest.raises(DataError, match="more text than is read at once"):
        reader.read(drawn("a line of far more than five heights"))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr.main", None)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(DependencyError, match=r"pip install 'adhere\[vision\]'"):
        RapidOCR()


def test_the_room_stands_on_the_ground_alone() -> None:
    """Every room may use it, so it uses none."""
    found: set[str] = set()
    for file in Path(adhere.vision.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("adhere"):
                found.add(str(node.module))
    assert found <= {"adhere.errors", "adhere.vision.ocr", "adhere.vision.pictures"}


# Reading order -------------------------------------------------------------------------------------------------------


def word(text: str, left: float, top: float, height: float = 20) -> Word:
    return Word(text, left, top, top + height)


def test_columns_of_a_line_stand_together_though_they_are_not_quite_level() -> None:
    words = [word("5.00", 300, 3), word("SOUP", 10, 40), word("TEA", 10, 0), word("6.30", 300, 38)]
    assert in_reading_order(words) == "TEA  5.00\nSOUP  6.30"


def test_a_heading_does_not_swallow_the_small_lines_beside_it() -> None:
    words = [word("SALE", 0, 0, 60), word("today", 200, 2, 20), word("only", 200, 38, 20)]
    assert in_reading_order(words).count("\n") >= 1


@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000), st.floats(1, 200)), max_size=30))
def test_no_word_is_lost_or_doubled(boxes: list[tuple[float, float, float]]) -> None:
    words: list[Any] = [word(f"w{n}", *box) for n, box in enumerate(boxes)]
    assert sorted(in_reading_order(words).split()) == sorted(w.text for w in words)
    assert in_reading_order(words[::-1]).count("\n") == in_reading_order(words).count("\n")
