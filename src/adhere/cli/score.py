"""`adhere score FILE`: grade answers that exist already, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.figures import run_table
from adhere.cli.output import data_dir_option, json_option, print_json, print_table, say
from adhere.records import Constraint

if TYPE_CHECKING:
    from adhere.bench.responses import Answers
    from adhere.bench.run_dir import Row, Run


@click.command("score")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--against", metavar="BENCHMARK", help="Join rows that carry no constraints with this benchmark.")
@click.option(
    "--dialect",
    type=click.Choice(["ifeval", "fixed"]),
    help="`ifeval` grades as the published reference, `fixed` as the instruction says.  [default: ifeval]",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write each row back with its verdicts (JSONL)."
)
@click.option("--run", "run_dir", type=click.Path(file_okay=False, path_type=Path), help="Also write a run directory.")
@click.option("--unsafe-sandbox/--sandbox", default=False,
              help="Run generated code even where it cannot be isolated, or only isolated: the default.")  # fmt: skip
@data_dir_option
@json_option
def command(
    file: Path,
    against: str | None,
    dialect: Any,
    out: Path | None,
    run_dir: Path | None,
    unsafe_sandbox: bool,
    as_json: bool,
) -> None:
    """Grade the answers in FILE: JSONL rows (- reads stdin), a log of lm-eval or inspect, or a run directory.

    \b
    Rows are {"key", "prompt", "instruction_id_list", "kwargs", "response"} with their own constraints,
    or {"key" or "prompt", "response"} joined with a benchmark (--against ifeval).
    """
    from adhere.bench.rescore import regrade, score_file
    from adhere.data.files import shown

    if str(file) == "-":
        file = Path("/dev/stdin")
    if file.is_dir():
        run, found = regrade(file, dialect, unsafe_sandbox=unsafe_sandbox), None
    else:
        run, found = score_file(file, against, dialect)
    if out is not None:
        _write_rows(run, found, out)
    if run_dir is not None:
        from adhere.bench.run_dir import write
        from adhere.web.report import write_report

        write(run, run_dir)
        write_report(run, run_dir / "report.html")
    unmatched = [shown(place) for place in found.unmatched] if found is not None else []
    notes = found.notes if found is not None else []
    if as_json:
        print_json(run.manifest | {"unmatched": unmatched, "notes": notes, "out": shown(out) if out else None})
    else:
        _print(run, file, against, unmatched, notes)
    if unmatched or run.manifest["counts"]["failed"]:
        raise click.exceptions.Exit(1)


def _print(run: Run, file: Path, against: str | None, unmatched: list[str], notes: list[str]) -> None:
    print_table(run_table(run.manifest, f"{file} · dialect {run.manifest['settings']['dialect']}"))
    for note in notes:
        say(f"note: {note}")
    asked = run.manifest["benchmark"]["prompts"]
    answered = run.manifest["counts"]["prompts"]
    if against and answered < asked:
        say(f"note: {answered} of the {asked} prompts of {against} are answered; the figures are over those")
    if unmatched:
        shown = ", ".join(unmatched[:5]) + (" …" if len(unmatched) > 5 else "")
        say(f"{len(unmatched)} rows match no prompt of {against} and were not graded: {shown}")
    if failed := run.manifest["counts"]["failed"]:
        first = next(r for r in run.rows if r.error_kind)
        say(f"{failed} answers failed and count as not passed; the first, {first.id}: {first.error_message}")
    if undecided := run.manifest["counts"]["undecided"]:
        say(f"{undecided} verdicts are undecided and count as not passed")


def _write_rows(run: Run, found: Answers | None, out: Path) -> None:
    """Each row as it came, its identity under `key`, with `strict` and `loose` aligned with its constraints."""
    import msgspec

    from adhere.bench.run_dir import replace_bytes

    by_row: dict[tuple[str, int], tuple[list[bool], list[bool]]] = {(r.id, r.sample): ([], []) for r in run.rows}
    for v in run.verdicts:
        strict, loose = by_row[v.id, v.sample]
        strict.append(v.strict is True)
        loose.append(v.loose is True)
    encoder = msgspec.json.Encoder()
    lines = []
    for n, row in enumerate(run.rows):
        source = found.sources[n] if found is not None else _as_source(row)
        strict, loose = by_row[row.id, row.sample]
        kept = {k: v for k, v in source.items() if not (k == "key" and v is None)}
        lines.append(encoder.encode({"key": row.id} | kept | {"strict": strict, "loose": loose}))
    replace_bytes(out, b"\n".join(lines) + b"\n")


def _as_source(row: Row) -> dict[str, Any]:
    """A row of a run in IFEval's form, which can be scored again."""
    import msgspec

    constraints = msgspec.json.decode(row.constraints, type=list[Constraint])
    asked = {"instruction_id_list": [c.kind for c in constraints], "kwargs": [c.args for c in constraints]}
    error = {"error": row.error_message} if row.error_kind else {}
    return {"sample": row.sample, "prompt": row.prompt} | asked | {"response": row.response} | error


__all__ = ["command"]
