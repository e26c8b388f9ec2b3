"""MMMT-IF: does a model keep to standing orders that are scattered over a long chat? (Epstein et al. 2024, 2409.18216)

- `mmmt-if`: our own twelve chats of eight turns, orders where they came, images as the text on them.
- `mmmt-if-placement`: the same turns with orders dispersed, at the end, both, or never shown, paired.
- `mmmt-if-images`: the images drawn, for models that see, or for any with `--strategy ocr`.
- `mmmt-if-file`: your chats, `mmmt-if/chats.jsonl` in the data directory (`chats.py` has the form).

The history holds the model's own answers. With `--samples 4 --temperature 1`, the paper's, PIF-4-K is reported.

Differences: the paper's chats and texts are not public, so these are ours, in its six categories. Its mix with a judge
(20 parts PIF to 1 part grade) is left out: by its own figures that hardly correlates with people's preference (0.16).
"""

from __future__ import annotations

from adhere.bench.base import benchmark
from adhere.bench.mmmt_if.chats import read_chats, scenes
from adhere.bench.mmmt_if.dialogue import PLACEMENTS, ask, rows
from adhere.bench.mmmt_if.scoring import METRICS, PLACEMENT_METRICS, Pif, placement_summary, summary
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

CHATS = DataFile("mmmt-if/chats.jsonl", "")  # the user's own: any version
PAPER = "mmmt-if"
MAX_TOKENS = 160  # an answer: eight turns of them fit into the 2,048 tokens that models in this process take by default


@benchmark(
    "mmmt-if",
    about="standing orders scattered over chats of eight turns, with the model's own answers as history",
    size=95,
    licence="Apache-2.0",
    metrics=METRICS,
    scorer=lambda options: Pif(),
    ask=ask,
    summary=summary,
    groups=("turn", "orders"),
    max_tokens=MAX_TOKENS,
    paper=PAPER,
    suite=("instructions",),
    synthetic=True,
)
def dispersed() -> list[Instruction]:
    """Every turn of our chats from the first order on."""
    return rows(scenes())


@benchmark(
    "mmmt-if-placement",
    about="the same chats with orders dispersed, at the end, both, or never shown",
    size=380,
    licence="Apache-2.0",
    metrics=PLACEMENT_METRICS,
    scorer=lambda options: Pif(),
    ask=ask,
    summary=placement_summary,
    groups=("placement",),
    max_tokens=MAX_TOKENS,
    paper=PAPER,
    synthetic=True,
)
def placements() -> list[Instruction]:
    """The same turns four times."""
    return rows(scenes(), PLACEMENTS)


@benchmark(
    "mmmt-if-images",
    about="the same chats with their images drawn, for models that see or --strategy ocr",
    size=95,
    licence="Apache-2.0",
    metrics=METRICS,
    scorer=lambda options: Pif(),
    ask=ask,
    summary=summary,
    groups=("turn", "orders"),
    max_tokens=MAX_TOKENS,
    paper=PAPER,
    synthetic=True,
)
def as_images() -> list[Instruction]:
    """The same turns, images as image messages."""
    return rows(scenes(), form="images")


@benchmark(
    "mmmt-if-file",
    about="your own chats with standing orders: mmmt-if/chats.jsonl in --data-dir",
    size=0,
    licence="yours",
    metrics=METRICS,
    scorer=lambda options: Pif(),
    ask=ask,
    summary=summary,
    groups=("turn", "orders"),
    files=(CHATS,),
    paper=PAPER,
)
def file() -> list[Instruction]:
    """The turns of the user's file: images as text where every image has one, else as images."""
    chats = read_chats(locate(CHATS).path)
    seen = any(not image.text.strip() for chat in chats for image in chat.images)
    return rows(chats, form="images" if seen else "text")
