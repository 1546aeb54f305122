"""State per key: named arrays whose first axis is the key, sorted, and their bytes.

Laws: a key's row depends only on what happened to that key; adding keys, dropping keys and packing change no other row;
input arrays are never changed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Int64

KeyedColumns = dict[str, npt.NDArray[Any]]
KEY = "key"

_LENGTH = struct.Struct("<I")


def add_keys(
    state: Mapping[str, npt.NDArray[Any]], keys: Iterable[str], blank: Mapping[str, Any]
) -> tuple[KeyedColumns, Int64]:
    """Return the state with a row for each of these keys; existing rows are kept.

    Args:
        state: columns by name, and KEY, the sorted keys; empty at first.
        keys: in any order, each at most once.
        blank: the row of a new key in every column (a number or an array).

    Returns:
        The columns, and the row of each of `keys`.
    """
    wanted = list(keys)
    known = state.get(KEY, np.zeros(0, dtype=np.str_))
    place = {key: i for i, key in enumerate(known.tolist())}
    fresh = [key for key in wanted if key not in place]
    grown: KeyedColumns = {}
    if not fresh:
        grown = {name: state[name] if name in state else _blank(row, len(known)) for name, row in blank.items()}
        grown[KEY] = known
    else:
        joined = np.concatenate([known, np.array(fresh, dtype=np.str_)])
        order = np.argsort(joined)
        grown = {KEY: joined[order]}
        for name, row in blank.items():
            # A column may be newer than the stored state.
            old = state[name] if name in state else _blank(row, len(known))
            grown[name] = np.concatenate([old, _blank(row, len(fresh))])[order]
        place = {key: i for i, key in enumerate(grown[KEY].tolist())}
    return grown, np.array([place[key] for key in wanted], dtype=np.int64)


def _blank(row: Any, count: int) -> npt.NDArray[Any]:
    one = np.asarray(row)
    return np.repeat(one[None], count, axis=0)


def take_rows(columns: KeyedColumns, rows: npt.NDArray[Any]) -> KeyedColumns:
    """Return the columns with only these rows (a mask or ascending positions)."""
    return {name: values[rows] for name, values in columns.items()}


def pack(state: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Pack named arrays as bytes: the same arrays give the same bytes on every machine."""
    arrays = {name: np.ascontiguousarray(state[name]) for name in sorted(state)}
    arrays = {name: a.astype(a.dtype.newbyteorder("<")) for name, a in arrays.items()}
    head = json.dumps({name: [a.dtype.str, list(a.shape)] for name, a in arrays.items()}).encode()
    return zlib.compress(_LENGTH.pack(len(head)) + head + b"".join(a.tobytes() for a in arrays.values()), 1)


def unpack(raw: bytes) -> KeyedColumns:
    """Return the arrays that `pack` packed."""
    body = zlib.decompress(raw)
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    state: KeyedColumns = {}
    for name, (dtype, shape) in json.loads(body[_LENGTH.size : at]).items():
        array = np.frombuffer(body, dtype=dtype, count=int(np.prod(shape)), offset=at).reshape(shape)
        at += array.nbytes
        state[name] = array.astype(array.dtype.newbyteorder("="))
    return state
