"""instruct-qa: is an answer over passages right, does it say only what they say, and does it know when to refuse?

Adlakha, BehnamGhader, Lu, Meade & Reddy 2024, "Evaluating Correctness and Faithfulness of Instruction-Following Models
for Question Answering" (TACL, arXiv 2307.16877). `rows.py` reads the data, `asking.py` puts a question, `scoring.py`
grades. The wording of the prompts is our own; their structure is the paper's.

`instruct-qa` reads every .json and .jsonl file in the data directory's folder `instruct-qa/` (Natural Questions with
DPR's passages, HotpotQA, TopiOCQA, or Adhere's own form; see `rows.py`). `instruct-qa-synthetic` ships: sixty questions
of ours about twenty invented places, ships and people, of which no model can know anything but from the passages.

What differs: the paper's human labels are not published with its code, so its agreement with people is not recomputed;
refusals are told by a list of phrasings and not by "I don't know" alone; for a relevant passage the share that answers
is shown, not the share that wrongly refuses, so that higher is better.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from adhere.bench.base import Metric, benchmark
from adhere.bench.instruct_qa.asking import ask
from adhere.bench.instruct_qa.rows import Question, read_questions
from adhere.bench.instruct_qa.scoring import METRICS, make_scorer, summary
from adhere.data.places import data_dir
from adhere.engine.seeds import derive
from adhere.errors import DataError
from adhere.records import Document, Instruction, Message
from adhere.score.texts.overlap import strict_recall

__all__ = ["MOST_PASSAGES", "SETTINGS", "instructions", "synthetic_questions"]

SETTINGS = ("answer", "irrelevant", "relevant")
MOST_PASSAGES = 8  # the paper's k
DISTRACTORS = 2  # passages beside the right one, in the data of our own
FOLDER = "instruct-qa"
HERE = Path(__file__).parent
_SHOWN = METRICS | {"knows_when": Metric("refuses or answers as its one passage allows")}


def instructions(questions: Sequence[Question], name: str) -> list[Instruction]:
    """Each question in the settings that its data allow, its settings side by side.

    Args:
        questions: With different ids. One whose right passage is known is also asked with that passage alone, and with
            one of another question that does not hold its answer.
        name: Of the set, for `meta["set"]`.
    """
    made = []
    for at, question in enumerate(questions):
        shown = {"answer": question.passages[:MOST_PASSAGES]}
        right = [p for p, gold in zip(question.passages, question.gold or (), strict=False) if gold]
        other = _unrelated(question, questions, at) if right else None
        if right and other is not None:
            shown |= {"irrelevant": (other,), "relevant": (right[0],)}
        made += [_instruction(question, setting, passages, name) for setting, passages in shown.items()]
    return made


def _instruction(question: Question, setting: str, passages: Sequence[Document], name: str) -> Instruction:
    turns = [Message(("user", "assistant")[n % 2], turn) for n, turn in enumerate(question.history)]
    kind = "follow-up" if turns else "single"
    where = f"{name}/{question.id}"
    return Instruction(
        f"{where}/{setting}",
        (*turns, Message("user", question.question)),
        documents=tuple(passages),
        references=question.answers,
        meta={"setting": setting, "set": name, "kind": kind, "cluster": where},
    )


def _unrelated(question: Question, others: Sequence[Question], at: int) -> Document | None:
    """A passage that is right for another question: the next one's that has another title and no answer in it."""
    titles = {p.title for p, gold in zip(question.passages, question.gold or (), strict=False) if gold}
    for step in range(1, len(others)):
        other = others[(at + step) % len(others)]
        for passage, gold in zip(other.passages, other.gold or (), strict=False):
            if (
                gold
                and passage.title not in titles
                and not (question.answers and strict_recall(passage.text, question.answers))
            ):
                return passage
    return None


@benchmark(
    "instruct-qa",
    about="questions over passages: right, faithful, and refusing when the passage says nothing (your data files)",
    size=0,
    licence="as the sets'",
    metrics=_SHOWN,
    scorer=make_scorer,
    ask=ask,
    summary=summary,
    groups=("set", "kind"),
    judge="optional",
    max_tokens=500,
    paper="instruct-qa",
)
def instruct_qa() -> list[Instruction]:
    """Every question file in the data directory's folder `instruct-qa/`, the sets taking turns."""
    place = data_dir()
    folder = place / FOLDER if place is not None else None
    files = sorted(f for f in folder.iterdir() if f.suffix in (".json", ".jsonl")) if folder and folder.is_dir() else []
    if not files:
        raise DataError(
            f"no question files in {folder or f'a folder {FOLDER}/ of the data directory (ADHERE_DATA is not set)'}",
            hint="Put nq.jsonl, hotpotqa.json or topiocqa.json there, or take instruct-qa-synthetic",
        )
    sets = [instructions(read_questions(file), file.stem) for file in files]
    return [i for turn in range(max(map(len, sets))) for rows in sets for i in rows[turn : turn + 1]]


@benchmark(
    "instruct-qa-synthetic",
    about="60 questions over passages about invented things, 20 of them follow-ups, each in three settings",
    size=180,
    licence="Apache-2.0",
    metrics=_SHOWN,
    scorer=make_scorer,
    ask=ask,
    summary=summary,
    groups=("kind",),
    judge="optional",
    max_tokens=96,
    paper="instruct-qa",
    suite=("documents",),
    synthetic=True,
)
def instruct_qa_synthetic() -> list[Instruction]:
    """Our own questions."""
    return instructions(synthetic_questions(), "synthetic")


class _Written(msgspec.Struct):
    """A line of `questions.jsonl`."""

    id: str
    passage: str
    question: str
    answers: tuple[str, ...]
    history: tuple[str, ...] = ()


def synthetic_questions() -> list[Question]:
    """Our own questions, each with its passage among others about things of the same and of another kind."""
    from adhere.data.jsonl import read

    corpus = {d.id: d for d in read(HERE / "passages.jsonl", Document)}
    names = list(corpus)
    made = []
    for row in read(HERE / "questions.jsonl", _Written):
        at = names.index(row.passage)
        like = names[at ^ 1]  # things of one kind stand side by side
        draw = random.Random(derive(FOLDER, row.id))
        far = draw.sample([n for n in names if n not in (row.passage, like)], DISTRACTORS - 1)
        shown = [row.passage, like, *far]
        draw.shuffle(shown)
        made.append(
            Question(row.id, row.question, row.history, tuple(corpus[n] for n in shown),
                     tuple(n == row.passage for n in shown), row.answers)
        )  # fmt: skip
    return made
