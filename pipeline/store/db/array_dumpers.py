"""Converts array parameters to the bytes that PostgreSQL expects, for PostgreSQL's driver.

The bytes are a header, then the length and the value of each element (PostgreSQL source, `array_recv`). Only a process
with a PostgreSQL store imports this module, because importing the driver is slow.
"""

import struct
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncConnection, Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

from pipeline.store.db.array_parameters import BigIntegers, Blobs, Uuids

_INT8, _BYTEA, _UUID, _INT8_ARRAY, _BYTEA_ARRAY, _UUID_ARRAY = 20, 17, 2950, 1016, 1001, 2951


class _UuidsDumper(Dumper):
    format = Format.BINARY
    oid = _UUID_ARRAY

    def dump(self, obj: Uuids) -> bytes:
        return _fixed_width(_UUID, 16, "V16", obj.values)


class _BigIntegersDumper(Dumper):
    format = Format.BINARY
    oid = _INT8_ARRAY

    def dump(self, obj: BigIntegers) -> bytes:
        return _fixed_width(_INT8, 8, ">i8", obj.values)


class _BlobsDumper(Dumper):
    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: Blobs) -> bytes:
        lengths = [-1 if value is None else len(value) for value in obj.values]  # −1 is NULL
        packed = {length: struct.pack(">i", length) for length in set(lengths)}
        values = [value or b"" for value in obj.values]
        parts = chain.from_iterable(zip(map(packed.__getitem__, lengths), values, strict=True))
        return _header(_BYTEA, len(values), has_nulls=-1 in packed) + b"".join(parts)


def _fixed_width(element: int, width: int, dtype: str, values: npt.NDArray[Any]) -> bytes:
    rows = np.empty(len(values), dtype=[("length", ">i4"), ("value", dtype)])
    rows["length"], rows["value"] = width, values
    return _header(element, len(rows)) + rows.tobytes()


def _header(element: int, count: int, *, has_nulls: bool = False) -> bytes:
    """Return the header of a binary array.

    It has the number of dimensions, whether there are NULLs, the type of the elements, and the length and lower bound
    of the dimension.
    """
    return struct.pack(">iiIii", 1, has_nulls, element, count, 1) if count else struct.pack(">iiI", 0, 0, element)


def register(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """Make a connection of the driver accept the parameter types of `array_parameters`."""
    connection.adapters.register_dumper(BigIntegers, _BigIntegersDumper)
    connection.adapters.register_dumper(Blobs, _BlobsDumper)
    connection.adapters.register_dumper(Uuids, _UuidsDumper)
