"""The rows of the rephrasing study, and how one is put: by the likelihood of its options, or by what is said.

A model that tells log-probabilities picks the option with the highest mean log-probability of its tokens, teacher-
forced after the prompt (chat template applied). Upstream multiplies probabilities of the model's *own greedy* steps,
over the shortest option's length only, which cannot tell options with a common beginning apart; that rule is not
offered. Other models answer in words, and the words must be the option (upstream's second metric: case and `( ) . :` do
not count).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Sequence

from adhere.bench.base import Options
from adhere.bench.zero_shot_robustness.bank import Bank, Item, Phrasing, phrasings_for
from adhere.errors import UsageError
from adhere.models.model import Model, base_model
from adhere.records import Instruction, Message, Response, Score, Usage
from adhere.score.choices import Choices, likelihoods

__all__ = ["Pick", "ask", "picked", "rows"]

_IGNORED = re.compile(r"[().:]")


def rows(
    items: Sequence[Item], banks: Sequence[Bank], kinds: Sequence[str], each: int | None = None
) -> list[Instruction]:
    """One row an item and phrasing: tasks take turns, the phrasings of an item stand together.

    Args:
        items: Of any number of tasks.
        banks: Phrasings for all of them.
        kinds: Of phrasings, those that are wanted.
        each: Only so many phrasings of each kind.

    Raises:
        DataError: if an item has no phrasing of these kinds.
    """
    return [_row(item, phrasing) for item in _in_turn(items) for phrasing in _chosen(item, banks, kinds, each)]


def _in_turn(items: Sequence[Item]) -> Iterator[Item]:
    """The first item of every task, the second of every task, …"""
    tasks: dict[str, list[Item]] = {}
    for item in items:
        tasks.setdefault(item.task, []).append(item)
    for position in range(max(map(len, tasks.values()), default=0)):
        for members in tasks.values():
            if position < len(members):
                yield members[position]


def _chosen(item: Item, banks: Sequence[Bank], kinds: Sequence[str], each: int | None) -> list[Phrasing]:
    phrasings = phrasings_for(item, banks)
    return [phrasing for kind in kinds for phrasing in [p for p in phrasings if p.kind == kind][:each]]


def _row(item: Item, phrasing: Phrasing) -> Instruction:
    return Instruction(
        f"{item.task}/{item.id}/{phrasing.id}",
        (Message("user", phrasing.render(item)),),
        references=(item.answer,),
        meta={
            "cluster": f"{item.task}/{item.id}", "task": item.task, "phrasing": phrasing.id, "kind": phrasing.kind,
            "author": phrasing.author, "options": list(item.options),
        },
    )  # fmt: skip


async def ask(options: Options, instruction: Instruction) -> Response:
    """Put a row. The trace's step `choices` has every option's log-probability and number of tokens.

    Raises:
        UsageError: without a model.
        ModelError: if a call failed for good.
    """
    if options.answerer is None:
        raise UsageError("a choice needs a model", hint="Add --model NAME")
    model = base_model(options.answerer)
    if "logprobs" not in model.info.capabilities:
        return await options.answerer.answer(instruction)
    offered = instruction.meta["options"]
    found = await _choices(model, instruction, offered)
    step = {"step": "choices", "options": offered, "logprobs": list(found.logprobs), "tokens": list(found.tokens)}
    return Response(offered[found.best("token")], model.name, usage=Usage(completion_tokens=sum(found.tokens)),
                    trace=(step,))  # fmt: skip


async def _choices(model: Model, instruction: Instruction, offered: Sequence[str]) -> Choices:
    if not model.chat:
        return await likelihoods(model, instruction.prompt, offered)
    from adhere.models.chat_text import chat_text

    # The template ends with the line break after which an answer begins: no delimiter, and nothing to move.
    prompt = chat_text(model, instruction.messages)
    tokens = await asyncio.gather(*(model.logprobs(prompt, option) for option in offered))
    sums = tuple(math.fsum(t.logprob for t in found) for found in tokens)
    return Choices(tuple(offered), sums, tuple(map(len, tokens)))


def picked(offered: Sequence[str], text: str) -> int | None:
    """Position of the option that a text is, but for case, white space and `( ) . :`; None where it is none of them."""
    said = _plain(text)
    return next((at for at, option in enumerate(offered) if _plain(option) == said), None)


def _plain(text: str) -> str:
    return " ".join(_IGNORED.sub("", text).casefold().split())


class Pick:
    """Whether the right option was picked: one part, `accuracy`. What is no option is wrong, and says so."""

    def __repr__(self) -> str:
        return "Pick()"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        offered = instruction.meta["options"]
        at = picked(offered, response.text)
        right = at is not None and offered[at] == instruction.references[0]
        reason = f"'{instruction.references[0]}' is right" + ("" if at is not None else "; the answer is no option")
        return Score("accuracy", float(right), right, reason=reason)
