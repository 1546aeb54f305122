"""Writes votes as JSON Lines, a JSON array, CSV, TSV or Parquet, compressed or not, batch by batch.

Reading a written file gives the same values, because texts are never changed. Cells of CSV are in quotes. A cell that
begins with =, +, - or @ is not changed either, although a spreadsheet may read it as a formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from pipeline.errors import UnknownFormat
from pipeline.formats.containers import SUFFIXES
from pipeline.formats.first_bytes import Kind
from pipeline.vocabulary.time import format_rfc3339

_CODECS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# Rows of a row group of Parquet.
_GROUP_ROWS = 64 * 1024

Write = Callable[[pa.RecordBatch], None]


def output_kind(path: Path) -> tuple[Kind, str]:
    """Return the kind of file that a name asks for, and its codec.

    Args:
        path: the name, such as votes.jsonl.gz.

    Returns:
        Two values: the kind; and "gzip", "zstd", or "" for no compression.

    Raises:
        UnknownFormat: the suffix of the name has no writer.
    """
    names = [suffix.lower() for suffix in path.suffixes[-2:]]
    codec = _CODECS.get(names[-1], "") if names else ""
    suffix = (names[:-1] if codec else names)[-1:]
    if not suffix or suffix[0] not in SUFFIXES:
        raise UnknownFormat(
            f"expected a name that ends in {', '.join(SUFFIXES)}, or one of them and .gz or .zst: {path}"
        )
    return ("json array" if suffix[0] == ".json" else SUFFIXES[suffix[0]]), codec


@contextmanager
def open_writer(path: Path, kind: Kind, codec: str, schema: pa.Schema, *, events: bool = False) -> Iterator[Write]:
    """Yield a function that writes a batch of votes; the file is complete when the `with` block ends without an error.

    Args:
        path: the file, which is created or emptied.
        kind, codec: the kind of file, and its compression: "gzip", "zstd", or "" for none (`output_kind`).
        schema: columns of the batches.
        events: whether JSON records are written as canonical events, with sorted keys and no key for a null.
    """
    with path.open("wb") as plain, _compressed(plain, codec) as target:
        if kind == "parquet":
            opened = _parquet(target, schema)
        elif kind in ("csv", "tsv"):
            opened = _delimited(target, schema, "," if kind == "csv" else "\t")
        else:
            opened = _json(target, events, lines=kind == "json lines")
        with opened as write:
            yield write


def _compressed(plain: IO[bytes], codec: str) -> AbstractContextManager[Any]:
    return pa.CompressedOutputStream(plain, codec) if codec else nullcontext(plain)


@contextmanager
def _json(target: IO[bytes], events: bool, *, lines: bool) -> Iterator[Write]:
    written = 0

    def write(batch: pa.RecordBatch) -> None:
        nonlocal written
        for record in _json_records(batch, events):
            target.write(record + b"\n" if lines else (b",\n" if written else b"\n") + record)
            written += 1

    target.write(b"" if lines else b"[")
    yield write
    target.write(b"" if lines else b"\n]\n" if written else b"]\n")


@contextmanager
def _delimited(target: IO[bytes], schema: pa.Schema, delimiter: str) -> Iterator[Write]:
    cells = pa.schema([(field.name, _cell_type(field.type)) for field in schema])
    options = pacsv.WriteOptions(delimiter=delimiter, quoting_style="all_valid")
    with pacsv.CSVWriter(target, cells, write_options=options) as writer:
        yield lambda batch: writer.write_batch(
            pa.record_batch([_cells(column) for column in batch.columns], schema=cells)
        )


@contextmanager
def _parquet(target: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    """Yield a function that writes batches to a Parquet file.

    Batches are collected into large row groups, because a column of a small group compresses badly.
    """
    pending: list[pa.RecordBatch] = []

    def flush() -> None:
        if pending:
            writer.write_table(pa.Table.from_batches(pending, schema))
            pending.clear()

    def write(batch: pa.RecordBatch) -> None:
        pending.append(batch)
        if sum(map(len, pending)) >= _GROUP_ROWS:
            flush()

    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        yield write
        flush()


def _json_records(batch: pa.RecordBatch, events: bool) -> list[bytes]:
    """Return the rows as JSON objects, with times as text. For events, keys are sorted and nulls left out."""
    plain = [_texts_of_times(column) if pa.types.is_timestamp(column.type) else column for column in batch.columns]
    rows = pa.record_batch(plain, names=batch.schema.names).to_pylist()
    if events:
        encode = msgspec.json.Encoder(order="sorted").encode
        return [encode({name: value for name, value in row.items() if value is not None}) for row in rows]
    encode = msgspec.json.Encoder().encode
    return [encode(row) for row in rows]


def _cell_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(kind) or pa.types.is_timestamp(kind) else kind


def _cells(column: pa.Array) -> pa.Array:
    """Return a column as cells of a table: a time as RFC 3339, a list or a map as JSON."""
    if pa.types.is_timestamp(column.type):
        return _texts_of_times(column)
    if not pa.types.is_nested(column.type):
        return column
    encode = msgspec.json.Encoder().encode
    return pa.array([None if value is None else encode(value).decode() for value in column.to_pylist()], pa.string())


def _texts_of_times(column: pa.Array) -> pa.Array:
    """Return times as RFC 3339 text in UTC. Each is converted by itself, because few times repeat."""
    microseconds = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return pa.array([None if time is None else format_rfc3339(time) for time in microseconds], pa.string())
