"""RES-Q (LaBash et al. 2024, arXiv 2406.16801): change a repository as asked, judged by hidden tests.

`res-q` has the published 100 tasks, from `res-q/dataset.json` of the data folder, with clones of their repositories in
`res-q/repos` or a network to fetch them and their requirements. `res-q-synthetic` has 30 tasks of our own on six small
packages and needs nothing. An answer is a unified diff; a bare model is asked through the strategy `repo_edit`.

Solved is the reference's rule. A diff that goes in only after its form was mended (wrong counts in hunk headers, paths
without a/ and b/, changed white space) is counted as mended, and what it would have solved too.
"""

from __future__ import annotations

from typing import Any

from adhere.bench.base import Metric, Options, benchmark
from adhere.bench.res_q.tasks import DATASET, Task, own_tasks, published_tasks
from adhere.errors import CapabilityError
from adhere.records import Document, Instruction, Message, Response, Score

__all__ = ["PatchScorer", "instruction_of"]

METRICS = {
    "solved": Metric("tasks solved (pass@1)"),
    "applied": Metric("diffs that went in as they were"),
    "mended": Metric("diffs that went in, some after mending"),
    "solved_mended": Metric("tasks solved, mended diffs included"),
    "timed_out": Metric("tests that ran into the time limit", better="lower"),
    "found": Metric("files to change that were shown to the model"),
}
MAX_TOKENS = 256


def instruction_of(task: Task) -> Instruction:
    """A task as a row: the request, the repository's files as documents, the gold diff as the reference.

    Raises:
        DataError: if its repository is not to be had.
    """
    documents = tuple(Document(text, id=path, title=path) for path, text in task.files().items())
    hidden = {
        name: getattr(task, name)
        for name in (
            "test_script",
            "repo_url",
            "base_commit",
            "repo",
            "package",
            "testbed_environment",
            "requirements_txt",
        )
        if getattr(task, name)
    }
    meta = hidden | {"modified": [file.path for file in task.modified_files], "language": task.language}
    references = (task.solution_patch,) if task.solution_patch else ()
    return Instruction(task.id, (Message("user", task.instruction),), (), documents, references, meta)


def task_of(instruction: Instruction) -> Task:
    """The task behind a row, for who checks an answer to it."""
    meta = {k: v for k, v in instruction.meta.items() if k in Task.__struct_fields__}
    return Task(id=instruction.id, instruction=instruction.prompt, **meta)


class PatchScorer:
    """Checks the diff in a response against its task's hidden tests.

    Args:
        unsafe: Run without isolation where there is none.

    Raises:
        CapabilityError: if code cannot be isolated here and `unsafe` is False.
    """

    def __init__(self, unsafe: bool = False) -> None:
        from adhere.bench.res_q.checker import PatchChecker

        self.checker = PatchChecker(unsafe=unsafe)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; undecided where the task's Python or its packages are not to be had."""
        try:
            made = await self.checker.check(task_of(instruction), response.text)
        except CapabilityError as error:
            return Score("solved", reason=f"skipped: {error.message}")
        went_in = made.message != "PATCH FAILED"
        reason = f"{made.message}{f', mended ({made.repair})' if made.repair else ''}: {made.feedback[-300:].strip()}"
        flags = {
            "solved": made.success,
            "applied": went_in and not made.repair,
            "mended": went_in,
            "solved_mended": made.message == "PASS",
            "timed_out": made.message == "TIMED OUT",
        }
        parts = [Score(name, float(flag), flag, reason=reason) for name, flag in flags.items()]
        share = _found(instruction, response)
        parts += [Score("found", share)] if share is not None else []
        return Score("solved", float(made.success), made.success, tuple(parts), reason)


def _found(instruction: Instruction, response: Response) -> float | None:
    """Share of the files to change that the strategy showed to its model; None where it does not say."""
    picked = next((step["picked"] for step in response.trace if step.get("step") == "files"), None)
    wanted = [path for path in instruction.meta.get("modified", ()) if path]
    return sum(path in picked for path in wanted) / len(wanted) if picked is not None and wanted else None


async def ask(options: Options, instruction: Instruction) -> Response:
    """Through `repo_edit` in one attempt, unless a strategy was named."""
    from adhere.answer.repo_edit import RepoEdit
    from adhere.models.model import Model

    answerer: Any = options.answerer
    return await (RepoEdit(answerer, retries=0) if isinstance(answerer, Model) else answerer).answer(instruction)


_COMMON: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": lambda options: PatchScorer(options.unsafe_sandbox),
    "ask": ask,
    "paper": "res-q",
    "max_tokens": MAX_TOKENS,
}


@benchmark(
    "res-q",
    about="100 changes to real repositories, judged by hidden tests in the sandbox",
    size=100,
    licence="of each repository",
    files=(DATASET,),
    **_COMMON,
)
def published() -> list[Instruction]:
    """The published tasks."""
    return [instruction_of(task) for task in published_tasks()]


@benchmark(
    "res-q-synthetic",
    about="30 changes to six small packages, judged by hidden tests in the sandbox",
    size=30,
    licence="Apache-2.0",
    groups=("package",),
    synthetic=True,
    suite=("code",),
    **_COMMON,
)
def own() -> list[Instruction]:
    """Our own tasks."""
    return [instruction_of(task) for task in own_tasks()]
