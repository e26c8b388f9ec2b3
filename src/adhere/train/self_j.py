"""Self-J: train a model to judge its own answers, with no human grades.

Ye and Ng, "Self-Judge: Selective Instruction Following with Alignment Self-Evaluation" (arXiv 2409.00935):

1. `build`: the model answers each instruction once. z1 is its own grade of the answer with the reference in view (the
   expected digit), z2 the cosine of answer and reference in a sentence embedding. The target is their mean on the scale
   0-9, rounded half up: z = (z1 + 9 max(z2, 0)) / 2.
2. `train`: each step sees every item twice, with the reference (T) and without (S). On the one label position
   loss = CE_T + 0.3 CE_S + 2 KL(p_T || p_S), the teacher's side of the KL without gradient. LoRA r = 16, alpha = 16 on
   q, k, v, o.
3. `score.self_j.SelfJ` grades with the result, `answer.selective.Selective` declines by it.

What differs: the paper's figure adds z1 and z2 without saying on which scale; the mean above is ours. Batches are
smaller than its 128, with as many steps as that takes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.answer.base import draw
from adhere.engine.run import run
from adhere.errors import DataError, UsageError
from adhere.models.fetch import Notify, say
from adhere.models.model import Model, base_model
from adhere.records import Instruction, Message, Record, Response
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.judges.digit import SCALE, DigitJudge, judge_prompt, question_of
from adhere.score.judges.self_j import ADAPTER, NAME, SelfJ, prompt_digests
from adhere.train.lora import Settings, Tuned, last_logits, load, pad_of, tune

if TYPE_CHECKING:
    import torch

__all__ = ["Built", "Distillation", "JudgeRow", "Pair", "build", "calibrate", "target", "train"]

STUDENT = 0.3  # weight of CE_S: section 3.3
DISTILL = 2.0  # weight of the KL
LONGEST = 1024  # tokens of a judge's prompt


class JudgeRow(Record):
    """One graded answer.

    Attributes:
        id: Of the instruction.
        instruction: Its text.
        reference: Its first reference.
        response: What the model answered.
        target: The digit to learn, 0 to 9.
        z1: The model's own grade with the reference in view, 0 to 9.
        z2: Cosine of answer and reference, -1 to 1.
        model: Who answered.
    """

    id: str
    instruction: str
    reference: str
    response: str
    target: int
    z1: float
    z2: float
    model: str = ""


class Built(NamedTuple):
    """Rows to train on, in the order of the instructions, and why others are missing."""

    rows: list[JudgeRow]
    skipped: dict[str, str]


class Pair(NamedTuple):
    """One item as the judge reads it, with the reference and without; `label` is the token of its digit."""

    id: str
    teacher: tuple[int, ...]
    student: tuple[int, ...]
    label: int


def target(z1: float, z2: float) -> int:
    """The digit to learn: the mean of both grades on the scale 0-9, rounded half up.

    >>> target(6.0, 1.0), target(4.0, -0.3)
    (8, 2)
    """
    return math.floor((z1 + SCALE[1] * max(z2, 0.0)) / 2 + 0.5)


async def build(
    model: Answerer, instructions: Iterable[Instruction], embedder: Model, *, temperature: float | None = None
) -> Built:
    """Let a model answer and grade itself: one row an instruction.

    Args:
        model: Who answers, and grades its own answers.
        instructions: Each with a reference.
        embedder: `adhere.load("minilm")`.
        temperature: For the answers; None: as the model samples.

    Raises:
        DataError: naming the first row without a reference, before any model call.
        CapabilityError: if the model gives no log-probabilities.
    """
    wanted = list(instructions)
    for row in wanted:
        if not row.references:
            raise DataError(f"row '{row.id}' has no reference to grade with", hint="Self-J learns from references")
    judge = DigitJudge(base_model(model), with_reference=True)
    changes: dict[str, Any] = {} if temperature is None else {"temperature": temperature}

    async def grade(instruction: Instruction) -> tuple[Response, float | None]:
        answer = await draw(model, instruction, **changes)
        return answer, (await judge.score(instruction, answer)).value

    graded: dict[int, tuple[Response, float]] = {}
    skipped: dict[str, str] = {}
    async for outcome in run(grade, wanted, concurrency=getattr(model, "concurrency", 16)):
        answer, z1 = outcome.result or (Response(""), None)
        if outcome.failure is not None:
            skipped[outcome.item.id] = outcome.failure.message
        elif z1 is None:
            skipped[outcome.item.id] = "the model gave no digit when it graded its answer"
        else:
            graded[outcome.index] = answer, z1
    order = sorted(graded)
    vectors = await embedder.embed(
        [text for i in order for text in (graded[i][0].text, wanted[i].references[0])] or [""]
    )
    rows = []
    for position, i in enumerate(order):
        (answer, z1), z2 = graded[i], float(vectors[2 * position] @ vectors[2 * position + 1])
        question, reference = question_of(wanted[i]), wanted[i].references[0]
        digit = target(z1, z2)
        rows.append(JudgeRow(wanted[i].id, question, reference, answer.text, digit, z1, z2, answer.model))
    return Built(rows, skipped)


@dataclass(frozen=True)
class Distillation:
    """CE_T + student * CE_S + kd * KL(p_T || p_S) on the label position of each pair."""

    pad: int = 0
    student: float = STUDENT
    kd: float = DISTILL

    def length(self, row: Pair) -> int:
        """Tokens of both prompts."""
        return len(row.teacher) + len(row.student)

    def weight(self, row: Pair) -> float:
        """There is one label position in each pair."""
        return 1.0

    def loss(self, model: Any, rows: Sequence[Pair]) -> torch.Tensor:
        """Summed over the pairs."""
        import torch
        from torch.nn.functional import cross_entropy, kl_div, log_softmax

        logits = last_logits(model, [*(r.teacher for r in rows), *(r.student for r in rows)], self.pad)
        teacher, student = logits[: len(rows)], logits[len(rows) :]
        labels = torch.tensor([r.label for r in rows], device=logits.device)
        hard = cross_entropy(teacher, labels, reduction="sum")
        soft = cross_entropy(student, labels, reduction="sum")
        # The teacher is detached: it is not to come down to what can be known without the reference.
        taught = log_softmax(teacher.detach(), 1)
        apart = kl_div(log_softmax(student, 1), taught, reduction="sum", log_target=True)
        return hard + self.student * soft + self.kd * apart


def pairs(tokenizer: Any, rows: Iterable[JudgeRow]) -> tuple[list[Pair], list[str]]:
    """The rows as token ids, and the ids of those that are too long.

    Raises:
        UsageError: if the tokenizer has no single tokens for the digits.
    """
    digits = [tokenizer(str(n), add_special_tokens=False)["input_ids"][-1] for n in range(SCALE[1] + 1)]
    if [tokenizer.decode([t]).strip() for t in digits] != [str(n) for n in range(SCALE[1] + 1)]:
        raise UsageError("this model's tokenizer has no single tokens for the digits", hint="Take another base model")
    made, long = [], []
    for row in rows:
        if not 0 <= row.target <= SCALE[1]:
            raise DataError(f"row '{row.id}' has the target {row.target}", hint="It is a digit, 0 to 9")
        teacher, student = (
            tuple(tokenizer(judge_prompt(row.instruction, row.response, shown, SCALE, chat=False))["input_ids"])
            for shown in (row.reference, None)
        )
        if max(len(teacher), len(student)) > LONGEST:
            long.append(row.id)
        else:
            made.append(Pair(row.id, teacher, student, digits[row.target]))
    return made, long


def train(
    base: str,
    rows: Sequence[JudgeRow],
    folder: str | Path,
    settings: Settings = Settings(),  # noqa: B008  immutable
    *,
    kd: float = DISTILL,
    loaded: tuple[Any, Any] | None = None,
    notify: Notify | None = None,
) -> Tuned[Pair]:
    """Train a judge and write its folder, which `self_j(folder)` reads.

    Args:
        base: What becomes the judge; in the paper the answering model itself.
        rows: Of `build`.
        folder: Where `scorer.json` and `adapter/` go.
        settings: Of the LoRA; the defaults' rank, alpha, targets and rate are the paper's.
        kd: Weight of the distillation; 0 leaves it out.
        loaded: As `lora.tune`.
        notify: Told how far it is, and how many rows were too long.

    Raises:
        UsageError: if there is nothing to train on, or the digits are no single tokens.
    """
    tokenizer, model = loaded or load(base, notify)
    made, long = pairs(tokenizer, rows)
    if long:
        say(notify, f"{len(long)} of {len(rows)} rows are longer than {LONGEST} tokens and left out: {long[:3]}")
    tuned = tune(base, made, settings, Distillation(pad_of(tokenizer), kd=kd), loaded=(tokenizer, model), notify=notify)
    place = Path(folder)
    tuned.save(place / ADAPTER)
    config = {
        "base": base.removeprefix("torch:"),
        "scale": list(SCALE),
        "prompts": prompt_digests(),
        "answerer": rows[0].model,
        "rows": len(made),
        "left_out": len(long),
        "kd": kd,
        "student": STUDENT,
        "lora": settings._asdict(),
    }
    saved.save(place, NAME, config, {})
    return tuned


async def calibrate(folder: str | Path, rows: Sequence[JudgeRow]) -> tuple[float, ...]:
    """Grade answers that the judge was not trained on and keep the grades with it: thresholds by coverage need them.

    Returns:
        The grades without reference, ascending.
    """
    judge = SelfJ(folder)

    async def grade(row: JudgeRow) -> float | None:
        instruction = Instruction(row.id, (Message("user", row.instruction),))
        return (await judge.score(instruction, Response(row.response, model=row.model))).value

    found = await asyncio.gather(*map(grade, rows))  # a failure ends it: a threshold from half the rows would mislead
    grades = tuple(sorted(value for value in found if value is not None))
    saved.save(folder, NAME, {**judge.config, "calibration": grades}, {})
    return grades
