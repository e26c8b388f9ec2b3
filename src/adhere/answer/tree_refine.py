"""SPaR's tree-search refinement as a strategy (Cheng et al. 2024, arXiv 2412.11605: its search, used when answering).

    better = TreeRefine(model, critic="program")
    (await better.answer(instruction)).trace        # one `node` step for every node of the tree, then `choose`

The plain answer is the root. Each node is refined into `branch` children, drawn at temperature 0.7 from a conversation
of three turns (judge this answer · the critique · correct it). A critic that writes another judgement each time
(`stochastic`, as `reasoning_judge`) votes `votes` times, and a node's value is the share of Yes; with any other critic
it is the critic's own value, the share of constraints met, say. Breadth first ("bfs"): the `beam` best nodes of each
level are refined, and a level is finished before it is looked at; "dfs" goes down from the best child.

What differs from the reference (thu-coai/SPaR):
- The gate is on the votes for "every requirement is met". A critic that says so once for all decides it alone; with the
  share of met constraints a gate of 0.5 would end the search at half an answer. Only a critic without any verdict is
  held to its value.
- The root keeps its true value instead of 0, and it is returned, with `improved` false, when no child is better; the
  reference returns a child even if all are worth nothing, and loses the sample when none is valid.
- Refinements are whole answers, without [[start]] and [[end]], which small models do not write.

The training half of SPaR is `adhere.train`'s.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from adhere.answer.base import Strategy, Trace, draw
from adhere.answer.decompose import Decomposition, decomposer
from adhere.engine import context
from adhere.errors import ModelError, UsageError
from adhere.models.names import load
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer, Scorer
from adhere.score.judges.critics import criticise
from adhere.score.resolve import resolve

__all__ = ["Node", "TreeRefine"]

REFINE_TEMPERATURE = VOTE_TEMPERATURE = 0.7  # both from the repository's configuration
TIES = 3  # times that an exact tie is voted on again


class Judged(NamedTuple):
    """What the critic made of a text.

    Attributes:
        value: Share of Yes among the votes, or the critic's own value; None where it could not be had.
        accepted: Share of verdicts that say everything is met; for a critic without verdicts its value.
        votes: Each verdict; None for one that failed.
        critique: What is wrong: the first judgement that agrees with the majority, or the unmet constraints.
    """

    value: float | None
    accepted: float
    votes: tuple[bool | None, ...]
    critique: str


FAILED = Judged(None, 0.0, (), "the refinement failed")


@dataclass(eq=False)
class Node:
    """A node of the tree; `judged.value is None` discards it."""

    id: int
    parent: Node | None
    response: Response
    judged: Judged
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.depth = 0 if self.parent is None else self.parent.depth + 1

    @property
    def value(self) -> float:
        """For comparisons: a node that could not be judged is below all others."""
        return -math.inf if self.judged.value is None else self.judged.value


@register("tree_refine", paper="spar")
class TreeRefine(Strategy):
    """Refines an answer along a tree until the critic accepts one, and returns the best.

    Args:
        model: Who answers first.
        critic: Any scorer; see the module on votes.
        refine: Who refines, an answerer or a model's name; None: the model.
        algorithm: Breadth first or depth first.
        branch: Refinements of a node.
        beam: Nodes of a level (depth first: children of a node) that are refined further.
        depth: Levels below the root.
        gate: The search ends with an answer accepted by more than this share of the verdicts.
        votes: Judgements of each text, where the critic is stochastic.
        budget: Nodes at most, the root and discarded ones included.

    Raises:
        UsageError: for arguments that make no sense.
        UnknownNameError: for a critic or model that there is not.
    """

    def __init__(
        self,
        model: Answerer,
        critic: Scorer | str = "program",
        refine: Answerer | str | None = None,
        algorithm: Literal["bfs", "dfs"] = "bfs",
        branch: int = 3,
        beam: int = 2,
        depth: int = 3,
        gate: float = 0.5,
        votes: int = 5,
        budget: int = 60,
    ) -> None:
        if algorithm not in ("bfs", "dfs"):
            raise UsageError(f"tree_refine: algorithm is '{algorithm}'", hint="Give bfs or dfs")
        for name, number in {"branch": branch, "beam": beam, "depth": depth, "votes": votes, "budget": budget}.items():
            if number < 1:
                raise UsageError(f"tree_refine: {name} is {number}", hint="Give 1 or more")
        if not 0 <= gate < 1:
            raise UsageError(f"tree_refine: gate is {gate}", hint="Give a share from 0 to below 1")
        self.model = model
        self.critic = critic
        self.refine = refine
        self.algorithm: Literal["bfs", "dfs"] = algorithm
        self.branch = branch
        self.beam = beam
        self.depth = depth
        self.gate = gate
        self.votes = votes
        self.budget = budget
        self.scorer = resolve(critic, model)
        self.refiner: Answerer = load(refine) if isinstance(refine, str) else refine or model

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """As the class says.

        Raises:
            ModelError: if the first answer could not be had, or a later one for a passing reason (a time-out).
        """
        found = await decomposer("auto", self.model)(instruction)
        trace.add("decompose", constraints=list(found.texts), source=found.source)
        search = _Search(self, instruction, found, trace)
        root = await search.plant(await draw(self.model, instruction))
        if self.accepts(root) or root.judged.value is None:
            says = "has no verdict on" if root.judged.value is None else "accepts"
            trace.add("choose", index=root.id, because=f"the critic {says} the first answer", improved=False)
            return root.response
        await (search.breadth_first(root) if self.algorithm == "bfs" else search.depth_first(root))
        # Of equals the deeper, but never a child in the root's place that is no better than it.
        best = max(search.nodes, key=lambda n: (self.accepts(n), n.value, n is root, n.depth, -n.id))
        discarded = sum(node.judged.value is None for node in search.nodes)
        why = "accepted" if self.accepts(best) else "the best found" if best is not root else "no child is better"
        because = f"{why}; {len(search.nodes)} nodes, {discarded} discarded"
        trace.add("choose", index=best.id, because=because, improved=best is not root)
        return best.response

    def accepts(self, node: Node) -> bool:
        """Whether the search may end with this node."""
        return node.judged.value is not None and node.judged.accepted > self.gate


class _Search:
    """One search: the nodes so far and what the critic said of each distinct text."""

    def __init__(self, how: TreeRefine, instruction: Instruction, found: Decomposition, trace: Trace) -> None:
        self.how = how
        self.instruction = instruction
        self.asked = msgspec.structs.replace(instruction, constraints=found.constraints)  # what the critic sees
        self.texts = found.texts
        self.trace = trace
        self.nodes: list[Node] = []
        self.known: dict[str, Judged] = {}

    async def plant(self, response: Response) -> Node:
        """The root."""
        (judged,) = await self._judge([response])
        return self._add(None, response, judged)

    async def breadth_first(self, root: Node) -> None:
        """Level by level; a level is finished before the gate is looked at."""
        level = [root]
        for _ in range(self.how.depth):
            grown = await self._grow(level)
            if not grown or any(map(self.how.accepts, grown)):
                return
            level = _best(grown, self.how.beam)

    async def depth_first(self, node: Node) -> bool:
        """Down from the best child, then from the next; returns whether an accepted answer was found."""
        if node.depth >= self.how.depth:
            return False
        children = await self._grow([node])
        if any(map(self.how.accepts, children)):
            return True
        for child in _best(children, self.how.beam):
            if await self.depth_first(child):
                return True
        return False

    async def _grow(self, parents: Sequence[Node]) -> list[Node]:
        """The valid children of nodes, drawn and judged side by side, as far as the budget goes."""
        first = len(self.nodes)
        wanted = [parent for parent in parents for _ in range(self.how.branch)][: self.how.budget - first]
        drawn = await asyncio.gather(*(self._refined(parent, first + n) for n, parent in enumerate(wanted)))
        judged = await self._judge(drawn)
        made = [self._add(*row) for row in zip(wanted, drawn, judged, strict=True)]
        return [node for node in made if node.judged.value is not None]

    def _add(self, parent: Node | None, response: Response | None, judged: Judged) -> Node:
        node = Node(len(self.nodes), parent, response or Response(""), judged)
        self.nodes.append(node)
        self.trace.add(
            "node",
            id=node.id,
            parent=None if parent is None else parent.id,
            depth=node.depth,
            text=node.response.text,
            value=judged.value,
            votes=list(judged.votes),
            critique=judged.critique,
        )
        return node

    async def _refined(self, parent: Node, number: int) -> Response | None:
        """A refinement; None if the model failed at it for good (the text may be too long for it)."""
        given = {"request": self.instruction.prompt}
        turns = (
            Message("user", Template.of("adhere.answer", "tree_judge").render(answer=parent.response.text, **given)),
            Message("assistant", Template.of("adhere.answer", "tree_critique").render(critique=parent.judged.critique)),
            Message("user", Template.of("adhere.answer", "tree_refine").render(**given)),
        )
        last = max((n for n, m in enumerate(self.instruction.messages) if m.role == "user"), default=0)
        asked = msgspec.structs.replace(self.instruction, messages=(*self.instruction.messages[:last], *turns))
        try:
            return await draw(self.how.refiner, asked, number, temperature=REFINE_TEMPERATURE)
        except ModelError as error:
            if error.retryable:
                raise
            return None

    async def _judge(self, responses: Sequence[Response | None]) -> list[Judged]:
        """What the critic says of each, side by side; of equal texts once."""
        new = {r.text: r for r in responses if r is not None and r.text not in self.known}
        found = await asyncio.gather(*map(self._ask, new.values()))
        self.known.update(zip(new, found, strict=True))
        return [FAILED if r is None else self.known[r.text] for r in responses]

    async def _ask(self, response: Response) -> Judged:
        critic = self.how.scorer
        if not getattr(critic, "stochastic", False):
            return _one_verdict(await criticise(critic, self.asked, response), self.texts)
        votes: tuple[bool | None, ...] = ()
        for tie in range(TIES + 1):
            first = tie * self.how.votes
            scores = await asyncio.gather(*(self._vote(response, first + n) for n in range(self.how.votes)))
            votes = tuple(score.passed for score in scores)
            yes, no = votes.count(True), votes.count(False)
            if yes == no == 0:
                return Judged(None, 0.0, votes, scores[0].reason)
            if yes != no:
                critique = next(score.reason for score in scores if score.passed is (yes > no))
                return Judged(yes / (yes + no), yes / (yes + no), votes, critique)
        return Judged(None, 0.0, votes, "the votes were tied to the end")

    async def _vote(self, response: Response, index: int) -> Score:
        with context.drawing(index, temperature=VOTE_TEMPERATURE):
            return await criticise(self.how.scorer, self.asked, response)


def _one_verdict(score: Score, texts: Sequence[str]) -> Judged:
    """The judgement of a critic that always says the same."""
    if score.passed is None and not score.parts:  # a measure of quality without a verdict, or no idea at all
        return Judged(score.value, score.value or 0.0, (None,), score.reason)
    names = texts if len(texts) == len(score.parts) else [part.name for part in score.parts]
    unmet = [
        f"- {text} ({part.reason})" if part.reason else f"- {text}"
        for text, part in zip(names, score.parts, strict=True)
        if part.passed is False
    ]
    value = float(score.passed is True) if score.value is None and score.passed is not None else score.value
    return Judged(value, float(score.passed is True), (score.passed,), "\n".join(unmet) or score.reason)


def _best(nodes: Sequence[Node], count: int) -> list[Node]:
    """The `count` best, best first; of equals those drawn first."""
    return sorted(nodes, key=lambda node: (-node.value, node.id))[:count]
