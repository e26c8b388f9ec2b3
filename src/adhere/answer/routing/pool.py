"""Pools of candidates: `pool.toml` says which, a router's folder keeps them with what was learnt.

[candidates.plain]                     # no model: whatever --model names
cost = 1.0

[candidates.careful]
model = "smollm2"
strategy = "best_of_n(n=4, scorer=constraints)"
cost = 4.0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from adhere.data.places import cache_dir
from adhere.errors import DataError, UsageError
from adhere.records import to_builtins
from adhere.roles import Answerer

__all__ = ["LAST", "Candidate", "answerers", "last_router", "open_candidates", "read_pool", "remember"]

LAST = "last"  # stands for the router that was trained last


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One candidate.

    Attributes:
        model: As `--model`; None is the model that the router is put around.
        strategy: Around it, as `--strategy`.
        cost: Of one answer, in any unit that is the same for all.
    """

    model: str | None = None
    strategy: str | None = None
    cost: float = 1.0


class _Pool(msgspec.Struct, forbid_unknown_fields=True):
    candidates: dict[str, Candidate]


def read_pool(path: str | Path) -> dict[str, Candidate]:
    """The candidates of a pool by name.

    Raises:
        DataError: naming what is wrong in the file.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        pool = msgspec.convert(document, _Pool).candidates
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint="Give a pool, a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: {error}", hint='Write e.g. [candidates.small] model = "smollm2"') from error
    if len(pool) < 2:
        raise DataError(f"{path} names {len(pool)} candidate(s)", hint="There is nothing to route between: give two")
    return pool


def open_candidates(kept: Mapping[str, Any]) -> dict[str, Candidate]:
    """The candidates that a router's folder keeps."""
    return msgspec.convert(dict(kept), dict[str, Candidate])


def kept(pool: Mapping[str, Candidate]) -> dict[str, Any]:
    """The same as plain JSON."""
    return to_builtins(dict(pool))


def answerers(pool: Mapping[str, Candidate], around: Answerer | None = None) -> dict[str, Answerer]:
    """The candidates as answerers; a model that several name is loaded once.

    Args:
        pool: Who.
        around: For candidates without a model of their own; its sampling is everybody's.

    Raises:
        UsageError: if a candidate names no model and there is none around, or its strategy cannot be built.
        UnknownNameError, WeightsError: as `adhere.load`.
    """
    from adhere.answer import build
    from adhere.models.names import load

    sampling = getattr(around, "sampling", None)
    models: dict[str, Answerer] = {}
    made: dict[str, Answerer] = {}
    for name, candidate in pool.items():
        if candidate.model is None and around is None:
            raise UsageError(f"candidate '{name}' names no model", hint="Give one in the pool, or use --model")
        if candidate.model is not None and candidate.model not in models:
            models[candidate.model] = load(candidate.model, **({"sampling": sampling} if sampling else {}))
        inner: Any = around if candidate.model is None else models[candidate.model]
        made[name] = build(candidate.strategy, inner) if candidate.strategy else inner
    return made


def remember(folder: Path) -> None:
    """Make this the router that `route` without arguments uses."""
    from adhere.data.files import replacing

    place = cache_dir() / "routers" / LAST
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as part:
        part.write_text(str(folder.resolve()), encoding="utf-8")


def last_router() -> Path:
    """The folder of the router that was trained last.

    Raises:
        UsageError: if none was, naming the command.
    """
    try:
        return Path((cache_dir() / "routers" / LAST).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "no router has been trained yet", hint="Train one: adhere route train pool.toml questions.jsonl"
        ) from error
