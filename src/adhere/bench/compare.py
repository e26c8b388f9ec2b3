"""Two runs against each other, paired: what flipped, by how much, and whether it is more than noise.

Answers are paired on the instruction's id and the sample's number, constraints on their position as well; every test is
clustered by instruction (`adhere.score.statistics.compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from adhere.bench.metrics import labels, unit
from adhere.bench.run_dir import Row, Run, VerdictRow
from adhere.errors import DataError

__all__ = ["Comparison", "Flip", "compare_figure", "compare_runs"]


class Flip(NamedTuple):
    """An instruction that one run satisfies and the other does not.

    Attributes:
        id: Of the instruction.
        prompt: Its text.
        gained: True where B satisfies it and A does not; shares of samples compared where there are several.
        kinds: The constraints whose verdict changed.
    """

    id: str
    prompt: str
    gained: bool
    kinds: tuple[str, ...]


class Comparison(NamedTuple):
    """B minus A.

    Attributes:
        metrics: By name: both figures (`a`, `b`) and the fields of `statistics.Comparison`, with its `verdict` and
            `sentence`. What is a figure of the whole run, not a mean over its answers, is shown without a test.
        flips: At prompt level, strict.
        only_a, only_b: Ids that only one of them answered; they take no part.
        warnings: What makes the two hard to compare (another dialect, another token cap, …).
    """

    metrics: dict[str, dict[str, Any]]
    flips: list[Flip]
    only_a: list[str]
    only_b: list[str]
    warnings: list[str]


def compare_runs(a: Run, b: Run) -> Comparison:
    """Compare two runs of the same instructions.

    Raises:
        DataError: if they share no instruction, or ask different things under the same ids.
    """
    rows_a, rows_b = _by_id(a.rows), _by_id(b.rows)
    shared = _shared(a, b, rows_a, rows_b)
    verdicts_a, verdicts_b = _by_id(a.verdicts), _by_id(b.verdicts)
    graded = [i for i in shared if i in verdicts_a and i in verdicts_b]
    ids = frozenset(graded)
    return Comparison(
        metrics=_figures(a, b, frozenset(shared)) if _declared(a, b) else _accuracies(a, b, ids),
        flips=[f for i in graded if (f := _flip(i, rows_a[i], rows_b[i], verdicts_a[i], verdicts_b[i])) is not None],
        only_a=[i for i in rows_a if i not in rows_b],
        only_b=[i for i in rows_b if i not in rows_a],
        warnings=_warnings(a.manifest, b.manifest),
    )


def compare_figure(a: Run, b: Run, name: str) -> dict[str, Any]:
    """One figure of two runs of the same instructions: what `compare_runs` finds for it, without all the others.

    Raises:
        DataError: as `compare_runs`; if one of the runs does not have the figure.
    """
    rows_a, rows_b = _by_id(a.rows), _by_id(b.rows)
    shared = frozenset(_shared(a, b, rows_a, rows_b))
    if name not in a.metrics or name not in b.metrics:
        raise DataError(f"the runs do not both have the figure '{name}'")
    if _declared(a, b):
        return _figure(a, b, shared, name)
    graded = shared & {v.id for v in a.verdicts} & {v.id for v in b.verdicts}
    return _metric(_verdicts(name, a, graded), _verdicts(name, b, graded))


def _shared(a: Run, b: Run, rows_a: dict[str, list[Row]], rows_b: dict[str, list[Row]]) -> list[str]:
    """The ids of the instructions that both answered, in the order of the first."""
    shared = [i for i in rows_a if i in rows_b]
    if not shared:
        raise DataError("the two runs share no instruction", hint="Compare runs of the same benchmark")
    changed = [i for i in shared if rows_a[i][0].messages != rows_b[i][0].messages]
    if changed:
        raise DataError(
            f"{len(changed)} instructions differ between the runs, first '{changed[0]}'",
            hint="Compare runs over the same version of the prompts",
        )
    if (one := a.manifest["benchmark"]["name"]) != (two := b.manifest["benchmark"]["name"]) and _declared(a, b):
        raise DataError(f"the runs are of '{one}' and of '{two}'", hint="Compare runs of the same benchmark")
    return shared


def _by_id(items: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.id, []).append(item)
    return found


def _declared(a: Run, b: Run) -> bool:
    return any("metrics" in run.manifest["benchmark"] for run in (a, b))


def _accuracies(a: Run, b: Run, ids: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Of constraints, at two levels and two readings."""
    return {name: _metric(_verdicts(name, a, ids), _verdicts(name, b, ids)) for name in labels(a.manifest)}


def _figures(a: Run, b: Run, ids: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Of a benchmark with a scorer of its own: every figure that both runs have."""
    both = [name for name in labels(b.manifest) if name in a.metrics and name in b.metrics]
    return {name: _figure(a, b, ids, name) for name in both}


def _figure(a: Run, b: Run, ids: frozenset[str], name: str) -> dict[str, Any]:
    one, two = _values(name, a, ids), _values(name, b, ids)
    share = unit(b.manifest, name) == "share"
    return _metric(one, two, share) if one and two else _untested(a.metrics[name], b.metrics[name])


def _values(name: str, run: Run, ids: frozenset[str]) -> dict[Any, float | None]:
    """The figure of each answer by id and sample; in shares a failed or undecided answer counts as 0."""
    found: dict[Any, list[float | None]] = {}
    for v in run.verdicts:
        if v.kind == name and v.id in ids:
            found.setdefault((v.id, v.sample), []).append(v.value)
    if not found or unit(run.manifest, name) != "share":
        return {key: None if None in values else _mean([v or 0.0 for v in values]) for key, values in found.items()}
    failed = {(r.id, r.sample): 0.0 for r in run.rows if r.error_kind and r.id in ids}
    return failed | {key: _mean([v or 0.0 for v in values]) for key, values in found.items()}


def _untested(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    known = a["value"] is not None and b["value"] is not None
    verdict = "not tested: a figure of the whole run"
    blank = {"low": None, "high": None, "p_value": None, "n": b["n"], "clusters": b["clusters"], "test": "none"}
    return blank | {
        "a": a["value"],
        "b": b["value"],
        "difference": b["value"] - a["value"] if known else None,
        "verdict": verdict,
        "sentence": verdict,
    }


def _metric(a: dict[Any, float | None], b: dict[Any, float | None], share: bool = True) -> dict[str, Any]:
    from adhere.score.bootstrap import compare_numbers
    from adhere.score.statistics import compare, pair, rate

    paired = pair(a, b)
    clusters = [key[0] for key in paired.keys]
    values = [*paired.a, *paired.b]
    if share and all(v is None or v in (0, 1) for v in values):
        found = compare(paired.a, paired.b, clusters)
        means = {"a": rate(paired.a, clusters).value, "b": rate(paired.b, clusters).value}
    else:
        decided = [
            (x, y, c) for x, y, c in zip(paired.a, paired.b, clusters, strict=True) if x is not None and y is not None
        ]
        one, two = [x for x, _, _ in decided], [y for _, y, _ in decided]
        found = compare_numbers(one, two, [c for _, _, c in decided])
        means = {"a": _mean(one), "b": _mean(two)}
    verdict = "more than noise" if found.more_than_noise else "no detectable difference"
    return means | found._asdict() | {"verdict": verdict, "sentence": found.sentence}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _verdicts(name: str, run: Run, ids: frozenset[str]) -> dict[Any, float | None]:
    """Passed or not by what is paired: (id, sample), and the position for constraints."""
    passed = _READ[name]
    if name.startswith("prompt"):
        return {(r.id, r.sample): float(passed(r)) for r in run.rows if r.id in ids}
    return {(v.id, v.sample, v.position): float(passed(v)) for v in run.verdicts if v.id in ids}


_READ: dict[str, Callable[[Any], bool]] = {
    "prompt_strict": lambda r: r.strict_all is True,
    "prompt_loose": lambda r: r.loose_all is True,
    "instruction_strict": lambda v: v.strict is True,
    "instruction_loose": lambda v: v.loose is True,
}


def _share(items: Sequence[Any], name: str) -> float:
    return sum(map(_READ[name], items)) / len(items) if items else 0.0


def _flip(
    id: str, a: list[Row], b: list[Row], verdicts_a: list[VerdictRow], verdicts_b: list[VerdictRow]
) -> Flip | None:
    share_a, share_b = _share(a, "prompt_strict"), _share(b, "prompt_strict")
    if share_a == share_b:
        return None
    changed = []
    for position in range(1 + max(v.position for v in verdicts_a)):
        at_a = [v for v in verdicts_a if v.position == position]
        at_b = [v for v in verdicts_b if v.position == position]
        if at_a and _share(at_a, "instruction_strict") != _share(at_b, "instruction_strict"):
            changed.append(at_a[0].kind)
    return Flip(id, a[0].prompt, share_b > share_a, tuple(changed))


def _warnings(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    looked = (("dialect", ("settings", "dialect")), ("token cap", ("sampling", "max_tokens")),
              ("temperature", ("sampling", "temperature")), ("samples", ("settings", "samples")))  # fmt: skip
    found = []
    for what, (group, key) in looked:
        one, other = a.get(group, {}).get(key), b.get(group, {}).get(key)
        if one != other:
            found.append(f"{what}: {one} against {other}")
    return found
