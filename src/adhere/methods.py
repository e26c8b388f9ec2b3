"""The state of the mission: the 62 papers, which parts of each exist, and what its reproduction found.

Nothing here is written by hand twice: titles and roles come from `methods.toml`, parts from the registry
(`@register(..., paper=slug)`), results from `reproductions/results/*.json`. A method is `working` once its reproduction
has a result, `in part` where `methods.toml` names what is to come; parts alone leave it `planned`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adhere.errors import UnknownNameError, did_you_mean

__all__ = ["Method", "get", "methods"]

_HERE = Path(__file__).parent
# In a checkout the results lie beside the package, in a wheel inside it.
_RESULTS = (_HERE.parents[1] / "reproductions" / "results", _HERE / "results")


class Method(NamedTuple):
    """One paper.

    Attributes:
        slug, name, title: What it is called: in commands, in prose, in full.
        roles: The verbs that it takes part in: answer, score, write, train, study.
        about: What it does in those roles.
        arxiv: Identifier, or "".
        extra: One of the two that others build on, beside the 62.
        parts: Registered parts as (room, names).
        result: The newest reproduction's result, or None.
        to_come: What of it is not built yet; "" where that is nothing, or everything.
        further: Results of reproductions of a part of it, `<slug>-<part>`.
    """

    slug: str
    name: str
    title: str
    roles: tuple[str, ...]
    about: str
    arxiv: str
    extra: bool
    parts: dict[str, tuple[str, ...]]
    result: dict[str, Any] | None
    to_come: str = ""
    further: tuple[dict[str, Any], ...] = ()

    @property
    def state(self) -> str:
        """`working` with a reproduced result, `in part` where more is to come, else `planned`."""
        if not self.result:
            return "planned"
        return "in part" if self.to_come else "working"


@cache
def methods() -> tuple[Method, ...]:
    """All methods, the 62 first, by slug."""
    entries = tomllib.loads((_HERE / "methods.toml").read_text(encoding="utf-8"))["method"]
    parts, results = _parts_by_paper(), _results()
    slugs = {e["slug"] for e in entries}
    return tuple(
        Method(
            e["slug"], e["name"], e["title"], tuple(e["roles"]), e["about"], e.get("arxiv", ""), e.get("extra", False),
            parts.get(e["slug"], {}), results.get(e["slug"]), e.get("to_come", ""),
            tuple(r for name, r in results.items() if name.startswith(f"{e['slug']}-") and name not in slugs),
        )
        for e in entries
    )  # fmt: skip


def get(slug: str) -> Method:
    """The method of that slug.

    Raises:
        UnknownNameError: with the nearest slugs.
    """
    for method in methods():
        if method.slug == slug:
            return method
    raise UnknownNameError(f"unknown method '{slug}'", hint=did_you_mean(slug, [m.slug for m in methods()]))


def _parts_by_paper() -> dict[str, dict[str, tuple[str, ...]]]:
    from adhere.registry import ROOMS, parts

    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for room in ROOMS:
        for part in parts(room).values():
            if part.paper:
                rooms = found.setdefault(part.paper, {})
                rooms[room] = (*rooms.get(room, ()), part.name)
    return found


def _results() -> dict[str, dict[str, Any]]:
    """The newest results by the names of their reproductions, without those at `smoke`."""
    place = next((place for place in _RESULTS if place.is_dir()), None)
    files = sorted(place.glob("*.json")) if place else []
    return {file.stem: msgspec.json.decode(file.read_bytes()) for file in files if "." not in file.stem}
