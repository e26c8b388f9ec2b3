"""RevisEval: judge an answer against a better version of that very answer.

Zhang et al., "RevisEval: Improving LLM-as-a-Judge via Response-Adapted References" (arXiv 2410.05193). A reviser
improves the answer that is to be judged; the revision is near to it in topic and wording, so that the distance between
the two measures its faults. It then serves as the reference of a judge or of a classic metric. Here:

- `revis`: the response-adapted reference, in rating mode (`score`) and in pairwise mode (`compare`), where one answer
  is revised with the other in view and the one revision is the reference of both;
- `direct_reference`: the paper's baseline D.R., where the same model's own answer is the reference;
- `given_reference`: the reference that came with the data.

What differs: the primary answer of a pair is drawn by a hash of the texts, so that swapping the two changes nothing
(the reference code always revises the second, which lexical metrics then favour), or both are revised in turn and the
verdicts averaged; verdicts are read by probabilities in both orders; a revision that is empty or mere talk is counted
as failed instead of scored; a revision that copies its answer is marked. The prompts are ours.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import UsageError
from adhere.models.model import base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import Preference, Side, average, tie
from adhere.score.judges.pairwise import PairwiseJudge
from adhere.score.judges.pointwise import PointwiseJudge
from adhere.score.judges.revis_metrics import METRICS, VOTE, check_metric, nearer, scores
from adhere.score.judges.verdict import fitted, question_text

__all__ = ["RUBRIC", "DirectReference", "GivenReference", "Reference", "RevisEval", "clean_revision"]

Primary = Literal["random", "both"]
RUBRIC = "accuracy, and whether the answer honestly, precisely and closely does what the request says"
TEMPERATURE = 0.3  # of the revision, in the reference code
JUDGE = "judge"

# What models write before a revision although they were asked for it alone: a line of talk, or a heading.
_LEAD_LINE = re.compile(
    r"(?:sure|certainly|of course|okay|here(?:'s|’s| is| are)|this is|below is|i have revised|i revised)\b.{0,200}:"
    r"|[*#\[ ]{0,4}(?:the )?(?:revised|improved|corrected|edited) (?:response|answer|version|text)[*\]: ]{0,4}",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"[*\[]{0,3}(?:revised|improved|corrected|edited) (?:response|answer|version|text)[*\]]{0,3}:[*\]]{0,3}\s*",
    re.IGNORECASE,
)
_MERE_TALK = re.compile(
    r"(?:the|this|your) (?:original |given )?(?:response|answer) (?:is|was|looks|seems) (?:already )?"
    r"(?:good|perfect|fine|correct|accurate|clear|great)\b[^\n]{0,200}",
    re.IGNORECASE,
)


class Reference(NamedTuple):
    """What two answers, or one, are compared with.

    Attributes:
        text: None where there is none, and `why` tells why.
        why: In words.
        details: What the preference keeps of it: where it came from.
    """

    text: str | None
    why: str = ""
    details: dict[str, Any] = {}


class _ByReference:
    """Judges by references that a subclass finds: `_pair_references` of two answers, `_reference` of one."""

    name: str

    def __init__(self, model: Answerer | None, by: str, judge: Answerer | None) -> None:
        if by != JUDGE:
            check_metric(by)
        if by == JUDGE and model is None and judge is None:
            raise UsageError(f"{self.name} by a judge needs a model", hint=f"Write {self.name}(model=smollm2)")
        self.model = model
        self.by = by
        self.judge = judge
        # Made once, with and without a reference: a judge remembers how its endpoint can be read.
        who = judge or model
        shown = (True, False) if by == JUDGE else ()
        self._pairwise = {reference: PairwiseJudge(who, with_reference=reference) for reference in shown}
        self._pointwise = {reference: PointwiseJudge(who, with_reference=reference) for reference in shown}

    async def compare(self, instruction: Instruction, a: str, b: str) -> Preference:
        """Which of two answers is better.

        Where a reference cannot be made, a judge judges without one and says so, and a metric gives no verdict.

        Raises:
            ModelError: if a call failed for good.
            WeightsError, DependencyError: if MiniLM is asked for and cannot be had.
        """
        if a == b:
            return tie("the two answers are the same text")
        if not a.strip() and not b.strip():
            return Preference(None, None, "both answers are empty")
        found = [
            await self._compare_with(instruction, a, b, reference)
            for reference in await self._pair_references(instruction, a, b)
        ]
        return found[0] if len(found) == 1 else average(found)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """A rating from 1 to 5 by a judge who sees the reference, or the metric, 0 to 1; `passed` is left open.

        Raises:
            UsageError: for a vote, which compares pairs.
            ModelError, WeightsError, DependencyError: as `compare`.
        """
        if self.by == VOTE:
            raise UsageError(
                "a vote compares pairs, it rates no single answer", hint=f"by is judge, {', '.join(METRICS)}"
            )
        if not response.text.strip():
            return Score(self.name, reason="the response is empty")
        reference = await self._reference(instruction, response.text)
        if self.by == JUDGE:
            judge = self._pointwise[reference.text is not None]
            found = await judge.score(_with(instruction, reference.text), response)
            note = f"; without reference: {reference.why}" if reference.text is None else ""
            return Score(self.name, found.value, None, reason=found.reason + note)
        if reference.text is None:
            return Score(self.name, reason=reference.why)
        value = (await scores((response.text,), reference.text, [self.by]))[self.by][0]
        return Score(self.name, value, None, reason=f"{self.by} {value:.3f} to the reference")

    async def _compare_with(self, instruction: Instruction, a: str, b: str, reference: Reference) -> Preference:
        details = reference.details | ({"reference": reference.text} if reference.text is not None else {})
        if self.by == JUDGE:
            judge = self._pairwise[reference.text is not None]
            found = await judge.compare(_with(instruction, reference.text), a, b)
            note = f" (without reference: {reference.why})" if reference.text is None else ""
            details = found.details | details
            return msgspec.structs.replace(found, reason=found.reason + note, details=details)
        if reference.text is None:
            return Preference(None, None, reference.why, (), details)
        return await nearer(a, b, reference.text, self.by, details)

    async def _pair_references(self, instruction: Instruction, a: str, b: str) -> list[Reference]:
        return [await self._reference(instruction, a)]

    async def _reference(self, instruction: Instruction, answer: str) -> Reference:
        raise NotImplementedError

    def __repr__(self) -> str:
        by = self.by if self.judge is None else f"{self.by}, judge={base_model(self.judge).name!r}"
        who = "" if self.model is None else f"{base_model(self.model).name!r}, "
        return f"{type(self).__name__}({who}by={by})"


def _with(instruction: Instruction, reference: str | None) -> Instruction:
    return msgspec.structs.replace(instruction, references=() if reference is None else (reference,))


@register("revis", paper="revis-eval")
class RevisEval(_ByReference):
    """Judges by response-adapted references.

    `Preference.details` holds the reference, `revised_from` (the primary answer), `revision` ("made", "copied" or
    "failed") and a metric's scores of both answers.

    Args:
        model: The reviser.
        by: What the reference is for: a "judge", a metric (bleu, rouge_l, meteor, bert_score, cosine), or the "vote" of
            all metrics.
        judge: The judge's model; None: the reviser's.
        rubric: What the revision attends to.
        primary: Which answer of a pair is revised: one at "random", or "both", whose verdicts are averaged.
        temperature: Of the revision.

    Raises:
        UsageError: without a model, or for an unknown `by` or `primary`.
    """

    name = "revis"

    def __init__(
        self,
        model: Answerer | None = None,
        by: str = JUDGE,
        judge: Answerer | None = None,
        rubric: str = RUBRIC,
        primary: Primary = "random",
        temperature: float = TEMPERATURE,
    ) -> None:
        if model is None:
            raise UsageError(f"{self.name} needs a model", hint="Write revis(model=smollm2)")
        if primary not in get_args(Primary):
            raise UsageError(f"revis cannot revise the '{primary}' answer", hint="primary is random or both")
        super().__init__(model, by, judge)
        self.rubric = rubric
        self.primary = primary
        self.temperature = temperature

    async def _pair_references(self, instruction: Instruction, a: str, b: str) -> list[Reference]:
        sides: tuple[Side, ...] = ("a", "b")
        if not a.strip() or not b.strip():  # an empty answer cannot be revised; it is far from any reference
            sides = ("b",) if not a.strip() else ("a",)
        elif self.primary == "random":
            sides = (_drawn(instruction, a, b),)
        return [
            await self._revised(instruction, *((a, b) if side == "a" else (b, a)), revised_from=side) for side in sides
        ]

    async def _reference(self, instruction: Instruction, answer: str) -> Reference:
        return await self._revised(instruction, answer)

    async def _revised(self, instruction: Instruction, answer: str, *other: str, **details: Any) -> Reference:
        """The revision of an answer, another one in view where there is one that is not empty."""
        given = (answer, *(text for text in other if text.strip()))
        template = Template.of("adhere.score", "revis_pair" if len(given) == 2 else "revis_rate")
        fields = {"rubric": self.rubric, "question": question_text(instruction)}

        async def attempt(texts: tuple[str, ...]) -> str:
            named = dict(zip(("answer", "other"), texts, strict=False))
            return await self._written(template.render(**fields, **named))

        written, _ = await fitted(given, attempt)
        text = clean_revision(written)
        if text is None:
            said = f"the reviser wrote no revision but {written.strip()[:80]!r}"
            return Reference(None, said, details | {"revision": "failed"})
        copied = text.split() == answer.split()
        return Reference(text, "", details | {"revision": "copied" if copied else "made"})

    async def _written(self, prompt: str) -> str:
        assert self.model is not None
        with context.drawing(temperature=self.temperature):
            return (await self.model.answer(Instruction("", (Message("user", prompt),)))).text


@register("direct_reference", paper="revis-eval")
class DirectReference(_ByReference):
    """Judges by the answer that a model itself gives to the instruction (the paper's baseline D.R.).

    Args:
        model: Who answers.
        by: As for `revis`.
        judge: The judge's model; None: the answering one.

    Raises:
        UsageError: without a model, or for an unknown `by`.
    """

    name = "direct_reference"

    def __init__(self, model: Answerer | None = None, by: str = JUDGE, judge: Answerer | None = None) -> None:
        if model is None:
            raise UsageError(f"{self.name} needs a model", hint="Write direct_reference(model=smollm2)")
        super().__init__(model, by, judge)

    async def _reference(self, instruction: Instruction, answer: str) -> Reference:
        assert self.model is not None
        asked = msgspec.structs.replace(instruction, constraints=(), references=())
        text = (await self.model.answer(asked)).text.strip()
        return Reference(text) if text else Reference(None, "the model's own answer is empty")


@register("given_reference", paper="revis-eval")
class GivenReference(_ByReference):
    """Judges by the instruction's first reference.

    Args:
        model: The judge, where `by` is one.
        by: As for `revis`.

    Raises:
        UsageError: for a judge without a model, or an unknown `by`.
    """

    name = "given_reference"

    def __init__(self, model: Answerer | None = None, by: str = JUDGE) -> None:
        super().__init__(model, by, None)

    async def _reference(self, instruction: Instruction, answer: str) -> Reference:
        given = next((r for r in instruction.references if r.strip()), None)
        return Reference(given) if given else Reference(None, "the instruction has no reference")


def clean_revision(written: str) -> str | None:
    """A revision without the talk around it; None where nothing but talk is left.

    >>> clean_revision("Sure! Here is the revised answer:\\n\\nParis."), clean_revision("The answer is already good.")
    ('Paris.', None)
    """
    text = written.strip()
    for _ in range(2):  # a line of talk, and a heading after it
        first, _, rest = text.partition("\n")
        text = rest.strip() if _LEAD_LINE.fullmatch(first.strip()) else _headed(text)
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return None if not text or _MERE_TALK.fullmatch(text) else text


def _drawn(instruction: Instruction, a: str, b: str) -> Side:
    """The primary answer: by a hash of the run's seed and the texts, the same text whichever way round they come."""
    one, other = sorted((a, b))
    first = derive("revis", context.current().seed, instruction.prompt, one, other) % 2 == 0
    return "a" if (a == one) == first else "b"


def _headed(text: str) -> str:
    """Without a heading at its start."""
    found = _HEADING.match(text)
    return text[found.end() :].strip() if found else text
