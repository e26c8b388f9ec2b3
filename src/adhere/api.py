"""The same five jobs as the command line's, as functions: `adhere.load`, `evaluate`, `grade`, `compare`, `check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adhere.errors import DataError
from adhere.records import Constraint, Score

if TYPE_CHECKING:
    from adhere.bench.compare import Comparison
    from adhere.bench.run_dir import Run
    from adhere.constraints import Dialect
    from adhere.roles import Answerer

__all__ = ["check", "compare", "evaluate", "grade", "load"]


def load(name: str = "smollm2", **options: Any) -> Any:
    """A model by its name: "smollm2", a path, "hf:org/name", "openai:model@http://host/v1", …

    Args:
        name: As `--model` on the command line.
        options: Fields of `Sampling` (`temperature`, `max_tokens`, …), and what `adhere.models.names.load` takes.

    Raises:
        UnknownNameError, WeightsError, DependencyError: when it cannot be had; each says what to do.
    """
    import msgspec

    from adhere.models.base import Sampling
    from adhere.models.names import load as load_model

    fields = {f.name for f in msgspec.structs.fields(Sampling)}
    sampling = Sampling(**{k: v for k, v in options.items() if k in fields})
    return load_model(name, sampling=sampling, **{k: v for k, v in options.items() if k not in fields})


def evaluate(
    benchmark: str,
    model: str | Answerer = "smollm2",
    *,
    limit: int | None = None,
    samples: int = 1,
    seed: int = 0,
    dialect: Dialect | None = None,
    judge: str | None = None,
    scorer: str | None = None,
    against: str | Path | None = None,
    out: str | Path | None = None,
    report: bool = True,
) -> Run:
    """Measure how well a model follows instructions.

    Args:
        benchmark: A benchmark's name, or a file of prompts.
        model: A model, any other answerer, or a name for `load`.
        limit: Only the first so many prompts.
        samples: Answers per prompt; needs a model with a temperature above 0.
        seed: Every random choice derives from it.
        dialect: How constraints are graded; None takes the benchmark's own.
        judge: What judges, where the benchmark needs it: `openai:…`, `smollm2`, `revis(…)`.
        scorer: The scorer under test, where the benchmark tests one.
        against: A run directory whose answers stand on the other side of a judged pair.
        out: Directory for run.json, the tables and report.html; None writes nothing.
        report: Whether to write report.html too.

    Returns:
        The run: `.metrics`, `.manifest`, `.rows`, `.verdicts`.

    Raises:
        AdhereError: before any model call, for whatever can be known then.
    """
    from adhere.bench.base import Options, get
    from adhere.bench.files import from_file, looks_like_a_file
    from adhere.bench.run import Settings
    from adhere.bench.run import evaluate as run

    chosen = from_file(Path(benchmark)) if looks_like_a_file(benchmark) else get(benchmark)
    place = Path(out) if out is not None else None
    options = Options(judge=judge, scorer=scorer, against=Path(against) if against is not None else None)
    chosen.check(options)
    cap = {"max_tokens": chosen.max_tokens} if chosen.max_tokens else {}
    answerer: Any = None
    if chosen.needs_model:
        answerer = load(model, **cap) if isinstance(model, str) else model
    found = run(chosen, answerer, Settings(limit, samples, seed, dialect), options=options, out=place)
    if place is not None and report:
        from adhere.web.report import write_report

        write_report(found, place / "report.html")
    return found


def grade(file: str | Path, *, against: str | None = None, dialect: Dialect | None = None) -> Run:
    """Grade answers that exist already; see `adhere.bench.responses` for the forms that are read.

    Raises:
        DataError: `file:line` and what is wrong with it.
    """
    from adhere.bench.rescore import score_file

    return score_file(Path(file), against, dialect)[0]


def compare(a: Run | str | Path, b: Run | str | Path) -> Comparison:
    """Two runs (or their directories), paired: B minus A.

    Raises:
        DataError: if they do not share instructions.
    """
    from adhere.bench.compare import compare_runs
    from adhere.bench.run_dir import load as read

    one, other = (read(r) if isinstance(r, str | Path) else r for r in (a, b))
    return compare_runs(one, other)


def check(wish: str | Constraint | list[Constraint], text: str, *, dialect: Dialect = "fixed") -> Score:
    """Check a text against constraints, in plain words ("no commas, at least 3 bullets") or as records.

    Returns:
        A score whose `parts` are the constraints' verdicts, each with a reason and spans.

    Raises:
        DataError: for words that are not understood, or arguments that a constraint does not take.
    """
    from adhere.constraints import build_all, verify
    from adhere.constraints.plain import parse_wish

    if isinstance(wish, str):
        parsed = parse_wish(wish)
        if parsed.unparsed or not parsed.constraints:
            raise DataError(f"not understood: {'; '.join(parsed.unparsed) or wish}")
        wanted = list(parsed.constraints)
    else:
        wanted = [wish] if isinstance(wish, Constraint) else wish
    parts = verify(text, build_all(wanted, dialect)).strict
    verdicts = [p.passed for p in parts]
    passed = False if False in verdicts else None if None in verdicts else True
    return Score("constraints", sum(v is True for v in verdicts) / len(verdicts), passed, parts)
