"""Images from this machine as pixels, within bounds: what is too large is refused before it is decoded.

Nothing is fetched: an address is an error. Of an animation the first picture counts. Multi-page formats (TIFF, PDF) are
not read, since all pages but the first would be lost without a word.
"""

from __future__ import annotations

import base64
import binascii
import io
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adhere.errors import DataError, missing_extra

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Source", "pixels", "source"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 20 * 2**20  # of the file
MAX_PIXELS = 50_000_000  # 150 MB once decoded, 500 MB with the copies; a page of A4 at 600 dots per inch has 35 million
SIDE = 2000  # pixels of the longer side that readers get
SMOOTH = ("L", "LA", "RGB", "RGBA")  # modes that can be scaled as they are, having values between any two
NARROWEST = 1 / 4  # of the shorter side to the longer: readers scale by the shorter one, and a strip would grow huge
_HINT = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]} are read, up to {MAX_BYTES >> 20} MB"


class Source(NamedTuple):
    """An undecoded image and what to call it in a message."""

    body: bytes
    name: str


def source(image: str | Path | bytes) -> Source:
    """The bytes of an image.

    Args:
        image: A path, a `data:` URI in base64, or the bytes of a file.

    Raises:
        DataError: if there is no such file, it is none (a folder, a pipe), it is too large, or it lies on the network.
    """
    if isinstance(image, bytes):
        found = Source(image, "the image")
    elif isinstance(image, str) and image[:5].lower() == "data:":
        found = Source(_of_uri(image), "the image of the data URI")
    elif isinstance(image, str) and "://" in image[:12]:
        raise DataError(f"{image[:100]}: images are not fetched", hint="Download it and give its path")
    else:
        found = Source(_of_file(Path(image)), str(image))
    if len(found.body) > MAX_BYTES:
        raise DataError(f"{found.name} is larger than {MAX_BYTES >> 20} MB", hint="Make it smaller")
    return found


def _of_uri(uri: str) -> bytes:
    head, _, body = uri.partition(",")
    if len(body) > 2 * MAX_BYTES:
        raise DataError(f"the image of the data URI is larger than {MAX_BYTES >> 20} MB", hint="Make it smaller")
    try:
        if not head.lower().endswith(";base64"):
            raise ValueError
        return base64.b64decode("".join(body.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise DataError("the data URI is no base64", hint="Write data:image/png;base64,…") from error


def _of_file(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} is no file", hint="Give the path of one image")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a ValueError: a path with a zero byte
        said = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{str(path)[:200]!r} cannot be read: {said or error}") from error


def pixels(given: Source) -> Image:
    """The image decoded: upright, RGB, at most `SIDE` pixels long, not narrower than `NARROWEST`.

    Transparent pixels become white behind a dark image and black behind a light one, so that its text stands out.

    Raises:
        DataError: if it is no image of a format that is read, broken, or has too many pixels.
        DependencyError: without Pillow.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise missing_extra("pillow", "vision", "reading images") from error
    too_many = f"{given.name} has more than {MAX_PIXELS / 1e6:.0f} million pixels"
    try:
        with warnings.catch_warnings():  # Pillow warns of what is refused here
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(given.body), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"{too_many}: {image.width} x {image.height}", hint="Make it smaller")
        image.load()
        if image.mode in SMOOTH and "transparency" not in image.info:  # early: what follows makes several copies
            image.thumbnail((SIDE, SIDE))
        ImageOps.exif_transpose(image, in_place=True)
        flat = _flat(image)
        flat.thumbnail((SIDE, SIDE))
        return _widened(flat)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(too_many, hint="Make it smaller") from error
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, IndexError …
        said = "" if isinstance(error, Image.UnidentifiedImageError) else f": {error}"
        raise DataError(f"{given.name} is no image that can be read{said}", hint=_HINT) from error


def _flat(image: Image) -> Image:
    """Without transparency and palette."""
    from PIL import Image as Images
    from PIL import ImageStat

    if image.mode.startswith("I"):  # 16 bits of grey; a plain conversion would clip them to white
        return image.convert("I").point(lambda grey: grey / 256).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    image.thumbnail((SIDE, SIDE))
    opaque = image.getchannel("A")
    brightness = ImageStat.Stat(image.convert("L"), opaque.point(lambda a: 255 * (a > 0)))
    dark = not brightness.count[0] or brightness.mean[0] < 128
    behind = Images.new("RGBA", image.size, "white" if dark else "black")
    return Images.alpha_composite(behind, image).convert("RGB")


def _widened(image: Image) -> Image:
    """With more of its corner's colour below or to the right, where it is a strip."""
    from PIL import Image as Images

    width = max(image.width, round(image.height * NARROWEST))
    height = max(image.height, round(image.width * NARROWEST))
    if (width, height) == image.size:
        return image
    page = Images.new("RGB", (width, height), image.getpixel((0, 0)))
    page.paste(image, (0, 0))
    return page
