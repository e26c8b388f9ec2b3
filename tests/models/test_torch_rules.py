"""Scores on tokens and decoding rules, on a tiny random Llama with a byte tokenizer; and llama.cpp's share of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adhere.errors import CapabilityError, UsageError
from adhere.models.base import Request, Rules, Sampling
from adhere.models.token_bias import biases, token_of
from adhere.records import Message, Response

torch = pytest.importorskip("torch")

from adhere.models.torch_backend import Torch  # noqa: E402
from adhere.models.torch_rules import _SENTENCE_END, Biases, _Words  # noqa: E402
from tiny_llama import save_tiny_llama  # noqa: E402

PROMPTS = ["one", "a much longer prompt than the others, with commas", "zwei", "q" * 40]
PAPER = Rules(eos_slope=15 / 250, eos_max=15.0, tokens={"a": -4.0, "!": 1.0}, diversity=-1.5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Torch:
    place = save_tiny_llama(tmp_path_factory.mktemp("tiny"), 512, loud=6)
    return Torch(place, device="cpu", dtype="float32")


def ask(text: str, rules: Rules | None = None, **sampling: Any) -> Request:
    settings: dict[str, Any] = {"max_tokens": 32, "top_logprobs": 0, **sampling}
    return Request((Message("user", text),), Sampling(rules=rules, **settings), chat=False)


def together(model: Any, *requests: Request) -> list[Response]:
    async def main() -> list[Response]:
        return await asyncio.gather(*(model.generate(r) for r in requests))

    return asyncio.run(main())


def by_hand(model: Torch, prompt: str, rules: Rules, length: int) -> list[int]:
    """The greedy tokens under the rules, written down again: no cache, no batch, the whole text at every step."""
    ids: list[int] = model.tokenizer(prompt)["input_ids"]
    first = len(ids)
    scores = {model.tokenizer(t)["input_ids"][0]: s for t, s in (rules.tokens or {}).items()}
    while len(ids) - first < length:
        with torch.inference_mode():
            out = model.model(input_ids=torch.tensor([ids])).logits
        logits = out[0, -1].float().clone()
        for token, score in scores.items():
            logits[token] += score
        for token in set(ids[first:] if rules.window == "response" else ids):
            logits[token] += rules.diversity
        logits[1] += min(rules.eos_max, rules.eos_slope * (len(ids) - first))
        ids.append(int(logits.argmax()))
        if ids[-1] == 1:
            return ids[first:-1]
    return ids[first:]


@pytest.mark.parametrize(
    "rules", [PAPER, Rules(diversity=-3.0, window="prompt"), Rules(eos_slope=1.0, eos_max=40.0)], ids=str
)
def test_each_row_of_a_batch_is_scored_by_its_own_prompt_and_answer(tiny: Torch, rules: Rules) -> None:
    expected = [tiny.tokenizer.decode(by_hand(tiny, p, rules, 32), skip_special_tokens=True) for p in PROMPTS]
    plain = [r.text for r in together(tiny, *(ask(p) for p in PROMPTS))]
    mixed = together(tiny, *(ask(p, rules) for p in PROMPTS), *(ask(p) for p in PROMPTS))
    assert [r.text for r in mixed] == expected + plain
    assert expected != plain


def test_the_bonus_for_ending_stays_at_its_maximum() -> None:
    table = Biases(None, 4, frozenset({1}), "cpu")
    row = table.row(Sampling(rules=Rules(eos_slope=15 / 250, eos_max=15.0)), [2], lambda tokens: "")
    assert row is not None

    def bonus(n: int) -> float:
        logits = torch.zeros(4)
        row.add_to(logits, [3] * n)
        return float(logits[1])

    assert bonus(0) == 0
    assert [bonus(n) for n in (125, 249)] == pytest.approx([7.5, 14.94])
    assert [bonus(n) for n in (250, 251, 1024, 5000)] == [15.0] * 4


def test_diversity_scores_a_token_once_however_often_it_came(tiny: Torch) -> None:
    row = tiny._biases.row(Sampling(rules=Rules(diversity=-1.5)), [7, 8], lambda tokens: "")
    assert row is not None
    seen: list[int] = []
    for token in (5, 5, 6, 5):
        seen.append(token)
        logits = torch.zeros(264)
        row.add_to(logits, seen)
    assert {i: float(v) for i, v in enumerate(logits) if v} == {5: -1.5, 6: -1.5}


def test_a_bias_forbids_a_token_and_log_probabilities_stay_the_models_own(tiny: Torch) -> None:
    plain = together(tiny, ask("one"))[0]
    banned = together(tiny, ask("one", logit_bias={plain.text[0]: -100.0}))[0]
    assert plain.text[0] not in banned.text
    first = together(tiny, ask("one", logit_bias={plain.text[0]: 1.0}))[0]
    assert first.logprobs and plain.logprobs
    assert first.logprobs[0] == plain.logprobs[0]


def test_a_string_of_several_tokens_is_refused_with_its_ids_and_spares_the_neighbours(tiny: Torch) -> None:
    async def main() -> list[Any]:
        requests = [ask("one", logit_bias={"ab": 1.0}), ask("zwei")]
        return await asyncio.gather(*(tiny.generate(r) for r in requests), return_exceptions=True)

    refused, answered = asyncio.run(main())
    ids = tiny.tokenizer("ab")["input_ids"]
    assert isinstance(refused, UsageError)
    assert f"'ab' is not one token of this model but 2: {ids[0]}, {ids[1]}" in str(refused)
    assert isinstance(answered, Response)


def encode(text: str) -> list[int]:
    """A tokenizer as SentencePiece's: a space before everything, words with their space as one token."""
    import re

    known = ["▁", "\n", "▁a", "a", "▁We", "We", "x"]
    pieces = re.findall(r"▁?(?:We|[ax])|▁|\n", "▁" + text.replace(" ", "▁"))
    return [known.index(p) for piece in pieces for p in ([piece] if piece in known else list(piece))]


def test_strings_mean_the_token_within_a_text_and_rules_take_the_one_with_a_space_too() -> None:
    assert token_of("We", encode) == 5
    assert token_of(" We", encode) == 4
    assert token_of("\n", encode) == 1
    assert biases(Sampling(logit_bias={"We": 2.0}), encode) == {5: 2.0}
    assert biases(Sampling(rules=Rules(tokens={"We": 2.0})), encode) == {5: 2.0, 4: 2.0}
    assert biases(Sampling(rules=Rules(tokens={"x": 2.0})), encode) == {6: 2.0}  # " x" is two tokens
    assert biases(Sampling(logit_bias={" We": 1.0}, rules=Rules(tokens={"We": 2.0})), encode) == {4: 3.0, 5: 2.0}


def test_the_first_of_several_tokens_is_scored_when_asked() -> None:
    with pytest.raises(UsageError, match="'Wea' is not one token of this model but 2: 5, 3"):
        biases(Sampling(rules=Rules(tokens={"Wea": 1.0})), encode)
    assert biases(Sampling(rules=Rules(tokens={"Wea": 1.0}, first_of_many=True)), encode) == {5: 1.0}


@pytest.mark.parametrize("changes", [{"diversity": float("nan")}, {"tokens": {"a": float("inf")}}, {"words": (9, 3)},
                                     {"words": (0, 3)}])  # fmt: skip
def test_rules_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Rules(**changes)


def test_rules_need_what_they_use_and_nothing_else() -> None:
    assert Rules().needs() == frozenset()
    assert PAPER.needs() == {"rules", "diversity", "logit_bias"}
    assert Rules(diversity=-1.0, window="prompt").needs() == {"prompt_diversity"}
    assert Rules(words=(3, 5)).needs() == {"rules"}


# The number of words --------------------------------------------------------------------------------------------------


def test_words_hold_the_end_back_then_wait_for_a_sentence_then_close_it() -> None:
    text = "One two three. Four five six seven"
    words = _Words((4, 6), lambda tokens: "".join(tokens), closers=[3])  # type: ignore[arg-type]
    found = {}
    for end in range(1, len(text) + 1):
        found[text[:end]] = words.scores(list(text[:end]))  # type: ignore[arg-type]
    assert found["One two three."] == (-30.0, 0.0)  # a sentence, but too few words
    end, close = found["One two three. Four"]
    assert end == -30.0
    assert 0 < close < found["One two three. Four five"][1] <= 8.0
    assert found["One two three. Four five six"] == (30.0, 30.0)  # the most: close it, or end
    again = _Words((3, 6), lambda tokens: "".join(tokens), closers=[3])  # type: ignore[arg-type]
    assert again.scores(list("One two three.")) == (30.0, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["It rains.", "Why?", 'He said "no."', "Stop!\n\n", "**So it is.**", "end (here.)"])
def test_a_sentence_has_ended(text: str) -> None:
    assert _SENTENCE_END.search(text)


@pytest.mark.parametrize("text", ["It rains", "Rivers:\n1.", "Rivers:\n12. ", "a comma,", ""])
def test_no_sentence_has_ended(text: str) -> None:
    assert not _SENTENCE_END.search(text)


# llama.cpp ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(smollm2: Path) -> Iterator[Any]:
    from adhere.models.llamacpp import LlamaCpp

    made = LlamaCpp(smollm2, name="smollm2", slots=2, context=256)
    yield made
    asyncio.run(made.close())


@pytest.mark.weights
def test_llama_cpp_scores_tokens_by_their_strings(llama: Any) -> None:
    prompt = "The red fox jumped over the lazy dog. The red fox jumped over the lazy"
    plain, biased, ruled = together(
        llama,
        ask(prompt, max_tokens=3),
        ask(prompt, max_tokens=3, logit_bias={" dog": -100.0}),
        ask(prompt, Rules(tokens={"dog": -100.0}), max_tokens=3),
    )
    assert plain.text.startswith(" dog")
    assert not biased.text.startswith(" dog")
    assert ruled.text == biased.text  # with the space in front, found by itself
    with pytest.raises(UsageError, match="'hello world' is not one token of this model but 2: "):
        together(llama, ask(prompt, logit_bias={"hello world": 1.0}))


@pytest.mark.weights
def test_llama_cpp_counts_the_prompt_for_diversity_and_refuses_the_other_rules(llama: Any) -> None:
    prompt = "The red fox jumped over the lazy dog. The red fox jumped over the lazy"
    diverse = together(llama, ask(prompt, Rules(diversity=-100.0, window="prompt"), max_tokens=4))[0]
    assert " dog" not in diverse.text  # it is nowhere in the answer: the prompt holds it
    for rules in (Rules(diversity=-1.5), Rules(eos_slope=0.1, eos_max=1.0), Rules(words=(2, 4))):
        with pytest.raises(CapabilityError, match="torch:smollm2"):
            together(llama, ask(prompt, rules))
