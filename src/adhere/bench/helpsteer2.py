"""HelpSteer2-Preference as a test of reward models: does the better response of people get the higher reward?

    adhere eval helpsteer2-preference --scorer my_reward_model --data-dir DIR

Wang et al. 2024 (arXiv 2410.01257). Read is `DIR/helpsteer2-preference/preference.jsonl`, as published (nvidia's data
set HelpSteer2, CC-BY-4.0, unpacked) or in Adhere's own form; of a file with splits, the validation split. Accuracy is
given for each strength of preference (1 slightly, 2 better, 3 much better), and `longer` for what choosing the longer
response scores.

What differs: the paper uses this split to choose checkpoints and reports RewardBench (`adhere.bench.rewardbench`).
"""

from __future__ import annotations

from adhere.bench.base import Metric, benchmark
from adhere.bench.rewardbench.pairs import ask_nobody, in_turn, make_scorer
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction, digest
from adhere.score.rewards.data import Pair, read_pairs

__all__ = ["FILE", "METRICS"]

FILE = DataFile("helpsteer2-preference/preference.jsonl", "")  # a file of the user's own, of any version
METRICS = {
    "accuracy": Metric("pairs in which the better response has the higher reward"),
    "longer": Metric("pairs in which the longer response is the better one"),
}
TESTED = "validation"


@benchmark(
    "helpsteer2-preference",
    about="reward models: people's preferences between two responses, with their strength",
    size=352,
    licence="CC-BY-4.0",
    metrics=METRICS,
    files=(FILE,),
    scorer=make_scorer,
    ask=ask_nobody,
    groups=("strength",),
    judge="optional",
    needs_model=False,
    paper="helpsteer2-preference",
)
def load() -> list[Instruction]:
    """The pairs with a preference, strong and slight ones by turns."""
    pairs = read_pairs(locate(FILE).path).pairs
    tested = [pair for pair in pairs if pair.split == TESTED] or pairs
    groups: dict[float, dict[str, Instruction]] = {}
    for pair in tested:
        made = _row(pair)
        groups.setdefault(pair.strength, {})[made.id] = made  # the same pair twice is one pair
    return in_turn([list(groups[strength].values()) for strength in sorted(groups)])


def _row(pair: Pair) -> Instruction:
    id = digest([pair.messages, pair.chosen, pair.rejected])[:16]
    meta = {"chosen": pair.chosen, "rejected": pair.rejected, "strength": f"{pair.strength:g}"}
    return Instruction(id, pair.messages, meta={**meta, "cluster": digest(pair.messages)[:16]})
