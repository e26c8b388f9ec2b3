"""Tune the language model that routes: Model-SAT's group loss over its Yes.

Model-SAT ("Capability Instruction Tuning", AAAI 2025), sections 3.2 and 3.3, in the form of its published code: a group
is one candidate's record with an instruction that it solved and k - 1 that it failed; softmax over the group's scores,
the solved one as target. `LLMRouter` then asks the tuned model. (`answer.routing.router` is the small router.)

What differs: the score is the logit of Yes minus that of No, since raw Yes logits drift with the text's length; the
record's groups come in a new order in every group, as they do when asked; LoRA instead of full tuning in two stages.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.answer.routing.aptitude import Capability, capability_text, check_capabilities
from adhere.answer.routing.groups import across_instructions
from adhere.answer.routing.llm_router import NO, YES
from adhere.answer.routing.router import Outcome, score_table
from adhere.errors import DataError, UsageError
from adhere.models.base import Request
from adhere.models.fetch import Notify
from adhere.models.prompts import Template
from adhere.models.torch_prompt import ids_of
from adhere.records import Instruction, Message
from adhere.train.lora import Settings, Tuned, last_logits, load, pad_of, tune

if TYPE_CHECKING:
    import torch

__all__ = ["GroupOfPrompts", "YesOfGroup", "train_llm_router"]


class GroupOfPrompts(NamedTuple):
    """Prompts as token ids: the instruction that the candidate solved first."""

    prompts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class YesOfGroup:
    """Cross-entropy of the first prompt among its group, by the logit of Yes minus that of No."""

    yes: int
    no: int
    pad: int = 0

    def length(self, row: GroupOfPrompts) -> int:
        """Tokens of all prompts."""
        return sum(map(len, row.prompts))

    def weight(self, row: GroupOfPrompts) -> float:
        """Groups count alike."""
        return 1.0

    def loss(self, model: Any, rows: Sequence[GroupOfPrompts]) -> torch.Tensor:
        """Summed over the groups, which are all of one size."""
        logits = last_logits(model, [prompt for row in rows for prompt in row.prompts], self.pad)
        scores = (logits[:, self.yes] - logits[:, self.no]).view(len(rows), -1)
        return -scores.log_softmax(1)[:, 0].sum()


def train_llm_router(
    base: str,
    outcomes: Sequence[Outcome],
    items: Sequence[Instruction],
    capabilities: Mapping[str, Capability],
    folder: str | Path,
    settings: Settings = Settings(batch=2, micro=1, learning_rate=1e-4),  # noqa: B008  immutable
    *,
    loaded: tuple[Any, Any] | None = None,
    notify: Notify | None = None,
) -> Tuned[GroupOfPrompts]:
    """Tune a model to say Yes of what a candidate solves; the adapter goes to `folder`.

    Args:
        base: A packaged model's name or folder, with a chat template.
        outcomes: Of candidates on items.
        items: The instructions; none of them in the aptitude test.
        capabilities: The candidates' records.
        folder: Where the adapter goes: `LLMRouter(adhere.load(base, engine="torch", adapter=folder), capabilities)`.
        settings: Of the LoRA; a step is two groups, as in the published run.
        loaded: As `lora.tune`.
        notify: Told how far it is.

    Raises:
        UsageError: if no group can be formed, or a candidate has no record.
        DataError: if a record and an instruction do not fit into the model's context: nothing is cut off.
    """
    names = list(dict.fromkeys(o.candidate for o in outcomes))
    check_capabilities(names, capabilities)
    groups = across_instructions(score_table(outcomes, items, names), settings.seed)
    if not len(groups.members):
        raise UsageError("no candidate has both solved and failed enough to form a group", hint="Give more outcomes")
    tokenizer, model = loaded or load(base, notify)
    limit = getattr(model.config, "max_position_embeddings", None)
    rng, rows = random.Random(settings.seed), []
    for members in groups.members.tolist():
        record = capabilities[names[members[0] % len(names)]]
        text = capability_text(record, rng.sample(range(len(record.groups)), len(record.groups)))
        prompts = tuple(_ids(tokenizer, text, items[member // len(names)]) for member in members)
        longest = max(map(len, prompts))
        if limit and longest > limit:
            raise DataError(
                f"the record of '{record.candidate}' with an instruction has {longest} tokens; the model reads {limit}",
                hint="Take a model with a longer context, or fewer groups",
            )
        rows.append(GroupOfPrompts(prompts))
    yes, no = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (YES, NO))
    tuned = tune(base, rows, settings, YesOfGroup(yes, no, pad_of(tokenizer)), loaded=(tokenizer, model), notify=notify)
    tuned.save(folder)
    return tuned


def _ids(tokenizer: Any, capability: str, instruction: Instruction) -> tuple[int, ...]:
    prompt = Template.of("adhere.answer", "route_capability").render(
        capability=capability, instruction=instruction.prompt
    )
    return tuple(ids_of(tokenizer, Request((Message("user", prompt),))))
