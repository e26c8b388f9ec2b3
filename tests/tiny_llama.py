"""A random Llama of a few thousand weights with a byte tokenizer: what transformers loads, and nothing to fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["byte_tokenizer", "save_tiny_llama", "tiny_llama"]


def byte_tokenizer(template: str | None = None, words: tuple[str, ...] = ()) -> Any:
    """A tokenizer of bytes, `<s>`, `</s>` and at most six words, with a chat template or none; needs transformers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {t: i for i, t in enumerate(["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", chat_template=template)
    made.add_tokens(list(words))
    return made


def tiny_llama(context: int = 4096, *, loud: float = 1.0, **changes: Any) -> Any:
    """The model; needs torch and transformers.

    Args:
        context: Tokens that fit.
        loud: Factor on the random weights. At 6 its distributions are as far from uniform as a trained model's, so that
            greedy texts vary.
        changes: Of `LlamaConfig`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    sizes = {"vocab_size": 264, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=context, eos_token_id=1, **sizes | changes))
    for weight in model.parameters():
        weight.data *= loud
    return model


def save_tiny_llama(
    place: Path,
    context: int = 4096,
    *,
    template: str | None = None,
    words: tuple[str, ...] = (),
    loud: float = 1.0,
    **changes: Any,
) -> Path:
    """Write model and tokenizer to a folder that the torch backend loads."""
    tiny_llama(context, loud=loud, **changes).save_pretrained(place)
    byte_tokenizer(template, words).save_pretrained(place)
    return place
