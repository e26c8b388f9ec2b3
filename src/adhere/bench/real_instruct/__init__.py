"""RealInstruct's evaluation: requests as people make them, judged constraint by constraint.

Ferraz et al. 2024, "LLM Self-Correction with DeCRIM" (arXiv 2410.06458), section 3: requests of real users, each split
into a task, its context and single constraints; figures per constraint and per request. The paper's 302 requests were
never released, so the benchmark here, `realinstruct-synthetic`, is 61 requests of our own with 243 gold constraints, of
which 137 can be checked by a program. `adhere eval from-logs` does the same with the reader's own traffic.

Without a judge the figures are over what programs can check. With one (`--judge MODEL`) everything counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.data import jsonl
from adhere.errors import DataError
from adhere.records import Constraint, Instruction, Message
from adhere.roles import Scorer

__all__ = ["METRICS", "checklist_scorer", "checklist_summary", "read_requests"]

SYNTHETIC = Path(__file__).with_name("synthetic.jsonl")
TOLD = "told"
METRICS = {
    "checked": Metric("constraints that a program can check"),
    "requests_checked": Metric("requests, all of those hold"),
    "constraints": Metric("all constraints, by program or judge"),
    "requests": Metric("requests, all constraints hold"),
    "judged": Metric("constraints that only a judge can decide"),
}


def checklist_scorer(options: Options) -> Scorer:
    """The checklist with the judge that was named, or none."""
    from adhere.score.judges.checklist import resolve_checklist

    return resolve_checklist(options.judge, options.answerer)


def checklist_summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """The figures of `METRICS`; requests without a constraint take no part. Failed rows hold nothing.

    Without a judge only those over checkable constraints: the rest would say that what nobody looked at does not hold.
    """
    from adhere.bench.figures import share

    flags: dict[str, list[tuple[bool | None, str]]] = {name: [] for name in METRICS}
    for s in scored:
        cluster = str(s.instruction.meta.get("cluster") or s.instruction.id)
        found = _verdicts(s)
        program = [passed for kind, passed in found if kind != TOLD]
        told = [passed for kind, passed in found if kind == TOLD]
        everything = [passed for _, passed in found]
        flags["checked"] += [(passed, cluster) for passed in program]
        flags["judged"] += [(passed, cluster) for passed in told]
        flags["constraints"] += [(passed, cluster) for passed in everything]
        for name, group in (("requests_checked", program), ("requests", everything)):
            if group:
                flags[name].append((all(passed is True for passed in group), cluster))
    wanted = METRICS if options.judge is not None else ("checked", "requests_checked")
    return {name: share([f for f, _ in flags[name]], [c for _, c in flags[name]]) for name in wanted}


def _verdicts(s: Scored) -> list[tuple[str, bool | None]]:
    """Kind and verdict of each constraint."""
    parts = s.score.parts if s.score is not None else ()
    if len(parts) != len(s.instruction.constraints):  # no answer, or a scorer that failed
        return [(c.kind, False) for c in s.instruction.constraints]
    return [(c.kind, part.passed) for c, part in zip(s.instruction.constraints, parts, strict=True)]


def read_requests(path: Path) -> Iterator[Instruction]:
    """Requests with gold constraints: `{"id", "instruction", "constraints": [{"text", "check": {"id", "kwargs"}}]}`.

    A constraint whose check is null is kept as it was told. Other fields (`task`, `context`, `topic`) go into `meta`.

    Raises:
        DataError: `file:line` and what is wrong.
    """
    unique = jsonl.Unique()
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            id, prompt, given = str(row["id"]), row["instruction"], row["constraints"]
            constraints = tuple(_constraint(c) for c in given)
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: no request with id, instruction and constraints: {error!r}") from error
        unique.add(id, where)
        texts = [c["text"] for c in given]
        meta = {k: v for k, v in row.items() if k not in ("id", "instruction", "constraints") and v}
        yield Instruction(id, (Message("user", prompt),), constraints, meta=meta | {"texts": texts})


def _constraint(given: dict[str, Any]) -> Constraint:
    check = given.get("check")
    if check is None:
        return Constraint(TOLD, {"text": given["text"]})
    return Constraint(check["id"], check.get("kwargs") or {})


@benchmark(
    "realinstruct-synthetic",
    about="61 requests as people make them, 243 constraints one by one (--judge for what no program checks)",
    size=61,
    licence="Apache-2.0",
    dialect="fixed",
    paper="decrim",
    metrics=METRICS,
    scorer=checklist_scorer,
    summary=checklist_summary,
    judge="optional",
    synthetic=True,
)
def load() -> list[Instruction]:
    """Requests of eleven topics, in turns."""
    return list(read_requests(SYNTHETIC))
