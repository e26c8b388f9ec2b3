"""How a question and its passages are put: one prompt, and fewer passages where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from adhere.bench.base import Options
from adhere.errors import ContextError, UsageError
from adhere.models.prompts import Template
from adhere.records import Document, Instruction, Message, Response
from adhere.score.texts.faithfulness import as_items

__all__ = ["UTTERANCES", "ask", "clean", "prompt", "shortened"]

UTTERANCES = 10  # of a conversation that are shown, the question included
_STOPS = ("user:", "assistant:", "- title:", "question:")  # lines that begin somebody else's turn
_OWN = ("agent:", "answer:")  # at the start the model's own turn; later another answer


async def ask(options: Options, instruction: Instruction) -> Response:
    """The model's answer; the trace's step `passages` says which of them it was shown.

    Raises:
        ContextError: if the question does not fit even without passages.
    """
    if options.answerer is None:
        raise UsageError("nothing answers", hint="Name a model: --model smollm2")
    documents = instruction.documents
    while True:
        asked = msgspec.structs.replace(
            instruction, messages=(Message("user", prompt(instruction, documents)),), documents=()
        )
        try:
            response = await options.answerer.answer(asked)
        except ContextError:
            if not documents:
                raise
            documents = documents[:-1]  # the last is the least relevant
            continue
        step: dict[str, Any] = {"step": "passages", "items": as_items(documents), "of": len(instruction.documents)}
        return msgspec.structs.replace(response, trace=(step, *response.trace))


def prompt(instruction: Instruction, documents: Sequence[Document]) -> str:
    """The passages with their titles, then the question, or the conversation that ends with it.

    `meta["setting"]` other than "answer" adds that what the passages do not say is to be answered with "I don't know".
    """
    passages = "\n\n".join(f"- Title: {d.title}\n{d.text}" for d in documents) or "(none)"
    ending = "" if instruction.meta.get("setting", "answer") == "answer" else "_or_unknown"
    if len(instruction.messages) == 1:
        template = Template.of("adhere.bench.instruct_qa", f"question{ending}")
        return template.render(passages=passages, question=instruction.prompt)
    shown = shortened(instruction.messages)
    turns = "\n".join(f"{'User' if m.role == 'user' else 'Agent'}: {m.text}" for m in shown)
    return Template.of("adhere.bench.instruct_qa", f"conversation{ending}").render(passages=passages, turns=turns)


def shortened(turns: Sequence[Message], most: int = UTTERANCES) -> list[Message]:
    """At most so many turns: pairs of a question and its answer are taken out of the middle, as the reference does."""
    kept = list(turns)
    while len(kept) > most and len(kept) > 3:
        middle = (len(kept) - 1) // 2
        middle -= middle % 2  # where a user's turn stands
        del kept[middle : middle + 2]
    return kept


def clean(text: str) -> str:
    """What of an output is the answer: no blank lines, and nothing from where the model plays another's turn.

    >>> clean("Paris.\\n\\nQuestion: And Spain?\\nAnswer: Madrid")
    'Paris.'
    """
    kept: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        start = line.strip().lower()
        if start.startswith(_STOPS) or (kept and start.startswith(_OWN)):
            break
        kept.append(line.strip())
    return "\n".join(kept)
