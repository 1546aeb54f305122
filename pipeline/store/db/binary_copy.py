"""Writes and reads rows with PostgreSQL's binary COPY, and converts the bytes with numpy.

Rows are grouped by the lengths of their fields, and each group forms one structured array. Converting row by row in
Python would take three times as long. PostgreSQL documents the format under "COPY", section "Binary Format".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import BigInteger, Boolean, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from pipeline.store.db.connection_handover import raw_cursor
from pipeline.vocabulary.arrays import Int64

Values = npt.NDArray[Any] | Sequence[bytes | None] | Sequence[str]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class _Field:
    """One column of a COPY stream: the lengths of its values (−1 is NULL) and the values."""

    lengths: Int64
    values: Any
    dtype: str | None  # None for bytes

    def take(self, rows: Int64, length: int) -> npt.NDArray[Any]:
        if self.dtype is not None:
            return np.asarray(self.values[rows])
        values = self.values if len(rows) == len(self.values) else [self.values[i] for i in rows.tolist()]
        return np.frombuffer(b"".join(values), dtype=f"V{length}")


def write(connection: Connection, table: Table, columns: Mapping[str, Values]) -> None:
    """Insert many rows into a table, given as columns by name. `dialect.load` describes the columns and the errors."""
    n = len(next(iter(columns.values())))
    names = ", ".join(f'"{name}"' for name in columns)
    fields = [_field(table.c[name].type, values, n) for name, values in columns.items()]
    cursor = raw_cursor(connection)
    statement = f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT BINARY)'
    driver = connection.dialect.loaded_dbapi
    blocks = [_HEADER, *_blocks(fields, n), _TRAILER]  # before COPY begins: it holds locks while it waits for us
    try:
        with cursor.copy(statement) as copy:
            for block in blocks:
                copy.write(block)
    except driver.Error as error:
        # SQLAlchemy does not wrap errors of this cursor: callers would not recognise a race or a lost connection.
        lost = bool(cursor.connection.closed)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, driver.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error


def _field(kind: Any, values: Values, n: int) -> _Field:
    if isinstance(kind, Text):
        texts = [str(v).encode() for v in values]
        return _Field(np.array([len(t) for t in texts], dtype=np.int64), texts, None)
    if isinstance(values, np.ndarray) and values.dtype.kind == "V":
        return _Field(np.full(n, values.dtype.itemsize, dtype=np.int64), values, values.dtype.str)
    if isinstance(kind, LargeBinary):
        lengths = np.array([-1 if v is None else len(v) for v in values], dtype=np.int64)
        return _Field(lengths, values, None)
    dtype = _dtype(kind)
    size = np.dtype(dtype).itemsize
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    lengths = np.full(n, size, dtype=np.int64)
    if mask is not None:
        lengths[mask] = -1
    return _Field(lengths, np.ma.getdata(np.ma.asanyarray(values)), dtype)


def read(cursor: Any, query: str, types: Sequence[Any], block_rows: int) -> Iterator[Int64]:
    """Yield the rows of a query in blocks int64[columns, rows] of at most `block_rows` rows.

    All values must be whole numbers, and none may be NULL. Every row then has the same number of bytes, so numpy can
    parse a whole block at once.

    Args:
        cursor: a cursor of the driver.
        query: the query as SQL text, without parameters.
        types: PostgreSQL's types of the columns.
        block_rows: largest number of rows in a block.
    """
    fields = [pair for i, kind in enumerate(types) for pair in ((f"l{i}", ">i4"), (f"v{i}", _dtype(kind)))]
    row = np.dtype([("n", ">i2"), *fields])
    full = block_rows * row.itemsize
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
        # Rows are buffered: repeated concatenation is quadratic.
        pieces: list[bytes] = []
        size, start = 0, len(_HEADER)
        while data := copy.read():
            pieces.append(bytes(data))
            size += len(data)
            if size - start >= full:
                raw = b"".join(pieces)
                yield _columns(raw[start : start + full], row)
                pieces, start = [raw[start + full :]], 0
                size = len(pieces[0])
    raw = b"".join(pieces)
    whole = (size - start) // row.itemsize
    if whole > 0:
        yield _columns(raw[start : start + whole * row.itemsize], row)


def _columns(raw: bytes, row: np.dtype[np.void]) -> Int64:
    rows = np.frombuffer(raw, dtype=row)
    return np.stack([rows[name].astype(np.int64) for name in row.names or () if name.startswith("v")])


def _dtype(kind: Any) -> str:
    if isinstance(kind, Boolean):
        return "?"
    if isinstance(kind, BigInteger):
        return ">i8"
    return ">i2" if isinstance(kind, SmallInteger) else ">i4"


def _blocks(fields: Sequence[_Field], n: int) -> Iterator[bytes]:
    """Yield the rows as bytes. Adjacent rows with fields of the same lengths form one block."""
    shape = np.column_stack([f.lengths for f in fields])
    fixed = (shape == shape[0]).all(axis=0)
    if fixed.all():
        yield _block(fields, shape[0], np.arange(n))
        return
    kinds, group = np.unique(shape[:, ~fixed], axis=0, return_inverse=True)
    for k in range(len(kinds)):
        rows = np.flatnonzero(group.ravel() == k)
        yield _block(fields, shape[rows[0]], rows)


def _block(fields: Sequence[_Field], lengths: Int64, rows: Int64) -> bytes:
    layout: list[tuple[str, str]] = [("n", ">i2")]
    for i, (field, length) in enumerate(zip(fields, lengths.tolist(), strict=True)):
        layout.append((f"l{i}", ">i4"))
        if length > 0:
            layout.append((f"v{i}", field.dtype or f"V{length}"))
    block = np.zeros(len(rows), dtype=layout)
    block["n"] = len(fields)
    for i, (field, length) in enumerate(zip(fields, lengths.tolist(), strict=True)):
        block[f"l{i}"] = length
        if length > 0:
            block[f"v{i}"] = field.take(rows, length)
    return block.tobytes()
