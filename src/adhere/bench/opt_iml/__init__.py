"""OPT-IML's evaluation (Iyer et al. 2022, arXiv 2212.12017): one model, three levels of generalisation, told apart.

A collection of tasks is split into categories that training never sees, tasks that it never sees of categories that it
does, and unseen instances of tasks that it does see (`adhere.bench.opt_iml.bank`). A model tuned on the last group's
training rows is measured on all three; the difference between the levels, and between two models at one level, is what
the paper reads its recipes off.

Tasks with a few answers are scored by log-likelihood (the sum over the answer's tokens, lm-eval's `acc`; the paper does
not say how its harness normalises), the others are generated, greedily, and scored by ROUGE-L. A level's figure is the
mean over rows of a task, then over tasks of a category, then over categories: no large task decides.

`opt-iml` reads `opt-iml/tasks` of the data folder (or `quick-learners/tasks`), one JSON file a task, and `split.json`
(`{"held_out_categories", "held_out_tasks", "seed"}`) beside that folder where a model was trained by one; otherwise
tasks that share text are put into clusters and the split is drawn with seed 0. `opt-iml-2shot` puts two solved examples
of the task in front. `opt-iml-synthetic` is our own collection of forty string tasks. What OPT-IML trains with
(mixtures, caps, losses) is not here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.choice import ask_choices, choice, choices_of, completion, round_robin
from adhere.bench.figures import statistic
from adhere.bench.opt_iml.bank import LEVELS, Level, Split, Task, clustered, fresh_test, leakage, read_bank, split
from adhere.bench.opt_iml.strings import strings
from adhere.data.places import data_dir
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Response, Score

__all__ = ["instructions", "level_average", "prompt", "summary"]

log = logging.getLogger("adhere")
HERE = "adhere.bench.opt_iml"
ROWS = 20  # of a task; the paper takes 250 to 4,096
MAX_TOKENS = 48
FOLDERS = ("opt-iml/tasks", "quick-learners/tasks")
METRICS = {
    "average": Metric("mean of the levels"),
    "fully_held_out": Metric("categories never seen: mean over categories of tasks"),
    "partially_supervised": Metric("tasks never seen, categories seen"),
    "supervised": Metric("tasks seen, instances not"),
    "accuracy": Metric("tasks with a few answers: the likeliest is right"),
    "rouge_l": Metric("the other tasks: ROUGE-L F"),
    "score": Metric("either, each row equal"),
}


def prompt(task: Task, input: str, shots: int = 0) -> str:
    """Definition, `shots` of the task's examples, and the input, up to where the output begins."""
    example = Template.of(HERE, "example")
    solved = "".join(example.render(input=p.input, output=p.output) + "\n\n" for p in task.examples[:shots])
    return Template.of(HERE, "task").render(definition=task.definition, examples=solved, input=input)


def instructions(
    bank: Sequence[Task], levels: Mapping[str, Level], *, shots: int = 0, rows: int = ROWS
) -> list[Instruction]:
    """Test rows of every level, round-robin over levels, then tasks; a task without usable rows is left out.

    Args:
        bank: The tasks.
        levels: As `Split.levels` gives them; excluded tasks are not asked.
        shots: Solved examples in front of each.
        rows: The first so many test rows of a task; of supervised ones, those whose input was not trained on.

    Raises:
        DataError: if a held-out task can be found among the training tasks (`leakage`).
    """
    if leaks := leakage(bank, levels):
        first = leaks[0]
        raise DataError(
            f"{len(leaks)} held-out task(s) stand in the training tasks too, e.g. {first.share:.0%} of '{first.test}' "
            f"in '{first.train}'",
            hint="Give both the same `cluster`, or hold both out",
        )
    by_level: list[list[Instruction]] = []
    for level in LEVELS:
        members = [task for task in bank if levels[task.id] == level]
        asked = {task.id: _of_task(task, level, shots, rows) for task in members}
        if empty := [id for id, found in asked.items() if not found]:
            log.warning("%d task(s) without usable test rows are left out: %s", len(empty), ", ".join(empty))
        by_level.append(round_robin(list(asked.values())))
    return round_robin(by_level)


def _of_task(task: Task, level: Level, shots: int, rows: int) -> list[Instruction]:
    candidates = task.candidates
    made = []
    usable = fresh_test(task) if level == "supervised" else task.test
    for number, pair in enumerate(usable[:rows]):
        id, text = f"{task.id}/{number}", prompt(task, pair.input, shots)
        meta = {"level": level, "category": task.category, "task": task.id, "cluster": task.id, "shots": shots}
        if pair.output in candidates:
            made.append(choice(id, text, candidates, candidates.index(pair.output), kind="choice", **meta))
        else:
            meta |= {"kind": "text", "reference": pair.output}
            made.append(Instruction(id, (Message("user", text),), references=(pair.output,), meta=meta))
    return made


async def ask(options: Options, instruction: Instruction) -> Response:
    """Score the candidates where there are some; otherwise generate a line."""
    if instruction.meta["kind"] == "choice":
        return await ask_choices(options, instruction)
    return await completion(options, instruction.prompt, max_tokens=MAX_TOKENS, stop=("\n",))


class TaskScorer:
    """Grades a row by its task's kind: `accuracy` of the likeliest candidate, or `rouge_l` of the line generated."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """Parts: that one, and `score`, which is the same figure whatever the kind."""
        from adhere.score.texts.overlap import rouge_l

        if instruction.meta["kind"] == "choice":
            found, answer = choices_of(response), instruction.meta["answer"]
            right = found.best() == answer
            own = Score("accuracy", float(right), right, reason=f"chose {found.options[found.best()]!r}")
        else:
            value = rouge_l(response.text, [instruction.meta["reference"]])
            own = Score("rouge_l", value, reason=f"wanted {instruction.meta['reference']!r}")
        return Score("score", own.value, own.passed, (own, Score("score", own.value)), own.reason)


def level_average(scored: Sequence[Scored]) -> float | None:
    """Mean over rows of a task, then tasks of a category, then categories; a failed row scores 0."""
    tree: dict[str, dict[str, list[float]]] = {}
    for s in scored:
        value = s.score.value if s.score is not None and s.score.value is not None else 0.0
        tree.setdefault(s.instruction.meta["category"], {}).setdefault(s.instruction.meta["task"], []).append(value)
    categories = [sum(sum(rows) / len(rows) for rows in tasks.values()) / len(tasks) for tasks in tree.values()]
    return sum(categories) / len(categories) if categories else None


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The figure of each level and their mean, with the bootstrap's interval over tasks."""
    found: dict[str, Any] = {"average": _over_tasks(_mean_of_levels, scored)}
    for level in LEVELS:
        if members := _of_level(scored, level):
            found[level] = _over_tasks(level_average, members)
    return found


def _mean_of_levels(scored: Sequence[Scored]) -> float | None:
    levels = [level_average(members) for level in LEVELS if (members := _of_level(scored, level))]
    given = [value for value in levels if value is not None]
    return sum(given) / len(given) if given else None


def _of_level(scored: Sequence[Scored], level: Level) -> list[Scored]:
    return [s for s in scored if s.instruction.meta["level"] == level]


def _over_tasks(function: Callable[[Sequence[Scored]], float | None], rows: Sequence[Scored]) -> dict[str, Any]:
    return statistic(function, rows, [s.instruction.meta["task"] for s in rows])


SHARED: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": lambda options: TaskScorer(),
    "ask": ask,
    "summary": summary,
    "groups": ("level", "category", "kind"),
    "max_tokens": MAX_TOKENS,
    "paper": "opt-iml",
    "calls": 2.0,
}


class _SplitFile(msgspec.Struct):
    held_out_categories: tuple[str, ...]
    held_out_tasks: tuple[str, ...] = ()
    seed: int = 0


def _of_folder(shots: int) -> list[Instruction]:
    place = data_dir()
    folder = next((place / name for name in FOLDERS if (place / name).is_dir()), None) if place else None
    if folder is None:
        raise DataError(
            f"no task collection in {place or 'the data folder (ADHERE_DATA is not set)'}",
            hint="Put one JSON file a task into DIR/opt-iml/tasks, --data-dir DIR; opt-iml-synthetic needs none",
        )
    bank = read_bank(folder)
    stated = folder.parent / "split.json"
    if stated.is_file():
        drawn = _stated(stated, bank)
    else:
        bank = clustered(bank)
        drawn = split(bank, held_out_categories=max(1, len({task.category for task in bank}) // 4))
    return instructions(bank, drawn.levels(bank), shots=shots)


def _stated(path: Path, bank: Sequence[Task]) -> Split:
    """The split that somebody trained by."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_SplitFile)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(
            f"{path}: no split: {error}", hint='Write {"held_out_categories": [], "held_out_tasks": []}'
        ) from error
    known = {task.category for task in bank} | {task.id for task in bank}
    if unknown := sorted({*found.held_out_categories, *found.held_out_tasks} - known):
        raise DataError(f"{path}: '{unknown[0]}' is no category and no task of the collection")
    return Split(found.held_out_categories, found.held_out_tasks, found.seed)


@benchmark(
    "opt-iml",
    about="a folder of tasks at three levels: unseen categories, unseen tasks, unseen instances; without examples",
    size=0,
    licence="as the tasks'",
    **SHARED,
)
def zero_shot() -> list[Instruction]:
    return _of_folder(0)


@benchmark(
    "opt-iml-2shot",
    about="the same with two solved examples of the task in front",
    size=0,
    licence="as the tasks'",
    **SHARED,
)
def two_shot() -> list[Instruction]:
    return _of_folder(2)


@benchmark(
    "opt-iml-synthetic",
    about="forty string tasks of eight categories at OPT-IML's three levels, two solved examples in front",
    size=240,
    licence="Apache-2.0",
    synthetic=True,
    **SHARED,
)
def synthetic() -> list[Instruction]:
    bank = strings()
    return instructions(bank, split(bank).levels(bank), shots=2)
