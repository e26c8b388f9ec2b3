"""Scoring given text through the C API, embeddings, and LoRA adapters, on the real SmolLM2."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from adhere.errors import CapabilityError, ModelError, WeightsError
from adhere.models import llama_capi, llamacpp
from adhere.models.base import Request, Sampling
from adhere.models.llamacpp import LlamaCpp
from adhere.records import Message, TokenLogprob

pytestmark = pytest.mark.weights

PAIRS = [
    ("The capital of France is", " Paris, and the capital of Italy is Rome."),
    ("def add(a, b):\n    return", " a + b\n"),
    ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "Hello! How can I help you today?"),
    ("Water is made of", " hydrogen and oxygen. 水は水素と酸素からできている。 🎉"),
]


@pytest.fixture(scope="module")
def backend(smollm2: Path) -> Iterator[LlamaCpp]:
    made = LlamaCpp(smollm2, name="smollm2", slots=2)
    yield made
    asyncio.run(made.close())


def score(backend: LlamaCpp, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
    return asyncio.run(backend.logprobs(prompt, continuation))


def total(tokens: tuple[TokenLogprob, ...]) -> float:
    return sum(token.logprob for token in tokens)


def test_a_true_statement_is_likelier_than_a_false_one(backend: LlamaCpp) -> None:
    paris, rome = (score(backend, "The capital of France is", city) for city in (" Paris", " Rome"))
    assert -1.0 < total(paris) < 0.0
    assert total(rome) < total(paris) - 2


def test_the_tokens_spell_the_continuation(backend: LlamaCpp) -> None:
    for prompt, continuation in PAIRS[:3]:
        assert "".join(token.token for token in score(backend, prompt, continuation)) == continuation


def test_probabilities_of_all_next_tokens_sum_to_one(backend: LlamaCpp) -> None:
    """The normaliser is right: the likeliest 5,000 tokens after a prompt hold nearly all of the mass, and no more."""
    request = Request((Message("user", "The capital of France is"),), Sampling(max_tokens=1, top_logprobs=5000), False)
    (first,) = asyncio.run(backend.generate(request)).logprobs or ()
    mass = sum(np.exp(logprob) for _, logprob in first.top)
    assert 0.97 < mass < 1.0 + 1e-4
    for token, logprob in first.top[:3]:
        assert score(backend, "The capital of France is", token)[0].logprob == pytest.approx(logprob, abs=0.3)


def test_the_score_of_a_long_text_is_the_sum_of_its_parts(backend: LlamaCpp) -> None:
    """Longer than one piece: what follows must see all that came before."""
    words = "The quick brown fox jumps over the lazy dog and runs away. " * 30
    head, tail = "Once upon a time.", " " + words.strip()
    whole = score(backend, head, tail)
    assert len(whole) > 300
    cut = tail.index(" The quick", 700)
    parts = score(backend, head, tail[:cut]) + score(backend, head + tail[:cut], tail[cut:])
    assert [t.token for t in parts] == [t.token for t in whole]
    assert total(parts) == pytest.approx(total(whole), abs=0.05 * len(whole))


def test_the_same_text_has_the_same_score_at_any_time_and_with_any_threads(backend: LlamaCpp, smollm2: Path) -> None:
    other = LlamaCpp(smollm2, slots=1, threads=2)

    async def together() -> list[tuple[TokenLogprob, ...]]:
        return await asyncio.gather(*(m.logprobs(*pair) for m in (backend, other, backend) for pair in PAIRS))

    found = asyncio.run(together())
    assert found[:4] == found[4:8] == found[8:]
    asyncio.run(other.close())


def test_a_token_that_would_straddle_the_border_is_split(backend: LlamaCpp) -> None:
    assert [t.token for t in score(backend, "Hel", "lo world")] == ["lo", " world"]


def test_borders_of_scoring_are_said(backend: LlamaCpp) -> None:
    assert score(backend, "x", "") == ()
    with pytest.raises(ModelError, match="empty prompt"):
        score(backend, "", "x")
    with pytest.raises(ModelError, match=r"3\d\d\d tokens do not fit into a context of 2048"):
        score(backend, "word " * 3000, "x")


def test_an_untested_version_refuses_instead_of_guessing(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llamacpp, "TESTED_VERSIONS", ("1.0",))
    model = LlamaCpp(smollm2)
    assert "logprobs" not in model.info.capabilities
    with pytest.raises(CapabilityError, match="logprobs"):
        score(model, "a", "b")


def test_another_struct_layout_refuses_instead_of_guessing(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_capi, "_CONTEXT_DEFAULTS", b"\0" * 12)
    with pytest.raises(CapabilityError, match="struct layout"):
        score(LlamaCpp(smollm2), "a", "b")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the extra 'train'")
def test_scores_agree_with_transformers(backend: LlamaCpp) -> None:
    """int8 activations cost about 0.07 nats a token on average (measured); far less than any wrong alignment would."""
    from adhere.models.torch_backend import Torch

    exact = Torch("smollm2", device="cpu")
    differences: list[float] = []
    for pair in PAIRS:
        ours, theirs = score(backend, *pair), asyncio.run(exact.logprobs(*pair))
        assert len(ours) == len(theirs)
        differences += [abs(a.logprob - b.logprob) for a, b in zip(ours, theirs, strict=True)]
    asyncio.run(exact.close())
    assert np.mean(differences) < 0.15
    assert np.quantile(differences, 0.95) < 0.6


# Embeddings -----------------------------------------------------------------------------------------------------------


def test_embeddings_only_where_opened_for_them(backend: LlamaCpp, smollm2: Path) -> None:
    with pytest.raises(CapabilityError, match="embed"):
        asyncio.run(backend.embed(["a"]))
    model = LlamaCpp(smollm2, slots=2, embed=True)
    texts = ["A cat sits on the mat.", "The cat sits on the mat.", "Interest rates rose by two percent."]
    vectors = asyncio.run(model.embed(texts))
    assert vectors.shape == (3, 576)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    request = Request((Message("user", "Say hello."),), Sampling(max_tokens=5))
    assert asyncio.run(model.generate(request)).text  # it still writes
    with pytest.raises(ModelError, match="empty"):
        asyncio.run(model.embed([""]))
    asyncio.run(model.close())


# LoRA -----------------------------------------------------------------------------------------------------------------


def adapter(path: Path, scale: float) -> Path:
    """A rank-2 adapter on one projection, as llama.cpp's converter writes it."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    writer.add_tensor("blk.3.ffn_down.weight.lora_a", random.normal(size=(2, 1536)).astype(np.float32))
    writer.add_tensor("blk.3.ffn_down.weight.lora_b", (scale * random.normal(size=(576, 2))).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_adapter_changes_text_and_scores_and_is_part_of_the_identity(smollm2: Path, tmp_path: Path) -> None:
    plain = LlamaCpp(smollm2, slots=1)
    none = LlamaCpp(smollm2, slots=1, adapter=adapter(tmp_path / "zero.gguf", 0.0))
    strong = LlamaCpp(smollm2, slots=1, adapter=adapter(tmp_path / "strong.gguf", 0.5))
    request = Request((Message("user", "Name three rivers."),), Sampling(max_tokens=16))
    text, same, other = (asyncio.run(m.generate(request)).text for m in (plain, none, strong))
    assert text == same != other
    pair = PAIRS[0]
    base, zero, changed = (total(score(m, *pair)) for m in (plain, none, strong))
    assert base == pytest.approx(zero, abs=1e-3)
    assert abs(base - changed) > 1
    assert plain.info.settings != none.info.settings != strong.info.settings
    for model in (plain, none, strong):
        asyncio.run(model.close())


def test_a_model_is_not_an_adapter(smollm2: Path) -> None:
    with pytest.raises(WeightsError, match="not a LoRA adapter"):
        LlamaCpp(smollm2, adapter=smollm2)


def test_what_was_scored_before_changes_no_value(smollm2: Path) -> None:
    """The options of a question share what was computed of it: bit for bit what a fresh model computes."""
    base = "A list of numbers: " + ", ".join(map(str, range(100)))  # over one piece of 256 tokens
    options = (
        " and so on",
        " but",
        " why would anybody want to read all of these numbers, one after the other?",
        " no",
    )
    pairs = [*((base, o) for o in options), (base + " stop", " now"), ("Something else", " entirely"), (base, " but")]
    warm = LlamaCpp(smollm2)
    for pair in pairs:
        found = score(warm, *pair)
        assert warm._scorer is not None
        warm._scorer._held = []  # forget the prompt, as a fresh model knows none
        assert score(warm, *pair) == found
    asyncio.run(warm.close())
    with pytest.raises(ModelError, match="closed"):
        score(warm, *pairs[0])
