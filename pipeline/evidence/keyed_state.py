"""State per key: named arrays whose first axis is the key, sorted. `vocabulary.packing` packs them as bytes.

Laws: a key's row depends only on what happened to that key; adding keys, dropping keys and packing change no other row;
input arrays are never changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import NamedArrays

KeyedColumns = NamedArrays
KEY = "key"


def add_keys(
    state: Mapping[str, npt.NDArray[Any]], keys: Iterable[str], blank: Mapping[str, Any]
) -> tuple[KeyedColumns, Int64]:
    """Return the state with a row for each of the given keys; existing rows are kept.

    Args:
        state: columns by name, and KEY, the sorted keys; empty at first.
        keys: in any order, each at most once.
        blank: column → value (a number or an array) in the row of a new key.

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
