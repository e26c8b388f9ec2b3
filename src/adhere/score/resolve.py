"""Scorers by name: `constraints`, `judge(model='openai:…')`, `cappy(path)`, or the folder of a saved one.

A Hugging Face folder with a classification head is a reward model: its path alone means `reward(path)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adhere.data.places import cache_dir
from adhere.errors import UnknownNameError, suggest
from adhere.partspec import Call, construct, parse, wrong
from adhere.registry import parts
from adhere.roles import Answerer, Scorer
from adhere.score import saved
from adhere.score.rewards.torch import is_reward_model

__all__ = ["resolve"]


def resolve(spec: str | Call | Scorer, model: Answerer | None = None) -> Scorer:
    """The scorer that a name, a text or a folder stands for; a scorer stands for itself.

    Args:
        spec: A registered name with or without arguments, the folder of a saved scorer or of a reward model, or a saved
            scorer's name in the cache.
        model: For scorers that ask the answering model (`self`, `likelihood`).

    Raises:
        UnknownNameError: with the nearest names.
        UsageError: for arguments that cannot be used.
    """
    if not isinstance(spec, str | Call):
        return spec
    if isinstance(spec, str) and (folder := _folder(spec)):
        return _open(folder, model)
    call = parse(spec) if isinstance(spec, str) else spec
    known = parts("score")
    if call.name not in known:
        if call.bare and (folder := _folder(call.name)):
            return _open(folder, model)
        if call.bare and is_reward_model(Path(call.name)):
            return known["reward"].target(call.name)
        raise UnknownNameError(f"unknown scorer '{call.name}'", hint=suggest(call.name, sorted(known)))

    def convert(value: Any, annotation: str, within: Call, at: int) -> Any:
        if isinstance(value, list):
            return [convert(item, annotation, within, at) for item in value]
        if "Scorer" in annotation and isinstance(value, str | Call):
            return resolve(value, model)
        if "Answerer" in annotation and isinstance(value, str | Call):
            return _model(value if isinstance(value, str) else value.name)
        if isinstance(value, Call):
            if value.bare:
                return value.name
            wrong(within, f"'{value.name}(…)' stands where a plain value was expected", at=at)
        return value

    return construct(call, known[call.name].target, convert, **({"model": model} if model is not None else {}))


def _model(name: str) -> Any:
    from adhere.models.names import load

    return load(name)


def _folder(name: str) -> Path | None:
    for place in (Path(name), cache_dir() / "scorers" / name):
        if name and (place / saved.CONFIG).is_file():
            return place
    return None


def _open(folder: Path, model: Answerer | None) -> Scorer:
    found = saved.read(folder)
    known = parts("score")
    target = known[found.kind].target if found.kind in known else None
    opener = getattr(target, "from_saved", None)
    if opener is None:
        raise UnknownNameError(f"{folder / saved.CONFIG}: no scorer of kind '{found.kind}' can be opened")
    return opener(found, model)
