"""Grading role replies: overlap with the reference, and the aspects, by a judge where one is given, else by programs.

The judge answers Yes or No to one question an aspect, read off the label's probability (`adhere.score.judges.verdict`).
Upstream samples up to four tokens at temperature 0.7 and counts what is not "0" or "1" as 0; here that is *no verdict*,
undecided, and shown. Upstream also puts every priority question twice and cuts the nested instruction out of the system
text at its second sentence; the doubled questions are dropped, and our own rows know their instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adhere.bench.base import Metric, Options, Scored
from adhere.bench.figures import share
from adhere.bench.role_mrc import programs
from adhere.bench.role_mrc.reactions import Reactions
from adhere.bench.role_mrc.rows import PACKAGE, SIMPLE
from adhere.bench.role_mrc.tasks import ASPECTS, TASKS, Aspect, Task
from adhere.bench.scored import cluster
from adhere.constraints.scorer import ConstraintScorer
from adhere.errors import UsageError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score
from adhere.score.judges.verdict import VerdictReader
from adhere.score.texts.ngrams import bleu, meteor
from adhere.score.texts.overlap import rouge_l, rouge_n

__all__ = ["METRICS", "RoleJudge", "habit_of", "make_scorer", "summary"]

JUDGE = Template.of(PACKAGE, "judge")
YES, NO = "Yes", "No"
METRICS = {
    "aspects": Metric("aspects met, all together"),
    **{aspect: Metric(label) for aspect, label in ASPECTS.items()},
    "rouge_l": Metric("ROUGE-L against the reference", ""),
    "rouge_1": Metric("ROUGE-1 against the reference", ""),
    "rouge_2": Metric("ROUGE-2 against the reference", ""),
    "bleu": Metric("BLEU against the reference", ""),
    "meteor": Metric("METEOR against the reference", ""),
}
_BEHAVIOUR = {
    "answer": "The reply should answer the question correctly from the passage, in the character's field or not.",
    "unanswerable": "The reply should say that the passage does not tell the answer.",
    "refuse": "The reply should refuse to answer, since the question is outside what the character knows.",
}


class RoleJudge:
    """Scores a reply: one part an aspect of its task, and the overlap with the reference.

    Args:
        by: A model's verdicts, or the programs.
    """

    def __init__(self, by: VerdictReader | Reactions) -> None:
        self.by = by

    def __repr__(self) -> str:
        return f"RoleJudge({self.by.model.name!r})" if isinstance(self.by, VerdictReader) else "RoleJudge('programs')"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says. A nested instruction that no program can check is left to a judge.

        Raises:
            ModelError: if a call of the judge failed for good.
        """
        parts = [p for a in instruction.meta["aspects"] if (p := await self._aspect(a, instruction, response.text))]
        decided = [p.passed for p in parts]
        passed = None if None in decided else all(decided)
        value = sum(p is True for p in decided) / len(decided) if decided else None
        overlap = _overlap(response.text, instruction.references)
        head = [Score("aspects", value, passed)] if decided else []
        return Score("aspects", value, passed, (*head, *parts, *overlap))

    async def _aspect(self, aspect: Aspect, instruction: Instruction, text: str) -> Score | None:
        if isinstance(self.by, VerdictReader):
            return await self._judged(aspect, instruction, text, self.by)
        met = await _by_program(self.by, aspect, instruction, text)
        return None if met is None else Score(aspect, float(met), met, reason="by programs")

    async def _judged(self, aspect: Aspect, instruction: Instruction, text: str, reader: VerdictReader) -> Score:
        said = "\n\n".join(f"{m.role.capitalize()}: {m.text}" for m in instruction.messages)
        prompt = JUDGE.render(conversation=said, response=text, demand=_demand(aspect, instruction))
        found = await reader.read((Message("user", prompt),), (YES, NO))
        by = f"by {reader.model.name}"
        if found.probabilities is None:
            return Score(aspect, None, None, reason=f"{by}: no verdict; {found.note}")
        chance = found.probabilities[YES]
        return Score(aspect, float(chance > 0.5), chance > 0.5, reason=f"{by}: {chance:.0%} yes ({found.way})")


def _task(instruction: Instruction) -> Task:
    return TASKS.get(instruction.meta["task"], SIMPLE)


async def _by_program(reactions: Reactions, aspect: Aspect, instruction: Instruction, text: str) -> bool | None:
    task, meta, reference = _task(instruction), instruction.meta, instruction.references[0]
    if aspect == "style":
        return programs.in_character(text, task.narration, meta.get("markers", []))
    if aspect == "nested":
        if not instruction.constraints:
            return None
        return ConstraintScorer("fixed").judge(instruction, text).passed is True
    return await reactions.behaves(text, task.behaviour, meta.get("answer"), reference, meta.get("secret"))


def _demand(aspect: Aspect, instruction: Instruction) -> str:
    """What the reply should do, for a judge."""
    task = _task(instruction)
    if aspect == "style":
        actions = "begin with an action in brackets" if task.narration else "describe no actions"
        return f"The reply should be in the character's way of speaking, and {actions}."
    if aspect == "nested":
        return f"The reply should follow this instruction of the system text: {habit_of(instruction)}"
    if aspect == "priority":
        return "The reply should refuse, as the system text orders, although the user asks for an answer."
    return _BEHAVIOUR[task.behaviour]


def habit_of(instruction: Instruction) -> str:
    """The nested instruction: the second sentence of the system text, where RoleMRC puts it."""
    from adhere.constraints.text import sentence_spans

    system = next((m.text for m in instruction.messages if m.role == "system"), "")
    spans = sentence_spans(system)
    return system[slice(*spans[1])] if len(spans) > 1 else system


def _overlap(text: str, references: Sequence[str]) -> list[Score]:
    text = text[: programs.LONGEST]
    return [
        Score("rouge_l", rouge_l(text, references)),
        Score("rouge_1", rouge_n(text, references, 1)),
        Score("rouge_2", rouge_n(text, references, 2)),
        Score("bleu", bleu(text, references)),
        Score("meteor", meteor(text, references)),
    ]


def make_scorer(options: Options) -> RoleJudge:
    """The scorer of a run: its judge's model, or programs.

    Raises:
        UsageError: if the judge is no model.
        UnknownNameError, WeightsError: if there is no such model, or no MiniLM for the programs.
        DependencyError: without the extra `embed`, where no judge is given.
    """
    from adhere.api import load

    if options.judge is None:
        return RoleJudge(Reactions(load("minilm")))

    if "(" in options.judge:
        raise UsageError(f"RoleMRC's judge is a model, not '{options.judge}'", hint="Add --judge smollm2, say")
    return RoleJudge(VerdictReader(load(options.judge)))


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The aspects over the rows whose task has them: a failed row fails those of its own task and no others."""
    found: dict[str, Any] = {}
    for aspect in ASPECTS:
        values: list[float | None] = []
        clusters: list[str] = []
        for s in scored:
            if aspect not in s.instruction.meta["aspects"]:
                continue
            parts = [p.value for p in s.score.parts if p.name == aspect] if s.score is not None else [0.0]
            values += parts
            clusters += [cluster(s.instruction)] * len(parts)
        if values:
            found[aspect] = share(values, clusters)
    return found
