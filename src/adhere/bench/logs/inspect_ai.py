"""inspect's logs, `.eval` and `.json`, as version 0.3.285 writes them.

An `.eval` file is a zip archive with a member for each sample and epoch, compressed with zstandard, which Python's own
`zipfile` reads from 3.14 on only: `_unpacked` reads such members itself. The metadata of a sample carry IFEval's fields
as inspect_evals' `ifeval` puts them there (its `kwargs` are a list or, in older versions, an object of positions).
Epochs are samples 0, 1, …; reasoning is not part of the answer; a sample that broke off without one is a failed row.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.logs import FIELDS, Source
from adhere.errors import DataError
from adhere.records import Failure

__all__ = ["from_archive", "from_json"]

MAX_MEMBER = 512 * 2**20  # bytes of one sample unpacked, or of a whole .json log: a log of answers is smaller
ZSTANDARD = 93  # the archive's number for it
_NO_SAMPLES = "inspect keeps them unless it was told --no-log-samples"
# What reading a broken archive may raise, RuntimeError being "it is encrypted".
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, struct.error, NotImplementedError, RuntimeError)
_LOCAL_HEADER = struct.Struct("<26xHH")  # in front of a member's bytes; its last fields: length of name, of extras


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[dict[str, Any]] = ""


class _Choice(msgspec.Struct):
    message: _Message
    stop_reason: str | None = None


class _Output(msgspec.Struct):
    model: str | None = None
    choices: list[_Choice] = []
    error: str | None = None


class _Error(msgspec.Struct):
    message: str = ""


class _Sample(msgspec.Struct):
    """What we need of a sample; its events, the bulk of a log, are skipped unread."""

    id: int | str
    epoch: int = 1
    input: str | list[_Message] = ""
    metadata: dict[str, Any] | None = None
    output: _Output | None = None
    error: _Error | None = None


class _Log(msgspec.Struct):
    samples: list[_Sample] | None


def from_json(path: Path) -> Iterator[Source]:
    """The answers of a `.json` log, in its order.

    Raises:
        DataError: if it is too large, no log, or a log without samples.
    """
    if path.stat().st_size > MAX_MEMBER:
        raise DataError(
            f"{path}: larger than {MAX_MEMBER >> 20} MiB", hint="Write it as .eval: inspect log convert --to eval"
        )
    data = path.read_bytes()
    if not data.strip():
        raise DataError(f"{path}: the file is empty")
    samples = _decoded(data, _Log, str(path)).samples
    if not samples:
        raise DataError(f"{path}: the log has no samples", hint=_NO_SAMPLES)
    for sample in samples:
        yield _source(sample, f"{path}: sample {sample.id}, epoch {sample.epoch}")


def from_archive(path: Path) -> Iterator[Source]:
    """The answers of an `.eval` log, in the archive's order, one in memory at a time.

    Raises:
        DataError: if it is damaged, has no samples, or one of them is larger than `MAX_MEMBER`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # A log that was retried holds a name twice; the later member counts.
            names = dict.fromkeys(n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json"))
            if not names:
                raise DataError(
                    f"{path}: the log has no samples", hint="They are kept unless --no-log-samples was given"
                )
            for name in names:
                where = f"{path}: {name}"
                yield _source(_decoded(_unpacked(archive, archive.getinfo(name), where), _Sample, where), where)
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable inspect log: {error}", hint="Is it whole?") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """A member's bytes, bounded whatever its header claims."""
    if member.compress_type != ZSTANDARD:
        with archive.open(member) as stream:
            data = stream.read(MAX_MEMBER + 1)
    else:
        import pyarrow as pa

        packed = pa.BufferReader(_packed(archive, member))
        with pa.CompressedInputStream(packed, "zstd") as stream:
            data = stream.read(MAX_MEMBER + 1)
    if len(data) > MAX_MEMBER:
        raise DataError(f"{where}: larger than {MAX_MEMBER >> 20} MiB")
    if zlib.crc32(data) != member.CRC:
        raise zipfile.BadZipFile(f"{member.filename} is damaged (bad checksum)")
    return data


def _packed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    file: Any = archive.fp
    file.seek(member.header_offset)
    name, extras = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(name + extras, 1)
    return file.read(member.compress_size)


def _decoded(data: bytes, shape: Any, where: str) -> Any:
    try:
        try:
            return msgspec.json.decode(data, type=shape)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # inspect writes NaN and Infinity, which JSON does not know but Python reads
            return msgspec.convert(json.loads(data), shape)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: not an inspect log: {error}", hint="Give JSON lines, or a log of inspect with its samples"
        ) from error


def _source(sample: _Sample, where: str) -> Source:
    metadata = sample.metadata or {}
    row: dict[str, Any] = {"key": sample.id, "prompt": _asked(sample)}
    row |= {name: metadata[name] for name in FIELDS if name in metadata}
    if isinstance(kwargs := row.get("kwargs"), dict):
        row["kwargs"] = [kwargs[n] for n in sorted(kwargs, key=lambda n: (len(n), n))]
    row |= {"response": None, "sample": max(sample.epoch, 1) - 1}
    output = sample.output or _Output()
    if not output.choices:
        why = sample.error.message if sample.error else output.error or "the log holds no answer"
        return Source(where, row | {"error": why}, Failure("model", "SampleError", why))
    choice = output.choices[0]
    row |= {"response": _text(choice.message), "finish_reason": _REASONS.get(choice.stop_reason, choice.stop_reason)}
    return Source(where, row | {"model": output.model or ""}, keyed="key" in metadata)


_REASONS = {"max_tokens": "length", "model_length": "length", None: ""}  # to our own names


def _asked(sample: _Sample) -> str:
    if isinstance(sample.input, str):
        return sample.input
    return next((_text(m) for m in reversed(sample.input) if m.role == "user"), "")


def _text(message: _Message) -> str:
    """The text parts, one a line as inspect itself joins them for its scorers."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(p.get("text", "")) for p in message.content if p.get("type") == "text")
