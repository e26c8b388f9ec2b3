"""RES-Q (LaBash et al. 2024, arXiv 2406.16801): do its controls hold, and what does the form of an edit decide?

Our 30 tasks on six packages, every run in the sandbox. Controls: gold diffs pass, empty ones fail to apply, idle ones
fail the tests; a module that ends the process early does not pass, an endless one times out. Diffs of wrong form: which
go in as they are, and which after mending. Files found by BM25. A real model with the files that the gold diff changes
("oracle context"), three forms of edit, one retry: how often an edit can be carried out, and how often it is right.

The paper's systems solve 16 to 58 of its 100 tasks with models of 70 billion parameters and more; what can be shown
here is that the instrument measures, and that the form of the edit matters before anything else does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere.answer.repo_edit import RepoEdit, nearest_files
from adhere.answer.repo_edit.edits import FORMATS
from adhere.answer.repo_edit.patches import diff_of
from adhere.bench.figures import mean, share
from adhere.bench.res_q import instruction_of
from adhere.bench.res_q.checker import PatchChecker
from adhere.bench.res_q.tasks import Task, own_tasks
from adhere.models.model import Model
from adhere.score.bootstrap import compare_numbers


class Size(NamedTuple):
    """Tasks of the controls, tasks for the model, tokens of an answer."""

    controls: int
    tasks: int
    tokens: int


SIZES = {
    "smoke": Size(1, 1, 16), "small": Size(30, 8, 224), "medium": Size(30, 30, 384), "full": Size(30, 30, 1024),
}  # fmt: skip
PAPER = {"Claude 3.5 Sonnet": 0.58, "GPT-4o": 0.46, "Llama 3 70b": 0.20, "Qwen2-72B": 0.16}
EXPLOITS = {
    "sys.exit(0)": "import sys\nsys.exit(0)\n", "os._exit(0)": "import os\nos._exit(0)\n",
    "exit status 0 at exit": "import atexit, os\natexit.register(os._exit, 0)\n",
    "tests deleted": "import glob, os\nfor name in glob.glob('test_*'):\n    os.remove(name)\n",
}  # fmt: skip
SPOILT: dict[str, Callable[[str], str]] = {
    "wrong hunk counts": lambda d: re.sub(r"@@ -(\d+),\d+ \+(\d+),\d+ @@", r"@@ -\1,2 +\2,9 @@", d),
    "CRLF": lambda d: d.replace("\n", "\r\n"),
    "no line feed at the end": lambda d: d.rstrip("\n"),
    "no a/ and b/": lambda d: re.sub(
        r"^(---|\+\+\+) [ab]/", r"\1 ", re.sub(r"^diff .*\n", "", d, flags=re.M), flags=re.M
    ),
    "indented context": lambda d: re.sub(r"^ (?=\S)", "   ", d, flags=re.M),
}


def run(scale: str, model: str) -> dict[str, Any]:
    """Controls first, then the model."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    tasks, checker = own_tasks()[: size.controls], PatchChecker()
    controls = await _controls(tasks, checker)
    exploits = {n: (await checker.check(tasks[0], _prefixed(tasks[0], code))).message for n, code in EXPLOITS.items()}
    quick = PatchChecker(checker.limits._replace(cpu=2, wall=5))
    exploits["endless loop"] = (await quick.check(tasks[0], _prefixed(tasks[0], "while True: pass\n"))).message
    spoilt = {n: await _spoilt(tasks[:10], spoil, checker) for n, spoil in SPOILT.items()}
    recall = mean([await _recall(task) for task in own_tasks()])
    async with adhere.load(name, max_tokens=size.tokens) as loaded:
        forms = {form: await _form(own_tasks()[: size.tasks], loaded, form, checker) for form in FORMATS}
    exact = all(c["value"] == 1.0 for c in controls.values())
    safe = all(message != "PASS" for message in exploits.values()) and exploits["endless loop"] == "TIMED OUT"
    lines = [f"{n}: {c['value']:.0%} of {c['n']}" for n, c in controls.items()]
    lines += [f"exploit, {n}: {message}" for n, message in exploits.items()]
    lines += [
        f"diffs with {n}: {s['strict']} of {s['n']} go in, {s['mended']} after mending" for n, s in spoilt.items()
    ]
    lines.append(f"files to change among 3 found by BM25: {_percent(recall)} (target 80%)")
    lines += [
        f"{name}, {form}: carried out {_percent(f['first'])}, with a retry {_percent(f['retried'])}, "
        f"solved {_percent(f['solved'])}"
        for form, f in forms.items()
    ]
    retry = compare_numbers(
        [v for f in forms.values() for v in f["_first"]], [v for f in forms.values() for v in f["_retried"]],
        [task for _ in forms for task in range(size.tasks)],
    )  # fmt: skip
    lines.append(f"a retry adds {100 * retry.difference:+.1f} points [{100 * retry.low:+.1f}, {100 * retry.high:+.1f}]")
    return {
        "claim": "hidden tests tell right patches from wrong, idle and cheating ones",
        "holds": "shown" if exact and safe else "against",
        "headline": f"controls exact on {len(tasks)} tasks, no exploit passes; {name} solves "
        f"{_percent(max((f['solved'] for f in forms.values()), key=lambda s: s['value'] or 0))} at best",
        "lines": lines,
        "controls": controls,
        "exploits": exploits,
        "malformed diffs": spoilt,
        "recall of files at 3": recall,
        "forms of edit": {form: {k: v for k, v in f.items() if k[0] != "_"} for form, f in forms.items()},
        "a retry adds": {k: round(v, 4) if isinstance(v, float) else v for k, v in retry._asdict().items()},
        "paper": PAPER,
    }


async def _controls(tasks: list[Task], checker: PatchChecker) -> dict[str, Any]:
    idle = [_prefixed(task, "") for task in tasks]
    wanted = {
        "gold diffs pass": ([t.solution_patch for t in tasks], "PASS"),
        "empty diffs fail to apply": ([""] * len(tasks), "PATCH FAILED"),
        "idle diffs fail the tests": (idle, "FAIL"),
    }
    return {
        name: share([float((await checker.check(t, d)).message == message) for t, d in zip(tasks, diffs, strict=True)])
        for name, (diffs, message) in wanted.items()
    }


def _prefixed(task: Task, code: str) -> str:
    """The diff that puts code (or an idle comment) in front of the first file to change."""
    path, files = task.modified_files[0].path, task.files()
    return diff_of(files, files | {path: f"{code or '# idle'}\n{files[path]}"})


async def _spoilt(tasks: list[Task], spoil: Callable[[str], str], checker: PatchChecker) -> dict[str, Any]:
    made = [await checker.check(task, spoil(task.solution_patch)) for task in tasks]
    went_in = [m for m in made if m.message != "PATCH FAILED"]
    repairs = sorted({m.repair for m in went_in if m.repair})
    strict = sum(not m.repair for m in went_in)
    return {"n": len(made), "strict": strict, "mended": len(went_in), "repairs": repairs}


async def _recall(task: Task) -> float:
    picked = await nearest_files(task.instruction, task.files(), 3)
    return sum(file.path in picked for file in task.modified_files) / len(task.modified_files)


async def _form(tasks: list[Task], model: Model, form: Any, checker: PatchChecker) -> dict[str, Any]:
    """One form of edit: edits carried out at once and with a retry, tasks solved."""
    editor = RepoEdit(model, edit_format=form, max_files=0)

    async def attempt(task: Task) -> tuple[float, float, float]:
        row = instruction_of(task)
        oracle = tuple(d for d in row.documents if d.id in row.meta["modified"])
        made = await editor.answer(msgspec.structs.replace(row, documents=oracle))
        errors = [step["error"] for step in made.trace if step["step"] == "edit"]
        return float(not errors[0]), float(not errors[-1]), float((await checker.check(task, made.text)).success)

    first, retried, solved = zip(*await asyncio.gather(*map(attempt, tasks)), strict=True)
    figures = {"first": share(first), "retried": share(retried), "solved": share(solved)}
    return figures | {"_first": first, "_retried": retried}


def _percent(figure: dict[str, Any]) -> str:
    return f"{100 * figure['value']:.0f}% [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"
