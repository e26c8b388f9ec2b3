"""What parts there are: one decorator, one lookup, nothing imported before it is asked for.

    @register("decrim", paper="decrim")
    class DeCRIM: ...

A part belongs to the room that its module lives in (`adhere.answer.decrim` → room `answer`), and a room's modules are
imported when the room is first asked for, which is cheap since heavy libraries are imported inside functions. Other
packages add parts through the entry-point group `adhere.parts`: each entry names a module that registers on import.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from adhere.errors import AdhereError, UnknownNameError, did_you_mean

__all__ = ["ROOMS", "Part", "find", "parts", "register"]

ROOMS = ("constraints", "models", "score", "answer", "write", "train", "bench", "study")
NOUNS = {"constraints": "constraint", "models": "model", "score": "scorer", "answer": "strategy", "write": "writer",
         "train": "trainer", "bench": "benchmark", "study": "study"}  # fmt: skip

T = TypeVar("T")


class Part(NamedTuple):
    """A registered part: its name, its room, the thing itself, and the slug of the paper it comes from."""

    name: str
    room: str
    target: Any
    paper: str | None


_parts: dict[str, dict[str, Part]] = {room: {} for room in ROOMS}
_loaded: set[str] = set()


def register(name: str, *, paper: str | None = None, room: str | None = None) -> Callable[[T], T]:
    """Make a class or function known under `name`.

    Args:
        name: What users type.
        paper: Slug of the method card it implements, for `adhere methods`.
        room: Needed only outside the package `adhere`; inside, the module's folder tells.

    Raises:
        AdhereError: if the name is taken in that room, or the room cannot be told.
    """

    def add(target: T) -> T:
        module = getattr(target, "__module__", "")
        where = room or (module.split(".")[1] if module.startswith("adhere.") and "." in module else "")
        if where not in _parts:
            raise AdhereError(
                f"cannot tell the room of '{name}' from module '{module}'", hint=f"Pass room=, one of {ROOMS}"
            )
        taken = _parts[where].get(name)
        if taken and _identity(taken.target) != _identity(target):
            raise AdhereError(f"two parts of room '{where}' are named '{name}': {taken.target!r} and {target!r}")
        _parts[where][name] = Part(name, where, target, paper)
        return target

    return add


def _identity(target: Any) -> object:
    """What stays the same when a module is loaded a second time."""
    name = getattr(target, "__qualname__", None)
    return (target.__module__, name) if name else target


def parts(room: str) -> dict[str, Part]:
    """All parts of a room by name, in the order of their registration. Imports the room on first use."""
    if room not in _loaded:
        _loaded.add(room)
        package = importlib.import_module(f"adhere.{room}")
        try:
            for module in sorted(m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")):
                importlib.import_module(module)
            _load_plugins()
        except BaseException:
            _loaded.discard(room)  # a room is never half there: the next call fails as this one
            raise
    return _parts[room]


def find(room: str, name: str) -> Part:
    """The part of that name.

    Raises:
        UnknownNameError: with the nearest names, if there is none.
    """
    known = parts(room)
    if name not in known:
        raise UnknownNameError(
            f"unknown {NOUNS[room]} '{name}'",
            hint=did_you_mean(name, known) or _some(known),
        )
    return known[name]


def _some(known: Mapping[str, Part]) -> str:
    names = sorted(known)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"There are: {', '.join(names[:12])}{more}"


def _load_plugins() -> None:
    if "plugins" in _loaded:
        return
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    _loaded.add("plugins")
    for entry in entry_points(group="adhere.parts"):
        try:
            entry.load()
        except Exception as error:
            raise AdhereError(
                f"the plugin '{entry.name}' ({entry.value}) failed to load: {error}", hint="Uninstall or repair it"
            ) from error
