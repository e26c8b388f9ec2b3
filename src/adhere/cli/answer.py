"""`adhere answer PROMPT`: one answer that obeys, or a file of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import json_option, print_json, say
from adhere.cli.strategy import dress, prompt_option, strategy_option
from adhere.errors import DataError, UsageError

if TYPE_CHECKING:
    from adhere.records import Constraint, Instruction, Response, Score


@click.command("answer")
@click.argument("prompt", required=False)
@click.option(
    "-m", "--model", default="smollm2", show_default=True, help="Name, path, hf:org/name or openai:model@url."
)
@strategy_option
@prompt_option
@click.option("--constraint", multiple=True, metavar="WISH", help="Plain words or kind:args; repeatable.")
@click.option("--system", metavar="TEXT", help="A system message.")
@click.option(
    "--document",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file that the question is about; repeatable.",
)
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of prompts.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the answers to --file go (JSONL).")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Cap on each model call.")
@click.option("--temperature", type=click.FloatRange(0, 100), default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", default=0, show_default=True, help="Every random choice derives from it.")
@click.option("--strict", is_flag=True, help="Contradicting constraints are an error, not a warning.")
@click.option("--show-trace", is_flag=True, help="How the answer came about, on stderr.")
@click.option("--fresh", is_flag=True, help="Ask again what is in the cache.")
@json_option
def command(prompt: str | None, **options: Any) -> None:
    """Answer PROMPT (`-` reads it from stdin) with a model and, if you like, a strategy around it.

    \b
    adhere answer "Write a haiku about rain, no commas, all lowercase" --strategy decrim --show-trace
    adhere answer --file prompts.jsonl --out answers.jsonl --strategy 'best_of_n(n=8)'

    The answer goes to stdout; which constraints it meets, to stderr. Constraints are those of --constraint, and those
    that the prompt states.
    """
    if options["file"] is not None:
        _many(prompt, options)
        return
    if prompt is None:
        raise UsageError("no prompt is given", hint='adhere answer "Name three rivers.", or --file prompts.jsonl')
    instruction = _instruction(_read(prompt), options)
    constraints = _checked(instruction, options["strict"])
    answerer = _answerer(options)
    response = _one(answerer, instruction, options["seed"])
    scores = _verdicts(response, constraints)
    if options["as_json"]:
        print_json(_document(response, constraints, scores))
        return
    if options["show_trace"]:
        from adhere.cli.traces import trace_lines

        for line in trace_lines(response.trace):
            click.echo(line, err=True)
    click.echo(response.text)
    for constraint, score in zip(constraints, scores, strict=True):
        mark, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}[score.passed]
        click.echo(f"{click.style(mark, fg=colour)} {_named(constraint)}: {score.reason}", err=True)


def _read(prompt: str) -> str:
    if prompt != "-":
        return prompt
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"stdin: not UTF-8 text (byte {error.start})", hint="Convert it: iconv -t UTF-8") from error


def _instruction(prompt: str, options: dict[str, Any]) -> Instruction:
    from adhere.data.rows import constraints_of
    from adhere.records import Document, Instruction, Message, digest

    if not prompt.strip():
        raise UsageError("the prompt is empty")
    system = (Message("system", options["system"]),) if options["system"] else ()
    documents = []
    for path in options["document"]:
        try:
            documents.append(Document(path.read_text(encoding="utf-8"), path.name, path.stem, trusted=False))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error
    made = Instruction(
        "", (*system, Message("user", prompt)), constraints_of(options["constraint"]), documents=tuple(documents)
    )
    return Instruction(digest(made)[:16], made.messages, made.constraints, made.documents)


def _checked(instruction: Instruction, strict: bool) -> list[Constraint]:
    """All constraints to report on: the given ones, then those that the prompt states. Contradictions are named."""
    from adhere.constraints import build_all, contradictions
    from adhere.constraints.plain import find_in

    found = [*instruction.constraints]
    found += [c for c in find_in(instruction.prompt).constraints if c not in found]
    for one, other in contradictions(build_all(found, "fixed")):
        message = f"no answer can satisfy both {_named(one.to_constraint())} and {_named(other.to_constraint())}"
        if strict:
            raise UsageError(message, hint="Drop one of them")
        say(f"warning: {message}")
    return found


def _answerer(options: dict[str, Any]) -> Any:
    from adhere.models.base import Sampling
    from adhere.models.names import load

    sampling = Sampling(temperature=options["temperature"], max_tokens=options["max_tokens"])
    model = load(options["model"], sampling=sampling, fresh=options["fresh"], notify=say)
    return dress(model, options["strategy"], options["prompt_file"])


def _one(answerer: Any, instruction: Instruction, seed: int) -> Response:
    from adhere.engine import context
    from adhere.engine.sync import call

    async def run() -> Response:
        check = getattr(answerer, "check", None)
        if check is not None:
            await check()
        with context.use(seed=seed):
            return await answerer.answer(instruction)

    return call(run())


def _verdicts(response: Response, constraints: list[Constraint]) -> tuple[Score, ...]:
    from adhere.constraints import build_all, verify

    return verify(response.text, build_all(constraints, "fixed")).strict if constraints else ()


def _document(response: Response, constraints: list[Constraint], scores: tuple[Score, ...]) -> dict[str, Any]:
    found = [
        {"kind": c.kind, "args": c.args, "passed": s.passed, "reason": s.reason}
        for c, s in zip(constraints, scores, strict=True)
    ]
    return {"text": response.text, "model": response.model, "finish_reason": response.finish_reason,
            "usage": response.usage, "constraints": found, "trace": response.trace}  # fmt: skip


def _named(constraint: Constraint) -> str:
    args = ", ".join(f"{k}={v!r}" for k, v in constraint.args.items())
    return f"{constraint.kind}({args})" if args else constraint.kind


def _many(prompt: str | None, options: dict[str, Any]) -> None:
    """Answer a file of prompts; rows that fail are written with their error, and the exit status is 1."""
    from adhere.bench.asking import Settings, answers_to
    from adhere.data.files import replacing
    from adhere.data.rows import read_prompts
    from adhere.engine import Progress
    from adhere.engine.sync import call
    from adhere.records import encode, to_builtins

    if prompt is not None:
        raise UsageError("give a prompt or --file, not both")
    if options["out"] is None:
        raise UsageError("--file needs --out", hint="E.g. --out answers.jsonl; `adhere score` reads it")
    instructions = list(read_prompts(options["file"]))
    answerer = _answerer(options)
    settings = Settings(seed=options["seed"], oracle=True)  # the constraints of the user's own file are the request's
    found = call(answers_to(instructions, answerer, settings, Progress(str(options["file"]))))
    failed = 0
    with replacing(options["out"]) as part, part.open("wb") as lines:
        for answer in found:
            row = {"id": answer.instruction.id, "prompt": answer.instruction.prompt}
            row["constraints"] = to_builtins(answer.instruction.constraints)
            if answer.response is None:
                failed += 1
                row |= {"response": None, "error": to_builtins(answer.failure)}
            else:
                row |= {"response": answer.response.text, "trace": answer.response.trace}
            lines.write(encode(row) + b"\n")
    if options["as_json"]:
        print_json({"answers": len(found), "failed": failed, "out": str(options["out"])})
    else:
        click.echo(f"{len(found)} answers, {failed} failed: {options['out']}")
    if failed:
        raise click.exceptions.Exit(1)


__all__ = ["command"]
