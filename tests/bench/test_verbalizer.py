"""Verbalizer manipulation: prompts, words that cannot be told apart, reading by probabilities, grades by group."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.run import Settings, evaluate
from adhere.bench.verbalizer import FOLDER, summary
from adhere.bench.verbalizer.reading import VerbalizerScorer, ask, read
from adhere.bench.verbalizer.tasks import GROUPS, check_words, clean, instructions, read_folder
from adhere.errors import CapabilityError, DataError, UsageError
from adhere.models.base import ModelInfo
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, TokenLogprob


class Fixed:
    """A backend whose next-token distribution is a function of the prompt; whole words cost 1 nat a letter."""

    concurrency = 4

    def __init__(self, distribution, *, exact: bool = True, chat: bool = False):
        self.distribution = distribution
        can = ("chat", "complete", "token_logprobs", *(("logprobs",) if exact else ()))
        self.info = ModelInfo("fixed", "fake", "0" * 64, capabilities=can)

    async def generate(self, request):
        top = tuple((t, math.log(p)) for t, p in self.distribution(request.messages[-1].text).items())
        return Response(top[0][0], logprobs=(TokenLogprob(top[0][0], top[0][1], top),))

    async def logprobs(self, prompt, continuation):
        return tuple(TokenLogprob(c, -float(c in "aeiou")) for c in continuation)

    async def close(self):
        pass


def reading(words, distribution, **how):
    model = Model(Fixed(distribution, **how), chat=False)
    return asyncio.run(read(model, (Message("user", "Well?"),), words))


def test_our_own_sets_are_balanced_and_every_item_meets_every_verbalizer() -> None:
    sets = read_folder(FOLDER)
    assert {name: Counter(i.label for i in items) for name, (_, items) in sets.items()} == {
        "sentiment": {0: 30, 1: 30},
        "nli": {0: 30, 1: 30},
    }
    every = instructions(sets)
    assert len(every) == len({i.id for i in every}) == 2 * 60 * 12 == get("verbalizer").size
    seen = Counter((i.meta["group"], i.meta["verbalizer"], i.meta["dataset"], i.meta["label"]) for i in every)
    assert set(seen.values()) == {30} and len(seen) == 12 * 2 * 2
    beginning = every[:48]
    for key in ("group", "dataset", "label"):
        counts = Counter(i.meta[key] for i in beginning)
        assert max(counts.values()) <= 2 * min(counts.values()), counts  # neutral has twice the pairs
    texts = [i.texts for _, items in sets.values() for i in items]
    assert len(set(texts)) == len(texts)


def test_the_prompt_has_role_rules_restriction_input_and_answer_in_this_order() -> None:
    swapped = next(i for i in get("verbalizer").instructions() if i.meta["verbalizer"] == "unnatural negative|positive")
    text = swapped.prompt
    parts = (
        "You are",
        'If the movie review is positive, you need to output "negative"',
        "If the movie review is negative",
        'only allowed to output "negative" or "positive"',
        "Movie review: ",
        "Answer:",
    )
    places = [text.find(part) for part in parts]
    assert places == sorted(places) and -1 not in places
    assert text.endswith("Answer:")
    assert "Movie review: N/A" in swapped.meta["blank"]


@pytest.mark.parametrize("words", [("yes", "Yes."), ("no", "not"), ("", "x"), ("river", "riverbed")])
def test_words_that_cannot_be_told_apart_are_refused_with_the_reason(words: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=r"cannot be told apart|begin alike"):
        check_words(words)


def test_words_with_one_first_token_are_scored_whole_where_that_can_be_done() -> None:
    alike = {"re": 0.9, "x": 0.1}
    found, how = reading(("reject", "relate"), lambda _: alike)
    assert how == "whole words"
    assert found == pytest.approx([math.exp(-2 / 6), math.exp(-3 / 6)])  # per token, so that length is no advantage
    with pytest.raises(CapabilityError, match="begin with the same token"):
        asyncio.run(read(Model(Fixed(lambda _: alike, exact=False)), (Message("user", "Well?"),), ("reject", "relate")))


def test_words_that_a_model_never_begins_with_are_scored_whole_or_are_no_answer() -> None:
    assert reading(("foo", "bar"), lambda _: {"maybe": 1.0})[1] == "whole words"
    assert reading(("foo", "bar"), lambda _: {"maybe": 1.0}, exact=False) == ([0.0, 0.0], "first token")


def example(label: int, words: tuple[str, str] = ("good", "bad"), group: str = "natural") -> Instruction:
    return Instruction.of("Is it good?", words=list(words), label=label, blank="N/A?", group=group, cluster="c")


def test_the_prior_is_subtracted_for_the_calibrated_choice() -> None:
    def distribution(prompt: str) -> dict[str, float]:
        return {"good": 0.8, "bad": 0.1} if prompt == "N/A?" else {"good": 0.6, "bad": 0.3}

    model = Model(Fixed(distribution), chat=False)
    made = asyncio.run(ask(Options(model), example(1)))
    assert made.text == "good" and made.trace[0]["read"] == "first token"
    found = asyncio.run(VerbalizerScorer().score(example(1), made))
    parts = {part.name: part.value for part in found.parts}
    assert (parts["accuracy"], parts["flip"], parts["calibrated"], parts["first_word"]) == (0.0, 1.0, 1.0, 1.0)
    assert parts["mass"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("text", "label", "accuracy", "flip", "invalid"),
    [
        (' "Good." ', 0, 1.0, 0.0, 0.0),
        ("BAD", 0, 0.0, 1.0, 0.0),
        ("It is good", 0, 0.0, 0.0, 1.0),
        ("", 1, 0.0, 0.0, 1.0),
    ],
)
def test_a_text_counts_if_it_is_the_word(text: str, label: int, accuracy: float, flip: float, invalid: float) -> None:
    found = asyncio.run(VerbalizerScorer().score(example(label), Response(text)))
    parts = {part.name: part.value for part in found.parts}
    assert (parts["accuracy"], parts["flip"], parts["invalid"]) == (accuracy, flip, invalid)
    assert "calibrated" not in parts


def test_a_model_of_habit_shows_as_natural_above_and_unnatural_below_chance() -> None:
    scorer = VerbalizerScorer()
    rows = []
    for label in (0, 1):
        for group, words in (("natural", ("good", "bad")), ("neutral", ("foo", "bar")), ("unnatural", ("bad", "good"))):
            said = words[0] if group == "neutral" else ("good", "bad")[label]  # habit, and one word for everything
            i = example(label, words, group)
            rows.append(Scored(i, 0, Response(said), None, asyncio.run(scorer.score(i, Response(said)))))
    found = summary(rows, Options())
    assert [found[g]["value"] for g in GROUPS] == [1.0, 0.5, 0.0]
    assert found["gap"]["value"] == 1.0


def test_a_strategy_is_sent_to_the_benchmark_that_reads_text() -> None:
    class Other:
        async def answer(self, instruction):
            return Response("good")

    with pytest.raises(UsageError, match="Run verbalizer-text"):
        asyncio.run(ask(Options(Other()), example(0)))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "x", "label": 2}, "label 2. Two classes only"),
        ({"text": " ", "label": 0}, "'text' is empty"),
        ({"label": 0}, "'text' is missing"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: dict, said: str) -> None:
    tasks = json.loads((FOLDER / "tasks.json").read_text())
    (tmp_path / "tasks.json").write_text(json.dumps({"sentiment": tasks["sentiment"]}))
    (tmp_path / "sentiment.jsonl").write_text(json.dumps({"text": "fine", "label": 1}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError) as error:
        read_folder(tmp_path)
    assert f"sentiment.jsonl:2: {said}" in str(error.value)


def test_a_task_of_the_users_own_is_read_and_a_bad_pair_of_words_named(tmp_path: Path) -> None:
    tasks = json.loads((FOLDER / "tasks.json").read_text())
    tasks["sentiment"]["neutral"] = [["no", "not"]]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="task 'sentiment': the words"):
        read_folder(tmp_path)


def test_the_shared_sets_are_read(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    made = get("verbalizer-files")
    assert len(made.instructions()) == made.size == 2 * 24 * 12


def test_cleaning_keeps_the_word() -> None:
    assert [clean(t) for t in ("\u201cPositive\u201d.", " 1\n", "**foo**", "...")] == ["positive", "1", "foo", ""]


@pytest.mark.weights
def test_a_real_model_is_read_under_all_groups(smollm2: Path) -> None:
    import adhere

    with_model = adhere.load("smollm2", store=None)
    done = evaluate(get("verbalizer"), with_model, Settings(limit=16))
    assert {"natural", "neutral", "unnatural", "gap", "calibrated", "mass"} <= set(done.metrics)
    assert done.manifest["counts"]["failed"] == 0
    assert 0 < done.metrics["mass"]["value"] <= 1
    assert done.metrics["first_word"]["n"] == 16
    steps = [json.loads(row.trace)[0] for row in done.rows]
    assert {step["read"] for step in steps} <= {"first token", "whole words"}
    assert all(0 <= p <= 1 for step in steps for p in (*step["probabilities"], *step["prior"]))
