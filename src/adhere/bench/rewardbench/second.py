"""RewardBench 2: the best of four answers, and whether equally right answers get equal rewards.

    adhere eval rewardbench-2 --scorer my_reward_model --data-dir DIR

Malik et al. 2025, "RewardBench 2: Advancing Reward Model Evaluation" (arXiv 2506.01937). Read is
`DIR/rewardbench-2/test-00000-of-00001.parquet` (or `test.jsonl`), as published: `id, prompt, chosen, rejected, subset`,
the latter two lists of texts. In five subsets one answer of four is right: a row counts 1/n where n answers share the
highest reward and the right one is among them. In `Ties` several are right; each question comes twice, with one right
answer (`ref:N`) and with several (`tied:N`). With gap = worst right - best wrong and spread = best - worst right it is

    0.30 accuracy(tied) + 0.30 accuracy(ref) + 0.20 mean(gap_tied > spread)
      + 0.20 mean(min(gap_ref, gap_tied) > spread) + 0.01 mean tanh(min(gap_ref, gap_tied) / spread - 1)

The score is the plain mean of the six subsets. A judge of pairs gives no rewards, so only scorers are tested.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.rewardbench.pairs import ask_nobody, in_turn, messages_of, read_rows
from adhere.data.sets import DataFile, at_hand, locate
from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Response, Score
from adhere.roles import Scorer

__all__ = ["BestOfFour", "Margins", "best_of", "ties_score"]

FILE = DataFile("rewardbench-2/test-00000-of-00001.parquet", "")
PLAIN = DataFile("rewardbench-2/test.jsonl", "")
TIES = "Ties"
METRICS = {
    "score": Metric("RewardBench 2 score: mean of the subsets"),
    "accuracy": Metric("right answers with the highest reward, all rows alike"),
    "ties": Metric("Ties: equally right answers rewarded alike, above wrong ones"),
    "gap": Metric("worst right answer above the best wrong one", "of reward"),
    "spread": Metric("best right answer above the worst right one", "of reward", better="lower"),
}


class Margins(NamedTuple):
    """Of one question's answers: worst right minus best wrong, and best right minus worst right."""

    gap: float
    spread: float


def best_of(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The credit of a row: 1/n if a right answer is among the n with the highest reward, else 0."""
    best = max(*right, *wrong)
    winners = [reward == best for reward in (*right, *wrong)]
    return 1 / sum(winners) if any(winners[: len(right)]) else 0.0


def ties_score(ref: dict[str, Margins], tied: dict[str, Margins]) -> float | None:
    """The score of `Ties`; see the module. None where no question comes in both forms."""
    both = [(ref[key].gap, tied[key]) for key in tied if key in ref]
    if not both:
        return None

    def mean(values: Sequence[float]) -> float:
        return math.fsum(values) / len(values)

    return (
        0.30 * mean([float(m.gap > 0) for m in tied.values()])
        + 0.30 * mean([float(m.gap > 0) for m in ref.values()])
        + 0.20 * mean([float(m.gap > m.spread) for _, m in both])
        + 0.20 * mean([float(min(gap, m.gap) > m.spread) for gap, m in both])
        + 0.01 * mean([math.tanh(min(gap, m.gap) / m.spread - 1) if m.spread else 0.0 for gap, m in both])
    )


class BestOfFour:
    """Rewards all answers of a row (`meta["chosen"]`, `meta["rejected"]`)."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; undecided where an answer has no reward."""
        texts = [*instruction.meta["chosen"], *instruction.meta["rejected"]]
        found = await asyncio.gather(*(self.scorer.score(instruction, Response(text)) for text in texts))
        rewards = [f.value for f in found if f.value is not None]
        if len(rewards) < len(texts):
            return Score("accuracy", reason=f"no reward: {next(f.reason for f in found if f.value is None)}")
        right, wrong = rewards[: len(instruction.meta["chosen"])], rewards[len(instruction.meta["chosen"]) :]
        gap, spread = min(right) - max(wrong), max(right) - min(right)
        credit = float(gap > 0) if instruction.meta["subset"] == TIES else best_of(right, wrong)
        said = "rewards " + ", ".join(f"{r:.3g}" for r in right) + " against " + ", ".join(f"{r:.3g}" for r in wrong)
        parts = (Score("accuracy", credit, credit == 1, reason=said), Score("gap", gap), Score("spread", spread))
        return Score("accuracy", credit, credit == 1, parts, said)


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The subsets' mean, with `Ties` by its own formula."""
    from adhere.bench.figures import statistic

    def ties(rows: Sequence[Scored]) -> float | None:
        forms: dict[str, dict[str, Margins]] = {"ref": {}, "tied": {}}
        for s in rows:
            form, _, number = s.instruction.meta["number"].partition(":")
            if s.score is not None and len(s.score.parts) == 3 and form in forms:
                forms[form][number] = Margins(s.score.parts[1].value or 0.0, s.score.parts[2].value or 0.0)
        return ties_score(forms["ref"], forms["tied"])

    def overall(rows: Sequence[Scored]) -> float | None:
        subsets: dict[str, list[Scored]] = {}
        for s in rows:
            subsets.setdefault(s.instruction.meta["subset"], []).append(s)
        found = [ties(members) if name == TIES else _accuracy(members) for name, members in subsets.items()]
        return None if None in found else math.fsum(f for f in found if f is not None) / len(found)

    clusters = [str(s.instruction.meta.get("cluster") or s.instruction.id) for s in scored]
    tied = [n for n, s in enumerate(scored) if s.instruction.meta["subset"] == TIES]
    made = {"score": statistic(overall, scored, clusters)}
    return made | ({"ties": statistic(ties, [scored[n] for n in tied], [clusters[n] for n in tied])} if tied else {})


def _accuracy(rows: Sequence[Scored]) -> float:
    return math.fsum((s.score.value or 0.0) if s.score else 0.0 for s in rows) / len(rows)


def make_scorer(options: Options) -> BestOfFour:
    """The scorer of a run.

    Raises:
        UsageError: if none was named.
    """
    if options.scorer is None:
        raise UsageError("this benchmark tests a scorer, and none was named", hint="Add --scorer my-reward-model")
    from adhere.score.resolve import resolve

    return BestOfFour(resolve(options.scorer, options.answerer))


@benchmark(
    "rewardbench-2",
    about="reward models: the right answer of four, and equally right answers",
    size=1865,
    licence="ODC-BY-1.0",
    metrics=METRICS,
    files=(FILE,),
    scorer=make_scorer,
    ask=ask_nobody,
    summary=summary,
    groups=("subset",),
    needs_model=False,
    paper="helpsteer2-preference",
)
def load() -> list[Instruction]:
    """The published rows, by turns over the subsets; a question's two forms of `Ties` belong together."""
    groups: dict[str, dict[str, Instruction]] = {}
    for where, row in read_rows(locate(PLAIN if at_hand(PLAIN) and not at_hand(FILE) else FILE).path):
        made = _row(row, where)
        if groups.setdefault(made.meta["subset"], {}).setdefault(made.id, made) is not made:
            raise DataError(f"{where}: the id '{made.id}' occurs twice")
    return in_turn([list(rows.values()) for rows in groups.values()])


def _row(row: dict[str, Any], where: str) -> Instruction:
    for name in ("chosen", "rejected"):
        texts = row.get(name)
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{where}: `{name}` is no list of texts", hint="Rows of RewardBench 2 have several answers")
    subset, number = str(row.get("subset")), str(row.get("id"))
    meta = {"chosen": row["chosen"], "rejected": row["rejected"], "subset": subset, "number": number}
    if subset == TIES:
        meta["cluster"] = f"{subset}/{number.partition(':')[2]}"
    return Instruction(f"{subset}/{number}", messages_of(row.get("prompt"), where), meta=meta)
