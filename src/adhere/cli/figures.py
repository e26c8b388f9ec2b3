"""How the figures of a run are written: percentages for shares, plain numbers for the rest, always with an interval."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from adhere.cli.output import rate_text, table

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["figure", "run_table"]


def figure(value: float | None, unit: str = "share", sign: str = "", *, mark: bool = False) -> str:
    """A number in its unit; `sign="+"` for differences, `mark` for a percent sign."""
    if value is None:
        return "n/a"
    return f"{100 * value:{sign}.1f}{'%' * mark}" if unit == "share" else f"{value:{sign}.3g}"


def run_table(manifest: dict[str, Any], title: str) -> Table:
    """The figures of a run: accuracies of constraints, or what its benchmark declares, then its groups."""
    from adhere.bench.metrics import unit

    metrics = manifest["metrics"]
    if "metrics" not in manifest["benchmark"]:
        return _accuracies(metrics, title)
    made = table("figure", "value", "95% interval", "n", title=title, right=("value", "n"))
    headline = manifest["benchmark"]["headline"]
    for declared in manifest["benchmark"]["metrics"]:
        if (name := declared["name"]) in metrics:
            suffix = f" ({declared['unit']})" if declared["unit"] not in ("share", "") else ""
            made.add_row(*_line(f"{declared['label']}{suffix}", metrics[name], declared["unit"], bold=name == headline))
    for group in (g for g in metrics if g.startswith("by_")):
        made.add_section()
        made.add_row(f"[dim]by {group.removeprefix('by_').replace('_', ' ')}[/]", "", "", "")
        for value, found in sorted(metrics[group].items(), key=lambda item: _naturally(item[0])):
            name = headline if headline in found else next(iter(found), None)
            if name is not None:
                made.add_row(*_line(f"  {value}", found[name], unit(manifest, name)))
    return made


def _naturally(text: str) -> list[tuple[int, str]]:
    """For sorting: "20 words" stands before "100 words"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text) if part]


def _line(label: str, rate: dict[str, Any], unit: str, *, bold: bool = False) -> tuple[str, str, str, str]:
    looked_at = rate.get("undecided", 0) < max(1, rate["n"])  # a share of what nobody decided would read as a failure
    value = figure(rate["value"], unit, mark=True) if looked_at else "undecided"
    known = looked_at and rate["low"] is not None and rate["high"] is not None
    interval = f"{figure(rate['low'], unit)} to {figure(rate['high'], unit)}" if known else ""
    undecided = f", {rate['undecided']} undecided" if looked_at and rate.get("undecided") else ""
    n = f"{rate['n']}{undecided}"
    return (f"[bold]{label}[/]", f"[bold]{value}[/]", interval, n) if bold else (label, value, interval, n)


def _accuracies(metrics: dict[str, Any], title: str) -> Table:
    """The four accuracies and the families."""
    from adhere.bench.metrics import table_rows

    made = table("accuracy", "strict", "95% interval", "loose", "n", title=title, right=("strict", "loose", "n"))
    for level, label in (("prompt", "prompts (all constraints hold)"), ("instruction", "constraints")):
        strict, interval, n = rate_text(metrics[f"{level}_strict"])
        made.add_row(f"[bold]{label}[/]", f"[bold]{strict}[/]", interval, rate_text(metrics[f"{level}_loose"])[0], n)
    made.add_section()
    for name, strict_rate, loose_rate in table_rows(metrics, "by_family"):
        strict, interval, n = rate_text(strict_rate)
        made.add_row(f"  {name}", strict, interval, rate_text(loose_rate)[0], n)
    return made
