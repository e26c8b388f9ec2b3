"""Judges of pairs: which of two answers is the better one, and what every judge says in the same form.

    judge = resolve_judge("openai:gpt-4o@https://…")       # or "smollm2", "revis(model=smollm2)", "overlap"
    found = await judge.compare(instruction, a, b)
    found.verdict, found.probability_b                     # "a" | "b" | "tie" | None, 0.27

Anything with `compare` is a judge of pairs. Here are those that stand on other parts: `ByScore` (any scorer: the higher
score wins) and `Recorded` (verdicts that lie in the data already). `judges/pairwise.py`, `judges/pointwise.py` and
`judges/revis.py` ask models.

A judge is asked in both orders wherever it may have a taste for a position. Where the two disagree the probabilities
are averaged, and the disagreement is kept (`orders`): it is what position bias is measured from. No verdict is None: it
is counted as such and is never a tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from adhere.errors import ModelError, UnknownNameError, UsageError, did_you_mean
from adhere.partspec import Call, parse
from adhere.records import Instruction, Record, Response, Score
from adhere.registry import parts, register
from adhere.roles import Answerer, Scorer

__all__ = [
    "ByScore",
    "Order",
    "PairJudge",
    "Preference",
    "Side",
    "average",
    "failure_in",
    "judge_failed",
    "preference",
    "resolve_judge",
    "tie",
]

Side = Literal["a", "b"]
Decision = Literal["a", "b", "tie"]
FAILED = "the judge failed: "


class Order(Record, omit_defaults=False):
    """What a judge said when it saw the answers in one order.

    Attributes:
        first: Which answer stood first.
        probability_b: That b is the better one; None: no verdict.
        way: How it was read: "logprobs", "constrained", "parsed", or "recorded".
        reason: What it wrote before, or why there is no verdict.
    """

    first: Side
    probability_b: float | None
    way: str = "logprobs"
    reason: str = ""

    @property
    def verdict(self) -> Decision | None:
        """Which it prefers in this order."""
        return _decision(self.probability_b)


class Preference(Record, omit_defaults=False):
    """Which of two answers is better.

    Attributes:
        probability_b: That b is, the mean over the orders; 0 or 1 from a judge without degrees; None: no verdict.
        verdict: "a" below a half, "b" above, "tie" at exactly a half; None: no verdict.
        reason: In words.
        orders: What was said in each order that was asked; empty where a judge has no orders (a metric).
        details: Anything else the judge tells, as plain JSON.
    """

    probability_b: float | None
    verdict: Decision | None
    reason: str = ""
    orders: tuple[Order, ...] = ()
    details: dict[str, Any] = {}

    @property
    def flipped(self) -> bool | None:
        """Whether swapping the answers changed the verdict; None where that is not known."""
        if len(self.orders) < 2 or any(o.verdict is None for o in self.orders):
            return None
        return len({o.verdict for o in self.orders}) > 1


@runtime_checkable
class PairJudge(Protocol):
    """Says which of two answers to an instruction is better."""

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """Compare two answers.

        Raises:
            ModelError: if the model behind it failed for good.
        """
        ...


def preference(orders: Sequence[Order], **details: Any) -> Preference:
    """One preference of what was said in the orders: the mean probability, or none if an order is without a verdict.

    One order alone would carry the judge's taste for a position into the verdict, so it does not stand for both.
    """
    given = [order.probability_b for order in orders]
    said = " ".join(dict.fromkeys(order.reason for order in orders if order.reason))
    if not given or None in given:
        return Preference(None, None, said or "no verdict", tuple(orders), details)
    p = math.fsum(value for value in given if value is not None) / len(given)
    return Preference(p, _decision(p), said or f"P(b is better) = {p:.2f}", tuple(orders), details)


def average(found: Sequence[Preference]) -> Preference:
    """The mean of several preferences on one pair (of a panel, of several references); none if one has no verdict.

    Raises:
        UsageError: for no preferences at all.
    """
    if not found:
        raise UsageError("no preferences to average")
    orders = tuple(order for p in found for order in p.orders)
    details = {"parts": [p.details for p in found]}
    lacking = next((p for p in found if p.probability_b is None), None)
    if lacking is not None:
        return Preference(None, None, lacking.reason, orders, details)
    mean = math.fsum(p.probability_b or 0.0 for p in found) / len(found)
    return Preference(mean, _decision(mean), " / ".join(p.reason for p in found), orders, details)


def tie(reason: str, **details: Any) -> Preference:
    """A tie that needs no judge."""
    return Preference(0.5, "tie", reason, (), details)


def judge_failed(name: str, error: ModelError) -> Score:
    """The undecided score of a judge whose call failed for good, in grades whose other parts stand without it."""
    return Score(name, reason=f"{FAILED}{error.message}")


def failure_in(score: Score) -> str:
    """What a score, or the first of its parts that does, says of a judge that failed; "" where none did."""
    return next((part.reason for part in (score, *score.parts) if part.reason.startswith(FAILED)), "")


def _decision(p: float | None) -> Decision | None:
    if p is None:
        return None
    return "tie" if p == 0.5 else ("b" if p > 0.5 else "a")


@register("by_score")
class ByScore:
    """Any scorer as a judge of pairs: the answer with the higher value is better, equal values are a tie.

    Args:
        scorer: Scores one answer; a value of None is no verdict.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def __repr__(self) -> str:
        return f"ByScore({self.scorer!r})"

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """As the class says. Raises what the scorer raises."""
        one, other = [await self.scorer.score(instruction, Response(text)) for text in (a, b)]
        if one.value is None or other.value is None:
            lacking = one if one.value is None else other
            return Preference(None, None, f"no score: {lacking.reason}")
        p = 0.5 if one.value == other.value else float(other.value > one.value)
        reason = f"{one.name}: a {one.value:.4g}, b {other.value:.4g}"
        return Preference(p, _decision(p), reason, (), {"a": one.value, "b": other.value})

    async def score(self, instruction: Instruction, response: Response) -> Any:
        """The scorer's own score."""
        return await self.scorer.score(instruction, response)


@register("recorded")
class Recorded:
    """Verdicts that came with the data, under `meta["verdicts"][name]`: `[in the given order, swapped]`, or one.

    Each is "1"/"a" or "2"/"b", already mapped back to the answer that it means; anything else is no verdict.

    Args:
        name: Which of them, e.g. "GPT-4/Vanilla".
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Recorded({self.name!r})"

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """The recorded verdict; it does not look at the answers.

        Raises:
            UsageError: if the row has none of that name.
        """
        there = instruction.meta.get("verdicts") or {}
        if self.name not in there:
            known = did_you_mean(self.name, there) or f"It has: {', '.join(sorted(there)) or 'none'}"
            raise UsageError(f"row '{instruction.id}' has no verdict named '{self.name}'", hint=known)
        given = there[self.name]
        both = given if isinstance(given, list) else [given]
        sides: tuple[Side, ...] = ("a", "b")
        found = [Order(s, _P_B.get(str(v).strip().lower()), "recorded") for s, v in zip(sides, both, strict=False)]
        return preference(found)


_P_B = {"1": 0.0, "a": 0.0, "2": 1.0, "b": 1.0}


def resolve_judge(spec: str | Call | PairJudge, answerer: Answerer | None = None) -> PairJudge:
    """The judge of pairs that a text stands for; a judge stands for itself.

    Args:
        spec: A registered judge (`pairwise(model=…)`, `pointwise`, `revis(…)`, `recorded('GPT-4/CoT')`), any registered
            or saved scorer (the higher score wins), or a model's name, which judges `pairwise`.
        answerer: The model of judges that name none, such as a plain `pairwise`.

    Raises:
        UnknownNameError: with the nearest names, where it is neither a judge, a scorer nor a model.
        UsageError: for arguments that cannot be used, or a judge that needs a model and has none.
        WeightsError: for a model that cannot be had.
    """
    from adhere.score.resolve import resolve

    if not isinstance(spec, str | Call):
        return spec
    call = parse(spec) if isinstance(spec, str) else spec
    known = parts("score")
    if call.name in known or not call.bare:
        found = resolve(call, answerer)
        return found if isinstance(found, PairJudge) else ByScore(found)
    try:
        return ByScore(resolve(call, answerer))  # the folder of a saved scorer
    except UnknownNameError:
        return _of_model(call.name, known)


def _of_model(name: str, known: Any) -> PairJudge:
    from adhere.models.names import load
    from adhere.score.judges.pairwise import PairwiseJudge

    try:
        return PairwiseJudge(load(name))
    except UnknownNameError as error:
        raise UnknownNameError(
            f"'{name}' is neither a judge nor a model",
            hint=did_you_mean(name, known)
            or f"Write e.g. pairwise, revis(model=smollm2) or a model's name. {error.hint}",
        ) from error
