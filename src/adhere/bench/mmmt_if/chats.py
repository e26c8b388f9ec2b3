"""MMMT-IF's chats (Epstein et al. 2024, arXiv 2409.18216): questions about images, orders dropped in between.

A file holds one chat a line:

    {"id": "cafe", "images": ["receipt.png", {"path": "sign.png", "kind": "sign", "text": "OPEN Mon to Fri"}],
     "turns": [{"user": "What did it cost?", "image_refs": [0], "answer_key": ["15.50"],
                "instructions": [{"id": "sentence:start_letter", "kwargs": {"letter": "N"}, "text": "…"}]}]}

An instruction stands at the turn where it is *introduced* and holds for all later answers. `text` is its wording;
without one the constraint words itself. An image is a path (beside the file), a `data:` URI or an address; with its
`text` the chat can be put to models that see no images.

The paper's 71 chats are not public. `build_chat` makes such chats of any questions, as the paper does: before each
question a draw decides whether an order of an unused category is given, the less likely the more there are already.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.constraints.base import Checker, build, build_all, contradictions, kinds
from adhere.errors import AdhereError, DataError
from adhere.records import Constraint, Record

__all__ = ["CATEGORIES", "Chat", "Image", "Order", "Turn", "build_chat", "read_chats", "scenes"]

log = logging.getLogger("adhere")

SCENES = Path(__file__).with_name("scenes.jsonl")
# The six categories, at most one order of each in a chat [paper; their exact texts are not known].
CATEGORIES: dict[str, tuple[str, ...]] = {
    "sentence length": ("sentence:min_words", "sentence:max_words"),
    "first letter": ("sentence:start_letter",),
    "last character": ("sentence:end_character",),
    "number of sentences": ("sentence:count",),
    "number in a range": ("number:in_range",),
    "favourite word": ("word:any_of",),
}
# The chance of another order before a question, when `given` orders stand already: ours, the paper gives no numbers. It
# makes 1 to 5 orders in 8 turns, 3 on average.
CHANCE = 0.75
TRIES = 200  # draws of an order that contradicts none of those before


class Order(Record):
    """A standing order: the kind of its constraint, its arguments, its wording ("": the constraint's own)."""

    id: str
    kwargs: dict[str, Any] = {}
    text: str = ""

    @property
    def constraint(self) -> Constraint:
        """As a constraint to check."""
        return Constraint(self.id, self.kwargs)


class Image(Record):
    """An image: where it lies (or, for images that we draw, nowhere), what kind of thing it is, the text on it."""

    path: str = ""
    kind: str = "picture"
    text: str = ""


class Turn(Record):
    """A question, the images that come with it, the orders introduced before it, and texts any of which answers it."""

    user: str
    image_refs: tuple[int, ...] = ()
    instructions: tuple[Order, ...] = ()
    reference: str = ""
    answer_key: tuple[str, ...] = ()


class Chat(Record):
    """A conversation of many turns; see the module."""

    id: str
    turns: tuple[Turn, ...]
    images: tuple[Image, ...] = ()


class _Line(Record):
    """A chat as files write it: an image may be a path alone."""

    id: str | int
    turns: tuple[Turn, ...]
    images: tuple[str | Image, ...] = ()


class _Scene(Record):
    id: str
    images: tuple[dict[str, Any], ...]
    questions: tuple[Turn, ...]


def read_chats(path: Path) -> list[Chat]:
    """The chats of a file, checked.

    Raises:
        DataError: `file:line` with the turn: no turns, no question, an image that is not listed, an order that does not
            exist or whose arguments cannot be used, a repeated id. Orders that contradict each other are warned about.
    """
    from adhere.data import jsonl

    unique, chats = jsonl.Unique(), []
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            line = msgspec.convert(row, _Line)
        except msgspec.ValidationError as error:
            raise DataError(f"{where}: {error}", hint='A chat is {"id": …, "turns": [{"user": …}, …]}') from error
        chat = Chat(str(line.id), line.turns, tuple(_image(i, path.parent) for i in line.images))
        unique.add(chat.id, where)
        _check(chat, f"{where}: chat '{chat.id}'")
        chats.append(chat)
    return chats


def _image(given: str | Image, folder: Path) -> Image:
    image = Image(given) if isinstance(given, str) else given
    if not image.path or ":" in image.path:  # a `data:` URI or an address
        return image
    return msgspec.structs.replace(image, path=str(folder / image.path))


def _check(chat: Chat, where: str) -> None:
    if not chat.turns:
        raise DataError(f"{where} has no turns", hint="Every chat needs a question")
    if not any(turn.instructions for turn in chat.turns):
        raise DataError(f"{where} gives no order, so there is nothing to score", hint="Add `instructions` to a turn")
    for at, turn in enumerate(chat.turns, 1):
        if not turn.user.strip():
            raise DataError(f"{where}, turn {at}: no question", hint="Ragged turns cannot be put: give `user` a text")
        for ref in turn.image_refs:
            if not 0 <= ref < len(chat.images):
                raise DataError(f"{where}, turn {at}: image {ref} is not among the chat's {len(chat.images)} images")
        try:
            build_all([order.constraint for order in turn.instructions], "fixed")
        except AdhereError as error:
            raise DataError(f"{where}, turn {at}: {error.message}", hint=error.hint) from error
    for one, other in contradictions(_checkers(chat.turns)):
        log.warning("%s: no answer can keep both %s and %s", where, one.to_constraint(), other.to_constraint())


def _checkers(turns: Sequence[Turn]) -> list[Checker]:
    return [build(order.constraint, "fixed") for turn in turns for order in turn.instructions]


def build_chat(id: str, questions: Sequence[Turn], images: Sequence[Image] = (), *, seed: int = 0) -> Chat:
    """A chat of these questions with orders put in by chance: at least one, no two of a category, none that contradict.

    Args:
        id: Of the chat; the draws depend on it and on the seed alone.
        questions: Turns without instructions, in order.
        images: What their `image_refs` point at.
        seed: Another seed places other orders.

    Raises:
        DataError: without questions, or where they bring orders of their own.
    """
    from adhere.engine.seeds import derive

    if not questions or any(turn.instructions for turn in questions):
        raise DataError(f"chat '{id}': give questions that bring no instructions of their own")
    rng = random.Random(derive("mmmt-if", seed, id))
    unused, given, turns = list(CATEGORIES), [], []
    for at, turn in enumerate(questions):
        last_chance = not given and at == len(questions) - 1
        wanted = rng.random() < CHANCE / (1 + len(given)) or last_chance
        if wanted and unused:
            order = _draw_order(rng, unused, given)
            given.append(build(order.constraint, "fixed"))
            turn = msgspec.structs.replace(turn, instructions=(order,))
        turns.append(turn)
    return Chat(id, tuple(turns), tuple(images))


def _draw_order(rng: random.Random, unused: list[str], given: Sequence[Checker]) -> Order:
    """An order of an unused category, which it removes; one that can hold together with those given."""
    for _ in range(TRIES):
        category = rng.choice(unused)
        drawn = kinds()[rng.choice(CATEGORIES[category])].sample(rng)
        if not contradictions([*given, drawn]):
            unused.remove(category)
            return Order(drawn.kind, drawn.args, drawn.describe(rng))
    raise DataError(f"no order of {', '.join(unused)} fits those given")  # all kinds fit together: a mistake in one


def scenes(*, seed: int = 0) -> list[Chat]:
    """Our own twelve chats of eight turns, two drawn images each."""
    from adhere.data import jsonl

    made = []
    for scene in jsonl.read(SCENES, _Scene):
        images = [Image(f"drawn:{scene.id}/{n}", i["kind"], "\n".join(i["lines"])) for n, i in enumerate(scene.images)]
        made.append(build_chat(scene.id, scene.questions, images, seed=seed))
    return made
