"""TLG, target length generation: has an answer about as many words as were asked for? (Li et al. 2024, 2409.18943)

- `tlg`: ninety questions of our own, ten a target.
- `tlg-file`: any questions, `tlg/questions.jsonl` in the data directory: rows `{"id", "Instruction", "TargetLength"}`
  as upstream writes them, or `{"instruction", "target_words"}`; a row without a target gets one of the nine by chance.

The nine targets go from 10 to more than 800 words, in three levels; PM and FM are the precise and the flexible match of
`adhere.constraints.ruler`. Beside them: exact lengths (ELM), the root mean squared distance and the rank correlation of
asked and written words, all without ">800", and how much an answer repeats itself, since greedy loops inflate ">800".

A model is asked in the paper's words ("The response should have a word count of …"). `ruler` and `length_control` get
the plain question and the row's target in place of their own `words`: they are what the text request is compared with.

A model (not a strategy, whose calls may be more than the answer) is stopped once its answer holds a quarter more words
than FM allows: asked for 10 words, it need not write 1,152 tokens to have missed. No figure of lengths depends on that,
since the distance counts every answer as no longer than so, and the correlation only pairs whose order is known.
Repetition does: it is that of what was written, and in answers to small targets a loop is stopped early.

Differences: upstream's 2,000 questions are drawn from OpenHermes and not published as a file; these are ours. Answers
are cut at 1,152 tokens, not at 2,048; upstream's distance is that of answers up to its cap.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.figures import statistic
from adhere.bench.scored import cluster
from adhere.constraints.ruler import LEVELS, TARGETS, word_count, word_range
from adhere.data.sets import DataFile, locate
from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError
from adhere.models.model import Model
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message, Response, Score

__all__ = ["Lengths", "ask", "limit", "make_row", "read_questions", "repeated", "summary"]

QUESTIONS = Path(__file__).with_name("questions.txt")
FILE = DataFile("tlg/questions.jsonl", "")  # the user's own: any version
ASK = Template.of("adhere.answer", "length_ask")
# The paper's 2,048 and a prompt do not fit into the 2,048 tokens that models in this process take by default. These are
# some 850 words of English, beyond which every target is either hit or missed for good.
MAX_TOKENS = 1152
TOKENS_PER_WORD, TOKENS_MORE = 1.5, 32  # more than English needs; where they do not do, they are doubled
STOPPED = "too long"  # the finish reason of an answer that was stopped, not cut: nothing is missing that counts
BEYOND = 1000  # words to aim at where more than 800 are asked for
RUN = 4  # words that make a repetition

METRICS = {
    "pm": Metric("precise match (PM)"),
    "fm": Metric("flexible match (FM)"),
    "exact": Metric("exactly the asked number of words"),
    "rmse": Metric("distance from the asked number, root mean square", "words", "lower"),
    "correlation": Metric("rank correlation (gamma) of asked and written words", ""),
    "repeated": Metric(f"share of {RUN}-word runs that stood there before", "ratio", "lower"),
}


def make_row(question: str, target: str, id: str) -> Instruction:
    """The row that asks a question for so many words.

    Args:
        question: Without any word about its length.
        target: One of the nine, as upstream writes them: "10", …, ">800".
        id: Of the row.
    """
    words = "more than 800" if target == TARGETS[-1] else target
    level = next(name for name, targets in LEVELS.items() if target in targets)
    return Instruction(
        id,
        (Message("user", ASK.render(request=question, words=words)),),
        (Constraint("ruler:length", {"target": target, "level": "FM"}),),
        meta={"question": question, "target": target, "level": level},
    )


async def ask(options: Options, instruction: Instruction) -> Response:
    """Put a row: the text request, or to a strategy that controls lengths the plain question with the row's target.

    Raises:
        UsageError: without a model.
        ModelError: if the call failed for good.
    """
    if options.answerer is None:
        raise UsageError("a question needs a model that answers", hint="Add --model NAME")
    from adhere.answer.base import Strategy
    from adhere.answer.length_control import LengthControl
    from adhere.answer.ruler import Ruler

    # A run wraps a strategy so that it does not see what it is graded by; what is asked here shows it nothing of that.
    asked: Any = options.answerer
    inner = asked if isinstance(asked, Strategy) else getattr(asked, "model", None)
    if not isinstance(inner, LengthControl | Ruler):
        return await (_stopped(asked, instruction) if isinstance(asked, Model) else asked.answer(instruction))
    target = instruction.meta["target"]
    strategy = copy.copy(inner)
    strategy.words = BEYOND if target == TARGETS[-1] else int(target)
    return await strategy.answer(Instruction(instruction.id, (Message("user", instruction.meta["question"]),)))


async def _stopped(model: Model, instruction: Instruction) -> Response:
    """The model's answer, or its beginning that is surely too long already."""
    words, full = limit(instruction.meta["target"]), model.sampling.max_tokens
    cap = full if words is None else min(full, int(TOKENS_PER_WORD * words) + TOKENS_MORE)
    while True:
        with context.drawing(0, max_tokens=cap):
            response = await model.answer(instruction)
        if cap == full or response.finish_reason != "length":
            return response
        if words is not None and word_count(response.text) >= words:
            return msgspec.structs.replace(response, finish_reason=STOPPED)
        cap = min(full, 2 * cap)


def limit(target: str) -> int | None:
    """The words from which on an answer's length no longer matters: a quarter more than FM allows; None for ">800".

    >>> limit("150")
    250
    """
    most = word_range(target, "FM").most
    return None if most is None else most + most // 4


class Lengths:
    """Scores an answer's number of words against its row's target: parts `pm`, `fm`, `exact`, `repeated`."""

    def __repr__(self) -> str:
        return "Lengths()"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        target, words = instruction.meta["target"], word_count(response.text)
        reason = f"{words} words, target {target}"
        pm, fm = (word_range(target, level).holds(words) for level in ("PM", "FM"))
        parts = [Score("pm", float(pm), pm, reason=reason), Score("fm", float(fm), fm, reason=reason)]
        if target.isdigit():
            exact = words == int(target)
            parts.append(Score("exact", float(exact), exact))
        parts.append(Score("repeated", repeated(response.text)))
        return Score("fm", float(fm), fm, tuple(parts), reason)


def repeated(text: str) -> float | None:
    """The share of an answer's runs of four words that stood in it before; None where there is no run.

    >>> repeated("again and again and again and again")
    0.5
    """
    words = text.lower().split()
    runs = [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else None


class Written(NamedTuple):
    """Asked words, written words up to the limit, and whether the answer went on from there."""

    target: int
    words: int
    open: bool


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """RMSE and rank correlation of asked and written words, without ">800" and failed rows."""
    counted = [s for s in scored if s.response is not None and s.instruction.meta["target"].isdigit()]
    rows, clusters = [_written(s) for s in counted], [cluster(s.instruction) for s in counted]
    return {"rmse": statistic(_rmse, rows, clusters), "correlation": statistic(_gamma, rows, clusters)}


def _written(row: Scored) -> Written:
    assert row.response is not None
    target, words = row.instruction.meta["target"], word_count(row.response.text)
    most = limit(target)
    assert most is not None, target
    return Written(int(target), min(words, most), words >= most or row.response.finish_reason == "length")


def _rmse(rows: Sequence[Written]) -> float | None:
    from math import sqrt

    return sqrt(sum((row.words - row.target) ** 2 for row in rows) / len(rows)) if rows else None


def _gamma(rows: Sequence[Written]) -> float | None:
    """Goodman and Kruskal's gamma over the pairs of different targets whose order of lengths is known.

    It is known where the shorter answer ended by itself. For a model that does not heed its targets both orders of a
    pair are then equally likely, whatever the limits; Pearson's r of answers stopped by their targets would be near 1.
    """
    import numpy as np

    groups: dict[int, list[Written]] = {}
    for row in rows:
        groups.setdefault(row.target, []).append(row)
    all_words = {target: np.sort([row.words for row in group]) for target, group in groups.items()}
    ended = {target: [row.words for row in group if not row.open] for target, group in groups.items()}

    def longer(than: int, among: int) -> int:
        """Pairs of an ended answer to one target and a longer answer to the other."""
        words = all_words[among]
        return int(sum(len(words) - np.searchsorted(words, ended[than], side="right")))

    pairs = list(combinations(sorted(groups), 2))
    with_it = sum(longer(low, high) for low, high in pairs)
    against = sum(longer(high, low) for low, high in pairs)
    return (with_it - against) / (with_it + against) if with_it + against else None


def read_questions(path: Path) -> list[Instruction]:
    """The rows of a questions file, in its order.

    Raises:
        DataError: `file:line` for a row without a question, with a target that is none of the nine, or a repeated id.
    """
    from adhere.data import jsonl

    unique, made = jsonl.Unique(), []
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        question = row.get("Instruction", row.get("instruction"))
        if not isinstance(question, str) or not question.strip():
            raise DataError(f"{where}: no question", hint='Write {"Instruction": …, "TargetLength": "50"}')
        id = str(row.get("id", number))
        unique.add(id, where)
        target = row.get("TargetLength", row.get("target_words"))
        if target is None:
            target = random.Random(derive("tlg", id, question)).choice(TARGETS)
        target = str(target).strip()
        if target not in TARGETS:
            raise DataError(f"{where}: target {target!r} is none of the nine", hint=f"They are {', '.join(TARGETS)}")
        made.append(make_row(question.strip(), target, id))
    return made


SHARED: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": lambda options: Lengths(),
    "ask": ask,
    "summary": summary,
    "groups": ("level", "target"),
    "max_tokens": MAX_TOKENS,
    "paper": "ruler",
}


@benchmark(
    "tlg",
    about="answers of a target length, 10 to more than 800 words",
    size=90,
    licence="Apache-2.0",
    suite=("instructions",),
    synthetic=True,
    **SHARED,
)
def tlg() -> list[Instruction]:
    """Our questions; every nine rows hold every target once, in an order drawn by chance."""
    draw = random.Random(0)
    questions = QUESTIONS.read_text(encoding="utf-8").splitlines()
    blocks = [draw.sample(TARGETS, len(TARGETS)) for _ in range(0, len(questions), len(TARGETS))]
    targets = [target for block in blocks for target in block]
    return [make_row(q, target, str(n)) for n, (q, target) in enumerate(zip(questions, targets, strict=True), 1)]


@benchmark(
    "tlg-file",
    about="your own questions for a target length: tlg/questions.jsonl in --data-dir",
    size=0,
    licence="yours",
    files=(FILE,),
    **SHARED,
)
def tlg_file() -> list[Instruction]:
    """The rows of the user's file."""
    return read_questions(locate(FILE).path)
