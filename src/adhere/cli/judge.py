"""`adhere judge meta FILE --judge SPEC`: how far a judge agrees with people."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adhere.cli.output import json_option, print_json, print_table, say, table

if TYPE_CHECKING:
    from adhere.models.model import Model
    from adhere.records import Instruction, Response
    from adhere.score.judges.agreement import Judged
    from adhere.score.judges.gold import Pair
    from adhere.score.judges.meta import Meta

# What each figure says, how it is shown, and where it would stand for a judge without bias.
FIGURES = {
    "accuracy": ("agrees with people (a tie counts half)", True, ""),
    "kappa": ("Cohen's kappa", False, "0 is chance"),
    "no_verdict": ("no verdict", True, ""),
    "order_accuracy": ("agrees in a single order", True, ""),
    "both_right": ("agrees in both orders", True, ""),
    "flipped": ("verdict changes with the order", True, "0% is fair"),
    "first_preferred": ("prefers the answer that stands first", True, "50% is fair"),
    "first_when_flipped": ("  the same, where the order mattered", True, ""),
    "prefers_longer": ("prefers the longer answer", True, "people below"),
    "gold_prefers_longer": ("  people prefer the longer answer", True, ""),
    "length_coefficient": ("log-odds per SD of length, quality equal", False, "0 is fair"),
}


CORRELATIONS = {
    "spearman": "Spearman's rho",
    "kendall": "Kendall's tau-b",
    "pearson": "Pearson's r",
    "no_verdict": "no verdict",
}


@click.group("judge")
def command() -> None:
    """Judges: how far they can be trusted."""


@command.command("meta")
@click.argument("gold", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--judge", "spec", required=True, metavar="SPEC", help="pairwise, revis, a scorer, or a model's name.")
@click.option("-m", "--model", default="smollm2", show_default=True, help="The model of a judge that names none.")
@click.option("--limit", type=click.IntRange(1), help="Only N pairs, of all subsets in turn.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Cap on what -m writes.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write each pair's verdict (JSONL).")
@json_option
def meta(
    gold: Path, spec: str, model: str, limit: int | None, max_tokens: int, out: Path | None, as_json: bool
) -> None:
    """Compare a judge's verdicts with people's.

    GOLD is JSONL: {"instruction", "a", "b", "label"}, LLMBar's form, or MT-Bench's human judgements. Shown are accuracy
    and Cohen's kappa, how often swapping the answers changes the verdict and which side gains, and whether the longer
    answer wins more often than people let it.

    \b
    adhere judge meta llmbar.jsonl --judge smollm2
    adhere judge meta llmbar.jsonl --judge 'revis(by=vote)' --limit 50
    adhere judge meta llmbar.jsonl --judge "recorded('GPT-4/CoT')"
    """
    from adhere.engine import Progress
    from adhere.engine.sync import call
    from adhere.score.judges.base import resolve_judge
    from adhere.score.judges.gold import read_pairs
    from adhere.score.judges.meta import fair_order, judge_pairs

    pairs = fair_order((pair.subset, pair) for pair in read_pairs(gold))[:limit]
    later = _Later(model, max_tokens)
    judge = resolve_judge(spec, later)
    call(later.check(spec))
    started = time.perf_counter()
    found = call(judge_pairs(judge, pairs, progress=Progress(f"judging · {spec}")))
    document = _document(found, gold, spec, time.perf_counter() - started)
    if out is not None:
        _write(pairs, found, out)
    if as_json:
        print_json(document)
    else:
        _print(document, found, pairs)
    if found.failures:
        raise click.exceptions.Exit(1)


@command.command("ratings")
@click.argument("gold", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--judge", "spec", required=True, metavar="SPEC", help="pointwise, revis, a scorer, or a model's name.")
@click.option("-m", "--model", default="smollm2", show_default=True, help="The model of a judge that names none.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N answers.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Cap on what -m writes.")
@json_option
def ratings(gold: Path, spec: str, model: str, limit: int | None, max_tokens: int, as_json: bool) -> None:
    """Correlate a judge's ratings with people's.

    GOLD is JSONL of {"instruction", "response", "rating"}. Shown are Spearman's rho, Kendall's tau and Pearson's r.
    """
    from adhere.bench.figures import plain
    from adhere.data.files import shown
    from adhere.engine import Progress
    from adhere.engine.sync import call
    from adhere.score.judges.ratings import correlations, rate_all, read_ratings, resolve_rater

    rows = list(read_ratings(gold))[:limit]
    later = _Later(model, max_tokens)
    rater = resolve_rater(spec, later)
    call(later.check(spec))
    rated = call(rate_all(rater, rows, progress=Progress(f"rating · {spec}")))
    figures = {name: plain(value) for name, value in correlations(rated).items()}
    failed = [f"{row.instruction.id}: {said.error}" for row, said in zip(rows, rated, strict=True) if said.error]
    if as_json:
        document = {"gold": shown(gold), "judge": spec, "answers": len(rows), "figures": figures}
        print_json(document | {"failed": len(failed)})
    else:
        _print_ratings(spec, len(rows), figures)
    if failed:
        say(f"{len(failed)} of {len(rows)} answers could not be rated and take no part; the first, {failed[0]}")
        raise click.exceptions.Exit(1)


def _print_ratings(spec: str, answers: int, figures: dict[str, Any]) -> None:
    made = table("", "value", "95% interval", "n", title=f"{spec} · {answers} answers", right=("value", "n"))
    for name, label in CORRELATIONS.items():
        percent = name == "no_verdict"
        figure = figures[name]
        made.add_row(label, _number(figure["value"], percent), _interval(figure, percent), str(figure["n"]))
    print_table(made)


class _Later:
    """The default model, loaded when a judge that names none looks for it."""

    def __init__(self, name: str, max_tokens: int) -> None:
        self.name = name
        self.max_tokens = max_tokens

    @cached_property
    def model(self) -> Model:
        from adhere.models.base import Sampling
        from adhere.models.names import load

        return load(self.name, sampling=Sampling(max_tokens=self.max_tokens), notify=say)

    async def answer(self, instruction: Instruction) -> Response:
        return await self.model.answer(instruction)

    async def check(self, spec: str) -> None:
        """See to it that the endpoints of the judge, and of this model where it has been loaded, can be asked.

        Raises:
            ModelError: in one line, what is wrong with one.
        """
        from adhere.score.judges.ready import check_endpoints

        await check_endpoints(spec)
        if "model" in vars(self):
            await self.model.check()


def _document(found: Meta, gold: Path, spec: str, seconds: float) -> dict[str, Any]:
    from adhere.bench.figures import plain
    from adhere.data.files import shown
    from adhere.score.judges.agreement import agreement

    groups: dict[str, list[Judged]] = {}
    for row in found.rows:
        groups.setdefault(row.group, []).append(row)

    def figures(rows: list[Judged]) -> dict[str, Any]:
        return {name: plain(value) for name, value in agreement(rows).items()}

    return {
        "gold": shown(gold),
        "judge": spec,
        "pairs": len(found.rows),
        "figures": figures(found.rows),
        "by_subset": {name: figures(rows) for name, rows in sorted(groups.items())} if len(groups) > 1 else {},
        "failed": len(found.failures),
        "seconds": round(seconds, 3),
    }


def _print(document: dict[str, Any], found: Meta, pairs: list[Pair]) -> None:
    title = f"{document['judge']} · {document['pairs']} pairs"
    made = table("", "value", "95% interval", "n", "", title=title, right=("value", "n"))
    for name, figure in document["figures"].items():
        label, percent, note = FIGURES[name]
        made.add_row(label, _number(figure["value"], percent), _interval(figure, percent), str(figure["n"]), note)
    print_table(made)
    if document["by_subset"]:
        parts = table("subset", "agrees", "95% interval", "n", "flipped", right=("agrees", "n", "flipped"))
        for name, figures in document["by_subset"].items():
            accuracy, flipped = figures.get("accuracy"), figures.get("flipped")
            if accuracy is not None:
                parts.add_row(
                    name or "(none)",
                    _number(accuracy["value"], True),
                    _interval(accuracy, True),
                    str(accuracy["n"]),
                    _number(flipped["value"], True) if flipped else "",
                )
        print_table(parts)
    if found.failures:
        first, failure = next(iter(found.failures.items()))
        say(f"{len(found.failures)} pairs failed and count as wrong; the first, {first}: {failure.message}")
    click.echo(f"{document['seconds']:.1f} s")


def _number(value: float | None, percent: bool) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}%" if percent else f"{value:+.2f}"


def _interval(figure: dict[str, Any], percent: bool) -> str:
    if figure["low"] is None:
        return ""
    low, high = figure["low"], figure["high"]
    return f"{100 * low:.1f} to {100 * high:.1f}" if percent else f"{low:+.2f} to {high:+.2f}"


def _write(pairs: list[Pair], found: Meta, out: Path) -> None:
    from adhere.data import jsonl
    from adhere.records import to_builtins

    def row(pair: Pair, said: Judged) -> dict[str, Any]:
        about = {"id": pair.instruction.id, "label": pair.gold, "subset": pair.subset}
        if said.found is None:
            return about | {"error": found.failures[pair.instruction.id].message}
        return about | to_builtins(said.found)

    jsonl.write(out, (row(pair, said) for pair, said in zip(pairs, found.rows, strict=True)))


__all__ = ["command"]
