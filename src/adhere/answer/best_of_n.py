"""Best-of-n: draw several answers, keep the one that a scorer likes best.

Two papers use it. AlpacaFarm (Dubois et al. 2023, arXiv 2305.14387): n = 16 answers drawn alike at temperature 1.0 and
top-p 0.9, picked by a reward model. Cappy (Tan et al. 2023, arXiv 2311.06720): one deterministic answer and 16 drawn
ones, picked by a small scorer. `BestOfN(model, n=16, scorer=…, temperature=1.0, top_p=0.9, plain_first=False,
early_stop=False)` is the first; the defaults are nearer to the second: candidate 0 is what the model answers by itself,
which is usually its best single answer and costs no more than not using the strategy.

Ours: the early stop. Candidates are drawn in waves of 1, 1, 2, 4, 8…, and none is drawn once one is perfect, so that
constraints which most answers satisfy cost little more than one answer, and nobody waits for more than 1 + log2(n)
rounds. A scorer that compares candidates with each other (`rank`: majority, consensus) sees all n at once.

What best-of-k would have given for every k up to n, from one set of n candidates: `adhere.score.budget`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from adhere.answer.base import Strategy, Trace, base_model, draw
from adhere.engine.run import FATAL
from adhere.errors import ModelError, UsageError
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer, Scorer
from adhere.score.judges.critics import criticise
from adhere.score.resolve import resolve

__all__ = ["BestOfN", "perfect", "pick", "score_all"]


@register("best_of_n", paper="alpaca-farm")
class BestOfN(Strategy):
    """Draws up to `n` answers and keeps the best.

    Ties go to the earlier candidate, what a scorer cannot decide comes after everything that it can, an empty answer is
    kept only where all are empty, and a candidate whose call fails is noted and left out.

    Args:
        model: What answers.
        n: Candidates at most.
        scorer: A scorer or its name; its `value` decides, `passed` where there is no value.
        temperature: Of the drawn candidates.
        top_p: Of the drawn candidates.
        early_stop: Draw no more once a candidate passes with a value of at least 1.
        plain_first: Whether candidate 0 is the model's own answer, with its own sampling; otherwise all are drawn
            alike.

    Raises:
        UsageError: if `n` is below 1 or the temperature not above 0.
    """

    def __init__(
        self,
        model: Answerer,
        n: int = 8,
        scorer: Scorer | str = "constraints",
        temperature: float = 0.7,
        top_p: float = 1.0,
        early_stop: bool = True,
        plain_first: bool = True,
    ) -> None:
        if not isinstance(n, int) or n < 1:
            raise UsageError(f"best_of_n: n is {n!r}", hint="It is a number of candidates, at least 1")
        if temperature <= 0:
            raise UsageError(
                f"best_of_n: temperature is {temperature}", hint="Greedy candidates are all the same: give e.g. 0.7"
            )
        self.model = model
        self.n = n
        self.scorer = resolve(scorer, model)
        self.temperature = temperature
        self.top_p = top_p
        self.early_stop = early_stop
        self.plain_first = plain_first

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """The best candidate.

        Raises:
            ModelError: if every candidate failed.
        """
        candidates: dict[int, Response] = {}
        failures: dict[int, ModelError] = {}
        scores: dict[int, Score] = {}
        compares = hasattr(self.scorer, "rank")
        for wave in _waves(self.n, by_waves=self.early_stop and not compares):
            answers = await asyncio.gather(*(self._draw(instruction, index) for index in wave))
            for index, answer in zip(wave, answers, strict=True):
                if isinstance(answer, ModelError):
                    failures[index] = answer
                else:
                    candidates[index] = answer
            if not compares:
                await self._score_new(instruction, candidates, scores)
                if self.early_stop and any(perfect(scores[i]) and candidates[i].text.strip() for i in candidates):
                    break
        if not candidates:
            first = failures[min(failures)]
            raise ModelError(f"all {len(failures)} candidates failed; the first: {first.message}", hint=first.hint)
        order = sorted(candidates)
        if compares:
            found = await score_all(self.scorer, instruction, [candidates[i] for i in order])
            scores = dict(zip(order, found, strict=True))
        return self._choose(candidates, failures, scores, trace)

    async def _draw(self, instruction: Instruction, index: int) -> Response | ModelError:
        sampling: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p}
        if index == 0 and self.plain_first:
            sampling = {}
        if getattr(self.scorer, "reads_logprobs", False) and "token_logprobs" in base_model(self).info.capabilities:
            sampling["top_logprobs"] = 0
        try:
            return await draw(self.model, instruction, index, **sampling)
        except ModelError as error:
            return error

    async def _score_new(
        self, instruction: Instruction, candidates: dict[int, Response], scores: dict[int, Score]
    ) -> None:
        """Score what has no score yet; equal texts once."""
        known = {candidates[i].text: score for i, score in scores.items()}
        new = {c.text: c for _, c in sorted(candidates.items(), reverse=True) if c.text not in known}
        known |= dict(zip(new, await score_all(self.scorer, instruction, list(new.values())), strict=True))
        scores |= {i: known[c.text] for i, c in candidates.items()}

    def _choose(
        self,
        candidates: dict[int, Response],
        failures: dict[int, ModelError],
        scores: dict[int, Score],
        trace: Trace,
    ) -> Response:
        order = sorted(candidates)
        texts = [candidates[i].text for i in order]
        chosen = order[pick(texts, [scores[i] for i in order])]
        for index in sorted({*candidates, *failures}):
            if index in failures:
                reason = f"failed: {failures[index].message}"
                trace.add("candidate", index=index, text="", value=None, passed=None, reason=reason, failed=True)
                continue
            score, inner = scores[index], candidates[index].trace
            trace.add(
                "candidate",
                index=index,
                text=candidates[index].text,
                value=score.value,
                passed=score.passed,
                reason=score.reason,
                **({"trace": list(inner)} if inner else {}),
            )
        alike = len(order) > 1 and len(set(texts)) == 1
        because = _because(scores[chosen], len(order), self.n, alike, not candidates[chosen].text.strip())
        trace.add("choose", index=chosen, because=because, **({"no_choice": True} if alike else {}))
        return candidates[chosen]


def perfect(score: Score) -> bool:
    """Whether nothing can be better: it passed, with a value of at least 1 (or with none)."""
    return score.passed is True and (score.value is None or score.value >= 1)


def pick(texts: Sequence[str], scores: Sequence[Score]) -> int:
    """The index of the best candidate: text before no text, decided before undecided, value, verdict, the earlier."""
    return max(range(len(texts)), key=lambda i: (bool(texts[i].strip()), *_quality(scores[i]), -i))


def _quality(score: Score) -> tuple[bool, float, bool]:
    """(whether it is decided, how good, whether it passed): a verdict without a value counts as 1 or 0."""
    value = score.value
    if value is None and score.passed is not None:
        value = float(score.passed)
    decided = value is not None and not math.isnan(value)
    return decided, value if decided and value is not None else 0.0, score.passed is True


async def score_all(scorer: Scorer, instruction: Instruction, responses: Sequence[Response]) -> list[Score]:
    """The scores of several answers, seen together where the scorer compares them.

    A scorer that fails makes its verdict undecided, never a pass; what concerns every row (`FATAL`) is raised.
    """
    if not hasattr(scorer, "rank"):
        return list(await asyncio.gather(*(criticise(scorer, instruction, r) for r in responses)))
    try:
        return list(await scorer.rank(instruction, list(responses)))
    except FATAL:
        raise
    except Exception as error:
        reason = f"the scorer failed: {type(error).__name__}: {error}"
        return [Score("failed", reason=reason)] * len(responses)


def _waves(n: int, *, by_waves: bool) -> list[range]:
    """Indices of the candidates that are drawn together: 1, 1, 2, 4, …, each wave as many as all before it."""
    if not by_waves:
        return [range(n)]
    waves = [range(1)]
    while waves[-1].stop < n:
        drawn = waves[-1].stop
        waves.append(range(drawn, min(n, 2 * drawn)))
    return waves


def _because(score: Score, drawn: int, n: int, alike: bool, empty: bool) -> str:
    if empty:
        return "every candidate is empty"
    if alike:
        return f"all {drawn} candidates are the same text"
    if not _quality(score)[0]:
        return f"none of {drawn} could be judged: the first is kept"
    stopped = f", drawing stopped at {drawn} of {n}" if drawn < n and perfect(score) else f" of {drawn}"
    value = "passed" if score.value is None else f"{score.name} {score.value:.4g}"
    return f"the best{stopped}: {value}"
