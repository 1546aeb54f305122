"""The COPY stream: what PostgreSQL's documentation calls the binary format, field by field."""

import struct
from collections import Counter
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.store.db import binary_copy, dialect

TABLE = sa.Table(
    "t",
    sa.MetaData(),
    sa.Column("big", sa.BigInteger, primary_key=True),
    sa.Column("small", sa.SmallInteger),
    sa.Column("plain", sa.Integer),
    sa.Column("yes", sa.Boolean),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("words", sa.Text),
    sa.Column("maybe", sa.BigInteger),
)
FORMATS = {"big": ">q", "small": ">h", "plain": ">i", "yes": ">?", "maybe": ">q"}

rows_of = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**15), 2**15 - 1),
        st.integers(-(2**31), 2**31 - 1),
        st.booleans(),
        st.none() | st.binary(max_size=5) | st.binary(min_size=2, max_size=2).map(lambda b: b + b"\0\0"),
        st.text(max_size=4),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    ),
    min_size=1,
    max_size=20,
)


def as_columns(rows: list[tuple[Any, ...]]) -> dict[str, binary_copy.Values]:
    big, small, plain, yes, raw, words, maybe = (list(column) for column in zip(*rows, strict=True))
    return {
        "big": np.array(big, dtype=np.int64),
        "small": np.array(small, dtype=np.int8 if all(-128 <= v < 128 for v in small) else np.int64),
        "plain": np.array(plain, dtype=np.int32),
        "yes": np.array(yes, dtype=np.bool_),
        "raw": raw,
        "words": words,
        "maybe": np.ma.masked_array(
            np.array([0 if v is None else v for v in maybe], dtype=np.int64), [v is None for v in maybe]
        ),
    }


def stream(columns: dict[str, binary_copy.Values], n: int) -> bytes:
    fields = [binary_copy._field(TABLE.c[name].type, values, n) for name, values in columns.items()]
    return b"".join(binary_copy._blocks(fields, n))


def parse(raw: bytes) -> list[tuple[bytes | None, ...]]:
    """Tuples: an int16 field count, then for each an int32 length (−1 is NULL) and so many bytes."""
    rows, at = [], 0
    while at < len(raw):
        (count,) = struct.unpack_from(">h", raw, at)
        at += 2
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", raw, at)
            at += 4
            assert length >= -1
            values.append(None if length < 0 else raw[at : at + length])
            at += max(length, 0)
        rows.append(tuple(values))
    assert at == len(raw)
    return rows


def read(row: tuple[bytes | None, ...], names: list[str]) -> tuple[Any, ...]:
    result: list[Any] = []
    for name, value in zip(names, row, strict=True):
        if value is None:
            result.append(None)
        elif name in FORMATS:
            assert len(value) == struct.calcsize(FORMATS[name])
            result.append(struct.unpack(FORMATS[name], value)[0])
        else:
            result.append(value.decode() if name == "words" else value)
    return tuple(result)


@given(rows_of)
@settings(max_examples=200, deadline=None)
def test_every_row_is_in_the_stream_once_with_its_nulls_and_lengths(rows: list[tuple[Any, ...]]) -> None:
    columns = as_columns(rows)
    found = [read(row, list(columns)) for row in parse(stream(columns, len(rows)))]
    assert Counter(found) == Counter(rows)


def test_rows_of_equal_lengths_keep_their_order() -> None:
    n = 50
    columns: dict[str, binary_copy.Values] = {"big": np.arange(n)[::-1], "raw": [b"%02d" % i for i in range(n)]}
    found = [read(row, ["big", "raw"]) for row in parse(stream(columns, n))]
    assert found == [(n - 1 - i, b"%02d" % i) for i in range(n)]
    blocks = list(
        binary_copy._blocks([binary_copy._field(TABLE.c[name].type, values, n) for name, values in columns.items()], n)
    )
    assert len(blocks) == 1


def test_a_column_of_nulls_or_of_nothing_takes_no_bytes() -> None:
    columns: dict[str, binary_copy.Values] = {
        "raw": [None, None],
        "words": ["", ""],
        "maybe": np.ma.masked_all(2, dtype=np.int64),
    }
    assert parse(stream(columns, 2)) == [(None, b"", None)] * 2


def test_a_transposed_or_strided_column_is_read_by_its_values() -> None:
    wide = np.arange(12, dtype=np.int64).reshape(6, 2)
    found = [read(row, ["big", "maybe"]) for row in parse(stream({"big": wide[:, 0], "maybe": wide[::-1, 1]}, 6))]
    assert found == list(zip(wide[:, 0].tolist(), wide[::-1, 1].tolist(), strict=True))


def test_the_header_and_the_trailer_are_those_of_the_format() -> None:
    assert b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) == binary_copy._HEADER
    assert struct.pack(">h", -1) == binary_copy._TRAILER


@given(rows_of.filter(lambda rows: len({r[0] for r in rows}) == len(rows)))
@settings(max_examples=30, deadline=None)
def test_sqlite_gets_the_same_rows(rows: list[tuple[Any, ...]]) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        dialect.load(connection, TABLE, as_columns(rows))
        found = connection.execute(sa.select(TABLE)).all()
    assert Counter(tuple(row) for row in found) == Counter(rows)


def test_no_rows_are_no_statement_and_a_taken_key_is_an_integrity_error() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        dialect.load(connection, TABLE, {"big": np.zeros(0, dtype=np.int64)})
        dialect.load(connection, TABLE, {"big": np.array([1])})
        with pytest.raises(sa.exc.IntegrityError):
            dialect.load(connection, TABLE, {"big": np.array([1])})
