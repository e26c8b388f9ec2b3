"""APE: propose instructions, score them on held-back pairs, keep the best; optionally vary the best and go on.

"Large Language Models Are Human-Level Prompt Engineers" (Zhou et al., ICLR 2023, arXiv 2211.01910), algorithm 1. Here:
splitting, deduplication, the search itself and the iterative Monte Carlo variant. Beside it: `proposers`, `scoring`,
`allocators`, `tasks`, `metrics`.

Differs from the reference: common pairs and greedy answers for all candidates (it draws pairs for each), first-seen
order (it sorts by a set's hash order), the simple interface's proposing and scoring on the same data is not copied,
and drafts are cleaned before deduplication, with the raw text kept in the result.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from adhere.answer.base import base_model
from adhere.answer.prompt_program import PromptProgram
from adhere.engine import context
from adhere.errors import DataError, UsageError
from adhere.registry import register
from adhere.roles import Answerer
from adhere.write.instructions.allocators import Allocator, Ledger, allocator_of
from adhere.write.instructions.cleaning import Draft, distinct
from adhere.write.instructions.proposers import Proposer, proposer_of, variations
from adhere.write.instructions.scoring import APE, Form, InstructionScorer, scorer_of
from adhere.write.instructions.tasks import Pair, Task, split

__all__ = ["Candidate", "InstructionSearch", "evaluate_instruction", "search_instruction", "search_instruction_async"]

log = logging.getLogger("adhere")

CANDIDATES = 50  # the repository's simple interface
PAIRS = 20  # scoring pairs of the paper's induction experiments
KEPT = 0.25  # of the candidates that a Monte Carlo round varies
TRACED = 20  # candidates that a program's trace names


class Candidate(NamedTuple):
    """One row of the ranked table.

    Attributes:
        instruction: After cleaning.
        score: Mean over `n` pairs; None where it was never scored.
        n: Pairs it was scored on.
        source: The proposer that made it.
        raw: As it was written.
    """

    instruction: str
    score: float | None
    n: int
    source: str
    raw: str


class InstructionSearch(NamedTuple):
    """What a search found.

    Attributes:
        best: The best candidate as a prompt program.
        table: All candidates, best first, the unscored ones last.
        calls: Scoring calls (candidate times pair) that were made.
        scorer: "likelihood" or "accuracy": what was used in the end.
        steps: One row per step, of searches that go step by step (INSTINCT).
        notes: What the user should know, e.g. that all rewards were equal.
    """

    best: PromptProgram
    table: tuple[Candidate, ...]
    calls: int
    scorer: str
    steps: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def search_instruction(task: Task, writer: Answerer | None, answerer: Answerer, **options: Any) -> InstructionSearch:
    """`search_instruction_async`, for synchronous callers; works in a notebook too."""
    from adhere.engine.sync import call

    return call(search_instruction_async(task, writer, answerer, **options))


@register("ape", paper="ape")
async def search_instruction_async(
    task: Task,
    writer: Answerer | None,
    answerer: Answerer,
    *,
    proposer: str | Proposer = "mix",
    scorer: str | InstructionScorer = "likelihood",
    allocator: str | Allocator = "full",
    candidates: int = CANDIDATES,
    pairs: int = PAIRS,
    budget: int | None = None,
    rounds: int = 0,
    form: Form = APE,
    seed: int = 0,
) -> InstructionSearch:
    """Search the instruction that makes `answerer` do a task.

    Args:
        task: What it should do; only `task.induce` is looked at.
        writer: Proposes; None with the proposer "bank".
        answerer: The model that the instruction is for.
        proposer: Name in `PROPOSERS`, or one.
        scorer: "likelihood" or "accuracy", or one.
        allocator: "full", "ucb" or "halving", or one.
        candidates: Drafts to ask for.
        pairs: Scoring pairs, all there are if fewer.
        budget: Scoring calls (candidate times pair); None scores everything.
        rounds: Of iterative Monte Carlo search: paraphrase the best quarter, score, repeat.
        form: How instruction and input become a prompt.
        seed: Of every choice.

    Raises:
        DataError: if there are too few pairs, or no draft holds an instruction.
        UsageError: if the budget is too small, or numbers make no sense.
        UnknownNameError: for unknown names.
    """
    if candidates < 1 or pairs < 1 or rounds < 0 or (budget is not None and budget < 1):
        raise UsageError("candidates, pairs and budget must be at least 1, rounds at least 0")
    allocate, propose = allocator_of(allocator), proposer_of(proposer)
    parts = split(task.induce, seed=seed)
    graded = scorer_of(scorer, answerer, task.metric, form)
    with context.use(seed=seed):
        drafts = await propose.propose(parts.shown, writer, candidates, seed)
        pool = distinct(drafts)
        if not pool:
            raws = "; ".join(repr(draft.raw[:80]) for draft in drafts[:5])
            raise DataError(f"none of {len(drafts)} drafts holds an instruction: {raws}", hint="Take another writer")
        ledger = Ledger(parts.scoring[:pairs], graded, budget)
        ledger.add(draft.text for draft in pool)
        await allocate(ledger, _share(ledger, rounds + 1))
        for number in range(1, rounds + 1):
            if writer is None:
                raise UsageError("Monte Carlo rounds need a writer model")
            good = [ledger.candidates[i] for i in ledger.ranking()[: max(1, math.ceil(KEPT * len(pool)))]]
            pool = distinct([*pool, *await variations(good, writer, candidates, number)])
            ledger.add(draft.text for draft in pool)
            await allocate(ledger, _share(ledger, rounds + 1 - number))
    if ledger.failed:
        log.warning("%d of %d scoring calls failed and count as the worst score", ledger.failed, ledger.calls)
    name = allocator if isinstance(allocator, str) else getattr(allocator, "__name__", repr(allocator))
    settings = {"proposer": propose.name, "scorer": graded.name, "allocator": name, "calls": ledger.calls}
    table = ranked(ledger, pool)
    best = program_of(table, form, "ape", seed, writer, answerer, settings | {"drafts": len(drafts), "rounds": rounds})
    return InstructionSearch(best, table, ledger.calls, graded.name)


async def evaluate_instruction(instruction: str, pairs: Sequence[Pair], scorer: InstructionScorer) -> list[float]:
    """The score of one instruction ("" for none) on each of `pairs`; a failed call counts as the worst."""
    ledger = Ledger(pairs, scorer)
    ledger.add([instruction])
    await ledger.buy([0], len(ledger.pairs))
    return ledger.values[0].tolist()


def ranked(ledger: Ledger, pool: Sequence[Draft]) -> tuple[Candidate, ...]:
    """The ledger as a table."""
    drafts = {draft.text: draft for draft in pool}
    means, counts = ledger.means, ledger.counts
    return tuple(
        Candidate(
            text := ledger.candidates[i],
            float(means[i]) if counts[i] else None,
            int(counts[i]),
            drafts[text].source,
            drafts[text].raw,
        )
        for i in ledger.ranking()
    )


def program_of(
    table: Sequence[Candidate],
    form: Form,
    method: str,
    seed: int,
    writer: Answerer | None,
    answerer: Answerer,
    settings: dict[str, Any],
) -> PromptProgram:
    """The first of a ranked table as a prompt program that tells how it was found."""
    best = table[0]
    search = {"step": "search", **settings, "candidates": len(table)}
    rows = [{"step": "candidate", **row._asdict()} for row in table[:TRACED]]
    return msgspec.structs.replace(
        form.program(best.instruction),
        score=best.score,
        n=best.n,
        method=method,
        writer=base_model(writer).name if writer is not None else "",
        answerer=base_model(answerer).name,
        seed=seed,
        trace=(search, *rows),
    )


def _share(ledger: Ledger, phases: int) -> float:
    """What one of the phases that are left may spend."""
    return ledger.left if ledger.left == math.inf else ledger.left // phases
