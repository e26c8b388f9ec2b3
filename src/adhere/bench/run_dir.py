"""A run on disk: `run.json` and two Parquet files, a function of the inputs alone.

    DIR/run.json          the manifest: what was run, on what, and the metrics
    DIR/rows.parquet      one row an answer
    DIR/verdicts.parquet  one row an answer × constraint
    DIR/report.html       the same for people (`adhere.web.report`)

Nothing in it depends on the clock: a run that was killed and started again leaves the same bytes as one that was not.
How long things took is printed, not stored here. Read the Parquet files with DuckDB, pandas or polars; free-form fields
(`messages`, `args`, `spans`, …) are JSON text.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from adhere.errors import DataError, StoreError, UsageError
from adhere.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SCHEMA", "Row", "Run", "VerdictRow", "load", "writable", "write"]

SCHEMA = 1
# What readers of a manifest rely on.
_NEEDED = {"benchmark", "counts", "metrics", "model", "sampling", "schema", "settings"}


class Row(Record, omit_defaults=False):
    """One answer.

    Attributes:
        id, sample: The instruction, and which of its samples (from 0).
        prompt: Last user message, for reading.
        messages: All messages, JSON.
        constraints: The constraint records, JSON.
        response: The answer; None where the row failed.
        finish_reason: "stop", "length" (cut at the cap), …; "" where the row failed.
        prompt_tokens, completion_tokens: Tokens read and written; 0 where unknown.
        error_boundary, error_kind, error_message: Why the row failed; "" where it did not.
        strict_all, loose_all: All constraints hold. None: undecided. A failed row counts as not passed.
        trace: How a strategy came to the answer, JSON.
        meta: The instruction's own extra fields, JSON.
    """

    id: str
    sample: int
    prompt: str
    messages: str
    constraints: str
    response: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error_boundary: str
    error_kind: str
    error_message: str
    strict_all: bool | None
    loose_all: bool | None
    trace: str
    meta: str


class VerdictRow(Record, omit_defaults=False):
    """One constraint of one answer, or one figure that its scorer found.

    `strict` None is undecided. `spans` is JSON `[[start, end, label], …]`. `value` is the figure, None for constraints.
    """

    id: str
    sample: int
    position: int
    kind: str
    family: str
    args: str
    strict: bool | None
    loose: bool | None
    reason: str
    spans: str
    value: float | None = None


class Run(NamedTuple):
    """A run in memory: the manifest and its two tables."""

    manifest: dict[str, Any]
    rows: list[Row]
    verdicts: list[VerdictRow]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics by name, each `{"value", "low", "high", "n", "clusters"}`."""
        return self.manifest["metrics"]


def write(run: Run, directory: Path) -> None:
    """Write a run; each file appears whole or not at all.

    Raises:
        StoreError: if the directory cannot be written to.
    """
    writable(directory)
    _write_parquet(run.rows, Row, directory / "rows.parquet")
    _write_parquet(run.verdicts, VerdictRow, directory / "verdicts.parquet")
    manifest = msgspec.json.format(msgspec.json.encode(run.manifest, order="sorted"), indent=2)
    replace_bytes(directory / "run.json", manifest + b"\n")


def writable(directory: Path) -> None:
    """Make a directory where it is missing, and see to it before the work that it may be written to.

    Raises:
        StoreError: if nothing can be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {directory}: {error.strerror or error}", hint="Name another folder") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StoreError(f"{directory} may not be written to", hint="Name another folder")


def load(directory: str | Path) -> Run:
    """Read a run back.

    Raises:
        UsageError: if there is no run there.
        DataError: if its files are damaged or of a newer schema.
    """
    import pyarrow.parquet as pq

    place = Path(directory)
    if not (place / "run.json").is_file():
        raise UsageError(f"no run at {place} (no run.json there)", hint="Give the folder that `adhere eval` printed")
    try:
        manifest = msgspec.json.decode((place / "run.json").read_bytes(), type=dict[str, Any])
        if manifest.get("schema", 0) > SCHEMA:
            raise DataError(
                f"{place} was written by a newer Adhere (schema {manifest['schema']})", hint="Upgrade Adhere"
            )
        if missing := _NEEDED - manifest.keys():
            raise ValueError(f"run.json lacks {', '.join(sorted(missing))}")
        rows = msgspec.convert(pq.read_table(place / "rows.parquet").to_pylist(), type=list[Row])
        verdicts = msgspec.convert(pq.read_table(place / "verdicts.parquet").to_pylist(), type=list[VerdictRow])
    except (msgspec.DecodeError, OSError, TypeError, ValueError) as error:
        raise DataError(
            f"the run at {place} is damaged: {error}", hint="Run the evaluation again; answers are cached"
        ) from error
    return Run(manifest, rows, verdicts)


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        StoreError: if it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}",
            hint="Free some space or name another place; the answers of a run are kept in the cache",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


_ARROW = {"str": "string", "str | None": "string", "int": "int64", "bool | None": "bool", "float | None": "float64"}


def _write_parquet(records: Sequence[Record], shape: type[Record], path: Path) -> None:
    import io

    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(_table(records, shape), buffer, compression="zstd")
    replace_bytes(path, buffer.getvalue())


def _table(records: Iterable[Record], shape: type[Record]) -> pa.Table:
    import pyarrow as pa

    names = {f.name: str(shape.__annotations__[f.name]) for f in msgspec.structs.fields(shape)}
    schema = pa.schema([(name, pa.type_for_alias(_ARROW[kind])) for name, kind in names.items()])
    columns = {name: [getattr(r, name) for r in records] for name in names}
    return pa.table(columns, schema=schema)
