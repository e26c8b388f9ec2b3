"""Zero-shot robustness: how much does accuracy depend on how an instruction is phrased? (Sun et al. 2024, 2306.11270)

- `zero-shot-robustness`: 13 small BIG-bench tasks, every item in twenty phrasings of our own bank (five styles).
- `zero-shot-robustness-mmlu`: six subjects of MMLU, likewise.
- `zero-shot-robustness-controls`: the BIG-bench items with right phrasings, with another task's instruction, a negated
  one, and random words: a model that ignores instructions shows no spread either, and is not robust.
- `zero-shot-robustness-synthetic`: thirty easy items of our own, which ship with the package.
- `zero-shot-robustness-file`: `zero-shot-robustness/items.jsonl` and `bank.json` in the data directory, in the forms of
  `bank.py`; with phrasings of both kinds the gap of observed and unobserved ones is reported.

The phrasings of an item stand together: give `--limit` in multiples of 20 (of 8 for the controls).

Differences: upstream's 319 phrasings have no licence, so the bank is ours, and "observed" (seen in tuning) is for the
user to say, who knows the model's tuning data. The paper's second half, alignment by a soft prompt, is training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adhere.bench.base import Metric, benchmark
from adhere.bench.zero_shot_robustness.asking import Pick, ask, rows
from adhere.bench.zero_shot_robustness.bank import CONTROLS, read_bank, read_bigbench, read_items, read_mmlu
from adhere.bench.zero_shot_robustness.spread import control_summary, summary
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

BANK = Path(__file__).with_name("bank.json")
ITEMS = Path(__file__).with_name("items.jsonl")
PAPER = "zero-shot-robustness"
RIGHT = ("observed", "unobserved")

_COMBINATIONS = "conceptual_combinations"
BIGBENCH = tuple(
    DataFile(f"zero-shot-robustness/bigbench/{name}.json", digest)
    for name, digest in (
        ("code_line_description", "ab0eb33c78fc1f3bc9ded986ae2bb0850bffb563327a23438e9ade9af55737f0"),
        (f"{_COMBINATIONS}.contradictions", "7435d9f9ab27d76e296fb180689af935dc3f2fe410aaaf30cc9e32a94057ce4a"),
        (
            f"{_COMBINATIONS}.emergent_properties",
            "0ed8fac70dc10299407e1ea2a63f0d911c1b656d127312469944b5cd2d303b0e",
        ),
        (
            f"{_COMBINATIONS}.fanciful_fictional_combinations",
            "3e5f3e752ef6242dc7cad62ddfc5af0159f4d251a088e6af13f80ff4407a4f72",
        ),
        (f"{_COMBINATIONS}.homonyms", "6fe28191b711d6e9f42673aeae7f09c2dce4b4794534df3b9f7bfe9f8fa26961"),
        (f"{_COMBINATIONS}.invented_words", "1cd1b6bd1a233f3872591276e26cead6fdbc10437e77b7db70af36a155478f4c"),
        (
            f"{_COMBINATIONS}.surprising_uncommon_combinations",
            "4c2d1f40288938215d7d1e3d4be5c87fbce2f61a63416d939e0075d6e9607550",
        ),
        ("crash_blossom", "80cbeb86819f65af955627fd8877f80d62e6fb8cf6685a57933b68484dba8a1b"),
        ("empirical_judgments", "990ba7e704ebef89b48568ba287fb73b7313cf2fd12143575e99a6f77e5b8376"),
        ("hindu_knowledge", "105809a8e9c00fbf486806b4428afbd216f40e6a3c23fafffd3e12a9034ce8c1"),
        ("known_unknowns", "6061bdd796f2225fee6ef9c389e1b1e19f4d83da905dc7b512e0d1ca0e44c557"),
        ("novel_concepts", "fdd1237a3cd95ef2bcf6ea78309c1c511ee3ecd8339dc0c755fde42ce0dc0aa7"),
        ("strange_stories.boolean", "b221b39e884da12d5c1fee6bce20b118445ff20d9571cc883769e0f93a1419ac"),
    )
)
MMLU = tuple(
    DataFile(f"zero-shot-robustness/mmlu/{name}_test.csv", digest)
    for name, digest in (
        ("elementary_mathematics", "65a46a0e1927ea37aabd031ddcb6d81eef70a7eee1e9e0af94ec8e3fa21d728b"),
        ("global_facts", "a81058ee8e2385edaf42b8847ec9db01221fa4b16d262db415f3370884745ff9"),
        ("human_aging", "01299d7e0ae4a8d082daeecc140445ce7393b464040bd810b0a60a370ae5502e"),
        ("management", "4a535a11bb480a09a302e86d157ae2d33e054cfa00e4265fe300a9408b87ec6b"),
        ("marketing", "ecf0ae0ae906194d033ca7d7746eaf201232eccb78ee24147e737473f751233d"),
        ("us_foreign_policy", "2821ee009a2b1b7d4adc5a212a0bad7fe05d377455de0fe0841beab8f00142e1"),
    )
)
OWN_ITEMS = DataFile("zero-shot-robustness/items.jsonl", "")  # the user's own: any version
OWN_BANK = DataFile("zero-shot-robustness/bank.json", "")

METRICS = {
    "accuracy": Metric("right options"),
    "spread": Metric("best minus worst phrasing", "points", "lower"),
    "chance": Metric("the same if phrasing did not matter", "points", "lower"),
    "deviation": Metric("standard deviation over phrasings", "points", "lower"),
    "worst": Metric("right options, worst phrasing"),
    "best": Metric("right options, best phrasing"),
    "all_right": Metric("items right in every phrasing"),
    "agreement": Metric("same option under two phrasings"),
    "kappa": Metric("the same beyond chance (Fleiss' kappa)", ""),
    "differing": Metric("pairs of phrasings that differ for sure", better="lower"),
    "gap": Metric("observed minus unobserved phrasings", "points", "lower"),
}
CONTROL_METRICS = {
    "minus_wrong": Metric("right instruction minus another task's", "points"),
    "minus_negated": Metric("right instruction minus its negation", "points"),
    "minus_random": Metric("right instruction minus random words", "points"),
    "accuracy": Metric("right options, all instructions"),
}
SHARED: dict[str, Any] = {
    "metrics": METRICS, "scorer": lambda options: Pick(), "ask": ask, "summary": summary,
    "groups": ("task", "author", "phrasing"), "paper": PAPER, "calls": 4.0,
}  # fmt: skip


@benchmark(
    "zero-shot-robustness",
    about="13 BIG-bench tasks, every item in 20 phrasings",
    size=12_120,
    licence="Apache-2.0",
    files=BIGBENCH,
    **SHARED,
)
def bigbench() -> list[Instruction]:
    """Every item of the tasks in every right phrasing."""
    items = [item for file in BIGBENCH for item in read_bigbench(locate(file).path)]
    return rows(items, read_bank(BANK), RIGHT)


@benchmark(
    "zero-shot-robustness-mmlu",
    about="six subjects of MMLU, every question in 20 phrasings",
    size=22_740,
    licence="MIT",
    files=MMLU,
    **SHARED,
)
def mmlu() -> list[Instruction]:
    """Every question in every right phrasing."""
    return rows(read_mmlu([locate(file).path for file in MMLU]), read_bank(BANK), RIGHT)


@benchmark(
    "zero-shot-robustness-controls",
    about="13 BIG-bench tasks with right, wrong, negated and random instructions",
    size=4_848,
    licence="Apache-2.0",
    files=BIGBENCH,
    **SHARED | {"metrics": CONTROL_METRICS, "summary": control_summary, "groups": ("kind", "task")},
)
def controls() -> list[Instruction]:
    """Every item in two phrasings of each kind."""
    items = [item for file in BIGBENCH for item in read_bigbench(locate(file).path)]
    return rows(items, read_bank(BANK), ("unobserved", *CONTROLS), each=2)


@benchmark(
    "zero-shot-robustness-synthetic",
    about="thirty easy items of our own, each in 20 phrasings",
    size=600,
    licence="Apache-2.0",
    synthetic=True,
    suite=("instructions",),
    **SHARED,
)
def synthetic() -> list[Instruction]:
    """Our items in every right phrasing."""
    return rows(read_items(ITEMS), read_bank(BANK), RIGHT)


@benchmark(
    "zero-shot-robustness-file",
    about="your own items and phrasings: zero-shot-robustness/{items.jsonl,bank.json} in --data-dir",
    size=0,
    licence="yours",
    files=(OWN_ITEMS, OWN_BANK),
    **SHARED,
)
def file() -> list[Instruction]:
    """The user's items in every right phrasing of the user's bank."""
    return rows(read_items(locate(OWN_ITEMS).path), read_bank(locate(OWN_BANK).path), RIGHT)
