"""The images of MMMT-IF chats as `data:` URIs: files as they are, our own (signs, receipts, tables) drawn by Pillow."""

from __future__ import annotations

import base64
import io
import mimetypes
from functools import lru_cache
from pathlib import Path

from adhere.bench.mmmt_if.chats import scenes
from adhere.errors import DataError, missing_extra

__all__ = ["data_uri", "drawn"]

MAX_BYTES = 20 * 2**20
MARGIN, LINE, CHARACTER = 24, 40, 18  # pixels


@lru_cache(maxsize=64)
def data_uri(url: str) -> str:
    """An image as a `data:` URI; addresses and data stay as they are.

    Args:
        url: A path, an address, a `data:` URI, or `drawn:<scene>/<number>`.

    Raises:
        DataError: if the file cannot be read, is no image by its name, or is too large.
        DependencyError: if one must be drawn, without Pillow.
    """
    if url.startswith(("data:", "http://", "https://")):
        return url
    if url.startswith("drawn:"):
        scene, number = url.removeprefix("drawn:").rsplit("/", 1)
        text = next(chat.images[int(number)].text for chat in scenes() if chat.id == scene)
        return f"data:image/png;base64,{base64.b64encode(drawn(text)).decode()}"
    kind, _ = mimetypes.guess_type(url)
    if not (kind or "").startswith("image/"):
        raise DataError(f"{url} is no image by its name", hint="PNG and JPEG are understood everywhere")
    try:
        if Path(url).stat().st_size > MAX_BYTES:
            raise DataError(f"{url}: larger than {MAX_BYTES >> 20} MB")
        body = Path(url).read_bytes()
    except OSError as error:
        raise DataError(f"{url}: the image cannot be read: {error.strerror or error}") from error
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


def drawn(text: str) -> bytes:
    """A PNG of the lines of a text, black on white.

    Raises:
        DependencyError: without Pillow.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise missing_extra("pillow", "vision", "drawing images") from error
    lines = text.split("\n")
    size = (2 * MARGIN + CHARACTER * max(map(len, lines)), 2 * MARGIN + LINE * len(lines))
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=26)
    for number, line in enumerate(lines):
        pen.text((MARGIN, MARGIN + LINE * number), line, fill="black", font=font)
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()
