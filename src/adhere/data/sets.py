"""Public data files: found in the data directory, else in the cache, else downloaded once; always by SHA-256.

A file of another version than the one a benchmark was built for is refused, by name and digest: its figures could not
be compared with anybody's. `--accept-data` (ADHERE_ACCEPT_DATA=1) reads it all the same, from the user's own data
directory, with a warning; a *download* that differs is always refused.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

from adhere.data.places import cache_dir, data_dir
from adhere.errors import DataError

__all__ = ["DataFile", "Found", "at_hand", "locate"]

log = logging.getLogger("adhere")


class DataFile(NamedTuple):
    """A file of a public data set: where it lies in a data directory, its digest, where it can be had.

    An empty digest takes any version: for files of the user's own.
    """

    path: str
    sha256: str
    url: str = ""


class Found(NamedTuple):
    """Where a data file was found, and the digest of what is there."""

    path: Path
    sha256: str


def at_hand(file: DataFile) -> bool:
    """Whether the file is here, whatever its version; nothing is downloaded and nothing hashed."""
    places = [place] if (place := data_dir()) is not None else []
    return any((place / file.path).is_file() for place in (*places, cache_dir() / "data"))


def locate(file: DataFile) -> Found:
    """Find a data file, downloading it if that is allowed.

    Raises:
        DataError: if it is nowhere to be had, or of another version; the hint says what to do.
    """
    if (place := data_dir()) is not None and (place / file.path).is_file():
        digest = _sha256(place / file.path)
        if file.sha256 and digest != file.sha256:
            _refuse_unless_accepted(place / file.path, digest, file.sha256)
        return Found(place / file.path, digest)
    cached = cache_dir() / "data" / file.path
    if cached.is_file() and _sha256(cached) == file.sha256:
        return Found(cached, file.sha256)
    where = f"in {place}" if place else "(ADHERE_DATA is not set)"
    if not file.url or os.environ.get("ADHERE_OFFLINE") == "1":
        raise DataError(
            f"the data file {file.path} was not found {where}", hint="Name the folder that holds it: --data-dir DIR"
        )
    return Found(_download(file, cached), file.sha256)


def _refuse_unless_accepted(path: Path, found: str, expected: str) -> None:
    if os.environ.get("ADHERE_ACCEPT_DATA", "") not in ("", "0"):
        log.warning("%s is another version than the published one (SHA-256 %s…)", path, found[:12])
        return
    raise DataError(
        f"{path} is another version than the one that is expected (SHA-256 {found[:12]}…, {expected[:12]}… expected)",
        hint="To use it all the same: --accept-data (or ADHERE_ACCEPT_DATA=1); its figures compare with nobody's",
    )


def _download(file: DataFile, target: Path) -> Path:
    import httpx2

    try:
        reply = httpx2.get(file.url, timeout=30, follow_redirects=True)
        reply.raise_for_status()
    except httpx2.HTTPError as error:
        raise DataError(
            f"the data file {file.path} could not be downloaded from {file.url}: {error or type(error).__name__}",
            hint="Get it another way and name its folder: --data-dir DIR (or ADHERE_DATA)",
        ) from error
    digest = hashlib.sha256(reply.content).hexdigest()
    if digest != file.sha256:
        raise DataError(
            f"{file.url} now holds another version (SHA-256 {digest[:12]}…, {file.sha256[:12]}… expected)",
            hint=f"To use it all the same, save it as DIR/{file.path}: --data-dir DIR --accept-data",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    partial.write_bytes(reply.content)
    partial.replace(target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
