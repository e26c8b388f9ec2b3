"""The figures of a run: accuracies at two levels and two readings, per family and per kind, each with its interval.

Prompt level: the share of answers that satisfy all their constraints. Instruction level: the share of constraints
satisfied (Zhou et al. 2023, section 3). Failed rows and undecided verdicts count as not satisfied and stay in the
denominator. Intervals are 95 %, clustered by prompt wherever a prompt contributes more than one observation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from adhere.bench.run_dir import Row, VerdictRow
from adhere.errors import DataError

__all__ = ["HEADLINES", "counts", "labels", "metric", "metrics", "names", "unit"]

HEADLINES = {
    "prompt_strict": "prompts, strict",
    "instruction_strict": "constraints, strict",
    "prompt_loose": "prompts, loose",
    "instruction_loose": "constraints, loose",
}


def metrics(rows: Sequence[Row], verdicts: Sequence[VerdictRow]) -> dict[str, Any]:
    """All metrics of a run, JSON-ready.

    Returns:
        The four headlines by name, and `by_family` and `by_kind`: name → `{"strict": rate, "loose": rate}`, where a
        rate is `{"value", "low", "high", "n", "clusters"}`. Rows without constraints take no part.
    """
    graded = {v.id for v in verdicts}
    judged = [r for r in rows if r.id in graded]
    return {
        "prompt_strict": _rate(judged, lambda r: r.strict_all is True),
        "prompt_loose": _rate(judged, lambda r: r.loose_all is True),
        "instruction_strict": _rate(verdicts, lambda v: v.strict is True),
        "instruction_loose": _rate(verdicts, lambda v: v.loose is True),
        "by_family": _grouped(verdicts, lambda v: v.family),
        "by_kind": _grouped(verdicts, lambda v: v.kind),
    }


def counts(rows: Sequence[Row], verdicts: Sequence[VerdictRow]) -> dict[str, int]:
    """How many there are of what: the denominators, and what went wrong."""
    return {
        "prompts": len({r.id for r in rows}),
        "answers": len(rows),
        "constraints": len(verdicts),
        "failed": sum(bool(r.error_kind) for r in rows),
        "undecided": sum(
            v.strict is None and v.value is None and not v.reason.startswith("no answer") for v in verdicts
        ),
        "cut": sum(r.finish_reason == "length" for r in rows),
        "prompt_tokens": sum(r.prompt_tokens for r in rows),
        "completion_tokens": sum(r.completion_tokens for r in rows),
    }


def metric(found: dict[str, Any], name: str) -> dict[str, float]:
    """One rate by its dotted name: `prompt_strict`, `by_family.length.strict`, `by_kind.words.loose`.

    Raises:
        DataError: if there is no such metric; the hint lists what there is.
    """
    at: Any = found
    for part in _path(name):
        if not isinstance(at, dict) or part not in at:
            raise DataError(f"there is no metric '{name}'", hint=f"There are: {', '.join(names(found))}")
        at = at[part]
    if "value" not in at:
        raise DataError(f"'{name}' is a group of metrics", hint=f"There are: {', '.join(names(found))}")
    return at


def names(found: dict[str, Any]) -> list[str]:
    """The dotted names of all rates, those of the whole run first."""
    groups = [g for g in found if g.startswith("by_")]
    return [n for n in found if n not in groups] + [
        f"{g}.{key}.{reading}" for g in groups for key in found[g] for reading in found[g][key]
    ]


def labels(manifest: dict[str, Any]) -> dict[str, str]:
    """The figures of a run by name, each with what it says; the headline first."""
    declared = manifest["benchmark"].get("metrics")
    return {m["name"]: m["label"] for m in declared} if declared else HEADLINES


def unit(manifest: dict[str, Any], name: str) -> str:
    """The unit of a figure: "share", or what the benchmark says."""
    declared = manifest["benchmark"].get("metrics") or ()
    return next((m["unit"] for m in declared if m["name"] == name), "share")


def _path(name: str) -> list[str]:
    # A kind may itself hold dots nowhere, but colons; only the first and the last dot separate.
    group, _, rest = name.partition(".")
    if not rest:
        return [group]
    key, _, reading = rest.rpartition(".")
    return [group, key, reading] if key else [group, reading]


def _grouped(verdicts: Sequence[VerdictRow], key: Callable[[VerdictRow], str]) -> dict[str, Any]:
    groups: dict[str, list[VerdictRow]] = {}
    for verdict in verdicts:
        groups.setdefault(key(verdict), []).append(verdict)
    return {
        name: {
            "strict": _rate(groups[name], lambda v: v.strict is True),
            "loose": _rate(groups[name], lambda v: v.loose is True),
        }
        for name in sorted(groups)
    }


def _rate(items: Sequence[Any], passed: Callable[[Any], bool]) -> dict[str, float | int | None]:
    from adhere.score.statistics import rate

    found = rate([passed(i) for i in items], clusters=[i.id for i in items])
    return {key: _plain(value) for key, value in found._asdict().items()}


def _plain(value: float | int) -> float | int | None:
    """JSON has no NaN: a rate over nothing is null."""
    if isinstance(value, float) or hasattr(value, "dtype"):
        number = float(value)
        return None if number != number else round(number, 6)
    return value


def table_rows(found: dict[str, Any], group: str) -> Iterable[tuple[str, dict[str, float], dict[str, float]]]:
    """(name, strict rate, loose rate) of a group, the largest first."""
    ranked = sorted(found[group].items(), key=lambda item: (-item[1]["strict"]["n"], item[0]))
    return ((name, rates["strict"], rates["loose"]) for name, rates in ranked)
