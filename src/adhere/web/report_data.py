"""What the report page is told: a run, or two, as one JSON document, the same bytes for the same run.

The page shows everything that is in it, so it is kept small: prompts, constraint kinds and arguments are written once
and referred to by number, and very long texts are cut (the Parquet files keep them whole). Offsets of spans stay
Python's, in code points; the page converts them to JavaScript's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from adhere.bench.compare import Comparison
from adhere.bench.metrics import labels
from adhere.bench.run_dir import Row, Run, VerdictRow

__all__ = ["comparison_payload", "group_differences", "run_payload", "to_json"]

# Beyond these nobody reads, and a browser must still open the page.
LONGEST_TEXT = 100_000
MOST_SPANS = 500

K = TypeVar("K")


def run_payload(run: Run) -> dict[str, Any]:
    """The page of one run."""
    tables = _Tables()
    runs = [{"manifest": run.manifest, "rows": tables.rows(run)}]
    return {"headlines": list(labels(run.manifest).items()), "runs": runs, **tables.content()}


def comparison_payload(a: Run, b: Run, comparison: Comparison) -> dict[str, Any]:
    """The page of two runs side by side; differences are b minus a throughout."""
    own = "metrics" in b.manifest["benchmark"]  # its figures have units of their own, and are compared by name
    tables = _Tables()
    runs = [{"manifest": run.manifest, "rows": tables.rows(run)} for run in (a, b)]
    found = {
        "metrics": comparison.metrics,
        "by_family": {} if own else group_differences(a.verdicts, b.verdicts, lambda v: v.family),
        "by_kind": {} if own else group_differences(a.verdicts, b.verdicts, lambda v: v.kind),
        "only_a": comparison.only_a,
        "only_b": comparison.only_b,
        "warnings": comparison.warnings,
    }
    return {"headlines": list(labels(b.manifest).items()), "runs": runs, "comparison": found, **tables.content()}


def group_differences(
    a: Sequence[VerdictRow], b: Sequence[VerdictRow], key: Callable[[VerdictRow], str]
) -> dict[str, dict[str, Any]]:
    """The paired difference of strict verdicts in every group, with p-values adjusted for the number of groups.

    Args:
        a: Verdicts of the first run.
        b: Verdicts of the second. Constraints are paired by id and position; samples are averaged.
        key: Names the group of a verdict, e.g. its family.

    Returns:
        By group: the fields of `statistics.Comparison`, both rates, and `adjusted_p` (Holm's).
    """
    from adhere.score.statistics import compare, holm

    groups = {(v.id, v.position): key(v) for v in a}
    shares_a, shares_b = _shares(a), _shares(b)
    cells: dict[str, list[tuple[str, int]]] = {}
    for cell, group in groups.items():
        if cell in shares_b:
            cells.setdefault(group, []).append(cell)
    found: dict[str, dict[str, Any]] = {}
    for group in sorted(cells):
        one, two = [shares_a[c] for c in cells[group]], [shares_b[c] for c in cells[group]]
        fields = compare(one, two, clusters=[id for id, _ in cells[group]])._asdict()
        found[group] = {**fields, "a": sum(one) / len(one), "b": sum(two) / len(two)}
    for group, adjusted in zip(found, holm([f["p_value"] for f in found.values()]), strict=True):
        found[group]["adjusted_p"] = adjusted
    return found


def to_json(payload: Any) -> bytes:
    """ASCII JSON: lone surrogates survive as escapes, and NaN, which JSON does not have, becomes null."""
    try:
        return _dump(payload)
    except ValueError:  # a NaN somewhere, which is rare: only then walk through everything
        return _dump(_finite(payload))


class _Tables:
    """What rows refer to by number: prompts, constraint kinds and arguments, each written once."""

    def __init__(self) -> None:
        self._prompts: dict[tuple[str, str, str], int] = {}
        self._kinds: dict[tuple[str, str], int] = {}
        self._args: dict[str, int] = {}

    def content(self) -> dict[str, Any]:
        """The tables themselves."""
        return {
            "prompts": [{"id": id, "messages": _messages(messages, prompt)} for id, messages, prompt in self._prompts],
            "kinds": [{"kind": kind, "family": family} for kind, family in self._kinds],
            "args": [_parsed(args, {}) for args in self._args],
        }

    def rows(self, run: Run) -> list[list[Any]]:
        """Rows as [prompt, sample, response, finish, tokens in, tokens out, strict, loose, verdicts, extras]."""
        verdicts: dict[tuple[str, int], list[VerdictRow]] = {}
        for verdict in run.verdicts:
            verdicts.setdefault((verdict.id, verdict.sample), []).append(verdict)
        return [self._row(row, verdicts.get((row.id, row.sample), ())) for row in run.rows]

    def _row(self, row: Row, verdicts: Iterable[VerdictRow]) -> list[Any]:
        return [
            _number(self._prompts, (row.id, row.messages, row.prompt)),
            row.sample,
            None if row.response is None else _cut(row.response),
            row.finish_reason,
            row.prompt_tokens,
            row.completion_tokens,
            row.strict_all,
            row.loose_all,
            [self._verdict(v) for v in sorted(verdicts, key=lambda v: v.position)],
            _extras(row),
        ]

    def _verdict(self, verdict: VerdictRow) -> list[Any]:
        """A verdict as [kind, args, strict, loose, reason, spans], and the value where a scorer found one."""
        spans = [s for s in _parsed(verdict.spans, []) if s[0] < LONGEST_TEXT]
        named = [
            _number(self._kinds, (verdict.kind, verdict.family)),
            _number(self._args, verdict.args),
            verdict.strict,
            verdict.loose,
            _cut(verdict.reason),
            spans[:MOST_SPANS],
        ]
        return named if verdict.value is None else [*named, verdict.value]


def _number(table: dict[K, int], key: K) -> int:
    return table.setdefault(key, len(table))


def _extras(row: Row) -> dict[str, Any]:
    """What few rows have."""
    extras: dict[str, Any] = {}
    if row.error_kind or row.error_boundary or row.error_message:
        extras["error"] = [row.error_boundary, row.error_kind, _cut(row.error_message)]
    for name, text in (("trace", row.trace), ("meta", row.meta)):
        if text not in ("", "[]", "{}", "null"):
            extras[name] = _parsed(text, text) if len(text) <= LONGEST_TEXT else _cut(text)
    if row.response is not None and len(row.response) > LONGEST_TEXT:
        extras["length"] = len(row.response)
    return extras


def _messages(text: str, prompt: str) -> list[dict[str, str]]:
    """The conversation as role and text; images are named, not shown. Without one, the prompt."""
    found = _parsed(text, [])
    if not isinstance(found, list) or not found:
        return [{"role": "user", "text": _cut(prompt)}]
    return [{"role": str(m.get("role", "")), "text": _cut(_content(m.get("content", "")))} for m in found]


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(p.get("text", "[image]") if isinstance(p, dict) else str(p) for p in content or ())


def _parsed(text: str, otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return otherwise


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]


def _shares(verdicts: Sequence[VerdictRow]) -> dict[tuple[str, int], float]:
    """The share of samples that pass, by (id, position)."""
    tally: dict[tuple[str, int], list[int]] = {}
    for v in verdicts:
        cell = tally.setdefault((v.id, v.position), [0, 0])
        cell[0] += v.strict is True
        cell[1] += 1
    return {cell: passed / n for cell, (passed, n) in tally.items()}


def _dump(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":"), sort_keys=True, allow_nan=False).encode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
