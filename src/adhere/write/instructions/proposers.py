"""Who proposes instructions for a search: plug-ins, so that a writer that guesses badly can be helped.

reference   APE's forward template: a writer model completes "The instruction was to" after five pairs
insert      the gap form: [APE] stands where the instruction was (for chat and infilling models)
few_shot    other tasks with their instructions first, then the pairs: small base models need to see what is wanted
bank        no writer at all: a list of common instructions, the right one perhaps among them
mix         a third few_shot, the rest from the bank: the default, for small writers

`variations` asks for paraphrases of good ones (the paper's iterative Monte Carlo search, section 3.3).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from adhere.answer.base import ask, base_model
from adhere.engine.seeds import derive
from adhere.errors import UnknownNameError, UsageError, suggest
from adhere.models.prompts import Template
from adhere.records import Response
from adhere.roles import Answerer
from adhere.write.instructions.cleaning import Draft, clean, distinct
from adhere.write.instructions.tasks import SHOWN, Pair

__all__ = ["PROPOSERS", "Bank", "FewShot", "Mix", "Proposer", "Written", "proposer_of", "rendered_pairs", "variations"]

log = logging.getLogger("adhere")

PACKAGE = "adhere.write"
# The paper's sampling of drafts (repository, `configs/default.yaml`).
DRAFT = {"temperature": 0.9, "top_p": 0.9, "max_tokens": 50}
SUBSAMPLES = 5  # sets of pairs that drafts are spread over; the library's default (3 in its experiments)
EXAMPLES = 3  # other tasks in a few-shot prompt
FEW_SHOT_SHARE = 1 / 3  # of a mix
CHARACTERS_PER_TOKEN = 2.5  # a cautious guess of how long a prompt may be


class Proposer(Protocol):
    """Makes candidate instructions from pairs."""

    name: str

    async def propose(self, shown: Sequence[Pair], writer: Answerer | None, n: int, seed: int) -> list[Draft]:
        """About `n` drafts, cleaned, in a fixed order; some may be equal or empty.

        Args:
            shown: Pairs that may be looked at.
            writer: The model that writes; None is enough for a bank.
            n: How many.
            seed: Of every choice.

        Raises:
            UsageError: if a writer is needed and there is none.
        """
        ...


class Written:
    """Drafts that a model writes after seeing `k` pairs; several draws for each of several sets of pairs."""

    def __init__(self, name: str, template: str, k: int = SHOWN) -> None:
        self.name = name
        self.template = Template.of(PACKAGE, template)
        self.k = k

    def prompt(self, pairs: Sequence[Pair], rng: random.Random) -> str:
        """The writer's prompt for some pairs."""
        return self.template.render(pairs=rendered_pairs(pairs, rng))

    async def propose(self, shown: Sequence[Pair], writer: Answerer | None, n: int, seed: int) -> list[Draft]:
        """`n` drafts, spread over sets of `k` pairs; see `Proposer`."""
        if writer is None:
            raise UsageError(f"the proposer '{self.name}' needs a writer model", hint="Only 'bank' does without")
        rng = random.Random(derive(self.name, seed))
        prompts = [self._fitting(shown, writer, rng) for _ in range(min(SUBSAMPLES, n))]
        draws = [(prompts[at % len(prompts)], at // len(prompts)) for at in range(n)]
        written = await asyncio.gather(*(ask(writer, prompt, index, **DRAFT) for prompt, index in draws))
        return [_draft(response, self.name) for response in written]

    def _fitting(self, shown: Sequence[Pair], writer: Answerer, rng: random.Random) -> str:
        """The prompt with as many pairs as fit into the writer's context."""
        pairs = rng.sample(list(shown), min(self.k, len(shown)))
        room = base_model(writer).info.context
        prompt = self.prompt(pairs, random.Random(0))
        while room and len(pairs) > 1 and len(prompt) / CHARACTERS_PER_TOKEN > room - DRAFT["max_tokens"]:
            pairs.pop()
            prompt = self.prompt(pairs, random.Random(0))
            log.warning("%s: the pairs do not fit into %d tokens; %d are shown", self.name, room, len(pairs))
        return self.prompt(pairs, rng)


class FewShot(Written):
    """`Written`, with blocks of other tasks and their instructions before the pairs."""

    def __init__(self, k: int = SHOWN) -> None:
        super().__init__("few_shot", "ape_few_shot", k)
        self.blocks = Template.of(PACKAGE, "ape_few_shot_examples").text.split("\n===\n")

    def prompt(self, pairs: Sequence[Pair], rng: random.Random) -> str:
        """Three of the blocks, then the pairs."""
        examples = "\n\n".join(rng.sample(self.blocks, EXAMPLES))
        return self.template.render(examples=examples, pairs=rendered_pairs(pairs, rng))


class Bank:
    """Known instructions, drawn without a model.

    Args:
        instructions: To draw from; None takes the list that comes with Adhere.
    """

    name = "bank"

    def __init__(self, instructions: Sequence[str] | None = None) -> None:
        self.instructions = instructions or Template.of(PACKAGE, "ape_bank").text.splitlines()

    async def propose(self, shown: Sequence[Pair], writer: Answerer | None, n: int, seed: int) -> list[Draft]:
        """`n` of them at random, or all if there are fewer."""
        chosen = list(self.instructions)
        if n < len(chosen):
            chosen = random.Random(derive(self.name, seed)).sample(chosen, n)
        return [Draft(clean(text), text, self.name) for text in chosen]


class Mix:
    """Few-shot drafts and entries of a bank.

    Args:
        bank: Instead of the bank that comes with Adhere.
    """

    name = "mix"

    def __init__(self, bank: Bank | None = None) -> None:
        self.bank = bank or Bank()

    async def propose(self, shown: Sequence[Pair], writer: Answerer | None, n: int, seed: int) -> list[Draft]:
        """A third few-shot, the rest from the bank."""
        written = round(n * FEW_SHOT_SHARE)
        drafts = await FewShot().propose(shown, writer, written, seed) if written else []
        return drafts + await self.bank.propose(shown, None, n - written, seed)


PROPOSERS: dict[str, Callable[[], Proposer]] = {
    "reference": lambda: Written("reference", "ape_forward"),
    "insert": lambda: Written("insert", "ape_insert"),
    "few_shot": FewShot,
    "bank": Bank,
    "mix": Mix,
}


def proposer_of(name: str | Proposer) -> Proposer:
    """The proposer of a name; a proposer is itself.

    Raises:
        UnknownNameError: with the nearest names.
    """
    if not isinstance(name, str):
        return name
    if name not in PROPOSERS:
        raise UnknownNameError(f"unknown proposer '{name}'", hint=suggest(name, PROPOSERS))
    return PROPOSERS[name]()


async def variations(good: Sequence[str], writer: Answerer, n: int, round: int) -> list[Draft]:
    """`n` paraphrases, shared out over the instructions in `good`; `round` gives other draws each time."""
    template = Template.of(PACKAGE, "ape_paraphrase")
    draws = [(good[at % len(good)], at // len(good)) for at in range(n)]
    written = await asyncio.gather(
        *(ask(writer, template.render(instruction=text), 1000 * round + index, **DRAFT) for text, index in draws)
    )
    return distinct(_draft(response, "variation") for response in written)


def rendered_pairs(pairs: Sequence[Pair], rng: random.Random) -> str:
    """`Input:`/`Output:` blocks parted by blank lines; one of several accepted outputs is drawn."""
    return "\n\n".join(f"Input: {pair.input}\nOutput: {rng.choice(pair.outputs)}" for pair in pairs)


def _draft(response: Response, source: str) -> Draft:
    return Draft(clean(response.text, response.finish_reason == "length"), response.text, source)
