"""Models from a hub that speaks Hugging Face's protocol, fetched once: safetensors, JSON and tokenizer files only.

    GET /api/models/ORG/NAME/revision/REV?blobs=true     the commit, its files, their digests
    GET /ORG/NAME/resolve/COMMIT/FILE                    a file, resumable by Range

Every file is checked: large ones by the SHA-256 that the hub lists, small ones by their Git blob id. Files come into a
`.part` folder that is named after the commit and gets its final name last, so a try that was cut off goes on where it
stopped and never mixes two versions. Code (`*.py`) and pickles (`*.bin`, `*.pt`) are never fetched.

`HF_ENDPOINT` names another hub or a mirror, `HF_TOKEN` opens gated models.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.errors import UsageError, WeightsError
from adhere.models.fetch import Notify, WrongBytes, disk_errors, locked, need_space, refuse_offline, say
from adhere.models.weights import models_dir

if TYPE_CHECKING:
    import httpx2

__all__ = ["check", "fetch"]

REFERENCE = re.compile(r"((?:[\w.-]+/)?[\w.-]+)(?:@([\w.-]+))?", re.ASCII)
WANTED = re.compile(r"[\w.-]+\.(?:safetensors|json|jinja|model)|merges\.txt|vocab\.txt", re.ASCII)
UNWANTED = re.compile(r"consolidated.*|training_args\.json|trainer_state\.json")
MANIFEST = "adhere.json"
TRIES = 6
LONGEST_WAIT = 60.0
LARGEST_LISTING = 32 << 20


class _File(NamedTuple):
    name: str
    size: int
    sha256: str  # "" for small files, which have a Git blob id instead
    blob: str


class _Again(Exception):
    """Worth another try, after so many seconds where the hub said so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(reference: str, notify: Notify | None = None) -> Path:
    """The folder of `org/name` or `org/name@revision`.

    Raises:
        UsageError: if the reference has another form.
        WeightsError: no such model, gated, no safetensors, wrong bytes, no network, offline, disk full.
    """
    model, revision = check(reference)
    folder = models_dir() / "hf" / f"{model.replace('/', '--')}@{revision}"
    if not _complete(folder):
        with locked(folder, notify):
            if not _complete(folder):
                refuse_offline(f"hf:{reference}", folder)
                _fetch(model, revision, folder, notify)
    return folder


def check(reference: str) -> tuple[str, str]:
    """Model and revision of a reference. Raises UsageError if it has another form."""
    found = REFERENCE.fullmatch(reference)
    if found is None or ".." in reference:
        raise UsageError(f"'{reference}' is not a model of a hub", hint="Write hf:org/name or hf:org/name@revision")
    return found[1], found[2] or "main"


def _complete(folder: Path) -> bool:
    """Whether every file of the manifest is there in full. (Engines hash what they load.)"""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fetch(model: str, revision: str, folder: Path, notify: Notify | None) -> None:
    import httpx2

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    token = os.environ.get("HF_TOKEN", "")
    # Byte ranges are of the file as it is, so nothing may be compressed on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with httpx2.Client(headers=headers, follow_redirects=True, timeout=httpx2.Timeout(60.0, connect=10.0)) as client:
        listing = _retry(lambda: _listing(client, f"{endpoint}/api/models/{model}/revision/{revision}", model))
        commit, files = _files(listing, model)
        part = folder.with_name(f"{folder.name}.{commit[:12]}.part")
        with disk_errors(str(part)):
            part.mkdir(parents=True, exist_ok=True)
            size = sum(file.size for file in files)
            need_space(part, size, f"hf:{model}")
            say(notify, f"fetching {model} ({size / 1e6:,.0f} MB) from {endpoint}, once")
            for file in files:
                _retry(
                    lambda file=file: _download(client, f"{endpoint}/{model}/resolve/{commit}/{file.name}", file, part)
                )
            manifest = {
                "model": model,
                "revision": revision,
                "commit": commit,
                "files": {f.name: f.size for f in files},
            }
            (part / MANIFEST).write_text(json.dumps(manifest, indent=1))
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)


def _retry(call: Any) -> Any:
    """`call`, again after trouble that may pass; what has arrived is kept between tries."""
    for attempt in range(TRIES):
        try:
            return call()
        except _Again as error:
            if attempt == TRIES - 1:
                raise WeightsError(
                    f"the hub failed {TRIES} times: {error}",
                    hint="Check the network (HF_ENDPOINT names another hub) and run it again: it resumes",
                ) from error
            time.sleep(min(LONGEST_WAIT, error.wait if error.wait is not None else 0.25 * 2**attempt))


def _listing(client: httpx2.Client, url: str, model: str) -> Any:
    import httpx2

    try:
        with client.stream("GET", url, params={"blobs": "true"}) as answer:
            _check_status(answer, model)
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > LARGEST_LISTING:
                    raise WeightsError(f"the hub's list of '{model}' is longer than {LARGEST_LISTING >> 20} MiB")
        return json.loads(body)
    except httpx2.HTTPError as error:
        raise _Again(f"{type(error).__name__}: {error}") from error
    except ValueError as error:
        raise WeightsError(f"{url} did not answer with JSON", hint="Check HF_ENDPOINT") from error


def _check_status(answer: httpx2.Response, what: str) -> None:
    status = answer.status_code
    if status in (401, 403):
        raise WeightsError(f"the hub refuses '{what}' ({status})", hint="Accept its terms there and set HF_TOKEN")
    if status == 404:
        raise WeightsError(f"the hub has no '{what}'", hint="Check the spelling and the revision; it may be private")
    if status in (408, 429) or status >= 500:
        wait = answer.headers.get("Retry-After", "")
        raise _Again(f"status {status}", float(wait) if wait.isdecimal() else None)
    if status not in (200, 206):
        raise WeightsError(f"the hub answered {status} for '{what}'")


def _files(listing: Any, model: str) -> tuple[str, list[_File]]:
    """The commit, and the files that are wanted of it."""
    try:
        commit = str(listing["sha"])
        files = [
            _File(entry["rfilename"], int(entry["size"]), (entry.get("lfs") or {}).get("sha256", ""), entry["blobId"])
            for entry in listing["siblings"]
            if WANTED.fullmatch(entry["rfilename"]) and not UNWANTED.fullmatch(entry["rfilename"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"the hub's list of '{model}' lacks {error}", hint="Check HF_ENDPOINT") from error
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise WeightsError(f"the hub names no commit of '{model}'")
    names = {file.name for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise WeightsError(
            f"'{model}' has no safetensors weights with a config.json",
            hint="Pickled weights are not loaded: convert them, or name a .gguf file",
        )
    return commit, files


def _download(client: httpx2.Client, url: str, file: _File, folder: Path) -> None:
    """Have one verified file in `folder`; continues what an earlier try has left in `NAME.part`."""
    import httpx2

    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.exists():
        return
    have = part.stat().st_size if part.exists() else 0
    if have < file.size or not part.exists():
        try:
            with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
                _check_status(answer, file.name)
                resumed = answer.status_code == 206
                with part.open("ab" if resumed else "wb") as out:
                    _copy(answer, out, file, have if resumed else 0)
        except httpx2.HTTPError as error:
            raise _Again(f"{file.name}: {type(error).__name__}: {error}") from error
    if part.stat().st_size < file.size:
        raise _Again(f"{file.name} ended early")
    if not _right(part, file):
        part.unlink()
        raise WrongBytes(f"{file.name} has the wrong digest", hint="What the hub sent was not kept: try again")
    part.replace(target)


def _copy(answer: httpx2.Response, out: Any, file: _File, written: int) -> None:
    for block in answer.iter_raw():  # as it arrives: with a block size the rest of a cut stream would be lost
        written += len(block)
        if written > file.size:
            out.truncate(0)
            raise WrongBytes(f"{file.name} is longer than the {file.size:,} bytes that the hub lists")
        out.write(block)


def _right(path: Path, file: _File) -> bool:
    if file.sha256:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob
