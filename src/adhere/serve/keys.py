"""API keys: random, shown once, kept as hashes.

A key is `adh-NAME-SECRET`; the file has a line `NAME SHA256 [RATE]` for each. The secret holds 256 random bits, which
no one guesses, so a fast hash protects it as well as scrypt would and costs a request a microsecond instead of 50 ms.
The name finds the line; the hashes are compared in constant time, with a dummy where there is no such name. To revoke
a key, delete its line: the file is read again when it has changed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from adhere.errors import DataError, UsageError
from adhere.serve.errors import ApiError

__all__ = ["Key", "KeyFile", "add_key"]

NAME = re.compile(r"[a-z0-9_]{1,40}")
LINE = re.compile(r"([a-z0-9_]{1,40})\s+([0-9a-f]{64})(?:\s+(\d*[1-9]\d*(?:\.\d+)?|\d*\.\d*[1-9]\d*))?")
LOOK_AGAIN = 1.0  # seconds between two looks at the file's time stamp
HEADER = "# API keys of `adhere serve`: name, SHA-256 of the key, requests a minute (optional). The key is not here.\n"


class Key(NamedTuple):
    """Who holds it, its hash in hex, and its own rate in requests a minute, where it has one."""

    name: str
    digest: str
    rate: float | None = None


NOBODY = Key("", hashlib.sha256(b"").hexdigest())


class KeyFile:
    """The keys that are let in.

    Raises:
        DataError: `file:line`, if the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys = _read(path)
        self._stamp = _stamp(path)
        self._looked = time.monotonic()

    def find(self, authorization: str) -> Key:
        """The key behind an `Authorization` header.

        Raises:
            ApiError: 401, without saying what was sent.
        """
        self._refresh()
        scheme, _, presented = authorization.partition(" ")
        presented = presented.strip()
        name = presented[4:].partition("-")[0] if presented.startswith("adh-") else ""
        key = self._keys.get(name, NOBODY)
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).hexdigest()
        if hmac.compare_digest(digest, key.digest) and key is not NOBODY and scheme.lower() == "bearer":
            return key
        said = "wrong API key" if presented else "no API key: send 'Authorization: Bearer KEY'"
        raise ApiError(401, said, code="invalid_api_key", headers={"www-authenticate": "Bearer"})

    def _refresh(self) -> None:
        """Read the file again where it has changed; while it cannot be read, the keys stay as they were."""
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN:
            return
        self._looked = now
        try:
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                self._keys, self._stamp = _read(self.path), stamp
        except (DataError, OSError):
            return


def add_key(path: Path, name: str, rate: float | None = None) -> str:
    """Make a key, append its hash to the file, and return the key, which is kept nowhere.

    Raises:
        UsageError: if the name cannot be one, or is taken.
        DataError: if the file cannot be read or written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a key's name", hint="Use up to 40 of: a-z 0-9 _")
    if path.exists() and name in _read(path):
        raise UsageError(f"{path} has a key named '{name}'", hint="Choose another name, or delete its line first")
    key = f"adh-{name}-{secrets.token_urlsafe(32)}"
    line = f"{name} {hashlib.sha256(key.encode()).hexdigest()}{f' {rate:g}' if rate is not None else ''}\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write((HEADER if file.tell() == 0 else "") + line)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return key


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, Key]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}", hint="See --help") from error
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        if not (content := line.split("#")[0].strip()):
            continue
        found = LINE.fullmatch(content)
        if found is None:
            raise DataError(f"{path}:{number}: not 'NAME SHA256 [RATE]'", hint="`adhere serve key` writes such lines")
        name, digest, rate = found.groups()
        if name in keys:
            raise DataError(f"{path}:{number}: another key named '{name}' came before")
        keys[name] = Key(name, digest, float(rate) if rate else None)
    return keys
