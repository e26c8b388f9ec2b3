"""Answers of a wanted length from any model, without tuning: a decoding-time controller.

Ours; the rival of `Ruler` for models that were not tuned for lengths. The number of words is asked for in the prompt
(in the wording that Ruler's paper uses for its baselines), and then made likely:

- Where the engine applies decoding rules (torch), the end of the answer is held back below the least number of words,
  and from there on the answer ends with a sentence: see `adhere.models.torch_rules`. One call.
- Elsewhere the answer is cut at the sentence end nearest to the target, and a short one is continued by further turns,
  each with a budget of tokens. Up to `ROUNDS` calls.

Words are Ruler's, matches of `\\w+`; languages without spaces are not served well. `Constrained` is the hard form,
where a grammar counts the words: it never misses, and breaks a sentence where it must.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left

from adhere.answer.base import Strategy, Trace, draw, retold
from adhere.answer.product_of_experts import merged
from adhere.constraints.ruler import word_count
from adhere.constraints.text import sentence_spans
from adhere.engine import context
from adhere.errors import UsageError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["LengthControl", "trimmed"]

ASK = Template.of("adhere.answer", "length_ask")
MORE = Template.of("adhere.answer", "length_more")
ROUNDS = 4
TOKENS_PER_WORD = 2.0  # a generous budget, so that it is the words that end the answer
MARGIN = 24  # tokens
MARKS = (".", "!", "?", '"', ")", "”", "。", "！", "？")
_WORD = re.compile(r"\w+")


@register("length_control", paper="ruler")
class LengthControl(Strategy):
    """About so many words, from any model.

    Args:
        model: What answers.
        words: How many.
        slack: By which share of them an answer may miss.
        told: Whether the prompt asks for the number.
    """

    def __init__(self, model: Answerer, words: int, slack: float = 0.15, told: bool = True) -> None:
        if words < 1 or not 0 <= slack < 1:
            raise UsageError(f"words={words}, slack={slack}: words must be at least 1, slack from 0 to below 1")
        self.model = model
        self.words = words
        self.slack = slack
        self.told = told

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most words that are near enough."""
        return max(1, math.ceil(self.words * (1 - self.slack))), max(1, math.floor(self.words * (1 + self.slack)))

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """By rules where the engine has them, else by continuing and cutting."""
        asked = self._asked(instruction) if self.told else instruction
        by_rules = "rules" in self.info.capabilities
        response = await (self._by_rules(asked) if by_rules else self._by_budget(asked, trace))
        how = "rules" if by_rules else "budget"
        trace.add("length", asked=self.words, by=how, words=word_count(response.text))
        return response

    def _asked(self, instruction: Instruction) -> Instruction:
        """The instruction with the request for a length in its last user message."""
        turns = list(instruction.messages)
        last = max((n for n, m in enumerate(turns) if m.role == "user"), default=None)
        if last is None:
            return instruction
        turns[last] = Message("user", ASK.render(request=turns[last].text, words=self.words))
        return retold(instruction, *turns)

    def _budget(self, words: int) -> int:
        """Tokens for so many words; what a strategy around this one allows at most."""
        wanted = round(words * TOKENS_PER_WORD) + MARGIN
        return max(1, min(wanted, context.current().overrides.get("max_tokens", wanted)))

    async def _by_rules(self, instruction: Instruction) -> Response:
        rules = merged(words=self.bounds)
        return await draw(self.model, instruction, rules=rules, max_tokens=self._budget(self.bounds[1]))

    async def _by_budget(self, instruction: Instruction, trace: Trace) -> Response:
        """Draw, cut at the best sentence end, and go on while words are missing."""
        least, most = self.bounds
        text, response = "", Response("")
        for number in range(ROUNDS):
            missing = self.words - word_count(text)
            turns = instruction.messages
            if number:
                turns = (*turns, Message("assistant", text), Message("user", MORE.render(words=missing)))
            response = await draw(self.model, retold(instruction, *turns), max_tokens=self._budget(missing))
            whole = joined(text, response.text)
            trace.add("draft", text=whole)
            if word_count(whole) == word_count(text):
                break  # it has nothing more to say
            text = trimmed(whole, self.words, most)
            if word_count(text) >= least:
                break
        return Response(text, response.model, "stop", response.usage)


def joined(text: str, more: str) -> str:
    """A text and its continuation."""
    return f"{text.rstrip()} {more.strip()}".strip()


def trimmed(text: str, words: int, most: int) -> str:
    """The beginning of a text that ends with a sentence and has about so many words, never more than `most`.

    Where no sentence ends before that, it is cut after `most` words.
    """
    text = text.strip()
    starts = [m.start() for m in _WORD.finditer(text)]
    if len(starts) <= most and text.endswith(MARKS):
        return text
    counts = {end: bisect_left(starts, end) for _, end in sentence_spans(text)}
    fitting = {end: n for end, n in counts.items() if 0 < n <= most}
    if not fitting:
        return text if len(starts) <= most else text[: starts[most]].rstrip()
    # What the limit of tokens cut off counts as a sentence too; one with its full stop is better.
    ends = {end: n for end, n in fitting.items() if text[:end].endswith(MARKS)} or fitting
    return text[: min(ends, key=lambda end: abs(ends[end] - words))].rstrip()
