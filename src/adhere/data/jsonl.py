"""JSON lines, read one line at a time: whatever is wrong is named `file:line`, and a million rows need no more memory.

`objects` gives plain dicts with their line numbers, `rows` those of one JSON array too, `read` gives records; `write`
replaces a file whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from adhere.data.files import replacing
from adhere.errors import DataError
from adhere.records import Example, Instruction, encode

__all__ = ["BOM", "Unique", "lines", "objects", "read", "rows", "write"]

T = TypeVar("T")
# No honest row is longer; a file without line breaks must not be read whole into memory.
MAX_LINE = 64 * 2**20
MAX_ARRAY = 2**30
BOM = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
ONE_OBJECT = "Each line holds one JSON object"

# Which records have an identity of their own; results are joined on it.
_ID_OF: dict[Any, Callable[[Any], str]] = {Instruction: lambda r: r.id, Example: lambda r: r.instruction.id}


class Unique:
    """Ids seen so far, each with the place where it stood."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def add(self, id: str, where: str) -> None:
        """Note an id.

        Raises:
            DataError: if it was there before; both places are named.
        """
        first = self._seen.setdefault(id, where)
        if first != where:
            raise DataError(f"{where}: the id '{id}' occurs twice (first at {first})", hint="Ids must be unique")


def read(path: str | Path, type: type[T]) -> Iterator[T]:
    """The records of a file, one at a time, in order.

    Args:
        path: JSON lines in UTF-8, with or without a byte-order mark; blank lines are skipped.
        type: Of the records, e.g. `Instruction`. Instructions' and examples' ids must be unique.

    Raises:
        DataError: `file:line` and what is wrong, when the iteration gets there; or that there is nothing to read.
    """
    decoder = msgspec.json.Decoder(type)
    id_of = _ID_OF.get(type)
    unique = Unique()
    for number, line in lines(path):
        where = f"{path}:{number}"
        record = _decoded(decoder.decode, line, where)
        if id_of is not None:
            unique.add(id_of(record), where)
        yield record


def objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and plain dicts, for rows that are not our own records.

    Raises:
        DataError: as `read`; also for a line that is JSON but not an object.
    """
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in lines(path):
        yield number, _decoded(decoder.decode, line, f"{path}:{number}")


def rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each object stands (`file:line`, of an array `file, row N`) and the object: JSON lines, or one JSON array.

    Raises:
        DataError: as `objects`; for an array of something else, or one of more than a gigabyte, which is read whole.
    """
    place = Path(path)
    try:
        with place.open("rb") as file:
            array = file.read(64).removeprefix(BOM).lstrip().startswith(b"[")
        if not array:
            yield from ((f"{path}:{number}", row) for number, row in objects(path))
            return
        if place.stat().st_size > MAX_ARRAY:
            raise DataError(f"{path}: an array of more than {MAX_ARRAY >> 20} MiB", hint="Make it JSON lines")
        content = place.read_bytes().removeprefix(BOM)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = _decoded(msgspec.json.Decoder(list[dict[str, Any]]).decode, content, str(path))
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(found, 1))


def lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers, from 1, and bytes of the lines that are not blank; a byte-order mark is dropped.

    Raises:
        DataError: if the file cannot be read, is empty or UTF-16, or has a line of more than 64 MiB.
    """
    found = False
    try:
        with Path(path).open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise DataError(f"{path}:{number}: a line of more than {MAX_LINE >> 20} MiB", hint=ONE_OBJECT)
                if number == 1:
                    if line.startswith(UTF16):
                        raise DataError(f"{path}:1: the file is UTF-16, not UTF-8", hint="Save it as UTF-8")
                    line = line.removeprefix(BOM)
                if line := line.strip():
                    found = True
                    yield number, line
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not found:
        raise DataError(f"{path}: the file is empty", hint=ONE_OBJECT)


def write(path: str | Path, records: Iterable[Any]) -> int:
    """Write records, one a line; the file appears when all are written. Returns how many.

    Raises:
        DataError: if it cannot be written, or a text cannot be UTF-8.
    """
    count = 0
    with replacing(Path(path)) as part, part.open("wb") as file:
        for record in records:
            file.write(encode(record) + b"\n")
            count += 1
    return count


def _decoded(decode: Callable[[bytes], T], line: bytes, where: str) -> T:
    try:
        return decode(line)
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{where}: not JSON: {error}", hint=ONE_OBJECT) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8: {error.reason}", hint="Save it as UTF-8") from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply") from error
