"""Simulated annotators: a pool of prompted models that disagree, with each other and with themselves, as people do.

Dubois et al. 2023, "AlpacaFarm: A Simulation Framework for Methods that Learn from Human Feedback" (arXiv 2305.14387,
section 3). For each pair one member of the pool is drawn, the two outputs are shown in a random order, and with a
chance of 2 p the label is a fair coin instead (so that it is wrong p of the time): p = 0.25 for training data, which
gives the labels the variance of crowdworkers (`annotators_quality.fit_noise`), 0 for evaluation.

    judge = SimulatedAnnotators(model)                       # labels for training: noisy, binary
    judge = resolve_judge("annotators(model=smollm2, p_flip=0)")
    (await judge.compare(instruction, a, b)).verdict
    await judge.votes(instruction, a, b, n=4)                # several annotators of one pair

Every draw is seeded by the texts of the pair, so that a second run agrees with the first whatever the order. What
differs from AlpacaFarm: verdicts are read off the labels' probabilities and drawn from them at the annotator's
temperature, instead of sampled as text and parsed by regular expressions (a model that says none of its labels gives no
verdict: it is None, counted, and never a draw); and one pair is asked at a time (see `preferences/pool.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import UsageError
from adhere.models.base import Sampling
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Message
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import Order, Preference, Side, preference, tie
from adhere.score.judges.digit import question_of
from adhere.score.judges.verdict import VerdictReader, fitted
from adhere.score.preferences.pool import POOL, Annotator, model_of, prompt_of

__all__ = ["P_FLIP", "SimulatedAnnotators"]

NAME = "annotators"
P_FLIP = 0.25  # section 3: of training preferences
REASON_TOKENS = 80
LONGEST_REASON = 1_000  # characters
SCALE = 2**31  # `derive` gives 31 bits


@register(NAME, paper="alpaca-farm")
class SimulatedAnnotators:
    """A judge of pairs that draws another annotator for every pair.

    Args:
        model: Who plays all annotators.
        models: Several models instead, the strongest first: the pool of thirteen is dealt over them in blocks, five,
            four and four for three.
        p_flip: How often a label is flipped, 0 to 0.5.
        graded: Give the annotator's probability instead of a drawn label: for evaluation, without noise.
        seed: Another one gives other annotators, orders and flips; so does another seed of the run.

    Raises:
        UsageError: without a model, for a `p_flip` outside 0 to 0.5, or noise on graded preferences.
    """

    def __init__(
        self,
        model: Answerer | None = None,
        models: Sequence[Answerer] = (),
        p_flip: float = P_FLIP,
        graded: bool = False,
        seed: int = 0,
    ) -> None:
        playing = [*models] or ([model] if model is not None else [])
        if not playing:
            raise UsageError(f"{NAME} needs a model", hint=f"Write {NAME}(model=smollm2)")
        if not 0 <= p_flip <= 0.5:
            raise UsageError(f"{NAME}: p_flip is {p_flip}", hint="It is how often a label is flipped, 0 to 0.5")
        if graded and p_flip:
            raise UsageError(f"{NAME}: noisy labels are binary, not graded", hint="Write p_flip=0 with graded=true")
        self.model = playing[0]
        self.models = playing
        self.p_flip = p_flip
        self.graded = graded
        self.seed = seed
        self._readers = [VerdictReader(base_model(m)) for m in playing]

    def __repr__(self) -> str:
        names = [base_model(m).name for m in self.models]
        return f"SimulatedAnnotators(models={names!r}, p_flip={self.p_flip!r}, graded={self.graded!r})"

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """One annotator's preference, flipped where the noise says so; two equal outputs are a draw without a call.

        `details` tells the annotator's name, and whether the label is noise. Within a run, each sample (draw) of a row
        is another annotator's.

        Raises:
            ModelError: if the call failed for good.
        """
        return await self._vote(instruction, a, b, context.current().sample)

    async def votes(self, instruction: Instruction, a: str, b: str, n: int = 4) -> list[float | None]:
        """`n` independent annotations of one pair, each as b's share: 0, 1, 0.5 for a draw, None for no verdict."""
        found = await asyncio.gather(*(self._vote(instruction, a, b, vote) for vote in range(n)))
        return [f.probability_b for f in found]

    async def _vote(self, instruction: Instruction, a: str, b: str, vote: int) -> Preference:
        if a == b:  # before the noise, as in the reference
            return tie("the two outputs are the same text")
        question = question_of(instruction)

        run = context.current().seed

        def drawn(purpose: str) -> float:
            return derive(purpose, self.seed, run, vote, question, a, b) / SCALE

        if drawn("noise") < 2 * self.p_flip:
            side: Side = "b" if drawn("coin") < 0.5 else "a"
            return Preference(float(side == "b"), side, "label noise: a fair coin", (), {"noise": True})
        position = int(drawn("annotator") * len(POOL))
        first: Side = "a" if drawn("order") < 0.5 else "b"
        texts = (a, b) if first == "a" else (b, a)

        async def attempt(given: tuple[str, ...]) -> Order:
            return await self._ask(position, question, given, first)

        order, cut = await fitted(texts, attempt)
        details = {"annotator": POOL[position].name} | ({"cut_at": cut} if cut else {})
        if order.probability_b is None or self.graded:
            return preference([order], **details)
        b_wins = drawn("verdict") < _tempered(order.probability_b, POOL[position].temperature)
        return Preference(float(b_wins), "b" if b_wins else "a", order.reason, (order,), details)

    async def _ask(self, position: int, question: str, given: tuple[str, ...], first: Side) -> Order:
        annotator: Annotator = POOL[position]
        chosen = model_of(position, len(self.models))
        turns = [Message("user", prompt_of(annotator, question, *given))]
        reason = ""
        if annotator.reasons:
            sampling = Sampling(max_tokens=REASON_TOKENS, temperature=annotator.temperature)
            reason = (await base_model(self.models[chosen]).generate(turns, sampling)).text.strip()[:LONGEST_REASON]
            again = Template.of("adhere.score", "annotator_verdict").text
            turns += [Message("assistant", reason)] if reason else []
            turns.append(Message("user", again))
        found = await self._readers[chosen].read(turns, annotator.labels)
        if found.probabilities is None:
            return Order(first, None, found.way, found.note)
        second = found.probabilities[annotator.labels[1]]
        return Order(first, second if first == "a" else 1 - second, found.way, reason)


def _tempered(p: float, temperature: float) -> float:
    """A probability at another temperature.

    >>> _tempered(0.8, 1.0), round(_tempered(0.8, 0.5), 3), _tempered(0.8, 0.0)
    (0.8, 0.941, 1.0)
    """
    if temperature == 1 or p in (0.0, 0.5, 1.0):
        return p
    if temperature == 0:
        return float(p > 0.5)
    return 1 / (1 + math.exp(-math.log(p / (1 - p)) / temperature))
