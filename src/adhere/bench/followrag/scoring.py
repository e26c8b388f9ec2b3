"""Grading an answer: does it keep its instructions, and does it give the known answer?

Instructions by IFEval's checkers, loosely and strictly. The answer (RAG score) by a judge as in the paper, 1, 0.5 or 0,
whatever the layout; without a judge by the share of a known answer's words that it has (the best over the answers),
which asks no model, sees no contradiction and is full for whoever repeats the passages: read it beside `words`. The
judge chooses among three letters by their probabilities; upstream searches a rating in its prose, tries ten times and
then takes 0, where here a judge without a verdict is undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adhere.bench.base import Metric, Options, Scored
from adhere.bench.figures import share, statistic
from adhere.bench.followrag.rows import NAMES
from adhere.constraints import verify
from adhere.constraints.scorer import checker
from adhere.errors import ModelError
from adhere.models.model import Model
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score
from adhere.score.judges.base import judge_failed
from adhere.score.labels import label_probabilities
from adhere.score.texts.overlap import token_recall

__all__ = ["METRICS", "FollowRAGScorer", "make_scorer", "summary"]

RATINGS = {"A": 1.0, "B": 0.5, "C": 0.0}
LONGEST_LIST = 20  # known answers that a judge is shown: TriviaQA has hundreds of aliases
METRICS = {
    "average": Metric("mean of instructions kept (loosely) and RAG score, by answer"),
    "instruction_loose": Metric("instructions kept, loosely"),
    "rag": Metric("RAG score"),
    "instruction_strict": Metric("instructions kept, strictly"),
    "prompt_loose": Metric("answers that keep all, loosely"),
    "prompt_strict": Metric("answers that keep all, strictly"),
    "words": Metric("length of an answer: who says everything recalls everything", "words", "lower"),
    "paper_average": Metric("mean of the two scores over all rows (the paper's)"),
}


class FollowRAGScorer:
    """Parts: the metrics of one answer, then one part for each instruction (loosely) under FollowRAG's name.

    `passed` is whether all instructions are kept loosely and the known answer is given in full; undecided where the
    judge is.

    Args:
        judge: Rates the answer; None takes the recall of known answers.
    """

    def __init__(self, judge: Model | None = None) -> None:
        self.judge = judge

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says. Raises CapabilityError if the judge gives no log-probabilities."""
        verdict = verify(response.text, [checker(c) for c in instruction.constraints])
        rag = await self._rag(instruction, response)
        loose = sum(verdict.loose) / len(verdict.loose)
        average = None if rag.value is None else (loose + rag.value) / 2
        strict = all(s.passed for s in verdict.strict)
        parts = [
            Score("average", average),
            rag,
            _flag("prompt_loose", all(verdict.loose)),
            _flag("prompt_strict", strict),
        ]
        parts.append(Score("words", float(len(response.text.split()))))
        for constraint, found, passed in zip(instruction.constraints, verdict.strict, verdict.loose, strict=True):
            reason = f"loosely: {found.reason}" if passed and not found.passed else found.reason
            name = NAMES.get(constraint.kind, constraint.kind)
            parts.append(Score(name, float(passed), passed, reason=reason, spans=found.spans))
        whole = None if rag.value is None and all(verdict.loose) else all(verdict.loose) and rag.value == 1.0
        return Score("average", average, whole, tuple(parts))

    async def _rag(self, instruction: Instruction, response: Response) -> Score:
        if self.judge is None:
            value = token_recall(response.text, instruction.references)
            return Score("rag", value, reason=f"{value:.0%} of a known answer's words")
        prompt = Template.of("adhere.bench.followrag", "rag_judge").render(
            question=instruction.meta["question"],
            answers=" / ".join(instruction.references[:LONGEST_LIST]),
            response=response.text,
        )
        try:
            found = (await label_probabilities(self.judge, prompt, tuple(RATINGS))).probabilities
        except ModelError as error:
            return judge_failed("rag", error)
        known = {label: p for label, p in found.items() if p is not None}
        if not known:
            return Score("rag", reason="the judge chose none of A, B, C")
        best = max(known, key=known.__getitem__)
        return Score("rag", RATINGS[best], reason=f"the judge says {best} with probability {known[best]:.2f}")


def make_scorer(options: Options) -> FollowRAGScorer:
    """The scorer, with the judge where one is named."""
    if options.judge is None:
        return FollowRAGScorer()
    from adhere.score.judges.faithfulness import judging_model

    return FollowRAGScorer(judging_model(options.judge))


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The paper's figures, over instructions and not over answers; a failed row keeps none and answers nothing."""
    strict: list[bool] = []
    loose: list[bool] = []
    owners: list[str] = []
    cells: list[tuple[int, int, float]] = []
    for s in scored:
        kept_strictly, kept = _kept(s)
        strict += kept_strictly
        loose += kept
        owners += [s.instruction.id] * len(kept)
        cells.append((sum(kept), len(kept), _value(s, "rag")))
    return {
        "instruction_loose": share(loose, owners),
        "instruction_strict": share(strict, owners),
        "paper_average": statistic(_average, cells, [s.instruction.id for s in scored]),
    }


def _average(cells: Sequence[tuple[int, int, float]]) -> float | None:
    """(share of all instructions kept + mean RAG score) / 2."""
    asked = sum(n for _, n, _ in cells)
    return (sum(k for k, _, _ in cells) / asked + sum(r for *_, r in cells) / len(cells)) / 2 if asked else None


def _kept(s: Scored) -> tuple[list[bool], list[bool]]:
    """Of each instruction, whether it is kept strictly and loosely."""
    if s.response is None:
        nothing = [False] * len(s.instruction.constraints)
        return nothing, nothing
    verdict = verify(s.response.text, [checker(c) for c in s.instruction.constraints])
    return [v.passed is True for v in verdict.strict], list(verdict.loose)


def _value(s: Scored, name: str) -> float:
    parts = s.score.parts if s.score is not None else ()
    return next((p.value or 0.0 for p in parts if p.name == name), 0.0)


def _flag(name: str, passed: bool) -> Score:
    return Score(name, float(passed), passed)
