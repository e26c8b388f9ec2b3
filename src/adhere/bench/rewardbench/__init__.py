"""RewardBench: does a reward model, or any scorer or judge, find the better of two responses?

    adhere eval rewardbench --scorer my_reward_model        # a folder, or a scorer's name: best_of_n's scorers too
    adhere eval rewardbench-synthetic --judge smollm2       # a judge of pairs

Lambert et al. 2024 (arXiv 2403.13787); HelpSteer2-Preference (Wang et al. 2024, arXiv 2410.01257) reports it. 2,985
pairs in 23 subsets and four sections, in the published form (`prompt, chosen, rejected, subset, id`): the Parquet file
of the data set, or the same rows as `rewardbench/filtered.jsonl` in the data directory, where the prior test sets may
stand too (as subsets `anthropic_helpful`, `anthropic_hhh`, `shp`, `summarize`). `sections.py` has the arithmetic.

`rewardbench-synthetic` ships: 61 pairs of ours in the same four sections. In Chat Hard the better response is always
the shorter one, in Safety a refusal is right half of the time, so that no single habit does well; it is small, and no
stand-in for the published score.

What differs: a run on a part of the pairs weights the subsets that it has; and `longer` shows what choosing the longer
response would score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.rewardbench.pairs import ask_nobody, in_turn, make_scorer, read_rows, row_of
from adhere.bench.rewardbench.sections import PRIOR_SETS, SECTION_OF, SECTIONS, score, section_scores
from adhere.data.sets import DataFile, at_hand, locate
from adhere.errors import DataError
from adhere.records import Instruction

__all__ = ["FILE", "METRICS", "instructions", "summary"]

# The digest of the pinned revision, as recorded by others who use it; the file could not be had here.
_REVISION = "168d848cdbbea9764fae4a544dc9ca1e6cca4931"
FILE = DataFile(
    "rewardbench/filtered-00000-of-00001.parquet",
    "65473c20ed0627e02503557ae102c25c6b0e66b5ed69ee327e224bb95e70ca29",
    f"https://huggingface.co/datasets/allenai/reward-bench/resolve/{_REVISION}/data/filtered-00000-of-00001.parquet",
)
PLAIN = DataFile("rewardbench/filtered.jsonl", "")
METRICS = {
    "score": Metric("RewardBench score: mean of the four sections"),
    "chat": Metric("Chat"),
    "chat_hard": Metric("Chat Hard"),
    "safety": Metric("Safety"),
    "reasoning": Metric("Reasoning"),
    "prior_sets": Metric("prior test sets"),
    "score_with_prior": Metric("score with the prior sets at half a weight"),
    "accuracy": Metric("pairs decided rightly, all alike"),
    "longer": Metric("pairs in which the longer response is the right one"),
}


def instructions(rows: Sequence[tuple[str, dict[str, Any]]]) -> list[Instruction]:
    """Rows of the published form as pairs, by turns over the subsets.

    Raises:
        DataError: naming the row, for an unknown subset, a missing text or an id that comes twice in a subset.
    """
    subsets: dict[str, dict[str, Instruction]] = {name: {} for name in SECTION_OF}
    for where, row in rows:
        subset = row.get("subset")
        if subset not in subsets:
            raise DataError(f"{where}: unknown subset {subset!r}", hint=f"There are: {', '.join(SECTION_OF)}")
        id = f"{subset}/{row.get('id')}"  # ids are unique within a subset only
        if id in subsets[subset]:
            raise DataError(f"{where}: the id '{id}' occurs twice", hint="Ids must be unique within a subset")
        meta = {"subset": subset, "section": SECTION_OF[subset]}
        subsets[subset][id] = row_of(id, row.get("prompt"), row.get("chosen"), row.get("rejected"), where, **meta)
    by_section = [[list(subsets[s].values()) for s in subsets if SECTION_OF[s] == name and subsets[s]]
                  for name in (*SECTIONS, "prior_sets")]  # fmt: skip
    return in_turn([in_turn(groups) for groups in by_section])


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The sections and the score, each with a bootstrap over the pairs."""
    from adhere.bench.figures import statistic

    rows = [(s.instruction.meta["subset"], (s.score.value or 0.0) if s.score else 0.0) for s in scored]

    def of(pick: Callable[[dict[str, float]], float | None]) -> Callable[[Sequence[tuple[str, float]]], float | None]:
        return lambda drawn: pick(section_scores(_accuracies(drawn)))

    there = section_scores(_accuracies(rows))
    found = {
        name: statistic(
            of(lambda sections, name=name: sections.get(name)), [row for row in rows if SECTION_OF[row[0]] == name]
        )
        for name in there
    }
    if score(there) is not None:
        found["score"] = statistic(of(lambda sections: score(sections, prior=False)), rows)
        if any(subset in PRIOR_SETS for subset, _ in rows):
            found["score_with_prior"] = statistic(of(score), rows)
    undecided = sum(s.score is None or s.score.value is None for s in scored)
    return {name: figure | ({"undecided": undecided} if undecided and name == "score" else {})
            for name, figure in found.items()}  # fmt: skip


def _accuracies(rows: Sequence[tuple[str, float]]) -> dict[str, float]:
    totals: dict[str, list[float]] = {}
    for subset, right in rows:
        pair = totals.setdefault(subset, [0.0, 0.0])
        pair[0] += right
        pair[1] += 1
    return {subset: right / count for subset, (right, count) in totals.items()}


_COMMON: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": make_scorer,
    "ask": ask_nobody,
    "summary": summary,
    "groups": ("subset",),
    "judge": "optional",
    "needs_model": False,
    "paper": "helpsteer2-preference",
}


@benchmark(
    "rewardbench",
    about="reward models: 2,985 pairs of a better and a worse response (chat, safety, reasoning)",
    size=2985,
    licence="ODC-BY-1.0",
    files=(FILE,),
    **_COMMON,
)
def load() -> list[Instruction]:
    """The published pairs, or those of `rewardbench/filtered.jsonl`."""
    file = PLAIN if at_hand(PLAIN) and not at_hand(FILE) else FILE
    return instructions(list(read_rows(locate(file).path)))


@benchmark(
    "rewardbench-synthetic",
    about="reward models: 61 pairs of ours in RewardBench's four sections",
    size=61,
    licence="Apache-2.0",
    synthetic=True,
    **_COMMON,
)
def load_own() -> list[Instruction]:
    """Our own pairs."""
    return instructions(list(read_rows(Path(__file__).with_name("synthetic.jsonl"))))
