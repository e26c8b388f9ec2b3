"""The torch backend on a tiny random Llama with a byte tokenizer, made here; and on SmolLM2 for the real thing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.errors import CapabilityError, ModelError, WeightsError
from adhere.models import hf_export
from adhere.models.base import Request, Sampling
from adhere.records import ImagePart, ImageUrl, Message, Response

torch = pytest.importorskip("torch")

from adhere.models.torch_backend import Torch  # noqa: E402
from adhere.models.torch_decode import draw  # noqa: E402
from tiny_llama import save_tiny_llama  # noqa: E402

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
PROMPTS = ["one", "a much longer prompt than the others, with commas", "zwei", "3", "q" * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"), 256, template=TEMPLATE, loud=6)


DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(scope="module", params=DEVICES)
def tiny(folder: Path, request: pytest.FixtureRequest) -> Torch:
    return Torch(folder, device=request.param, dtype="float32")


def ask(text: str, chat: bool = True, **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"max_tokens": 24, **sampling}), chat)


def together(model: Torch, *requests: Request) -> list[Response]:
    async def main() -> list[Response]:
        return await asyncio.gather(*(model.generate(r) for r in requests))

    return asyncio.run(main())


def test_greedy_text_is_the_same_alone_and_in_a_batch(tiny: Torch) -> None:
    alone = [together(tiny, ask(p))[0] for p in PROMPTS]
    assert together(tiny, *(ask(p) for p in PROMPTS)) == alone
    assert len({r.text for r in alone}) > 1


def test_greedy_text_is_what_transformers_generates(tiny: Torch) -> None:
    ids = tiny.tokenizer("hello", return_tensors="pt").to(tiny.model.device)
    out = tiny.model.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids["input_ids"].shape[1] :]
    expected = tiny.tokenizer.decode(out, skip_special_tokens=True)
    assert together(tiny, ask("hello", chat=False))[0].text == expected


def test_a_seed_means_the_same_text_whatever_the_neighbours(tiny: Torch) -> None:
    def drawn(p: str) -> Request:
        return ask(p, temperature=1.0, top_p=0.95, top_k=50, seed=7)

    alone = [together(tiny, drawn(p))[0].text for p in PROMPTS]
    others = [ask(p, temperature=0.5, seed=1, max_tokens=5) for p in PROMPTS]
    mixed = together(tiny, *(drawn(p) for p in PROMPTS), *others)
    assert [r.text for r in mixed[: len(PROMPTS)]] == alone
    assert together(tiny, ask("one", temperature=1.0, seed=8))[0].text != alone[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-8, 8), min_size=2, max_size=12),
    st.floats(0.3, 3),
    st.integers(0, 12),
    st.sampled_from([0.1, 0.5, 0.9, 1.0]),
)
def test_each_token_is_drawn_with_exactly_its_probability(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    """Feed evenly spaced numbers: the share that picks a token is its probability, to the grid's fineness."""
    scaled = np.array(logits, np.float32).astype(float) / temperature
    order = np.argsort(-scaled, kind="stable")[: top_k or None]
    p = np.exp(scaled[order] - scaled.max())
    p /= p.sum()
    size = min(int((np.cumsum(p) < top_p).sum()) + 1, len(p)) if top_p < 1 else len(p)
    # Equal logits may swap places at the cut: compare sorted probabilities.
    expected = np.zeros(len(logits))
    expected[order[:size]] = p[:size] / p[:size].sum()
    grid = 400
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    picks = draw(torch.tensor([logits] * grid), sampling, [(i + 0.5) / grid for i in range(grid)])
    found = np.bincount(picks, minlength=len(logits)) / grid
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=2 / grid)


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(tiny: Torch) -> None:
    whole = together(tiny, ask("one", chat=False, top_logprobs=0))[0]
    stop = whole.text[6:9]
    cut = together(tiny, ask("one", chat=False, stop=("never", stop), top_logprobs=0))[0]
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert "".join(t.token for t in cut.logprobs) == cut.text


def test_the_cap_ends_the_answer_with_length(tiny: Torch) -> None:
    responses = together(tiny, *(ask("one", chat=False, max_tokens=n) for n in (0, 1, 3, 9)))
    assert [r.usage.completion_tokens for r in responses] == [0, 1, 3, 9]
    assert {r.finish_reason for r in responses} == {"length"}
    assert responses[3].text.startswith(responses[2].text[:-1])


def test_the_context_caps_what_is_written_and_refuses_what_does_not_fit(tiny: Torch) -> None:
    near = together(tiny, ask("x" * 250, chat=False, max_tokens=100))[0]
    assert near.usage.prompt_tokens + near.usage.completion_tokens <= 256
    with pytest.raises(ModelError, match="context holds 256"):
        together(tiny, ask("x" * 300, chat=False))
    with pytest.raises(ModelError, match="do not fit"):
        asyncio.run(tiny.logprobs("x" * 250, "y" * 20))


def test_given_text_has_the_log_probabilities_of_a_plain_forward_pass(tiny: Torch) -> None:
    pairs = [("one", " two"), ("a longer beginning, ", "and its end"), ("ä", "🙂"), ("x", "y" * 100)]

    async def main() -> Any:
        return await asyncio.gather(*(tiny.logprobs(*pair) for pair in pairs))

    for (prompt, continuation), scored in zip(pairs, asyncio.run(main()), strict=True):
        ids = tiny.tokenizer(prompt + continuation, return_tensors="pt")["input_ids"].to(tiny.model.device)
        with torch.inference_mode():
            values = torch.log_softmax(tiny.model(ids).logits[0], 1)
        n = len(continuation.encode())
        expected = [float(values[i - 1, ids[0, i]]) for i in range(ids.shape[1] - n, ids.shape[1])]
        np.testing.assert_allclose([t.logprob for t in scored], expected, atol=1e-4)
    assert asyncio.run(tiny.logprobs("one", "")) == ()


def test_texts_that_begin_alike_score_as_each_would_alone(tiny: Torch) -> None:
    stems = ["Name the opposite of the word: ", "Name the colour of this fruit, in one word: "]
    pairs = [(stem + word + " ->", " " + word[::-1]) for stem in stems for word in ("a", "hot", "wide open", "hot")]
    pairs += [("Name", " it"), ("something else entirely, without a twin: ", "yes")]

    async def main() -> Any:
        return await asyncio.gather(*(tiny.logprobs(*pair) for pair in pairs))

    for pair, scored in zip(pairs, asyncio.run(main()), strict=True):
        alone = asyncio.run(tiny.logprobs(*pair))
        assert [t.token for t in scored] == [t.token for t in alone]
        np.testing.assert_allclose([t.logprob for t in scored], [t.logprob for t in alone], atol=1e-4)


def test_generated_tokens_have_the_log_probabilities_that_scoring_gives_them(tiny: Torch) -> None:
    letters = "root ::= [a-z]+"  # so that the text has the same tokens when it is read again
    response = together(tiny, ask("one", chat=False, temperature=1.0, seed=3, top_logprobs=3, grammar=letters))[0]
    values = [t.logprob for t in response.logprobs]
    assert len(values) == response.usage.completion_tokens
    for token in response.logprobs:
        assert len(token.top) == 3
        assert token.top[0][1] >= token.top[1][1] >= token.top[2][1]
    scored = asyncio.run(tiny.logprobs("one", response.text))
    np.testing.assert_allclose([t.logprob for t in scored], values, atol=1e-4)


def test_an_empty_prompt_cannot_be_scored_or_continued_without_a_first_token(tiny: Torch) -> None:
    with pytest.raises(ModelError, match="empty prompt"):
        asyncio.run(tiny.logprobs("", "x"))
    with pytest.raises(ModelError, match="prompt is empty"):
        together(tiny, ask("", chat=False))


def test_a_schema_and_a_grammar_hold_even_for_a_random_model(tiny: Torch) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 22]}},
        "required": ["ok", "n"],
        "additionalProperties": False,
    }
    grammar = 'root ::= "yes" | "no" [0-9]'
    requests = [ask(p, json_schema=schema, temperature=1.0, seed=i) for i, p in enumerate(PROMPTS)]
    requests += [ask(p, grammar=grammar, temperature=1.0, seed=i) for i, p in enumerate(PROMPTS)]
    responses = together(tiny, *requests, ask("free"))
    for response in responses[: len(PROMPTS)]:
        answer = json.loads(response.text)
        assert set(answer) == {"ok", "n"} and isinstance(answer["ok"], bool) and answer["n"] in (1, 22)
        assert response.finish_reason == "stop"
    assert all(r.text == "yes" or (r.text[:2] == "no" and r.text[2:].isdigit()) for r in responses[5:10])


def test_a_bad_grammar_fails_alone(tiny: Torch) -> None:
    async def main() -> list[Any]:
        bad = [ask("x", grammar="root ::= ("), ask("x", json_schema={"type": "nonsense"})]
        return await asyncio.gather(*(tiny.generate(r) for r in [*bad, ask("x")]), return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert isinstance(first, CapabilityError) and isinstance(second, CapabilityError)
    assert isinstance(third, Response)


def test_a_cancelled_call_leaves_the_others_alone(tiny: Torch) -> None:
    async def main() -> str:
        lost = asyncio.create_task(tiny.generate(ask("lost", max_tokens=200)))
        kept = asyncio.create_task(tiny.generate(ask("one")))
        await asyncio.sleep(0.02)
        lost.cancel()
        return (await kept).text

    assert asyncio.run(main()) == together(tiny, ask("one"))[0].text


def test_the_last_assistant_message_is_continued(tiny: Torch) -> None:
    turns = (Message("user", "hi"), Message("assistant", "Well, "))
    response = together(tiny, Request(turns, Sampling(max_tokens=8)))[0]
    plain = together(tiny, ask("<s>user\nhi</s><s>assistant\nWell, ", chat=False, max_tokens=8))[0]
    assert response.text == plain.text


def test_images_are_refused_and_lone_surrogates_are_not(tiny: Torch) -> None:
    with pytest.raises(CapabilityError, match="image"):
        together(tiny, Request((Message("user", (ImagePart(ImageUrl("data:,x")),)),)))
    assert together(tiny, ask("a\ud800b"))[0].usage.prompt_tokens > 0
    assert len(asyncio.run(tiny.logprobs("a\ud800", "b"))) == 1


def test_without_a_chat_template_chat_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    base = Torch(tmp_path / "base")
    assert "chat" not in base.info.capabilities
    with pytest.raises(CapabilityError, match="cannot do: chat"):
        together(base, ask("hi"))
    assert together(base, ask("hi", chat=False))[0].text
    assert base.info.digest != Torch(folder).info.digest


def test_an_adapter_is_merged_and_changes_the_digest(folder: Path, tiny: Torch, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(2)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    ).eval()
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data.normal_()
    tuned.save_pretrained(tmp_path)
    loaded = Torch(folder, adapter=tmp_path, device=tiny.model.device.type, dtype="float32")
    ids = torch.tensor([tiny.tokenizer("one two")["input_ids"]])
    with torch.inference_mode():
        values = torch.log_softmax(tuned(ids).logits[0], 1)
    expected = [float(values[i - 1, ids[0, i]]) for i in range(3, 7)]
    scored = [t.logprob for t in asyncio.run(loaded.logprobs("one", " two"))]
    np.testing.assert_allclose(scored, expected, atol=1e-4)
    assert scored != [t.logprob for t in asyncio.run(tiny.logprobs("one", " two"))]
    assert loaded.info.digest != tiny.info.digest


def test_folders_without_safetensors_are_never_loaded(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(WeightsError, match=r"no \.safetensors"):
        Torch(tmp_path)
    with pytest.raises(WeightsError, match="not a LoRA adapter"):
        Torch(folder, adapter=tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"rubbish" * 9)
    with pytest.raises(WeightsError, match="cannot load"):
        Torch(tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_auto_means_bfloat16_and_says_so(folder: Path) -> None:
    model = Torch(folder)
    assert (model.info.quantization, model.info.settings) == ("bfloat16", {"device": "cuda"})
    request = ask("one", temperature=1.0, seed=3)
    assert together(model, request) == together(model, request)


def test_close_ends_the_thread_after_what_was_asked(folder: Path) -> None:
    async def main() -> str:
        model = Torch(folder)
        response = await model.generate(ask("one"))
        await model.close()
        return response.text

    assert asyncio.run(main())


def test_a_gguf_that_is_missing_or_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="there is no file"):
        hf_export.ensure(tmp_path / "none.gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(WeightsError, match="cannot read"):
        hf_export.ensure(broken)
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.slow
@pytest.mark.weights
def test_smollm2_from_gguf_scores_and_answers_as_measured() -> None:
    """The figures of the hand-measured reference: P(Paris) = 0.77 on the dequantised weights."""
    try:
        model = Torch("smollm2", device="cpu")
    except WeightsError as error:
        pytest.skip(str(error))
    scored = asyncio.run(model.logprobs("The capital of France is", " Paris"))
    assert [t.token for t in scored] == [" Paris"]
    assert scored[0].logprob == pytest.approx(-0.2581, abs=0.003)
    prompts = ["What is 7 + 5? Number only.", "Name three colours."]
    alone = [together(model, ask(p, max_tokens=16))[0].text for p in prompts]
    assert [r.text for r in together(model, *(ask(p, max_tokens=16) for p in prompts))] == alone
    assert hf_export.ensure("smollm2") == hf_export.ensure("smollm2")
