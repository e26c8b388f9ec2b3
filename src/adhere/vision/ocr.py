"""Text out of images: the interface, and RapidOCR behind it.

RapidOCR runs PaddleOCR's PP-OCRv6 (Chinese, Japanese, English and other Latin scripts; Apache-2.0) on onnxruntime; the
models lie in its wheel, and nothing is fetched. Not covered: handwriting, pages that lie askew, columns of running text
(a line is read from edge to edge).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from adhere.errors import DataError, DependencyError, WeightsError, missing_extra
from adhere.vision.pictures import pixels, source

__all__ = ["ImageReader", "RapidOCR", "Word", "in_reading_order"]

MODELS = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
}
MOST_TEXT = 8000  # widths of all lines, in heights of their line: some 16,000 characters, four dense pages
KEPT = 1024  # texts of images that were read before
_reading = threading.Lock()  # the engine keeps state between its steps


class ImageReader(Protocol):
    """Anything that turns an image into the text on it."""

    def read(self, image: str | Path | bytes) -> str:
        """The text, lines in reading order; "" where there is none.

        Args:
            image: A path, a `data:` URI, or the bytes of a file.

        Raises:
            DataError: if the image cannot be read.
        """
        ...


class RapidOCR:
    """Reads printed text with RapidOCR; see the module.

    What stands side by side is separated by two spaces. Images are scaled to 2000 pixels at most, and text that the
    model is less than half sure of is left out, as RapidOCR does. An image that was read before is not read again. Safe
    to use from several threads.

    Raises:
        DependencyError: without the extra `vision`.
    """

    def __init__(self) -> None:
        _package()
        self._known: dict[bytes, str] = {}

    def __repr__(self) -> str:
        return "RapidOCR()"

    def read(self, image: str | Path | bytes) -> str:
        """The text on an image, as `ImageReader` has it: PNG, JPEG, WebP, GIF, BMP; of an animation the first picture.

        Raises:
            DataError: if there is no such file, it is no image, is broken, larger than 20 MB or 50 million pixels,
                holds more text than a few pages, or is an address, which is not fetched.
        """
        given = source(image)
        key = hashlib.sha256(given.body).digest()
        with _reading:
            if key not in self._known:
                found = _engine()(pixels(given))
                boxes = found.boxes if found.txts else ()
                words = [Word.of(box, text) for box, text in zip(boxes, found.txts or (), strict=True)]
                while len(self._known) >= KEPT:
                    self._known.pop(next(iter(self._known)))
                self._known[key] = in_reading_order(words)
            return self._known[key]


class Word(NamedTuple):
    """A stretch of text on one line, and where it stands, in pixels from the left and from the top."""

    text: str
    left: float
    top: float
    bottom: float

    @classmethod
    def of(cls, box: Any, text: str) -> Word:
        """Of the four corners of its box."""
        return cls(text, min(x for x, _ in box), min(y for _, y in box), max(y for _, y in box))

    @property
    def middle(self) -> float:
        """Half way between top and bottom."""
        return (self.top + self.bottom) / 2


def in_reading_order(words: Sequence[Word]) -> str:
    """Lines from top to bottom, each from left to right, two spaces between what stands apart.

    Words are on one line if their middles differ by less than half of the smaller one's height.
    """
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda w: w.middle):
        first = lines[-1][0] if lines else word
        height = min(word.bottom - word.top, first.bottom - first.top)
        if lines and word.middle - first.middle < height / 2:
            lines[-1].append(word)
        else:
            lines.append([word])
    return "\n".join("  ".join(w.text.strip() for w in sorted(line, key=lambda w: w.left)) for line in lines)


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The one engine of this process. The models' paths are given, for without them RapidOCR would download."""
    package = _package()
    folder = Path(package.__file__).parent / "models"
    for name in MODELS.values():
        if not (folder / name).is_file():
            raise WeightsError(
                f"the package rapidocr has no {name}", hint="Install it again: pip install --force-reinstall rapidocr"
            )
    paths = {option: str(folder / name) for option, name in MODELS.items()}

    class Bounded(package.RapidOCR):
        """Refuses what would take minutes, between finding the lines and reading them."""

        def crop_text_regions(self, img: Any, det_boxes: Any) -> list[Any]:
            crops = super().crop_text_regions(img, det_boxes)
            if sum(crop.shape[1] / crop.shape[0] for crop in crops) > MOST_TEXT:
                raise DataError("the image has more text than is read at once", hint="Cut it into several images")
            return crops

    # One thread: measured as cheap as several, and several wait for each other where a model decodes beside them. Lines
    # one by one: a line's text does not depend on the others then, and memory is that of the longest line.
    settings = {
        "Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1, "Rec.rec_batch_num": 1,
    }  # fmt: skip
    return Bounded(params=settings | paths)


def _package() -> Any:
    try:
        import onnxruntime  # noqa: F401 (rapidocr misses it only when the first image is read)
        import rapidocr.main
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "rapidocr", "vision", "reading the text of images") from error
    except ImportError as error:  # a library of the system that OpenCV wants
        raise DependencyError(
            f"reading the text of images: {error}", hint="Remove opencv-python, install opencv-python-headless"
        ) from error
    return rapidocr
