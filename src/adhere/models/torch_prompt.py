"""Between text and tokens, for the torch backend: prompts in, answers out, grammars alongside."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from adhere.errors import CapabilityError, ModelError
from adhere.models.base import NO_EYES, Request, Sampling
from adhere.records import ImagePart

__all__ = ["Grammars", "ids_of", "sane", "stop_tokens", "text_decoder", "token_namer"]

# As json.dumps writes it. Free white space would let a weak model write blanks until the limit.
JSON_STYLE: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
CONTEXT_TOKENS = 4  # of the prompt that are decoded along, so that a first token keeps its leading space


def ids_of(tokenizer: Any, request: Request) -> list[int]:
    """The prompt as token ids. A last message of the assistant is continued, not answered.

    Raises:
        CapabilityError: if a message holds an image.
        ModelError: if the chat template refuses the conversation, or there is no token at all.
    """
    for message in request.messages:
        if not isinstance(message.content, str) and any(isinstance(p, ImagePart) for p in message.content):
            raise CapabilityError("the torch backend reads text alone, and a message holds an image", hint=NO_EYES)
    if not request.chat:
        ids = tokenizer("\n".join(sane(m.text) for m in request.messages))["input_ids"]
    else:
        turns = [{"role": m.role, "content": sane(m.text)} for m in request.messages]
        continued = bool(turns) and turns[-1]["role"] == "assistant"
        try:
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not continued, continue_final_message=continued
            )
        except Exception as error:  # templates are programs: they raise what they like
            raise ModelError(f"the chat template refuses the conversation: {error}") from error
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise ModelError("the prompt is empty", hint="This model has no token that begins a text by itself")
    return ids


def sane(text: str) -> str:
    """Without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()


def stop_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Token ids that end a turn, from wherever a model states them."""
    stated = (
        tokenizer.eos_token_id,
        getattr(model.config, "eos_token_id", None),
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
    )
    found: set[int] = set()
    for ids in stated:
        found.update(ids if isinstance(ids, list | tuple) else [ids] if ids is not None else [])
    return frozenset(found)


def text_decoder(tokenizer: Any, prompt: Sequence[int]) -> Callable[[Sequence[int]], str]:
    """A function from generated tokens to their text.

    SentencePiece tokenizers drop the space before the first word of what they decode; so the prompt's last tokens are
    decoded along and taken off again.
    """
    context = list(prompt[-CONTEXT_TOKENS:])
    before = tokenizer.decode(context, skip_special_tokens=True)

    def text_of(tokens: Sequence[int]) -> str:
        text = tokenizer.decode([*context, *tokens], skip_special_tokens=True)
        return text[len(before) :] if text.startswith(before) else tokenizer.decode(tokens, skip_special_tokens=True)

    return text_of


def token_namer(tokenizer: Any, text_of: Callable[[Sequence[int]], str]) -> Callable[[int], str]:
    """A function that writes a single token: its text, or its name where it is a special one, which no text shows."""
    special = frozenset(tokenizer.all_special_ids)

    def name_of(token: int) -> str:
        return str(tokenizer.convert_ids_to_tokens(token)) if token in special else text_of([token])

    return name_of


class Grammars:
    """llguidance matchers for a tokenizer; nothing is loaded before the first one is asked for."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = ends
        self._made: Any = None

    def matcher(self, sampling: Sampling) -> Any:
        """A fresh state machine for the request's grammar or schema, None where it has neither.

        Raises:
            CapabilityError: if the grammar or schema cannot be used, with llguidance's reason.
        """
        if sampling.grammar is None and sampling.json_schema is None:
            return None
        from llguidance import LLMatcher
        from llguidance.gbnf_to_lark import gbnf_to_lark

        try:
            if sampling.json_schema is not None:
                grammar = LLMatcher.grammar_from_json_schema(json.dumps(sampling.json_schema), JSON_STYLE)
            else:
                grammar = LLMatcher.grammar_from_lark(gbnf_to_lark(sampling.grammar or ""))
        except Exception as error:  # a parse error, of whatever class
            raise CapabilityError(f"the grammar cannot be read: {error}") from error
        matcher = LLMatcher(self._for_llguidance(), grammar, log_level=0)
        if matcher.is_error():
            raise CapabilityError(f"the grammar or schema cannot be used: {matcher.get_error()[:300]}")
        return matcher

    def _for_llguidance(self) -> Any:
        if self._made is None:
            from llguidance.hf import from_tokenizer

            self._made = from_tokenizer(self._tokenizer, n_vocab=self._vocabulary, eos_token=sorted(self._ends))
        return self._made
