"""INSTINCT: search the instruction that a soft prompt makes an open model write, with a neural bandit.

"Use Your INSTINCT: INSTruction optimization for LLMs usIng Neural bandits Coupled with Transformers" (Lin et al., ICML
2024, arXiv 2310.02905), algorithm 1. Here: the loop. Beside it: `soft_prompts` (the search space), `bandits` (what to
try next), and what it shares with APE.

Differs from the repository: pairs are the same for all instructions (it draws them anew, and its cache then freezes a
lucky draw), a point is not tried twice, and log-likelihood can be the score as well.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError
from adhere.registry import register
from adhere.roles import Answerer
from adhere.write.instructions.allocators import Ledger
from adhere.write.instructions.bandits import Bandit, Choice, NeuralBandit, RandomChoice, State
from adhere.write.instructions.cleaning import Draft
from adhere.write.instructions.scoring import APE, Form, InstructionScorer, scorer_of
from adhere.write.instructions.search import PAIRS, InstructionSearch, program_of, ranked
from adhere.write.instructions.soft_prompts import Domain, SoftPromptProposer
from adhere.write.instructions.tasks import Task, split

__all__ = ["BUDGET", "INITIAL", "search_soft_prompt", "search_soft_prompt_async"]

log = logging.getLogger("adhere")

BUDGET = 165  # instructions tried (paper, section 4: 165 queries to the black box)
INITIAL = 40  # of them at random, before the network chooses
POOL = 1000  # points that the network looks at in a step
NO_EFFECT = "the soft prompt has no effect at this scale: all points give one text; raise scale"
ALL_EQUAL = "all scores were equal: points were chosen at random"


def search_soft_prompt(task: Task, writer: Answerer, answerer: Answerer, **options: Any) -> InstructionSearch:
    """`search_soft_prompt_async`, for synchronous callers; works in a notebook too."""
    from adhere.engine.sync import call

    return call(search_soft_prompt_async(task, writer, answerer, **options))


@register("instinct", paper="instinct")
async def search_soft_prompt_async(
    task: Task,
    writer: Answerer,
    answerer: Answerer,
    *,
    proposer: SoftPromptProposer | None = None,
    bandit: Bandit | None = None,
    scorer: str | InstructionScorer = "likelihood",
    budget: int = BUDGET,
    initial: int = INITIAL,
    pairs: int = PAIRS,
    form: Form = APE,
    seed: int = 0,
) -> InstructionSearch:
    """Search an instruction with `budget` tries.

    Args:
        task: Only `task.induce` is looked at.
        writer: A model in torch: it must show embeddings and hidden states.
        answerer: The model that the instruction is for; may be anything, a server included.
        proposer: The search space.
        bandit: What to try next; None is NeuralUCB.
        scorer: "likelihood" or "accuracy", or one.
        budget: Instructions tried, repeated wordings included, which cost nothing.
        initial: Of them at random.
        pairs: Scoring pairs.
        form: How instruction and input become a prompt.
        seed: Of every choice.

    Raises:
        UsageError: if the budget is not above the initial tries.
        CapabilityError: if the writer shows no hidden states; the hint names APE.
        DataError: if there are too few pairs, or no point gives an instruction.
    """
    if not 0 < initial < budget:
        raise UsageError(f"a budget of {budget} must be above the {initial} initial tries", hint="Raise --budget")
    parts = split(task.induce, seed=seed)
    ledger = Ledger(parts.scoring[:pairs], scorer_of(scorer, answerer, task.metric, form))
    space = proposer or SoftPromptProposer()
    domain = await asyncio.to_thread(space.open, writer, parts.shown, seed)
    loop = _Loop(domain, ledger, bandit or NeuralBandit(seed=derive("network", seed)), seed)
    with context.use(seed=seed):
        await loop.run(budget, initial)
    for note in loop.notes:
        log.warning("%s: %s", task.name, note)
    pool = [Draft(text, raw, space.name) for text, raw in loop.raws.items() if text]
    if not pool:
        raise DataError("no point of the search space gives an instruction", hint="Raise scale, or take --method ape")
    table = tuple(row for row in ranked(ledger, [*pool, Draft("", "", "")]) if row.instruction)
    # Ties go to the instruction tried last, as in the repository.
    last = {row["instruction"]: row["step"] for row in loop.steps}
    table = tuple(sorted(table, key=lambda row: (-(row.score or 0.0), -last[row.instruction])))
    settings = {"proposer": space.name, "scorer": ledger.scorer.name, "allocator": loop.bandit.name}
    settings |= {"calls": ledger.calls, "tries": len(loop.steps), "dropped": domain.dropped, "notes": loop.notes}
    best = program_of(table, form, "instinct", seed, writer, answerer, settings)
    return InstructionSearch(best, table, ledger.calls, ledger.scorer.name, tuple(loop.steps), tuple(loop.notes))


class _Loop:
    """One search: what was tried, what it scored, what to try next."""

    def __init__(self, domain: Domain, ledger: Ledger, bandit: Bandit, seed: int) -> None:
        import numpy as np

        self.domain, self.ledger, self.bandit = domain, ledger, bandit
        self.rng = np.random.default_rng(derive("instinct", seed))
        self.seen: list[int] = []
        self.scores: list[float] = []
        self.raws: dict[str, str] = {}
        self.steps: list[dict[str, Any]] = []
        self.notes: list[str] = []

    async def run(self, budget: int, initial: int) -> None:
        """Try `initial` points at random, then those that the bandit chooses."""
        import numpy as np

        if self.domain.dropped:
            self.notes.append(f"{self.domain.dropped} points had no finite hidden state and were left out")
        start = self.rng.permutation(len(self.domain.z))[:initial]
        await self.attempt([Choice(int(point)) for point in start])
        if len(self.raws) == 1 and len(start) > 1:
            self.notes.append(NO_EFFECT)
            return
        while len(self.seen) < min(budget, len(self.domain.z)):
            left = np.setdiff1d(np.arange(len(self.domain.z)), self.seen)
            pool = self.rng.choice(left, min(POOL, len(left)), replace=False)
            equal = min(self.scores) == max(self.scores)
            if equal and ALL_EQUAL not in self.notes:
                self.notes.append(ALL_EQUAL)
            bandit = RandomChoice() if equal else self.bandit
            state = State(self.domain.z, self.domain.hidden, self.seen, self.scores, pool, self.rng)
            await self.attempt([await asyncio.to_thread(bandit.choose, state)])

    async def attempt(self, choices: list[Choice]) -> None:
        """Let the writer write, score what is new."""
        written = await asyncio.to_thread(self.domain.write, [choice.point for choice in choices])
        for choice, (text, raw) in zip(choices, written, strict=True):
            cached = text in self.raws
            self.raws.setdefault(text, raw)
            self.ledger.add([text])
            at = self.ledger.candidates.index(text)
            await self.ledger.buy([at], len(self.ledger.pairs))
            score = float(self.ledger.means[at])
            self.seen.append(choice.point)
            self.scores.append(score)
            row = {"step": len(self.seen), "z": choice.point, "instruction": text, "score": score}
            self.steps.append(row | {"mu": choice.mu, "sigma": choice.sigma, "cached": cached})
