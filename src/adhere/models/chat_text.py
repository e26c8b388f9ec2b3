"""A conversation as the plain text that the model reads, markers and all: for scoring given answers in a chat.

`Model.logprobs` takes plain text. Engines in this process recognise the markers in it, so the text of the prompt with
the chat template applied, followed by an answer, is scored exactly as the model would have generated it. The template
is a program from the weights' file: it runs in jinja2's sandbox, as in transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from adhere.errors import CapabilityError, ModelError, missing_extra
from adhere.models.model import Model
from adhere.records import Message

__all__ = ["chat_text"]


def chat_text(model: Model, messages: Sequence[Message]) -> str:
    """The conversation up to where the answer begins; for a model without chat the texts, a line each.

    Raises:
        CapabilityError: if the engine keeps its template to itself (an endpoint).
        DependencyError: without jinja2, which llama.cpp's models need here.
        ModelError: if the template refuses the conversation.
    """
    from adhere.models.llamacpp import LlamaCpp  # its imports are slow, and scorers are listed often

    turns = [{"role": m.role, "content": m.text} for m in messages]
    if not model.chat:
        return "\n".join(turn["content"] for turn in turns)
    backend: Any = model.backend
    tokenizer = getattr(backend, "tokenizer", None)
    try:
        if tokenizer is not None:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            return text.removeprefix(tokenizer.bos_token) if _adds_its_own(tokenizer) else text
        if isinstance(backend, LlamaCpp):
            return _template(backend.path)(turns)
    except (CapabilityError, ImportError):
        raise
    except Exception as error:  # templates are programs: they raise what they like
        raise ModelError(f"the chat template refuses the conversation: {error}") from error
    raise CapabilityError(
        f"model '{model.name}' ({model.info.engine}) does not tell its chat template",
        hint="Score with a model in this process, e.g. smollm2",
    )


def _adds_its_own(tokenizer: Any) -> bool:
    """Whether a text gets the token that begins texts when it is scored. SmolLM2's marker of a turn is that token by
    name, and its tokenizer does not add it."""
    return tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id


@lru_cache(maxsize=8)
def _template(path: Path) -> Any:
    """A function from turns to text, from the template in a GGUF file."""
    from adhere.models.gguf_tools import read_header

    try:
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise missing_extra("jinja2", "train", "scoring given answers in a chat") from error
    header = read_header(path)
    if not header.chat_template:
        raise CapabilityError(f"{path} has no chat template", hint="Open the model with chat=False")

    def refuse(message: str) -> None:
        raise ModelError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    if "eos_token" in header.chat_template:  # the header's reader leaves the vocabulary out
        raise CapabilityError(f"the chat template of {path} needs its tokenizer", hint="Load the model as torch:…")
    compiled = environment.from_string(header.chat_template)
    return lambda turns: compiled.render(
        messages=turns, add_generation_prompt=True, bos_token="", raise_exception=refuse
    )
