"""Trained scorers on disk: a folder with `scorer.json` (what it is) and `scorer.safetensors` (its numbers)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from adhere.data.files import replacing
from adhere.errors import DataError, missing_extra

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CONFIG", "TENSORS", "Saved", "read", "save"]

CONFIG = "scorer.json"
TENSORS = "scorer.safetensors"
SCHEMA = 1


class Saved(NamedTuple):
    """What lies in a folder.

    Attributes:
        folder: Where it was read from.
        kind: The registered name of the scorer's class.
        config: Its settings, and what is known of its quality.
        tensors: Its numbers by name.
    """

    folder: Path
    kind: str
    config: dict[str, Any]
    tensors: dict[str, np.ndarray]


def save(folder: str | Path, kind: str, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a scorer; each file appears whole or not at all, `scorer.json` last.

    Raises:
        DependencyError: without the package safetensors.
    """
    try:
        from safetensors.numpy import save as to_bytes
    except ImportError as error:
        raise missing_extra("safetensors", "embed", "a saved scorer") from error
    import numpy as np

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    document = {"schema": SCHEMA, "kind": kind, "config": dict(config)}
    with replacing(place / TENSORS) as part:
        part.write_bytes(to_bytes({name: np.ascontiguousarray(value) for name, value in tensors.items()}))
    with replacing(place / CONFIG) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n")
    return place


def read(folder: str | Path) -> Saved:
    """Read a scorer.

    Raises:
        DataError: naming the file that is missing or broken.
        DependencyError: without the package safetensors.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "embed", "a saved scorer") from error
    place = Path(folder)
    try:
        document = msgspec.json.decode((place / CONFIG).read_bytes(), type=_Document)
        tensors = load_file(place / TENSORS) if (place / TENSORS).exists() else {}
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}", hint="Give the folder of a saved scorer") from error
    except (msgspec.DecodeError, SafetensorError) as error:
        raise DataError(f"{place} does not hold a scorer: {error}") from error
    if document.schema > SCHEMA:
        raise DataError(f"{place / CONFIG} was written by a newer Adhere (schema {document.schema})")
    return Saved(place, document.kind, document.config, tensors)


class _Document(msgspec.Struct):
    schema: int
    kind: str
    config: dict[str, Any]
