"""How a model is led through a machine.

A grammar alone makes bad answers: a model that is done says so by ending its turn, and where it may not end it writes
on, anything. So the answer is written in stretches. The model may end its turn wherever what is still missing *begins
with something that needs no model*: a closing phrase, a bullet's dash, "P.S. ", a keyword. That is put behind what it
wrote, and it goes on from there. A phrase that must come first is put before it writes at all. Near the token limit the
answer goes back to its last sentence and the grammar changes to one of texts so short that they fit; so an answer
completes whenever the limit leaves room for it, also out of an endless repetition.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from adhere.answer.base import Strategy, base_model, draw, retold
from adhere.answer.constrained import gbnf
from adhere.answer.constrained.machine import Machine
from adhere.answer.constrained.tail import Tails
from adhere.engine import context
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response

__all__ = ["led", "token_limit", "whole"]

STRETCHES = 32  # calls an answer; a list of thirty items takes as many
SHARE = 8  # tokens that a part gets at least: each stretch costs a reading of the prompt
# In English some four characters are a token. Where a short completion has to fit, it may have two a token; a phrase
# that is put there by us is taken for one token in three.
WRITTEN, GIVEN = 2, 3
# What a model has not completed in its tokens (a row of dates has one a character) is completed for it, if that takes
# so few characters: two keywords and a quotation mark, but not thirty sentences.
CLOSED = 80


async def whole(strategy: Strategy, machine: Machine, instruction: Instruction) -> Response:
    """One draw under the whole grammar: for endpoints, which cannot continue an answer, and for strategies inside.

    A model may stop before a closing phrase, which is put there; a strategy's answers are judged as they are.
    """
    tails = Tails(machine)
    ends = tails.closable() if isinstance(strategy.model, Model) else None
    response = await draw(strategy.model, instruction, grammar=gbnf.Grammar(machine, ends).text(), json_schema=None)
    state = machine.run(response.text)
    if state is None or machine.final[state]:
        return response
    tail, end = tails.forced(response.text, state)
    return msgspec.structs.replace(response, text=response.text + tail) if machine.final[end] else response


async def led(strategy: Strategy, machine: Machine, instruction: Instruction, parts: int = 1) -> Response:
    """Stretch by stretch, as the module says. `finish_reason` is "length" where the limit cut in.

    Of an answer in several parts (bullets, paragraphs) no part may take the room of the others: one that has had its
    share without coming to an end is ended for it.
    """
    tails, free = _prepared(machine)
    chat = base_model(strategy).chat
    limit = token_limit(strategy)
    text, state = tails.opening()
    reserve = tails.reserve(state, limit)
    used, given, cut = 0, len(text), False
    response = Response(text)
    for number in range(STRETCHES):
        room = limit - used - given // GIVEN
        if room < 1:
            cut = True
            break
        left = min(tails.parts_left(state), parts) if parts > 1 and number < STRETCHES // 2 else 0
        closing = room < SHARE * (left + 1) if left else room <= reserve
        share = room if closing else _share(room, reserve, left)
        response = await draw(
            strategy.model,
            _continued(instruction, text, chat=chat),
            grammar=gbnf.within(machine, state, WRITTEN * room) if closing else free.text(state),
            json_schema=None,
            max_tokens=share,
        )
        used += response.usage.completion_tokens
        begun = len(text)
        text, state = _joined(machine, text, state, response.text)
        stopped = response.finish_reason != "length"
        if machine.final[state] and (stopped or not left):
            cut = cut or not stopped
            break
        if not stopped:
            if tails.parts_left(state) < left:
                continue  # it came to the next part by itself, and goes on
            cut = True
            if not closing:
                text, state = _back(machine, text, state, begun)
        tail, state = tails.forced(text, state)
        text, given = text + tail, given + len(tail)
        if machine.final[state] and not tails.goes_on(state):
            break
    if not machine.final[state] and machine.distance[state] <= CLOSED:
        text, state = _back(machine, text, state, 0)
        text += tails.shortest(text, state)
    return msgspec.structs.replace(response, text=text, finish_reason="length" if cut else "stop")


def token_limit(strategy: Strategy) -> int:
    """The limit in force, which strategies outside may have changed."""
    return msgspec.structs.replace(base_model(strategy).sampling, **context.current().overrides).max_tokens


@lru_cache(maxsize=64)
def _prepared(machine: Machine) -> tuple[Tails, gbnf.Grammar]:
    """What every answer under the same constraints shares."""
    tails = Tails(machine)
    return tails, gbnf.Grammar(machine, tails.stops())


def _share(room: int, reserve: int, left: int) -> int:
    """Tokens for the next stretch: an equal share of what is not reserved, where `left` more parts are to come."""
    if not left:
        return max(1, room - reserve)
    return min(room, max(SHARE, (room - reserve if room > reserve else room) // (left + 1)))


def _joined(machine: Machine, text: str, state: int, more: str) -> tuple[str, int]:
    """The text and one more stretch, as far as it keeps to the grammar.

    Engines compute with tokens: a cut may leave half a character, which decodes to one that is not in the language.
    """
    for at, char in enumerate(more):
        after = machine.run(char, state)
        if after is None:
            return text + more[:at], state
        state = after
    return text + more, state


_SENTENCE_END = re.compile(r"[.!?][\"'”’)*]*(?=\s)")


def _back(machine: Machine, text: str, state: int, begun: int) -> tuple[str, int]:
    """The text back to its last whole sentence, or whole word, if no more is missing there than here.

    Not behind where the stretch has begun: every stretch gets on.
    """
    ends = [m.end() for m in _SENTENCE_END.finditer(text)][-1:]
    for end in (*ends, text.rstrip().rfind(" ")):
        before = machine.run(text[: max(end, 0)])
        if end > begun and before is not None and machine.distance[before] <= machine.distance[state] + 2:
            return text[:end], before
    return text, state


def _continued(instruction: Instruction, text: str, *, chat: bool) -> Instruction:
    """The instruction with the answer begun."""
    if not text:
        return instruction
    if chat:
        return retold(instruction, *instruction.messages, Message("assistant", text))
    *before, last = instruction.messages
    return retold(instruction, *before, Message(last.role, last.text + text))
