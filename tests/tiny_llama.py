"""A random Llama of a few thousand weights with a byte tokenizer, as a folder that the torch backend loads."""

from __future__ import annotations

from pathlib import Path

__all__ = ["save_tiny_llama"]


def save_tiny_llama(place: Path, context: int = 4096) -> Path:
    """Write model and tokenizer to a folder; needs torch and transformers."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {t: i for i, t in enumerate(["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=264, num_key_value_heads=2, eos_token_id=1, max_position_embeddings=context, **sizes
    )
    LlamaForCausalLM(config).save_pretrained(place)
    PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>").save_pretrained(place)
    return place
