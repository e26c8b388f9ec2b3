"""Ask the candidate that is most likely to answer well: `route`, after `adhere route train pool.toml questions.jsonl`.

Model-SAT ("Capability Instruction Tuning: A New Paradigm for Dynamic LLM Routing", AAAI 2025): every candidate took one
aptitude test; a learned router reads its record and the instruction and scores it before anything is answered; only the
best one answers. Candidates are models or strategies, and a cost can be set against the score. See `routing/router.py`
for what is learnt and what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adhere.answer.base import Strategy, Trace, draw
from adhere.answer.routing.aptitude import check_capabilities
from adhere.answer.routing.baselines import best_choice
from adhere.answer.routing.pool import LAST, answerers, last_router, open_candidates
from adhere.answer.routing.router import CapabilityRouter
from adhere.errors import UsageError
from adhere.records import Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["Route"]


@register("route", paper="model-sat")
class Route(Strategy):
    """The answer of the candidate with the best score after its cost.

    An instruction that is far from everything in the aptitude test goes to the candidate with the best mean.

    Args:
        model: For candidates without a model of their own; not needed with `zoo`.
        router: A trained router, its folder, or "last" for the one trained last.
        cost_weight: What one unit of cost is worth in probability of a good answer.
        zoo: The candidates by name; those of the router's pool where not given.

    Raises:
        UsageError: for a candidate without a capability record, or where there is no router or no candidate.
        DataError: if the folder holds no router.
    """

    def __init__(
        self,
        model: Answerer | None = None,
        router: CapabilityRouter | str = LAST,
        cost_weight: float = 0.0,
        zoo: Mapping[str, Answerer] | None = None,
    ) -> None:
        # "last" is another router tomorrow: the folder is what a result should name.
        self.router = str(last_router()) if router == LAST else router
        self.cost_weight = cost_weight
        self.zoo = zoo
        self.scorer, kept = _opened(self.router)
        pool = open_candidates(kept)
        self.costs = {name: candidate.cost for name, candidate in pool.items()}
        self.candidates = answerers(pool, model) if zoo is None else dict(zoo)
        if not self.candidates:
            raise UsageError("there is no candidate to route to", hint="Give zoo={name: answerer}, or train a router")
        check_capabilities(self.candidates, self.scorer.candidates)
        self.model = model if model is not None else next(iter(self.candidates.values()))

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """The chosen candidate's answer."""
        found = await self.scorer.judge(instruction)
        scores = {name: score for name, score in found.scores.items() if name in self.candidates}
        if found.far:
            chosen = max(self.candidates, key=lambda name: self.scorer.candidates[name].mean)
            because = f"far from the aptitude test (nearest group {found.nearest:.2f}): best mean"
        else:
            chosen = best_choice(scores, self.costs, self.cost_weight)
            because = "best score" + (f" after {self.cost_weight:g} x cost" if self.cost_weight else "")
        trace.add("route", scores={k: round(v, 4) for k, v in scores.items()}, chosen=chosen, because=because)
        return await draw(self.candidates[chosen], instruction)


def _opened(router: CapabilityRouter | str) -> tuple[CapabilityRouter, dict[str, Any]]:
    """The router, and the pool that its folder keeps."""
    if isinstance(router, CapabilityRouter):
        return router, {}
    import adhere
    from adhere.score import saved

    made = CapabilityRouter.load(router, adhere.load("minilm"))
    return made, saved.read(router).config.get("pool", {})
