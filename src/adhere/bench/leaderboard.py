"""Several models on several benchmarks as one table: each benchmark's headline with its interval, and who is best.

    board = leaderboard([load("runs/a-core"), load("runs/b-core"), load("runs/a-codi")])

A model is marked as the best of a column only where that is more than noise: it must beat every other model of the
column in a paired comparison (an intersection-union test, so its p-value is the largest of them and needs no correction
for their number; Berger 1982), and stay below 5 % after Holm's correction over the columns. What was not run is a
missing cell, not a zero. What is not tested: figures of a whole run, and models that answered no prompt in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from adhere.bench.compare import compare_figure
from adhere.bench.metrics import labels, metric, unit
from adhere.bench.run_dir import Run
from adhere.errors import DataError, UsageError
from adhere.records import Record

__all__ = ["Cell", "Column", "Leaderboard", "Line", "leaderboard"]

ALPHA = 0.05


class Cell(Record, omit_defaults=False):
    """A model's headline on a benchmark.

    Attributes:
        value, low, high: The figure and its 95 % interval, in the column's unit; None where unknown.
        n: Rows behind it.
        failed: Rows that failed; they count as 0 in shares.
        undecided: Grades without a verdict.
        level: Where it stands between the worst (0) and the best (1) that can be, for the charts; of figures that are
            no shares, between the worst and the best of the column.
        best: Whether it is the best of its column by more than noise.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    failed: int = 0
    undecided: int = 0
    level: float | None = None
    best: bool = False


class Line(Record, omit_defaults=False):
    """The leading model of a column against another one of it, paired; the difference is the leader's lead.

    `difference`, `low` and `high` are in the column's unit and above 0 where the leader is better. `p_value` is None
    where nothing could be tested, and `verdict` says why.
    """

    model: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    verdict: str


class Column(Record, omit_defaults=False):
    """A benchmark.

    Attributes:
        benchmark, metric, label, unit, better: Which figure it shows, and which way is the better one.
        synthetic: The data are Adhere's own.
        leader: The model with the best value, whether or not that is noise; None with fewer than two.
        best: The same where it is more than noise.
        p_value: Of its being the best: the largest of the comparisons'. None where not all could be made.
        adjusted_p: After Holm's correction over the columns.
        comparisons: The leader against each of the others.
        notes: What makes its cells hard to compare.
    """

    benchmark: str
    metric: str
    label: str
    unit: str
    better: str
    leader: str | None = None
    best: str | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    comparisons: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()


class Leaderboard(Record, omit_defaults=False):
    """The table: `cells[i][j]` is what model i got on benchmark j, None where it was not run.

    `mean_ranks` are those of the models over the columns with at least two (1 is first); they order the rows and say
    nothing about noise.
    """

    models: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    mean_ranks: tuple[float | None, ...]
    fakes: tuple[str, ...] = ()


def leaderboard(runs: Sequence[Run]) -> Leaderboard:
    """The table over any runs: columns in the order in which their benchmarks come first, models by mean rank.

    Args:
        runs: One for each model and benchmark. A model that ran a benchmark twice gets two rows, told apart by what
            differs in their settings.

    Raises:
        UsageError: without a run.
        DataError: if a run has no headline figure.
    """
    from adhere.score.statistics import holm

    if not runs:
        raise UsageError("no runs to put into a leaderboard", hint="Name run directories, or a folder of them")
    names = _names(runs)
    benchmarks = dict.fromkeys(_benchmark(run) for run in runs)
    placed = {(name, _benchmark(run)): run for name, run in zip(names, runs, strict=True)}
    models = list(dict.fromkeys(names))
    columns = [_column({m: placed[m, b] for m in models if (m, b) in placed}) for b in benchmarks]
    tested = [n for n, column in enumerate(columns) if column.p_value is not None]
    adjusted = dict(zip(tested, holm([columns[n].p_value or 0.0 for n in tested]), strict=True))
    columns = [_judged(column, adjusted.get(n)) for n, column in enumerate(columns)]
    cells = [[_cell(placed.get((m, c.benchmark)), c, m) for c in columns] for m in models]
    _set_levels(cells, columns)
    ranks = _mean_ranks(cells, columns)
    order = sorted(range(len(models)), key=lambda i: (ranks[i] is None, ranks[i] or 0.0, i))
    fakes = {m for m, run in zip(names, runs, strict=True) if run.manifest["model"].get("engine") == "fake"}
    return Leaderboard(
        tuple(models[i] for i in order),
        tuple(columns),
        tuple(tuple(cells[i]) for i in order),
        tuple(ranks[i] for i in order),
        tuple(sorted(fakes)),
    )


def _benchmark(run: Run) -> str:
    return str(run.manifest["benchmark"]["name"])


def _names(runs: Sequence[Run]) -> list[str]:
    """A name for each run: its strategy or model, with what sets it apart where that answered a benchmark twice."""
    plain = [str(run.manifest.get("strategy") or run.manifest["model"].get("name") or "?") for run in runs]
    cells = Counter(zip(plain, map(_benchmark, runs), strict=True))
    twice = {name for (name, _), count in cells.items() if count > 1}
    named = []
    for name, run in zip(plain, runs, strict=True):
        same = [other for other, n in zip(runs, plain, strict=True) if n == name]
        named.append(f"{name} ({_apart(run, same)})" if name in twice and _apart(run, same) else name)
    seen: Counter[tuple[str, str]] = Counter()
    final = []
    for name, run in zip(named, runs, strict=True):
        seen[name, _benchmark(run)] += 1
        count = seen[name, _benchmark(run)]
        final.append(name if count == 1 else f"{name} #{count}")
    return final


def _apart(run: Run, same: Sequence[Run]) -> str:
    """Settings of a run in which some of its like differ."""
    looked = (("sampling", "temperature"), ("sampling", "max_tokens"), ("settings", "samples"), ("settings", "seed"),
              ("settings", "judge"), ("settings", "dialect"), ("settings", "limit"))  # fmt: skip
    said = []
    for group, key in looked:
        values = {str(other.manifest.get(group, {}).get(key)) for other in same}
        if len(values) > 1:
            said.append(f"{key.replace('_', ' ')} {run.manifest.get(group, {}).get(key)}")
    return ", ".join(said)


def _column(runs: dict[str, Run]) -> Column:
    """A benchmark's column, not yet corrected for the number of columns."""
    some = next(iter(runs.values())).manifest
    name = some["benchmark"]["headline"]
    better = next((m["better"] for m in some["benchmark"].get("metrics") or () if m["name"] == name), "higher")
    column = Column(_benchmark(next(iter(runs.values()))), name, labels(some).get(name, name), unit(some, name), better)
    values = {m: v for m, run in runs.items() if (v := metric(run.metrics, name)["value"]) is not None}
    notes = _notes(runs)
    if len(values) < 2:
        return _with(column, notes=notes)
    sign = 1 if better == "higher" else -1
    leader = max(values, key=lambda m: sign * values[m])
    others = sorted((m for m in values if m != leader), key=lambda m: -sign * values[m])  # the nearest rival first
    lines = tuple(_line(m, runs[m], runs[leader], name, sign) for m in others)
    p_values = [line.p_value for line in lines if line.p_value is not None]
    whole = max(p_values) if len(p_values) == len(lines) else None
    return _with(column, leader=leader, comparisons=lines, p_value=whole, notes=notes)


def _line(model: str, other: Run, leader: Run, name: str, sign: int) -> Line:
    try:
        found = compare_figure(other, leader, name)
    except DataError as error:
        return Line(model, None, None, None, None, 0, f"not compared: {error.message}")
    ends = [None if found[k] is None else sign * found[k] for k in ("low", "high")]
    low, high = ends if sign > 0 else ends[::-1]
    difference = None if found["difference"] is None else sign * found["difference"]
    return Line(model, difference, low, high, found["p_value"], found["n"], found["verdict"])


def _judged(column: Column, adjusted: float | None) -> Column:
    clear = all((line.low or 0) > 0 for line in column.comparisons)
    best = column.leader if adjusted is not None and adjusted < ALPHA and clear else None
    return _with(column, adjusted_p=adjusted, best=best)


def _notes(runs: dict[str, Run]) -> tuple[str, ...]:
    """What the cells of a column do not share."""
    notes = []
    prints = {run.manifest["benchmark"].get("fingerprint") for run in runs.values()}
    if len(prints) > 1:
        counts = sorted({run.manifest["benchmark"].get("prompts", 0) for run in runs.values()})
        notes.append(f"not the same prompts (sets of {', '.join(map(str, counts))}); compared on those that are shared")
    for what, group, key in (("token cap", "sampling", "max_tokens"), ("temperature", "sampling", "temperature"),
                             ("judge", "settings", "judge"), ("dialect", "settings", "dialect")):  # fmt: skip
        values = {str(run.manifest.get(group, {}).get(key)) for run in runs.values()}
        if len(values) > 1:
            notes.append(f"not the same {what}: {', '.join(sorted(values))}")
    return tuple(notes)


def _cell(run: Run | None, column: Column, model: str) -> Cell | None:
    if run is None:
        return None
    found = metric(run.metrics, column.metric)
    return Cell(
        found["value"],
        found["low"],
        found["high"],
        int(found["n"]),
        run.manifest["counts"].get("failed", 0),
        int(found.get("undecided") or 0),
        best=model == column.best,
    )


def _set_levels(cells: list[list[Cell | None]], columns: Sequence[Column]) -> None:
    for j, column in enumerate(columns):
        values = [c.value for row in cells if (c := row[j]) is not None and c.value is not None]
        low, high = (0.0, 1.0) if column.unit == "share" else (min(values, default=0.0), max(values, default=0.0))
        for row in cells:
            cell = row[j]
            if cell is None or cell.value is None or high <= low:
                continue
            level = min(1.0, max(0.0, (cell.value - low) / (high - low)))
            row[j] = _with(cell, level=round(level if column.better == "higher" else 1 - level, 6))


def _mean_ranks(cells: Sequence[Sequence[Cell | None]], columns: Sequence[Column]) -> list[float | None]:
    ranks: list[list[float]] = [[] for _ in cells]
    for j, column in enumerate(columns):
        sign = 1 if column.better == "higher" else -1
        values = {i: sign * c.value for i, row in enumerate(cells) if (c := row[j]) is not None and c.value is not None}
        if len(values) < 2:
            continue
        for i, value in values.items():
            above, equal = sum(v > value for v in values.values()), sum(v == value for v in values.values())
            ranks[i].append(above + (equal + 1) / 2)
    return [round(sum(found) / len(found), 3) if found else None for found in ranks]


def _with(record: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(record, **changes)
