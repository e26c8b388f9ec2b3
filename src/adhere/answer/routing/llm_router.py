"""The router's other form: a language model reads a candidate's record and the instruction, and says Yes or No.

Model-SAT (AAAI 2025), sections 3.3 and 3.4, in the form of its published code: no encoder, the record stands in the
prompt as text. The score is the probability of Yes against No at the first position (the published code compares raw
Yes logits of different prompts, which drift with their lengths), averaged over the given order of the record's groups
and two shuffled ones. Nothing is cut off: a record that does not fit the model's context is an error. (The published
limit of 512 tokens cuts half of its own 50 groups.)

`adhere.train.router` tunes the language model for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

from adhere.answer.routing.aptitude import Capability, capability_text
from adhere.models.model import Model
from adhere.models.prompts import Template
from adhere.records import Instruction
from adhere.score.labels import label_probabilities

__all__ = ["LLMRouter", "orders_of"]

ORDERS = 3  # the given one and two shuffles
YES, NO = "Yes", "No"


class LLMRouter:
    """Scores candidates by asking a language model about each.

    Args:
        model: With token log-probabilities.
        capabilities: The candidates' records by name.
        orders: How many orders of a record's groups are averaged; the first is as given.
        seed: Of the shuffles, the same for all candidates.
    """

    def __init__(
        self, model: Model, capabilities: Mapping[str, Capability], orders: int = ORDERS, seed: int = 0
    ) -> None:
        self.model = model
        self.capabilities = dict(capabilities)
        self.orders = orders
        self.seed = seed

    def __repr__(self) -> str:
        return f"LLMRouter({self.model.name!r}, {sorted(self.capabilities)}, orders={self.orders}, seed={self.seed})"

    async def scores(self, instruction: Instruction) -> dict[str, float]:
        """Probability of Yes by candidate, averaged over the orders.

        Raises:
            CapabilityError: if the model gives no log-probabilities.
            ModelError: if a call failed, or the record does not fit into the context.
        """
        found = await asyncio.gather(*(self.by_order(instruction, name) for name in self.capabilities))
        return {name: sum(p) / len(p) for name, p in zip(self.capabilities, found, strict=True)}

    async def by_order(self, instruction: Instruction, candidate: str) -> list[float]:
        """Probability of Yes for one candidate in each order; 0.5 where the model says neither."""
        record = self.capabilities[candidate]
        texts = [capability_text(record, order) for order in orders_of(len(record.groups), self.orders, self.seed)]
        template = Template.of("adhere.answer", "route_capability")
        prompts = [template.render(capability=text, instruction=instruction.prompt) for text in texts]
        found = await asyncio.gather(*(label_probabilities(self.model, prompt, (YES, NO)) for prompt in prompts))
        shares = [labels.probabilities[YES] for labels in found]
        return [0.5 if share is None else share for share in shares]


def orders_of(groups: int, orders: int, seed: int) -> list[Sequence[int]]:
    """The order as given, then shuffles."""
    rng = random.Random(seed)
    return [range(groups), *(rng.sample(range(groups), groups) for _ in range(orders - 1))]
