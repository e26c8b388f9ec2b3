"""AlpacaEval: how often a judge prefers a model's answers to another's, on 805 open instructions.

    adhere eval alpaca-answers --model OTHER --out runs/baseline          # what to compare with: answers, no judge
    adhere eval alpaca --model smollm2 --against runs/baseline --judge openai:…
    adhere eval alpaca --model smollm2 --against outputs.json --judge …   # or a file of AlpacaEval's outputs
    adhere eval alpaca-synthetic --model smollm2 --judge smollm2          # ours: 40 instructions with answers

AlpacaFarm (Dubois et al. 2023, arXiv 2305.14387) and Length-Controlled AlpacaEval (Dubois et al. 2024, arXiv
2404.04475). The judge sees both orders; the win rate is its mean preference (`adhere.score.preferences.win_rate`),
then the rate at
equal lengths (`adhere.score.preferences.length_control`), which needs 100 comparisons. Simulated annotators judge with
`--judge "annotators(model=…)"`.

What differs: any two models and any judge, so the published rates (GPT-4-1106's outputs, GPT-4-turbo's verdicts) are
not to be compared with; the judge's prompt is ours; the difficulties are those that could be recovered from the
leaderboard (`alpaca_eval2_lc_fixture.json`, where it lies in the data directory), else that term is left out, and the
gamed baselines, which exist for one baseline and one judge only, take no part.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.alpaca.other_side import joined, other_side
from adhere.bench.alpaca.scoring import METRICS, Compared, summary_with
from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.data.jsonl import objects
from adhere.data.sets import DataFile, at_hand, locate
from adhere.errors import DataError
from adhere.records import Instruction, Message, Response, Score
from adhere.score.judges.base import resolve_judge

__all__ = ["FILE", "FIXTURE", "instructions"]

FILE = DataFile(
    "alpaca-farm/alpaca_eval_instructions.jsonl", "0ea719c58469034c2859a1341c76400b002fad7cd94fcbabef288bfd83b35ccb"
)
FIXTURE = DataFile(
    "alpaca-farm/alpaca_eval2_lc_fixture.json", "d217201d27fd4fc6b7ca7e8021ecd114567f6a00ef4c538205466a354c27dc52"
)
log = logging.getLogger("adhere")
OWN = Path(__file__).with_name("synthetic.jsonl")
MAX_TOKENS = 300  # AlpacaFarm's


def instructions(path: Path) -> list[Instruction]:
    """The rows of a file, by turns over the sources that they come from.

    Raises:
        DataError: naming the row without an instruction, or the instruction that comes twice.
    """
    groups: dict[str, list[Instruction]] = {}
    seen: dict[str, str] = {}
    for number, row in objects(path):
        where = f"{path}:{number}"
        if not isinstance(row.get("instruction"), str) or not row["instruction"].strip():
            raise DataError(f"{where}: the row has no `instruction`")
        text = joined(row["instruction"], row.get("input"))
        if (first := seen.setdefault(text, where)) != where:
            raise DataError(f"{where}: the same instruction stands at {first}", hint="They are joined by their text")
        source = str(row.get("dataset") or "other")
        references = (row["output"],) if isinstance(row.get("output"), str) else ()
        index = row.get("index", number - 1)
        made = Instruction(
            f"alpaca/{index}", (Message("user", text),), references=references, meta={"dataset": source, "index": index}
        )
        groups.setdefault(source, []).append(made)
    return list(_in_turn(list(groups.values())))


def _in_turn(groups: Sequence[Sequence[Instruction]]) -> Iterator[Instruction]:
    for n in range(max(map(len, groups))):
        yield from (group[n] for group in groups if n < len(group))


def _difficulties() -> dict[str, float]:
    """By instruction, where the fixture is at hand: its order is that of the 805 instructions."""
    if not (at_hand(FIXTURE) and at_hand(FILE)):
        return {}
    try:
        found = msgspec.json.decode(locate(FIXTURE).path.read_bytes())["instruction_difficulty_recovered"]
        return {i.prompt: found[i.meta["index"]] for i in instructions(locate(FILE).path)}
    except DataError as error:  # of another version: no reason to lose a run that was generated and judged
        log.warning("no difficulties of instructions: %s", error)
        return {}


def _summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    return summary_with(_difficulties())(scored, options)


def _load() -> list[Instruction]:
    return instructions(locate(FILE).path)


def _load_own() -> list[Instruction]:
    return instructions(OWN)


def _scorer(load: Any) -> Any:
    def make(options: Options) -> Compared:
        other = other_side(options.against, load())
        return Compared(resolve_judge(options.judge or "", options.answerer), other)

    return make


class _Length:
    async def score(self, instruction: Instruction, response: Response) -> Score:
        return Score("characters", float(len(response.text)))


_COMMON: dict[str, Any] = {"metrics": METRICS, "judge": "required", "paper": "alpaca-farm", "max_tokens": MAX_TOKENS}

benchmark(
    "alpaca",
    about="805 open instructions: win rate against another run, plain and length-controlled",
    size=805,
    licence="CC-BY-NC-4.0",
    files=(FILE,),
    scorer=_scorer(_load),
    summary=_summary,
    **_COMMON,
)(_load)

benchmark(
    "alpaca-synthetic",
    about="40 open instructions of ours: win rate against our own answers, or another run",
    size=40,
    licence="Apache-2.0",
    scorer=_scorer(_load_own),
    summary=summary_with({}),
    synthetic=True,
    **_COMMON,
)(_load_own)

benchmark(
    "alpaca-answers",
    about="answers to AlpacaEval's instructions alone, for `alpaca --against`",
    size=805,
    licence="CC-BY-NC-4.0",
    files=(FILE,),
    metrics={"characters": Metric("length of the answers", "characters", better="lower")},
    scorer=lambda options: _Length(),
    paper="alpaca-farm",
    max_tokens=MAX_TOKENS,
)(_load)
