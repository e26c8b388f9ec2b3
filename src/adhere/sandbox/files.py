"""Files into the sandbox and out of it. Names come from callers and contents from programs; both are checked."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from adhere.errors import UsageError
from adhere.sandbox.base import Job

__all__ = ["checked_names", "placed", "source", "unpacked"]

BLOCK = 4096  # bytes, the unit in which a tmpfs hands out space


@contextmanager
def placed(job: Job, most: int) -> Iterator[Path]:
    """A folder with the job's folder, files and program, gone when the block is left.

    Args:
        job: What to place; its files go over those of its folder, its program over both.
        most: Bytes that they may take on disk together.

    Raises:
        UsageError: for a name that leads elsewhere, what cannot be read, or too much.
    """
    contents: dict[str, str | bytes] = {**job.files, job.name: source(job.code)}
    checked_names(list(contents))
    # Others on this machine must not look into it, the program's own user in the sandbox must: two levels.
    outer = Path(mkdtemp(prefix="adhere-sandbox-"))
    try:
        inner = outer / "in"
        if job.folder is None:
            inner.mkdir()
        else:
            _copy(job.folder, inner, most)
        for name, content in contents.items():
            _write(inner, name, content)
        _open_to_all(inner, most)
        yield inner
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def source(code: str | Path) -> str | bytes:
    """The program's text.

    Raises:
        UsageError: if the file cannot be read.
    """
    if isinstance(code, str):
        return code
    try:
        return code.read_bytes()
    except OSError as error:
        raise UsageError(f"{code}: {error.strerror or error}", hint="Name a Python file") from error


def checked_names(names: Sequence[str]) -> None:
    """Raises UsageError unless all are relative paths that stay where they are."""
    for name in names:
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or name.startswith("-"):
            raise UsageError(f"'{name}' is not a file name within the sandbox", hint="Give a relative path without ..")


def _copy(folder: Path, target: Path, most: int) -> None:
    """Copy a folder; its links stay links, which lead nowhere in the sandbox if they lead out of it."""
    try:
        if sum(_blocks(path) for path in folder.rglob("*")) > most:
            raise _too_much(f"the folder {folder}", most)
        shutil.copytree(folder, target, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"the folder {folder} cannot be copied: {error}", hint="Name another folder") from error


def _write(folder: Path, name: str, content: str | bytes) -> None:
    """Write one file below the folder. A link that lies there already is replaced, never followed."""
    place = folder
    try:
        for part in PurePosixPath(name).parts[:-1]:
            place = place / part
            if place.is_symlink():
                place.unlink()
            place.mkdir(exist_ok=True)
        place = place / PurePosixPath(name).name
        place.unlink(missing_ok=True)
        place.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    except OSError as error:
        raise UsageError(f"the file '{name}' cannot be made: {error.strerror}", hint="Give it another name") from error


def _open_to_all(folder: Path, most: int) -> None:
    """Make all of it readable, whatever umask it was written under, and see that it fits."""
    folder.chmod(0o755)
    taken = 0
    for path in folder.rglob("*"):
        if not path.is_symlink():
            taken += _blocks(path)
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    if taken > most:
        raise _too_much("what the program is given", most)


def _blocks(path: Path) -> int:
    """Bytes that a file takes in a tmpfs."""
    size = path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return -(-size // BLOCK) * BLOCK


def _too_much(what: str, most: int) -> UsageError:
    return UsageError(f"{what} takes more than the {most >> 20} MiB of the sandbox's disk", hint="Raise Limits.disk")


def unpacked(archive: bytes, wanted: Sequence[str]) -> dict[str, bytes]:
    """The regular files of a tar archive that were asked for; whatever else is in it, or is wrong with it, is ignored.

    The program may have written the archive itself: nothing of it touches the disk.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                if content is not None and member.name in wanted:
                    found[member.name] = content.read(len(archive))
    except (tarfile.TarError, ValueError, EOFError, OSError):
        pass
    return found
