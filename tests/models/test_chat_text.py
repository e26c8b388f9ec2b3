"""A conversation as text: scored, it is the tokens that the model reads when it answers, the first one included."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.models.chat_text import chat_text
from adhere.models.model import Model
from adhere.records import Message

pytest.importorskip("torch")

from adhere.models.torch_backend import Torch
from tiny_llama import save_tiny_llama

TURNS = (Message("system", "Be brief."), Message("user", "Hi"))
TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>"


@pytest.mark.parametrize("adds", [False, True], ids=["as SmolLM2's tokenizer", "as Llama's tokenizer"])
def test_the_first_token_is_there_once_whether_or_not_the_tokenizer_adds_it(tmp_path: Path, adds: bool) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = save_tiny_llama(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    if adds:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save_pretrained(folder)
    backend = Torch(folder, device="cpu", dtype="float32")
    turns = [{"role": m.role, "content": m.text} for m in TURNS]
    reads = backend.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    assert backend.tokenizer(chat_text(Model(backend), TURNS))["input_ids"] == reads
    assert backend.tokenizer("Hi")["input_ids"][0] == 0 or not adds
