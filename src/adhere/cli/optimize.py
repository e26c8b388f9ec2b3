"""`adhere optimize prompts TASK`: find the instruction or the demonstrations that make a model do a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import data_dir_option, json_option, print_json, print_table, say, table

if TYPE_CHECKING:
    from adhere.answer.prompt_program import PromptProgram
    from adhere.write.instructions.held_out import HeldOut
    from adhere.write.instructions.search import InstructionSearch
    from adhere.write.instructions.tasks import Task

BUDGETS = {"ape": 200, "instinct": 60}  # scoring calls; instructions tried
INITIAL_SHARE = 4  # a quarter of INSTINCT's tries is random, at most the paper's 40
SHOWN = 8  # rows of the table


@click.group("optimize")
def command() -> None:
    """Find prompts: the file goes to --prompt of any command."""


@command.command("prompts")
@click.argument("task", metavar="TASK")
@click.option("--method", type=click.Choice(["ape", "instinct", "auto-cot"]), default="ape", show_default=True)
@click.option("-m", "--model", default="smollm2", show_default=True, help="The model that the prompt is for.")
@click.option("--writer", help="Who proposes (default: the model; for instinct, the model through torch).")
@click.option("--budget", type=click.IntRange(1), help="ape: scoring calls (200); instinct: instructions tried (60).")
@click.option("--metric", help="How answers are graded: em, f1, es, contains, number, choice, yes_no, letters.")
@click.option("--scorer", type=click.Choice(["likelihood", "accuracy"]), default="likelihood", show_default=True)
@click.option("--form", type=click.Choice(["ape", "thinking"]), default="ape", show_default=True,
              help="`thinking`: the instruction opens the answer, as “Let's think step by step.” does.")  # fmt: skip
@click.option("--proposer", default="mix", show_default=True, help="ape: reference, insert, few_shot, bank, mix.")
@click.option("--allocator", default="halving", show_default=True, help="ape: full, ucb, halving.")
@click.option("--candidates", type=click.IntRange(1), default=90, show_default=True, help="ape: drafts to ask for.")
@click.option("--rounds", type=click.IntRange(0), default=0, show_default=True, help="ape: rounds of paraphrasing.")
@click.option("--domain", type=click.IntRange(2), default=400, show_default=True, help="instinct: soft prompts.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
              help="instinct: length of the soft tokens, in mean token embeddings.")  # fmt: skip
@click.option("--test", type=click.IntRange(0), default=100, show_default=True, help="Held-out pairs at most; 0: none.")
@click.option("--seed", default=0, show_default=True, help="Every random choice derives from it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("prompt.json"), show_default=True)
@data_dir_option
@json_option
def prompts(task: str, **options: Any) -> None:
    """Find a prompt for TASK: JSONL rows of `input` and `output` (or `outputs`), or a public task's name.

    \b
    adhere optimize prompts task.jsonl --method ape --budget 200
    adhere eval mine.jsonl --prompt prompt.json

    A third of the rows is held out; what is found is compared with no instruction on it.
    """
    from adhere.engine.sync import call
    from adhere.write.instructions.tasks import read_task

    read = read_task(task, options["metric"], seed=options["seed"])
    _writable(options["out"])
    answerer = _model(options["model"], options)
    program, search, measured = call(_optimise(read, answerer, options))
    program.save(options["out"])
    if search is not None and search.steps:
        from adhere.data.jsonl import write

        write(_steps_file(options["out"]), search.steps)
    if options["as_json"]:
        print_json(_document(program, search, measured, options["out"]))
    else:
        _print(read, program, search, measured, options)


async def _optimise(task: Task, answerer: Any, options: dict[str, Any]) -> Any:
    """(program, search or None, held-out measures)."""
    from adhere.answer.prompt_program import PromptProgram
    from adhere.write.instructions.held_out import held_out_marks, held_out_score
    from adhere.write.instructions.scoring import FORMS, scorer_of

    form = FORMS[options["form"]]
    held = task.execute[: options["test"]]
    if options["method"] == "auto-cot":
        program, search = await _auto_cot(task, answerer, options), None
        bare, cap = PromptProgram(template="{input}"), answerer.sampling.max_tokens
    else:
        method = _ape if options["method"] == "ape" else _instinct
        search = await method(task, answerer, form, options)
        program, bare, cap = search.best, form.program(""), form.max_tokens
    measured = []
    if held:
        say(f"measuring on {len(held)} held-out pairs")
        if search is not None and search.scorer == "likelihood":
            graded = scorer_of("likelihood", answerer, task.metric, form)
            measured.append(await held_out_score(program.instruction, held, graded))
        measured.append(await held_out_marks(program, bare, held, answerer, task.metric, cap))
    return program, search, measured


async def _ape(task: Task, answerer: Any, form: Any, options: dict[str, Any]) -> InstructionSearch:
    from adhere.write.instructions.search import search_instruction_async

    names = ("proposer", "scorer", "allocator", "candidates", "rounds", "seed")
    writer = _writer(options, answerer)
    budget = options["budget"] or BUDGETS["ape"]
    say(f"searching with {budget} scoring calls")
    return await search_instruction_async(
        task, writer, answerer, budget=budget, form=form, **{name: options[name] for name in names}
    )


async def _instinct(task: Task, answerer: Any, form: Any, options: dict[str, Any]) -> InstructionSearch:
    from adhere.write.instructions.instinct import INITIAL, search_soft_prompt_async
    from adhere.write.instructions.soft_prompts import SoftPromptProposer

    budget = options["budget"] or BUDGETS["instinct"]
    if options["writer"] is None:
        options = {**options, "writer": _white_box(options["model"])}
    about: Any = "thinking" if options["form"] == "thinking" else "pairs"
    space = SoftPromptProposer(
        domain=options["domain"], scale=options["scale"], about=about, folder=options["out"].parent
    )
    say(f"computing hidden states of {options['domain']} soft prompts, then {budget} tries")
    return await search_soft_prompt_async(
        task, _writer(options, answerer), answerer, proposer=space, budget=budget, form=form,
        initial=min(INITIAL, max(1, budget // INITIAL_SHARE)), scorer=options["scorer"], seed=options["seed"],
    )  # fmt: skip


async def _auto_cot(task: Task, answerer: Any, options: dict[str, Any]) -> PromptProgram:
    from adhere.records import Example, Instruction
    from adhere.score.texts.extract import KINDS
    from adhere.write.auto_cot import build

    kind: Any = task.metric if task.metric in KINDS else "text"
    examples = []
    for pair in task.induce:
        question = Instruction.of(pair.input)
        examples.append(Example(Instruction(question.id, question.messages, references=pair.outputs)))
    say(f"asking for chains of thought; answers are read as '{kind}' (--metric)")
    return await build(examples, answerer, kind=kind, seed=options["seed"])


def _model(name: str, options: dict[str, Any]) -> Any:
    """A model; one without a chat template continues plain text."""
    from adhere.models.names import load

    model = load(name, notify=say)
    model.chat = "chat" in model.info.capabilities
    return model


def _writer(options: dict[str, Any], answerer: Any) -> Any:
    name = options["writer"]
    return answerer if name in (None, options["model"]) else _model(name, options)


def _white_box(model: str) -> str:
    """The model itself through torch; for an endpoint, which shows nothing of its inside, the packaged one."""
    from adhere.errors import UsageError
    from adhere.models.names import fetch

    if model.startswith("torch:"):
        return model
    try:
        fetch(model, say)
    except UsageError:
        say(f"'{model}' shows no hidden states: torch:smollm2 writes (--writer)")
        return "torch:smollm2"
    return f"torch:{model}"


def _writable(out: Path) -> None:
    """Raises DataError now, not after the search."""
    from adhere.errors import DataError

    if not out.parent.is_dir():
        raise DataError(f"{out}: there is no folder {out.parent}", hint="Make it, or name another --out")


def _steps_file(out: Path) -> Path:
    return out.with_suffix(".steps.jsonl")


def _document(program: Any, search: Any, measured: list[HeldOut], out: Path) -> dict[str, Any]:
    held = [m._asdict() | {"difference": m.difference._asdict()} for m in measured]
    found = {"calls": search.calls, "scorer": search.scorer, "notes": search.notes} if search else {}
    rows = [row._asdict() for row in search.table] if search else []
    return {"file": str(out), "program": program, "held_out": held, "table": rows, **found}


def _print(task: Task, program: Any, search: Any, measured: list[HeldOut], options: dict[str, Any]) -> None:
    from rich.markup import escape

    if search is not None:
        unit = "log-likelihood" if search.scorer == "likelihood" else task.metric
        title = f"{task.name} · {options['method']} · {search.calls} scoring calls"
        made = table(unit, "pairs", "from", "instruction", title=title, right=(unit, "pairs"))
        for row in search.table[:SHOWN]:
            made.add_row(
                "" if row.score is None else f"{row.score:.2f}", str(row.n), row.source, escape(row.instruction)
            )
        if len(search.table) > SHOWN:
            made.add_row("", "", "", f"… {len(search.table) - SHOWN} more")
        print_table(made)
    else:
        click.echo(f"{len(program.demonstrations)} demonstrations of chains of thought")
    for m in measured:
        d = m.difference
        click.echo(
            f"held out, {m.measure}: {m.found:.3f} with the prompt, {m.without:.3f} without; "
            f"difference {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}], n={d.n}"
        )
    if program.instruction:
        click.echo(f"instruction: {program.instruction}")
    click.echo(
        f"prompt: {options['out']}" + (f"  steps: {_steps_file(options['out'])}" if search and search.steps else "")
    )


__all__ = ["command"]
