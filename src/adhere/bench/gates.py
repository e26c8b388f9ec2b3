"""Gates for users' CI: `prompt_strict>=0.30` passes or fails a run, and JUnit-XML tells the CI server which prompts."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from adhere.bench.base import Benchmark
from adhere.bench.metrics import HEADLINES, metric
from adhere.bench.run_dir import Run, replace_bytes
from adhere.constraints import kinds
from adhere.errors import UsageError, did_you_mean
from adhere.records import Instruction

__all__ = ["Gate", "GateResult", "check_gates", "check_names", "parse_gate", "write_junit"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip
_GATE = re.compile(r"\s*([\w.:*-]+?)\s*(>=|<=|>|<)\s*([0-9.]+)(%?)\s*")
# XML 1.0 cannot carry these at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Gate(NamedTuple):
    """A demand on a metric: its dotted name, the comparison, the threshold as a share."""

    metric: str
    relation: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.threshold:g}"


class GateResult(NamedTuple):
    """A gate and what was found; a metric over nothing fails its gate."""

    gate: Gate
    value: float | None
    passed: bool


def parse_gate(text: str) -> Gate:
    """Read `NAME>=NUMBER`, the number as a share (0.3) or a percentage (30%).

    Raises:
        UsageError: if it does not have that form.
    """
    found = _GATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        name, relation, number, percent = found.groups()
        return Gate(name, relation, float(number) / (100 if percent else 1))
    except ValueError:
        raise UsageError(f"cannot read the gate '{text}'", hint="Write it like prompt_strict>=0.30") from None


def check_names(gates: Sequence[Gate], benchmark: Benchmark, instructions: Sequence[Instruction]) -> None:
    """See to it, before a run, that it will have the gates' metrics.

    Raises:
        UsageError: with the nearest names, for a metric that a run over these instructions does not have.
    """
    known = _scored_names(benchmark, instructions) if benchmark.metrics else _constraint_names(instructions)
    for gate in gates:
        if gate.metric not in known:
            raise UsageError(
                f"the gate '{gate}' names no metric of this run",
                hint=did_you_mean(gate.metric, known) or f"It is one of {', '.join(_forms(benchmark))}",
            )


def _constraint_names(instructions: Sequence[Instruction]) -> list[str]:
    used = {c.kind for i in instructions for c in i.constraints}
    families = {cls.family for kind, cls in kinds().items() if kind in used}
    groups = [("by_kind", kind) for kind in used] + [("by_family", family) for family in families]
    return [*HEADLINES, *(f"{group}.{name}.{reading}" for group, name in groups for reading in ("strict", "loose"))]


def _scored_names(benchmark: Benchmark, instructions: Sequence[Instruction]) -> list[str]:
    found = list(benchmark.metrics)
    for key in benchmark.groups:
        values = {str(i.meta[key]) for i in instructions if key in i.meta}
        found += [f"by_{key}.{value}.{name}" for value in sorted(values) for name in benchmark.metrics]
    return found


def _forms(benchmark: Benchmark) -> list[str]:
    if benchmark.metrics:
        return [*benchmark.metrics, *(f"by_{key}.VALUE.METRIC" for key in benchmark.groups)]
    return [*HEADLINES, "by_family.FAMILY.strict", "by_kind.KIND.strict (or .loose)"]


def check_gates(run: Run, gates: Sequence[Gate]) -> list[GateResult]:
    """Check each gate.

    Raises:
        DataError: if a gate names a metric that the run does not have.
    """
    results = []
    for gate in gates:
        value = metric(run.metrics, gate.metric)["value"]
        results.append(GateResult(gate, value, value is not None and _OPERATORS[gate.relation](value, gate.threshold)))
    return results


def write_junit(run: Run, gates: Sequence[GateResult], path: Path) -> None:
    """Write JUnit-XML: a test case per answer (failed, or in error) and one per gate."""
    name = f"{run.manifest['benchmark']['name']} on {run.manifest['model'].get('name', '')}"
    reasons: dict[tuple[str, int], list[str]] = {}
    for v in run.verdicts:
        if v.strict is not True:
            reasons.setdefault((v.id, v.sample), []).append(f"{v.kind}: {v.reason}")
    suite = ElementTree.Element("testsuite", name=_xml(name))
    failed = errors = 0
    for row in run.rows:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=_xml(f"{row.id}[{row.sample}]"))
        why = reasons.get((row.id, row.sample))
        if row.error_kind:
            errors += 1
            ElementTree.SubElement(case, "error", type=row.error_kind, message=_xml(row.error_message))
        elif why:
            failed += 1
            failure = ElementTree.SubElement(case, "failure", message=_xml("; ".join(why)[:500]))
            failure.text = _xml(f"{row.prompt}\n\n{row.response}")
    for result in gates:
        case = ElementTree.SubElement(suite, "testcase", classname="gates", name=_xml(str(result.gate)))
        if not result.passed:
            failed += 1
            ElementTree.SubElement(case, "failure", message=f"found {result.value}")
    for key, count in (("tests", len(run.rows) + len(gates)), ("failures", failed), ("errors", errors)):
        suite.set(key, str(count))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    replace_bytes(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
