"""Holds the state of a detector as named arrays with a row for each key, sorted by key.

`vocabulary.packing` packs the arrays as bytes.

A key is what a detector keeps evidence about, such as a model or a network. The row of a key depends only on events
about that key: adding keys, dropping keys and packing change no other row. Input arrays are not changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.packing import NamedArrays

KeyedColumns = NamedArrays
KEY = "key"


def add_keys(
    state: Mapping[str, npt.NDArray[Any]], keys: Iterable[str], blank: Mapping[str, Any]
) -> tuple[KeyedColumns, Int64]:
    """Return the state with a row for each key in `keys`. New rows have the values of `blank`.

    Args:
        state: name → column. The column KEY holds the sorted keys. Empty before the first call.
        keys: the keys, in any order and without repetition.
        blank: name of a column → value (a number or an array) in the row of a new key.

    Returns:
        Two values. First, the columns after the addition: KEY and the columns named in `blank`. Other columns of
            `state` are dropped; a column that `state` lacks has the value of `blank` in every row. Second,
            int64[len(keys)], the row of each key in `keys`.
    """
    wanted = np.array(list(keys), dtype=np.str_)
    known = state.get(KEY, np.zeros(0, dtype=np.str_))
    place = np.searchsorted(known, wanted)
    missing = np.ones(len(wanted), dtype=np.bool_)
    if len(known):
        missing = known[np.minimum(place, len(known) - 1)] != wanted
    fresh = np.sort(wanted[missing])
    grown: KeyedColumns = {KEY: known}
    # A column may be newer than the stored state.
    for name, row in blank.items():
        grown[name] = state[name] if name in state else _blank(row, len(known))
    if not len(fresh):
        return grown, place
    size = len(known) + len(fresh)
    # Rows of the known keys come from `known`, the others are new: one mask serves all columns.
    is_new = np.zeros(size, dtype=np.bool_)
    is_new[np.searchsorted(known, fresh) + np.arange(len(fresh))] = True
    for name, row in blank.items():
        grown[name] = merge_rows(grown[name], row, is_new)
    keys = grown[KEY] = merge_rows(known.astype(np.result_type(known, fresh), copy=False), fresh, is_new)
    return grown, np.searchsorted(keys, wanted)


def merge_rows(column: npt.NDArray[Any], added: Any, is_new: Bool) -> npt.NDArray[Any]:
    """Return a column with added rows.

    Args:
        column: the rows before, of any type.
        added: the values of the added rows, or one value for all of them.
        is_new: bool, one for each row after the addition; true for the added rows.
    """
    merged = np.empty((len(is_new), *column.shape[1:]), dtype=column.dtype)
    merged[~is_new], merged[is_new] = column, added
    return merged


def _blank(row: Any, count: int) -> npt.NDArray[Any]:
    one = np.asarray(row)
    return np.repeat(one[None], count, axis=0)


def take_rows(columns: KeyedColumns, rows: npt.NDArray[Any]) -> KeyedColumns:
    """Return the selected rows of all columns.

    Args:
        columns: name → column with one row for each key.
        rows: bool, true for each selected row; or int64, the positions of the selected rows, ascending.
    """
    return {name: values[rows] for name, values in columns.items()}
