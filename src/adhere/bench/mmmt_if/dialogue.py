"""Putting a chat turn by turn with the model's own answers as history; where its orders stand; a benchmark's rows.

A row is one turn of one chat in one placement; turns before the first order are no rows, for nothing is asked there yet
(but they are put, since they are part of the chat). A row asks for its whole chat up to its turn; the answers to
earlier turns are the very ones of the earlier rows, which the cache holds, so a chat costs one call a turn.

Placements: `dispersed`, each order before the question that it came with (the benchmark); `end`, all orders so far
after the current question and nowhere else; `both`, where they came and again after the current question (the paper's
ablation, which alone cannot tell repetition from recency: hence `end`); `never`, orders not shown: how much of them is
met by luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import msgspec

from adhere.bench.base import Options
from adhere.bench.mmmt_if.chats import Chat, Image, Order, Turn
from adhere.errors import ContextError, DataError, UsageError
from adhere.models.prompts import Template
from adhere.records import ImagePart, ImageUrl, Instruction, Message, Response, TextPart

__all__ = ["PLACEMENTS", "Form", "Placement", "ask", "conversation", "rows"]

Placement = Literal["dispersed", "end", "both", "never"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
Form = Literal["text", "images"]

PACKAGE = "adhere.bench.mmmt_if"
ORDER = Template.of(PACKAGE, "order")
REPEAT = Template.of(PACKAGE, "repeat")
IMAGE = Template.of(PACKAGE, "image")


def rows(
    chats: Sequence[Chat], placements: Sequence[Placement] = ("dispersed",), form: Form = "text"
) -> list[Instruction]:
    """The rows of some chats: chat by chat, the placements of a chat next to each other, its turns in order.

    Raises:
        DataError: if the text form is wanted of an image that has no text.
    """
    return [row for chat in chats for placement in placements for row in _rows(chat, placement, form)]


def _rows(chat: Chat, placement: Placement, form: Form) -> Iterator[Instruction]:
    asked = [_question(chat, turn, form) for turn in chat.turns]
    told = [[_wording(order) for order in turn.instructions] for turn in chat.turns]
    shown = [[chat.images[ref].path for ref in turn.image_refs] if form == "images" else [] for turn in chat.turns]
    active: list[Order] = []
    for at, turn in enumerate(chat.turns):
        active += turn.instructions
        if not active:
            continue
        meta = {
            "cluster": chat.id, "turn": at + 1, "orders": len(active), "placement": placement,
            "asked": asked[: at + 1], "told": told[: at + 1], "shown": shown[: at + 1], "key": list(turn.answer_key),
        }  # fmt: skip
        yield Instruction(
            f"{chat.id}/{placement}/{at + 1}",
            tuple(m for m in conversation(meta, at, [""] * at) if m.role == "user"),
            tuple(order.constraint for order in active),
            meta=meta,
        )


def _wording(order: Order) -> str:
    if order.text:
        return order.text
    import random

    from adhere.constraints.base import build

    return build(order.constraint, "fixed").describe(random.Random(0))


def _question(chat: Chat, turn: Turn, form: Form) -> str:
    """The question; in the text form after what its images read."""
    if form == "images" or not turn.image_refs:
        return turn.user
    shown = [_transcript(chat, ref, chat.images[ref]) for ref in turn.image_refs]
    return "\n".join([*shown, turn.user])


def _transcript(chat: Chat, number: int, image: Image) -> str:
    if not image.text.strip():
        raise DataError(
            f"chat '{chat.id}': image {number} ({image.path}) has no text, which a model without eyes would need",
            hint='Give images as {"path": …, "text": …}, or every one without a text to a model that sees them',
        )
    return IMAGE.render(number=number + 1, kind=image.kind, text=image.text)


def conversation(meta: dict[str, Any], at: int, answers: Sequence[str]) -> tuple[Message, ...]:
    """The messages up to the question of turn `at` (from 0), after the answers to all turns before it.

    Raises:
        DataError: if an image cannot be read.
    """
    messages: list[Message] = []
    for turn, question in enumerate(meta["asked"][: at + 1]):
        text = question
        if meta["placement"] in ("dispersed", "both"):
            text = "\n".join([*(ORDER.render(order=order) for order in meta["told"][turn]), question])
        if turn == at and meta["placement"] in ("end", "both"):
            so_far = [order for orders in meta["told"][: at + 1] for order in orders]
            text = REPEAT.render(question=text, rules="\n".join(f"- {order}" for order in so_far)) if so_far else text
        messages.append(_user(text, meta["shown"][turn]))
        if turn < at:
            messages.append(Message("assistant", answers[turn]))
    return tuple(messages)


def _user(text: str, images: Sequence[str]) -> Message:
    if not images:
        return Message("user", text)
    return Message("user", (*(ImagePart(ImageUrl(url)) for url in images), TextPart(text)))


async def ask(options: Options, instruction: Instruction) -> Response:
    """Put a row: its chat from the first turn on. The trace's step `dialogue` has the answers to all of its turns.

    Raises:
        UsageError: without a model.
        ContextError: naming chat and turn, if the chat no longer fits into the model's context.
        CapabilityError: if the chat has images and the model sees none.
        ModelError: if a call failed for good.
    """
    if options.answerer is None:
        raise UsageError("a chat needs a model that answers", hint="Add --model NAME")
    meta, answers = instruction.meta, []
    for at in range(meta["turn"]):
        so_far = sum(map(len, meta["told"][: at + 1]))
        turn = Instruction(
            f"{instruction.id}:{at + 1}",
            tuple(_loaded(m) for m in conversation(meta, at, answers)),
            instruction.constraints[:so_far],  # what a strategy may look at; none unless --oracle
        )
        try:
            response = await options.answerer.answer(turn)
        except ContextError as error:
            where = f"chat '{meta['cluster']}', turn {at + 1}"
            raise ContextError(f"{where}: {error.message}", hint=error.hint) from error
        answers.append(response.text)
    return msgspec.structs.replace(response, trace=(*response.trace, {"step": "dialogue", "answers": answers}))


def _loaded(message: Message) -> Message:
    """The message with its images as data, which every endpoint takes; addresses stay."""
    if isinstance(message.content, str):
        return message
    from adhere.bench.mmmt_if.images import data_uri

    parts = tuple(
        ImagePart(ImageUrl(data_uri(p.image_url.url))) if isinstance(p, ImagePart) else p for p in message.content
    )
    return msgspec.structs.replace(message, content=parts)
