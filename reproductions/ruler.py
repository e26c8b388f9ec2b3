"""Ruler (Li et al. 2024, arXiv 2409.18943): do length tokens make a model hit the asked number of words?

The model's own answers to plain questions, cut at sentence ends to fall into the buckets 10, 30, 50 and 80, tune it
twice: with length tokens (Ruler) and without (vanilla). On topics that were not trained on, each asked for all four
lengths, greedily: the untuned and the vanilla model with the paper's text request, Ruler with its token, and three
ways without training, `length_control` by decoding rules, the same by cutting and continuing, `constrained` by grammar.

Also: the mean length by token on the same questions, whether the model keeps to a token that it chose itself, and the
perplexity of the untuned model's plain answers under all three.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

import adhere
from adhere.answer import Constrained, LengthControl, Ruler
from adhere.answer.length_control import ASK
from adhere.constraints.ruler import word_count, word_range
from adhere.constraints.text import sentence_spans
from adhere.data.places import cache_dir
from adhere.engine.store import Store
from adhere.models.base import Sampling
from adhere.models.chat_text import chat_text
from adhere.models.model import Model
from adhere.models.torch_backend import Torch
from adhere.records import Constraint, Example, Instruction, Response, digest
from adhere.roles import Answerer
from adhere.score.statistics import compare, rate
from adhere.score.texts.lengths import elm, hits_by_level, hits_by_target, rmse
from adhere.train.lora import Settings, load
from adhere.train.ruler import RULER9, bucket_of, fit


class Size(NamedTuple):
    """Topics to train and to test on, questions a topic, tokens of a training answer, epochs, lengths."""

    train: int
    test: int
    questions: int
    tokens: int
    epochs: int
    targets: tuple[int, ...] = (10, 30, 50, 80)
    cap: int = 128  # new tokens of an answer; 80 words take about 105


SIZES = {
    "smoke": Size(2, 1, 1, 48, 1, (10,), 16),
    "small": Size(40, 8, 1, 112, 2),
    "medium": Size(96, 25, 4, 112, 2),
    "full": Size(96, 25, 4, 112, 3),  # with a larger --model
}
LORA, RATE, BATCH = Settings(rank=16, alpha=32), 1e-3, 4
MARGIN = 1.10  # the factor by which a tuned model's perplexity on plain answers may grow
PAPER = {"All-level PM / FM, chat model with the text request": {
    "Mistral-7B": "15.45 / 27.70", "gemma-7b": "10.95 / 20.35", "Llama-3-8B": "29.35 / 44.25"},
    "the same families with Ruler": {
    "Mistral-7B": "50.75 / 64.15", "gemma-7b": "45.35 / 57.45", "Llama-3-8B": "55.75 / 68.95"},
    "mean gain": "27.97 / 29.57"}  # fmt: skip
QUESTIONS = (
    "Tell me about {}.",
    "Explain {} to a beginner.",
    "Why do people care about {}?",
    "What is special about {}?",
)
TOPICS = """volcanoes, bicycles, honey bees, the moon, chess, bread, glaciers, libraries, coffee, earthquakes, owls,
bridges, jazz, tea, lighthouses, sharks, deserts, gardening, trains, penguins, painting, soccer, salt,
castles, rice, dolphins, clocks, rainbows, elephants, sailing, potatoes, maps, spiders, opera, windmills,
butterflies, cheese, islands, swimming, the ocean, pyramids, wolves, letters, cinema, horses,
photography, thunder, museums, bamboo, whales, pottery, submarines, kites, forests, sleep, magnets,
tigers, poetry, snow, airplanes, mirrors, onions, tennis, caves, candles, frogs, radio, oranges, skiing,
rivers, robots, silk, dancing, mushrooms, telescopes, ants, subways, sugar, violins, eagles, marathons,
corals, kitchens, compasses, turtles, newspapers, gold, camping, tulips, tunnels, comets, wool, ballet,
lions, pianos, harbors, dictionaries, apples, dragons, puppets, rockets, wheat, ferries, pencils,
markets, crows, fountains, jokes, orchards, fog, sculpture, zebras, ice cream, stamps, drums, vineyards,
foxes, elevators, tides, batteries, kangaroos"""


def questions(size: Size) -> tuple[list[Instruction], list[Instruction]]:
    """Instructions to train and to test on; no topic is in both."""
    topics = " ".join(TOPICS.split()).split(", ")
    asked = [[Instruction.of(q.format(t)) for q in QUESTIONS[: size.questions]] for t in topics]
    train = [i for of_topic in asked[: size.train] for i in of_topic]
    return train, [i for of_topic in asked[-size.test :] for i in of_topic]


def rows_of(instruction: Instruction, answer: str) -> list[Example]:
    """The beginnings of an answer that end with a sentence and fall into a bucket, one a bucket."""
    cut: dict[str, str] = {}
    for _, end in sentence_spans(answer):
        bucket = bucket_of(answer[:end], RULER9[:4])
        if bucket is not None and answer[:end].endswith((".", "!", "?")):
            cut.setdefault(bucket.target, answer[:end])
    return [Example(instruction, (Response(text),)) for text in cut.values()]


async def all_of(make: Callable[[int], Answerer], test: Sequence[Instruction], size: Size) -> list[Response]:
    """Every question at every length, side by side."""
    jobs = [make(target).answer(i) for i in test for target in size.targets]
    return list(await asyncio.gather(*jobs))


def opened(path: str | Path, size: Size) -> Model:
    """A model through torch, in bfloat16, which an ordinary processor too computes twice as fast."""
    return Model(Torch(path, dtype="bfloat16"), sampling=Sampling(max_tokens=size.cap), store=Store.default())


def tuned(name: str, rows: Sequence[Example], size: Size, *, vanilla: bool) -> Path:
    """The folder of the tuned model; kept in the cache, so that a run that was killed goes on where it was."""
    what = digest([name, rows, size.epochs, LORA, RATE, BATCH, vanilla])[:16]
    folder = cache_dir() / "reproductions" / f"ruler-{what}"
    if not (folder / "ruler.json").is_file():
        tokenizer, model = load(name)  # the adapter itself stays in float32
        fit(name, rows, folder, RULER9[:4], epochs=size.epochs, lr=RATE, lora=LORA, batch=BATCH, micro=BATCH,
            vanilla=vanilla, loaded=(tokenizer, model.bfloat16()))  # fmt: skip
    return folder


class Told:
    """The paper's baseline: the number of words is asked for in the text."""

    def __init__(self, model: Model, words: int) -> None:
        self.model = model
        self.words = words

    async def answer(self, instruction: Instruction) -> Response:
        """One call."""
        return await self.model.generate(ASK.render(request=instruction.prompt, words=self.words))


class Bounded:
    """A grammar that counts words: the asked number, give or take 15 %, as `length_control` does."""

    def __init__(self, model: Model, words: int) -> None:
        self.model = Constrained(model)
        self.bounds = LengthControl(model, words).bounds

    async def answer(self, instruction: Instruction) -> Response:
        """By the grammar."""
        words = Constraint("words", {"at_least": self.bounds[0], "at_most": self.bounds[1]})
        return await self.model.answer(msgspec.structs.replace(instruction, constraints=(words,)))


async def perplexity(model: Model, pairs: Sequence[tuple[Instruction, str]]) -> float:
    """Of answers after their questions, by token."""
    found = await asyncio.gather(*(model.logprobs(chat_text(model, i.messages), text) for i, text in pairs if text))
    values = [t.logprob for tokens in found for t in tokens]
    return math.exp(-sum(values) / len(values)) if values else math.nan


def figures(answers: Sequence[Response], targets: Sequence[int], topics: Sequence[str]) -> dict[str, Any]:
    """PM and FM with intervals by question, exact hits, RMSE, correlation of target and length, mean lengths."""
    words = [word_count(r.text) for r in answers]
    rows = list(zip(targets, words, strict=True))
    varied = len(set(targets)) > 1 and len(set(words)) > 1
    by_target = {str(t): float(np.mean([w for target, w in rows if target == t])) for t in dict.fromkeys(targets)}
    found = {level: rate(hits(answers, targets, level), topics)._asdict() for level in ("PM", "FM")}
    return found | {
        "PM_by_target": {t: r.value for t, r in hits_by_target(rows, "PM").items()},
        "FM_by_target": {t: r.value for t, r in hits_by_target(rows, "FM").items()},
        "FM_Level 0": hits_by_level(rows, "FM")["Level 0"].value,
        "ELM": elm(rows)["All"].value,
        "RMSE": rmse(rows)["All"],
        "correlation": float(np.corrcoef(targets, words)[0, 1]) if varied else None,
        "mean_words": by_target,
        "cut_share": float(np.mean([r.finish_reason == "length" for r in answers])),
    }


def hits(answers: Sequence[Response], targets: Sequence[int], level: Any) -> list[bool]:
    """Whether each answer has the words of its target."""
    return [word_range(t, level).holds(word_count(r.text)) for r, t in zip(answers, targets, strict=True)]


async def measure(scale: str, name: str) -> dict[str, Any]:
    """All arms; see the module."""
    size = SIZES[scale]
    train, test = questions(size)
    engine = adhere.load(name, max_tokens=size.tokens)
    name = name.removeprefix("torch:")
    written = await asyncio.gather(*(engine.answer(i) for i in train))
    rows = [row for i, r in zip(train, written, strict=True) for row in rows_of(i, r.text)]
    plain = [(i, r.text) for i, r in zip(test, await asyncio.gather(*map(engine.answer, test)), strict=True)]
    engine.sampling = msgspec.structs.replace(engine.sampling, max_tokens=size.cap)
    answers = {"cut and continue": await all_of(lambda w: LengthControl(engine, w, told=False), test, size)}
    if "grammar" in engine.info.capabilities:
        answers["constrained"] = await all_of(lambda w: Bounded(engine, w), test, size)
    await engine.close()
    ppl: dict[str, float] = {}
    fluency: dict[str, float] = {}
    ruler = opened(folder := tuned(name, rows, size, vanilla=False), size)
    answers["ruler"] = await all_of(lambda w: Ruler(ruler, w), test, size)
    free = await asyncio.gather(*(Ruler(ruler).answer(i) for i in test))
    ppl["ruler"] = await perplexity(ruler, plain)
    await ruler.close()
    vanilla = opened(tuned(name, rows, size, vanilla=True), size)
    answers["vanilla, told"] = await all_of(lambda w: Told(vanilla, w), test, size)
    ppl["vanilla"] = await perplexity(vanilla, plain)
    await vanilla.close()
    base = opened(name, size)
    answers["untuned, told"] = await all_of(lambda w: Told(base, w), test, size)
    answers["length_control"] = await all_of(lambda w: LengthControl(base, w, told=False), test, size)
    ppl["untuned"] = await perplexity(base, plain)
    asked = [i for i in test for _ in size.targets]
    for arm, found in answers.items():
        fluency[arm] = await perplexity(base, [(i, r.text) for i, r in zip(asked, found, strict=True)])
    return {"answers": answers, "asked": asked, "targets": list(size.targets) * len(test), "free": free, "ppl": ppl,
            "fluency": fluency, "training": json.loads((folder / "ruler.json").read_text())}  # fmt: skip


def run(scale: str, model: str) -> dict[str, Any]:
    """PM and FM of every arm, and Ruler against both controls, paired by question."""
    found = asyncio.run(measure(scale, model))
    answers, targets = found["answers"], found["targets"]
    topics = [i.id for i in found["asked"]]
    arms = {arm: figures(a, targets, topics) | {"perplexity_of_answers_under_untuned": found["fluency"][arm]}
            for arm, a in answers.items()}  # fmt: skip
    against = {
        f"{arm} -> {other}, {level}": _said(
            compare(hits(answers[arm], targets, level), hits(answers[other], targets, level), topics)
        )
        for level in ("PM", "FM")
        for arm, other in (("untuned, told", "ruler"), ("vanilla, told", "ruler"), ("untuned, told", "length_control"),
                           ("ruler", "length_control"))
    }  # fmt: skip
    means = list(arms["ruler"]["mean_words"].values())
    chosen = [(r.trace[0]["token"], word_count(r.text)) for r in found["free"]]
    kept = [token is not None and word_range(token[5:-1], "FM").holds(n) for token, n in chosen]
    ratio = found["ppl"]["ruler"] / found["ppl"]["untuned"]
    gains = [against[f"{arm} -> ruler, FM"] for arm in ("untuned, told", "vanilla, told")]
    shown = all(g["low"] > 0 and g["p_value"] < 0.05 for g in gains) and means == sorted(means)
    lines = [f"{arm:<16} PM {_percent(a['PM'])}  FM {_percent(a['FM'])}  mean words {_words(a['mean_words'])}  "
             f"perplexity {found['fluency'][arm]:.1f}" for arm, a in arms.items()]  # fmt: skip
    lines += [f"FM, {name.removesuffix(', FM')}: {c['sentence']}" for name, c in against.items() if name.endswith("FM")]
    ppl = "  ".join(f"{arm} {value:.2f}" for arm, value in found["ppl"].items())
    lines.append(f"perplexity of plain answers: {ppl}; Ruler's own choice kept {sum(kept)} of {len(kept)} times (FM)")
    return {
        "claim": "Ruler hits the asked length (FM, Level 0) more often than the untuned and the vanilla-tuned model do "
        "with a text request, and its tokens order the lengths on the same questions",
        "holds": "shown" if shown else "against" if all(g["high"] < 0 for g in gains) else "not shown",
        "headline": f"{model}: FM {_percent(arms['ruler']['FM'])} with Ruler, {_percent(arms['untuned, told']['FM'])} "
        f"untuned, {_percent(arms['vanilla, told']['FM'])} vanilla; "
        f"without training {_percent(arms['length_control']['FM'])}",
        "lines": lines,
        "arms": arms,
        "comparisons": against,
        "self_chosen": {"tokens": [t for t, _ in chosen], "words": [n for _, n in chosen], "FM": float(np.mean(kept))},
        "perplexity_of_plain_answers": found["ppl"] | {"ratio": ratio, "margin": MARGIN, "within": ratio <= MARGIN},
        "training": found["training"],
        "n": len(topics), "questions": len(set(topics)), "new_tokens_cap": SIZES[scale].cap, "paper": PAPER,
        "examples": {arm: [r.text for r in a[: len(set(targets))]] for arm, a in answers.items()},
    }  # fmt: skip


def _said(comparison: Any) -> dict[str, Any]:
    return comparison._asdict() | {"sentence": comparison.sentence}


def _percent(rate: dict[str, Any]) -> str:
    return f"{100 * rate['value']:.0f}% [{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]"


def _words(means: dict[str, float]) -> str:
    return " ".join(f"{target}:{mean:.0f}" for target, mean in means.items())
