"""Which of a few labels a model decides for, read the best way that its backend allows.

1. *By log-probabilities*: the label words' probabilities as the first token (`labels.py`). One token, no parsing.
2. *Constrained*: a JSON schema (or grammar) that admits nothing but a label. A decision without a degree.
3. *Parsed*: the last resort, for endpoints that can do neither; what is not clearly one label is no verdict.

An endpoint that claims a way and refuses it, or answers without what was asked for, is asked the next way, and from
then on that way first. So is a model that opens with a marker (`<think>`): it thinks before it says a label. A label
that no way finds is *no verdict*: `probabilities` is None, never an even split. So is an answer that the token limit
cut off, or that was withheld: what it might still have said is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from adhere.errors import ContextError, ModelError
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response
from adhere.score.judges.digit import question_of
from adhere.score.labels import label_probabilities

__all__ = ["Verdict", "VerdictReader", "Way", "fitted", "parse_label", "question_text"]

T = TypeVar("T")
Way = Literal["logprobs", "constrained", "parsed"]
LEAST_MASS = 1e-6  # a model that gives all labels together less than this was not judging
TOKENS = 1024  # of an answer that is written out: it ends by itself long before, and who thinks first needs room
REFUSED = (400, 403, 404, 422, 501)  # statuses by which endpoints refuse a parameter that they do not know
WITHHELD = ("refusal", "content_filter")  # why endpoints end an answer that they will not give
SHOWN = 120  # characters of an answer without a verdict that are told
LONGEST_OUTPUT = 20_000  # characters of an answer that are searched for a label, from the end
HALVINGS = 6
SHORTEST = 200  # characters that a text keeps at least


class Verdict(NamedTuple):
    """What a model decided.

    Attributes:
        probabilities: By label, adding up to 1; 0 and 1 where the way knows no degrees; None: no verdict.
        way: How it was read.
        note: Why there is none: what the model said instead.
    """

    probabilities: dict[str, float] | None
    way: Way
    note: str = ""


class VerdictReader:
    """Reads verdicts of one model, and remembers which way it can be read.

    Args:
        model: Who decides.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        able = set(model.info.capabilities)
        can: dict[Way, bool] = {
            "logprobs": "token_logprobs" in able,
            "constrained": bool(able & {"json_schema", "grammar"}),
            "parsed": True,
        }
        self._ways: list[Way] = [way for way, possible in can.items() if possible]

    async def read(self, turns: Sequence[Message], labels: Sequence[str]) -> Verdict:
        """The verdict of a conversation whose last turn asks for one of the labels.

        Raises:
            ContextError: if the conversation does not fit.
            ModelError: if the call failed for good.
        """
        in_vain: list[Way] = []
        for way in tuple(self._ways):
            try:
                found = await _READERS[way](self.model, tuple(turns), labels)
            except ModelError as error:
                if way == "parsed" or getattr(error, "status", None) not in REFUSED:
                    raise
                found = None
            if found is not None:
                # Not before: a question that is refused in every way (by a filter of content, say) was no fault of one.
                self._ways = [known for known in self._ways if known not in in_vain]
                return found
            in_vain.append(way)
        raise AssertionError("the last way answers or raises")


async def _by_logprobs(model: Model, turns: tuple[Message, ...], labels: Sequence[str]) -> Verdict | None:
    """None where the endpoint gave no log-probabilities at all."""
    if not model.chat:
        turns = (Message("user", _plain(turns, labels)),)
    found = await label_probabilities(model, turns, labels)
    if not found.top:
        return None
    shares = {label: share for label, share in found.probabilities.items() if share is not None}
    if found.mass < LEAST_MASS and found.top[0][0].lstrip().startswith("<"):
        return None
    if found.mass < LEAST_MASS or len(shares) < len(labels):
        seen = ", ".join(f"{token!r} {p:.2g}" for token, p in found.top)
        return Verdict(None, "logprobs", f"no label was likely; the likeliest tokens: {seen}")
    return Verdict(shares, "logprobs")


async def _constrained(model: Model, turns: tuple[Message, ...], labels: Sequence[str]) -> Verdict | None:
    """None where what came back is no label nor the beginning of one, so that the constraint was not kept."""
    if "json_schema" in model.info.capabilities:
        properties = {"verdict": {"enum": list(labels)}}
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": ["verdict"]}
        sampling = Sampling(max_tokens=TOKENS, json_schema=schema | {"additionalProperties": False})
    else:
        sampling = Sampling(max_tokens=TOKENS, grammar="root ::= " + " | ".join(map(json.dumps, labels)))
    answer = await model.generate(turns, sampling)
    text = answer.text.strip()
    try:
        said = json.loads(text)["verdict"] if sampling.json_schema else text
    except (ValueError, KeyError, TypeError, RecursionError):
        said = None
    if isinstance(said, str) and said in labels:
        return Verdict(_certain(said, labels), "constrained")
    # Cut within the JSON, or within the thinking before it, is cut; prose shows that the constraint is not known there.
    begun = text[:1] in ("", "{") if sampling.json_schema else any(label.startswith(text) for label in labels)
    broken = _broken_off(answer)
    return Verdict(None, "constrained", broken) if broken and (begun or answer.finish_reason != "length") else None


async def _parsed(model: Model, turns: tuple[Message, ...], labels: Sequence[str]) -> Verdict:
    answer = await model.generate(turns, Sampling(max_tokens=TOKENS))
    if broken := _broken_off(answer):
        return Verdict(None, "parsed", broken)
    said = parse_label(answer.text, labels)
    if said is None:
        return Verdict(None, "parsed", f"no verdict in {answer.text.strip()[-SHOWN:]!r}")
    return Verdict(_certain(said, labels), "parsed")


def _broken_off(answer: Response) -> str:
    """Why an answer is not all that the model wanted to say, in words; "" where it is."""
    shown = repr(answer.text.strip()[-SHOWN:])
    if answer.finish_reason == "length":
        return f"cut off at {TOKENS} tokens, after {shown}"
    return f"withheld ({answer.finish_reason}): {shown}" if answer.finish_reason in WITHHELD else ""


_READERS: dict[Way, Callable[[Model, tuple[Message, ...], Sequence[str]], Awaitable[Verdict | None]]] = {
    "logprobs": _by_logprobs,
    "constrained": _constrained,
    "parsed": _parsed,
}


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that a text decides for, or None where that is not clear.

    The last one in double square brackets counts; else the whole of the last line, but for a heading that ends in a
    colon, quotes and a full stop; else the only label that the text names as a whole word, without regard to case where
    it is longer than a letter.

    >>> parse_label("A is nice, but the verdict is [[B]]", "AB"), parse_label("A or B, who knows", "AB")
    ('B', None)
    """
    text = text[-LONGEST_OUTPUT:].strip()
    by_key = {label.casefold(): label for label in labels}
    for inside in reversed(re.findall(r"\[\[([^\[\]]{1,40})\]\]", text)):
        return by_key.get(inside.strip().casefold())
    last = text.splitlines()[-1] if text else ""
    bare = last.rpartition(":")[2].strip(" \t*\"'“”.`")
    if bare.casefold() in by_key:
        return by_key[bare.casefold()]
    named = {label for label in labels if re.search(_word(label), text)}
    return named.pop() if len(named) == 1 else None


def _word(label: str) -> str:
    flags = "(?i)" if len(label) > 1 else ""
    return rf"{flags}(?<![^\W_]){re.escape(label)}(?![^\W_])"


def _certain(said: str, labels: Sequence[str]) -> dict[str, float]:
    return {label: float(label == said) for label in labels}


def _plain(turns: Sequence[Message], labels: Sequence[str]) -> str:
    """The turns as text that ends where the label begins, for models without a chat template."""
    given = "\n\n".join(turn.text for turn in turns)
    return Template.of("adhere.score", "judge_plain").render(prompt=given, labels=" or ".join(labels))


def question_text(instruction: Instruction) -> str:
    """What was asked, as one text that a judge reads: the conversation, its documents in their place."""
    if instruction.documents:
        from adhere.models.hierarchy import render_documents

        instruction = render_documents(instruction)
    return question_of(instruction)


async def fitted(texts: Sequence[str], attempt: Callable[[tuple[str, ...]], Awaitable[T]]) -> tuple[T, int]:
    """What `attempt` makes of the texts, each cut at its end as often as the model's context asks for it.

    Returns:
        The result, and to how many characters the longer texts were cut; 0 where none was.

    Raises:
        ContextError: if it does not fit with texts of `SHORTEST` characters either.
    """
    limit = max(map(len, texts), default=0)
    halvings = 0
    while True:
        try:
            return await attempt(tuple(text[:limit] for text in texts)), limit if halvings else 0
        except ContextError:
            if halvings == HALVINGS or limit <= SHORTEST:
                raise
            halvings += 1
            limit = max(SHORTEST, limit // 2)
