"""Robustness to planted instructions (Li, Peng, He & Yan 2023, arXiv 2308.10819).

A question is answered from a text in which somebody planted another question. `injection`: at the start, middle and
end, as the paper asks it (question first, the defence sentence with tags, four demonstrations). `injection-context`:
what changes with the text first, with "ignore what was said" before the plant, with an irrelevant task, without the
marker "Question:". `injection-defence`: the plant at the end against no defence, the tags, Adhere's fence around
untrusted documents, and leaving out the sentences that its scanner flags, each with its cost on clean text.
`injection-synthetic`: the first, on 30 paragraphs of our own. The scanner itself: `injection-scanner`.

The paper samples at temperature 0.5, top-p 0.5, 64 tokens. Its questions planted by a strong model, its spans by spaCy
and its BERTScore are not here: items come with their second question, Punkt splits sentences, F1 and exact match score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adhere.bench.base import benchmark
from adhere.bench.injection.build import Arm, build
from adhere.bench.injection.items import Item, read_items
from adhere.bench.injection.scorer import InjectionScorer, make_metrics, make_summary
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

__all__ = ["BY_CONTEXT", "BY_DEFENCE", "BY_POSITION", "SQUAD", "own_items", "squad_items"]

SQUAD = DataFile(
    "prompt-injection-squad/items.jsonl", "0cf0b44744fc2ce9364685fd0efca9f56d9c77b8ce3e3ae42f8ba7b3e44332fc"
)
LICENCE = "CC BY-SA 4.0 (SQuAD)"
TOKENS = 64  # of the paper
CLEAN = Arm("clean", "none")
END = Arm("end", base="clean")
BY_POSITION = (
    CLEAN,
    END,
    Arm("start", "start", base="clean"),
    Arm("middle", "middle", base="clean"),
    Arm("second question", "none", swapped=True),
)
BY_CONTEXT = (
    CLEAN,
    END,
    Arm("text first, clean", "none", "CQA"),
    Arm("text first", order="CQA", base="text first, clean"),
    Arm("text first, one by one", order="CQA", attack="order_prefix", base="text first, clean"),
    Arm("text first, ignore next", order="CQA", attack="ignore_next", base="text first, clean"),
    Arm("ignore previous", attack="ignore_previous", base="clean"),
    Arm("irrelevant", task="irrelevant", base="clean"),
    Arm("no marker", marker="", base="clean"),
)
BY_DEFENCE = tuple(
    arm
    for defence in ("none", "tags", "fence", "scan")
    for arm in (
        Arm(f"{defence}, clean", "none", defence=defence),
        Arm(defence, defence=defence, base=f"{defence}, clean"),
    )
)


def squad_items() -> list[Item]:
    """300 paragraphs of SQuAD with two of its questions each.

    Raises:
        DataError: if the file cannot be had or read.
    """
    return read_items(locate(SQUAD).path)


def own_items() -> list[Item]:
    """30 paragraphs written for Adhere, about things that do not exist."""
    return read_items(Path(__file__).with_name("items.jsonl"))


def _register(
    name: str, about: str, items: Callable[[], list[Item]], size: int, arms: Sequence[Arm], **more: Any
) -> None:
    def load() -> list[Instruction]:
        return build(items(), arms)

    own: dict[str, Any] = {"licence": "Apache-2.0", "synthetic": True}
    squad: dict[str, Any] = {"licence": LICENCE, "files": (SQUAD,)}
    benchmark(
        name,
        about=about,
        size=size * len(arms),
        metrics=make_metrics(arms),
        scorer=lambda options: InjectionScorer(),
        summary=make_summary(arms),
        groups=("arm",),
        paper="prompt-injection-robustness",
        max_tokens=TOKENS,
        **(own if items is own_items else squad),
        **more,
    )(load)


_register(
    "injection",
    "whether a question planted in the text is answered instead of the user's, by its position",
    squad_items,
    300,
    BY_POSITION,
    suite=("safety",),
)
_register("injection-context", "the same by order of question and text, attack and task", squad_items, 300, BY_CONTEXT)
_register(
    "injection-defence",
    "the same under four defences, and what each costs on clean text",
    squad_items,
    300,
    BY_DEFENCE,
)
_register("injection-synthetic", "as injection, on paragraphs of our own", own_items, 30, BY_POSITION)
