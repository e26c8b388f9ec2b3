"""Does the text on an image reach the answer of a model that only reads, and do standing orders stand in its way?

Twelve of the drawn images, one of each chat, and a question on each whose answer is a string on it (the key). Asked
through OCR without orders, through OCR with all orders of the chat before the question, and without the image, which
tells what guessing gives. The likeliest answer counts (temperature 0): what is asked is there to be read. A key is
named where it stands in the answer as words of its own, case aside; an answer that copies the whole image names it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from adhere.answer.base import draw
from adhere.bench.asking import Answer, Settings, answers_to
from adhere.bench.base import Options
from adhere.bench.figures import share, statistic
from adhere.bench.mmmt_if.chats import scenes
from adhere.bench.mmmt_if.dialogue import ORDER
from adhere.bench.mmmt_if.images import data_uri
from adhere.constraints.text import any_word
from adhere.errors import UsageError
from adhere.records import ImagePart, ImageUrl, Instruction, Message, Record, Response, TextPart
from adhere.roles import Answerer

__all__ = ["ARMS", "Arm", "Question", "questions", "read_and_answer"]

QUESTIONS = Path(__file__).with_name("questions.jsonl")
Arm = Literal["plain", "orders", "no image"]
ARMS: tuple[Arm, ...] = get_args(Arm)


class Question(Record):
    """What is asked of which image of which chat, and the strings on it that answer: one of them is enough."""

    scene: str
    image: int
    question: str
    key: tuple[str, ...]

    @property
    def picture(self) -> str:
        """The drawn image as a `data:` URI."""
        return data_uri(f"drawn:{self.scene}/{self.image}")

    def named(self, text: str) -> bool:
        """Whether a text has the key."""
        return any_word(self.key).search(text) is not None


def questions() -> list[Question]:
    """The twelve."""
    from adhere.data import jsonl

    return list(jsonl.read(QUESTIONS, Question))


async def read_and_answer(model: Answerer, *, images: int) -> dict[str, Any]:
    """Put the questions in all arms; answers to the same question are paired.

    Args:
        model: Sees no images; its images are read by RapidOCR.
        images: Of the twelve, the first so many.

    Returns:
        `read`, the share of images whose key OCR reads; `named`, by arm the share of answers with the key; and in
        points `orders_cost` (plain minus orders) and `image_brings` (plain minus no image), with intervals.

    Raises:
        DependencyError: without the extra `vision`.
    """
    from adhere.answer.ocr import Ocr
    from adhere.vision import RapidOCR

    reader, chosen = RapidOCR(), questions()[:images]
    rows = [_row(question, arm) for question in chosen for arm in ARMS]
    answers = await answers_to(rows, Ocr(model, reader), Settings(), ask=_likeliest)
    asked = {question.scene: question for question in chosen}
    named: dict[Arm, list[float]] = {arm: [] for arm in ARMS}
    for answer in answers:
        named[answer.instruction.meta["arm"]].append(_named(asked[answer.instruction.meta["cluster"]], answer))
    return {
        "read": share([question.named(reader.read(question.picture)) for question in chosen]),
        "named": {arm: share(values) for arm, values in named.items()},
        "orders_cost": _points(named["plain"], named["orders"]),
        "image_brings": _points(named["plain"], named["no image"]),
        "failed": sum(answer.failure is not None for answer in answers),
        "examples": [_example(asked[a.instruction.meta["cluster"]], a) for a in answers],
    }


async def _likeliest(options: Options, instruction: Instruction) -> Response:
    if options.answerer is None:
        raise UsageError("questions need a model that answers")
    return await draw(options.answerer, instruction, temperature=0.0)


def _row(question: Question, arm: Arm) -> Instruction:
    told = [*(_orders(question.scene) if arm == "orders" else ()), question.question]
    shown = () if arm == "no image" else (ImagePart(ImageUrl(question.picture)),)
    turn = Message("user", (*shown, TextPart("\n".join(told))))
    return Instruction(f"{question.scene}/{arm}", (turn,), meta={"cluster": question.scene, "arm": arm})


def _orders(scene: str) -> list[str]:
    turns = next(chat.turns for chat in scenes() if chat.id == scene)
    return [ORDER.render(order=order.text) for turn in turns for order in turn.instructions]


def _named(question: Question, answer: Answer) -> float:
    return float(answer.response is not None and question.named(answer.response.text))


def _points(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    def difference(rows: Sequence[tuple[float, float]]) -> float:
        return 100 * sum(a - b for a, b in rows) / len(rows)

    return statistic(difference, list(zip(one, other, strict=True)))


def _example(question: Question, answer: Answer) -> dict[str, Any]:
    said = answer.response.text if answer.response is not None else ""
    return {"id": answer.instruction.id, "question": question.question, "key": question.key[0], "answer": said}
