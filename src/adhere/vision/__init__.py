"""What only images need: pictures read within bounds, and text out of them for models that do not see.

from adhere.vision import RapidOCR

RapidOCR().read("receipt.png")
"""

from __future__ import annotations

from adhere.vision.ocr import ImageReader, RapidOCR

__all__ = ["ImageReader", "RapidOCR"]
