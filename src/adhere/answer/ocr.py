"""Images for models that only read: the text on an image stands where the image stood.

The OCR part of MMMT-IF's card (Epstein et al. 2024, arXiv 2409.18216), for any conversation: images of all turns, in
order, numbered through. Where no text is found, that is said. What a picture shows beside text is lost.

The text has the rank of the message that it stands in: a foreign image may bring orders. Marks of chat templates in it
are made harmless, and stretches that look like orders are flagged in the trace; neither makes a model safe.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from adhere.answer.base import Strategy, Trace, draw, retold
from adhere.answer.injections import scan
from adhere.errors import DataError, UsageError
from adhere.models.hierarchy import defused
from adhere.models.prompts import Template
from adhere.records import ImagePart, Instruction, Message, Response, TextPart
from adhere.registry import register
from adhere.roles import Answerer
from adhere.vision import ImageReader, RapidOCR

__all__ = ["Ocr"]

MOST_IMAGES = 64  # of a conversation: each takes one to two seconds
TEXT = Template.of("adhere.answer", "ocr_text")
NOTHING = Template.of("adhere.answer", "ocr_nothing")


@register("ocr", paper="mmmt-if")
class Ocr(Strategy):
    """Shows a model the text on the images of a conversation in place of the images.

    Put it outermost, `ocr(decrim(critic=program))`, and whatever is inside needs no eyes.

    Args:
        model: What answers.
        reader: What reads the images; None is RapidOCR.

    Raises:
        DependencyError: without the extra `vision`.
        UsageError: if the reader cannot read.
    """

    def __init__(self, model: Answerer, reader: ImageReader | None = None) -> None:
        if reader is not None and not hasattr(reader, "read"):
            raise UsageError(f"ocr: {reader!r} reads no images", hint="Leave `reader` out for RapidOCR")
        self.model = model
        self.reader = reader
        self._reader = RapidOCR() if reader is None else reader

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call of what is inside.

        Raises:
            DataError: naming the image, if one cannot be read.
        """
        counts = [sum(isinstance(part, ImagePart) for part in m.content) for m in instruction.messages]
        if sum(counts) > MOST_IMAGES:
            raise DataError(f"{sum(counts)} images in one conversation", hint=f"At most {MOST_IMAGES} are read")
        told = []
        for at, message in enumerate(instruction.messages):
            told.append(await self._told(message, sum(counts[:at]), trace) if counts[at] else message)
        return await draw(self.model, retold(instruction, *told))

    async def _told(self, message: Message, before: int, trace: Trace) -> Message:
        """The message as text, each of its parts on a line of its own; `before` counts the images of earlier ones."""
        pieces, number = [], before
        for part in message.content:
            if isinstance(part, ImagePart):
                number += 1
                pieces.append(await self._shown(part.image_url.url, number, trace))
            elif isinstance(part, TextPart):
                pieces.append(part.text)
        return msgspec.structs.replace(message, content="\n".join(pieces))

    async def _shown(self, url: str, number: int, trace: Trace) -> str:
        try:
            text = await asyncio.to_thread(self._reader.read, url)
        except DataError as error:
            raise DataError(f"image {number}: {error.message}", hint=error.hint) from error
        trace.add("image", number=number, text=text or "no text was found", **_flagged(text))
        return TEXT.render(number=number, text=defused(text)) if text.strip() else NOTHING.render(number=number)


def _flagged(text: str) -> dict[str, Any]:
    """What looks like an order. Short commands are what signs consist of, so only strong flags are worth a mark."""
    flags = [flag for flag in scan(text) if flag.strength == "strong"]
    return {"flags": [f"{flag.kind}: {flag.text}" for flag in flags[:5]]} if flags else {}
