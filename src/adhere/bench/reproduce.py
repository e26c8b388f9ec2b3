"""Reproductions: one file a paper in `reproductions/`, run at a scale, with the result written beside it.

A reproduction is a module with `run(scale, model) -> dict`: it puts the parts together as the paper does, measures the
claim against its baseline, and returns at least `headline` (one line), `claim`, `holds` ("shown", "not shown",
"against") and the figures with n and interval. Command, versions and machine are added here.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from adhere.bench.manifest import versions
from adhere.bench.run_dir import replace_bytes
from adhere.errors import DataError, UsageError

__all__ = ["SCALES", "available", "load", "reproduce"]

SCALES = ("smoke", "small", "medium", "full")


def folder() -> Path:
    """`reproductions/` of the checkout (or of the working directory)."""
    for place in (Path(__file__).parents[3] / "reproductions", Path("reproductions")):
        if place.is_dir():
            return place
    raise UsageError("there is no folder reproductions/ here", hint="Run this in a checkout of Adhere")


def available() -> list[str]:
    """Slugs that have a reproduction."""
    return sorted(p.stem.replace("_", "-") for p in folder().glob("[!_]*.py"))


def load(slug: str) -> ModuleType:
    """The module of a reproduction.

    Raises:
        UsageError: if there is none for that slug.
    """
    if slug not in available():
        raise UsageError(f"no reproduction of '{slug}' yet", hint=f"There are: {', '.join(available())}")
    file = folder() / f"{slug.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(f"reproductions.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise DataError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reproduce(slug: str, scale: str, model: str = "smollm2") -> dict[str, Any]:
    """Run a reproduction and write `results/<slug>.json` (`<slug>.smoke.json` at scale smoke, which proves nothing).

    Raises:
        UsageError: if there is none for that slug.
    """
    result: dict[str, Any] = load(slug).run(scale, model)
    result |= {
        "slug": slug,
        "scale": scale,
        "command": f"adhere reproduce {slug} --scale {scale} --model {model}",
        "versions": versions(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
    }
    name = f"{slug}.json" if scale != "smoke" else f"{slug}.smoke.json"
    target = folder() / "results" / name
    target.parent.mkdir(exist_ok=True)
    replace_bytes(target, msgspec.json.format(msgspec.json.encode(result, order="sorted"), indent=2) + b"\n")
    return result | {"file": str(target)}
