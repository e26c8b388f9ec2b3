"""Images from this machine: bounded before they are decoded, upright and opaque after."""

from __future__ import annotations

import base64
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adhere.errors import DataError
from adhere.vision import pictures
from adhere.vision.pictures import SIDE, Source, pixels, source

Images = pytest.importorskip("PIL.Image")


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def declared(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def read(body: bytes) -> Any:
    return pixels(Source(body, "the image"))


# Where they come from ------------------------------------------------------------------------------------------------


def test_a_path_a_data_uri_and_bytes_are_the_same_image(tmp_path: Path) -> None:
    body = encoded(Images.new("RGB", (8, 8)))
    (tmp_path / "a.png").write_bytes(body)
    uri = "data:image/png;base64," + base64.b64encode(body).decode()
    assert {source(given).body for given in (tmp_path / "a.png", str(tmp_path / "a.png"), uri, body)} == {body}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://example.org/a.png", "images are not fetched"),
        ("file:///etc/passwd", "images are not fetched"),
        ("data:image/png;base64,####", "no base64"),
        ("data:image/png,abc", "no base64"),
        ("data:", "no base64"),
        ("no/such.png", "No such file"),
        ("a\0b.png", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        (".", r"^\. is no file"),
    ],
)
def test_what_is_no_file_is_named(given: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        source(given)
    assert len(str(caught.value)) < 400


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="is no file"):
        source(tmp_path / "pipe.png")


def test_too_many_bytes_are_refused_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    body = bytes(1001)
    (tmp_path / "a.png").write_bytes(body)
    for given in (
        tmp_path / "a.png",
        body,
        "data:;base64," + base64.b64encode(body).decode(),
        "data:;base64," + "A" * 9999,
    ):
        with pytest.raises(DataError, match="larger than"):
            source(given)


# What is in them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8000, 8000), (12000, 12000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_that_declares_too_many_pixels_is_refused_undecoded(size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="more than 50 million pixels"):
            read(declared(*size))


@pytest.mark.parametrize(
    "body", [b"", b"%PDF-1.7", b"<svg/>", b"\x89PNG\r\n\x1a\n", declared(50, 50), b"GIF89a", b"BM"]
)
def test_what_is_no_image_or_broken_is_refused(body: bytes) -> None:
    with pytest.raises(DataError, match="no image that can be read"):
        read(body)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_file_that_was_cut_is_refused(kind: str) -> None:
    whole = encoded(Images.effect_noise((64, 64), 80), kind)
    assert read(whole).size == (64, 64)
    with pytest.raises(DataError, match="no image that can be read"):
        read(whole[: len(whole) // 2])


def test_the_largest_image_takes_little_more_than_two_copies_of_it(tmp_path: Path) -> None:
    """Of 49 million pixels, four bytes each, in a process of its own, since a peak is never forgotten."""
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Images.new("RGBA", (7000, 7000), (0, 0, 0, 128)), compress_level=1))
    code = (
        "import sys\nfrom adhere.vision.pictures import pixels, source\npixels(source(sys.argv[1]))\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 700_000  # KiB


def test_a_strip_neither_vanishes_nor_grows() -> None:
    for size in ((1, 40_000), (40_000, 1), (3, 3), (6000, 100)):
        made = read(encoded(Images.new("RGB", size, "red")))
        assert max(made.size) <= SIDE and min(made.size) >= max(made.size) // 4
        assert made.getpixel((0, 0)) == (255, 0, 0)


def _marked(mode: str, background: Any, mark: Any) -> Any:
    image = Images.new(mode, (40, 40), background)
    image.paste(mark, (0, 0, 10, 10))
    return image


def _grey16(background: int, mark: int) -> Any:
    grey = np.full((40, 40), background, np.uint16)
    grey[:10, :10] = mark
    return Images.fromarray(grey)


@pytest.mark.parametrize(
    ("image", "mark", "ground"),
    [
        (_marked("L", 255, 0), (0, 0, 0), (255, 255, 255)),
        (_marked("1", 1, 0), (0, 0, 0), (255, 255, 255)),
        (_marked("RGB", "white", "black").quantize(4), (0, 0, 0), (255, 255, 255)),
        (_marked("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)), (0, 0, 0), (255, 255, 255)),  # dark on nothing
        (_marked("RGBA", (9, 9, 9, 0), (255, 255, 255, 255)), (255, 255, 255), (0, 0, 0)),  # light on nothing
        (_marked("LA", (0, 0), (10, 255)), (10, 10, 10), (255, 255, 255)),
        (_marked("RGBA", (0, 0, 0, 0), (0, 0, 0, 0)), (255, 255, 255), (255, 255, 255)),  # nothing at all
        (_grey16(60000, 2000), (7, 7, 7), (234, 234, 234)),
    ],
    ids=["grey", "1 bit", "palette", "dark on nothing", "light on nothing", "grey on nothing", "empty", "16 bit"],
)
def test_every_kind_of_pixel_becomes_rgb_with_its_contrast(image: Any, mark: Any, ground: Any) -> None:
    made = read(encoded(image))
    assert (made.mode, made.getpixel((2, 2)), made.getpixel((30, 30))) == ("RGB", mark, ground)


def test_a_transparent_palette_is_understood() -> None:
    image = _marked("P", 0, 1)
    image.putpalette([0, 0, 0, 255, 255, 255])
    made = read(encoded(image, transparency=0))
    assert (made.getpixel((2, 2)), made.getpixel((30, 30))) == ((255, 255, 255), (0, 0, 0))


def test_a_photograph_is_turned_upright() -> None:
    exif = Images.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    made = read(encoded(_marked("RGB", "white", "black").resize((80, 40)), "JPEG", exif=exif))
    assert made.size == (40, 80)
    assert max(made.getpixel((38, 2))) < 60 < min(made.getpixel((2, 2)))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_of_an_animation_the_first_picture_counts(kind: str) -> None:
    first, second = Images.new("RGB", (16, 16), "red"), Images.new("RGB", (16, 16), "blue")
    made = read(encoded(first, kind, save_all=True, append_images=[second], duration=100))
    red, _, blue = made.getpixel((8, 8))
    assert red > 200 and blue < 50
