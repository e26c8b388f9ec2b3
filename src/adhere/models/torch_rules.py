"""`Sampling.logit_bias` and `Sampling.rules` in the torch decoding loop: each row has its own answer and own scores.

The rules of Hewitt et al. 2024 (arXiv 2409.14254), with two mistakes of their code mended: it
scores the first row of a batch alone, and its bonus for ending the answer is gone from the 250th token on (a vector
that should have taken over is built and never added). Here every row is scored by its own tokens, padding never
counts, and the bonus stays at its maximum. Only the next token's logits change, so keys and values stay cached.

`Rules.words` is ours: a soft controller of the number of words for models that were not tuned for lengths. Below the
least number of words an end of the answer is held back. From there on the answer ends where a sentence has ended, and
tokens that end sentences gain, the more the nearer the most is; at the most it closes its sentence and ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from adhere.errors import CapabilityError
from adhere.models.base import Rules, Sampling
from adhere.models.token_bias import biases

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Biases", "RowBias"]

HOLD = -30.0  # natural-log odds: an end this much less likely is never drawn, unless all else is forbidden
END = 30.0
CLOSE = 8.0  # what tokens that end a sentence gain at the most number of words; a full stop is seldom further behind
CLOSERS = (".", "!", "?", ".\n", ".\n\n", "。")
# A number at the start of a line is a list's, and its full stop ends nothing.
_SENTENCE_END = re.compile(r"""(?<!\n\d)(?<!\n\d\d)[.!?。！？][)\]"'”’*_]*\s*\Z""")
RECENT = 8  # tokens that tell whether a sentence has ended
_WORD = re.compile(r"\w+")  # as Ruler counts


class Biases:
    """What is added to logits, for one tokenizer; strings are resolved once for each table of scores.

    Args:
        tokenizer: Of the model.
        vocabulary: Width of the logits.
        ends: Ids that end an answer; every one of them gains and loses alike.
        device: Where the logits are.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: frozenset[int], device: Any) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = sorted(ends)
        self._device = device
        self._closers: list[int] | None = None
        self._tables: dict[bytes, Tensor] = {}

    def row(self, sampling: Sampling, prompt: Sequence[int], text_of: Callable[[Sequence[int]], str]) -> RowBias | None:
        """What to add for one request; None where it asks for nothing.

        Raises:
            UsageError: if a string is not one token.
            CapabilityError: if the rules are about ending and nothing ends this model's answers.
        """
        rules = sampling.rules
        if rules is None and not sampling.logit_bias:
            return None
        rules = rules or Rules()
        if (rules.eos_slope or rules.words) and not self._ends:
            raise CapabilityError("no token ends this model's answers, so that no rule can make them end")
        table = self._table(sampling).clone()
        if rules.diversity and rules.window == "prompt":
            table[list(set(prompt))] += rules.diversity
        seen = set(prompt) if rules.window == "prompt" else set()
        words = _Words(rules.words, text_of, self._closing()) if rules.words is not None else None
        return RowBias(table, rules, self._ends, seen, words)

    def _table(self, sampling: Sampling) -> Tensor:
        """The scores that are the same at every position, (vocabulary,)."""
        import torch

        tokens = sampling.rules and (sampling.rules.tokens, sampling.rules.first_of_many)
        key = msgspec.json.encode([sampling.logit_bias, tokens], order="sorted")
        if key not in self._tables:
            table = torch.zeros(self._vocabulary, device=self._device)
            for token, score in biases(sampling, self._encode).items():
                table[token] = score
            if len(self._tables) > 64:  # a caller with a table a request
                self._tables.clear()
            self._tables[key] = table
        return self._tables[key]

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _closing(self) -> list[int]:
        """Ids of the tokens that end a sentence; those of several tokens are left out."""
        if self._closers is None:
            found = (self._encode(f"a{mark}")[1:] for mark in CLOSERS)
            self._closers = sorted({ids[0] for ids in found if len(ids) == 1})
        return self._closers


class RowBias:
    """What is added to one row's logits, token by token.

    Args:
        table: (vocabulary,), changed in place as tokens appear.
        rules: Its rules.
        ends: Ids that end the answer.
        seen: Tokens that have been scored for diversity already.
        words: The controller of the number of words, where asked.
    """

    def __init__(self, table: Tensor, rules: Rules, ends: list[int], seen: set[int], words: _Words | None) -> None:
        self._table = table
        self._rules = rules
        self._ends = ends
        self._seen = seen
        self._words = words

    def add_to(self, logits: Tensor, tokens: Sequence[int]) -> None:
        """Add the scores for the next token, in place.

        Args:
            logits: (vocabulary,), of one row.
            tokens: The answer so far; each call sees one token more than the one before.
        """
        rules = self._rules
        if rules.diversity and tokens and tokens[-1] not in self._seen:
            self._seen.add(tokens[-1])
            self._table[tokens[-1]] += rules.diversity
        logits += self._table
        if rules.eos_slope:
            bonus = rules.eos_slope * len(tokens)
            logits[self._ends] += min(bonus, rules.eos_max) if rules.eos_slope > 0 else max(bonus, rules.eos_max)
        if self._words is not None:
            end, close = self._words.scores(tokens)
            logits[self._ends] += end
            if close:
                logits[self._words.closers] += close


class _Words:
    """How many words an answer has so far, and what that means for its end.

    Args:
        bounds: Least and most words.
        text_of: The text of generated tokens.
        closers: Ids of tokens that end a sentence.
    """

    def __init__(self, bounds: tuple[int, int], text_of: Callable[[Sequence[int]], str], closers: list[int]) -> None:
        self._least, self._most = bounds
        self._text_of = text_of
        self.closers = closers
        self._settled = 0  # words of the tokens before `_mark`, which no later token can change
        self._mark = 0

    def scores(self, tokens: Sequence[int]) -> tuple[float, float]:
        """What an end of the answer, and what an end of a sentence, gains at the next token."""
        text = self._text_of(tokens[self._mark :])
        words = self._settled + len(_WORD.findall(text))
        if tokens and text[-1:].isspace():  # a border between words: what came before is read no more
            self._settled, self._mark = words, len(tokens)
        ended = bool(_SENTENCE_END.search(self._text_of(tokens[-RECENT:])))
        if words < self._least:
            return HOLD, 0.0
        if ended:
            return END, 0.0
        if words >= self._most:
            return END, END  # whichever of the two the model likes better here
        return HOLD, CLOSE * (words - self._least + 1) / (self._most - self._least + 1)
