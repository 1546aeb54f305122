"""Computes sums for `pair_counts`: from votes to one row for each pair, and from rows to matrices.

Sums are in int64, so they do not depend on the order of the votes. Callers must check the inputs.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from ..vocabulary.arrays import Float64, Int32, Int64
from ..vocabulary.outcomes import OUTCOMES
from .encoding import CodedColumn

_CELLS = len(OUTCOMES)
# Up to this many cells a dense table (128 MB, 2,048 models) is faster than sorting the votes.
_DENSE_CELLS = 2**24
# A dense table of sums may have so many rows for each row that is added.
_DENSE_ROWS_PER_ROW = 16
# Votes whose keys are computed at a time, unless the table has more cells.
_BLOCK = 1 << 20
# Votes from which a second thread saves more time than it costs.
_VOTES_FOR_THREADS = 200_000


def count_by_pair(a: CodedColumn, b: CodedColumn, outcome: CodedColumn, size: int) -> tuple[Int64, Int64]:
    """Count N votes by ordered pair (a, b) and outcome.

    Args:
        a, b: codes of the two models of each vote.
        outcome: code of the outcome of each vote.
        size: K, the number of models.

    Returns:
        Two arrays: int64[P], the key a·K + b of each ordered pair that occurs, ascending; and int64[P, 4], the number
            of votes of each pair by outcome.
    """
    cells = size * size * _CELLS
    if cells <= _DENSE_CELLS:
        dense = _dense((a, b, outcome), size).reshape(-1, _CELLS)
        pairs = np.flatnonzero(dense.any(axis=1))
        return pairs, dense[pairs]
    keys, votes = np.unique(_keys((a, b, outcome), size, slice(None)), return_counts=True)
    pairs, row = np.unique(keys // _CELLS, return_inverse=True)
    table = np.zeros((len(pairs), _CELLS), dtype=np.int64)
    table[row, keys % _CELLS] = votes
    return pairs, table


def _keys(columns: tuple[CodedColumn, CodedColumn, CodedColumn], size: int, rows: slice) -> Int64:
    """Return (a·K + b)·4 + outcome of each row.

    The tables of distinct codes are multiplied before rows are looked up in them, because the tables are short.
    """
    scales = (size * _CELLS, _CELLS, 1)
    first, second, third = (
        (column.table.astype(np.int64) * scale).take(column.position[rows])
        for column, scale in zip(columns, scales, strict=True)
    )
    first += second
    first += third
    return first


def _dense(columns: tuple[CodedColumn, CodedColumn, CodedColumn], size: int) -> Int64:
    """Return int64[K·K·4], the number of votes of each cell, at the positions that `_keys` gives.

    A cell is an ordered pair of models with an outcome.

    Many votes are counted in two threads, because numpy releases the interpreter lock.
    """
    votes = len(columns[0].position)
    if votes < _VOTES_FOR_THREADS:
        return _count_rows(columns, size, range(votes))
    halves = range(votes // 2), range(votes // 2, votes)
    with ThreadPoolExecutor(len(halves)) as threads:
        first, second = threads.map(lambda rows: _count_rows(columns, size, rows), halves)
    first += second
    return first


def _count_rows(columns: tuple[CodedColumn, CodedColumn, CodedColumn], size: int, rows: range) -> Int64:
    """Return int64[4K²], the number of votes in `rows` with each key (`_keys`).

    The votes are counted in blocks, because a vote takes 24 bytes while its block is counted.
    """
    cells = size * size * _CELLS
    block = max(_BLOCK, cells)
    total = np.bincount(_keys(columns, size, slice(rows.start, min(rows.start + block, rows.stop))), minlength=cells)
    for start in range(rows.start + block, rows.stop, block):
        total += np.bincount(_keys(columns, size, slice(start, min(start + block, rows.stop))), minlength=cells)
    return total


def merge_unordered_pairs(
    a: npt.NDArray[Any], b: npt.NDArray[Any], table: Int64, size: int
) -> tuple[Int32, Int32, Int64]:
    """Add up the rows of each unordered pair of models.

    A row of the pair (b, a) is added to the row of (a, b), with the wins of a and b swapped.

    Args:
        a, b: codes of the two models of each row.
        table: int64[rows, 4], number of votes by outcome, in the order of `OUTCOMES`.
        size: K, the number of models.

    Returns:
        Three arrays: int32[P], the smaller code of each pair; int32[P], the larger code; and int64[P, 4], the votes of
            each pair. They are sorted by these codes. Pairs without votes are left out.
    """
    mirrored = np.where((a > b)[:, None], table[:, [1, 0, 2, 3]], table)
    keys = np.minimum(a, b).astype(np.int64) * size + np.maximum(a, b)
    pairs, summed = sum_rows(keys, mirrored, size * size)
    used = summed.any(axis=1)
    low, high = np.divmod(pairs[used], max(size, 1))
    return low.astype(np.int32), high.astype(np.int32), summed[used]


def sum_rows(keys: Int64, table: Int64, size: int) -> tuple[Int64, Int64]:
    """Add up the rows of a table that have the same key.

    Args:
        keys: int64[rows], each from 0 to size − 1.
        table: int64[rows, c]; the sum of the absolute values of a column must be below 2^53.
        size: number of possible keys.

    Returns:
        The distinct keys, ascending, int64[P]; and the sums, int64[P, c].
    """
    if size > _DENSE_ROWS_PER_ROW * len(keys):
        distinct, row = np.unique(keys, return_inverse=True)
        summed = np.zeros((len(distinct), table.shape[1]), dtype=np.int64)
        np.add.at(summed, row.ravel(), table)
        return distinct, summed
    # Sums of floats are exact below 2^53.
    columns = [np.bincount(keys, weights=column, minlength=size) for column in table.T]
    distinct = np.flatnonzero(np.bincount(keys, minlength=size))
    return distinct, np.stack([column[distinct] for column in columns], axis=1).astype(np.int64)


def add_to_matrix(size: int, *entries: tuple[Int32, Int32, Int64]) -> Float64:
    """Return a matrix, float64[size, size]: zeros to which the given numbers are added.

    Args:
        size: number of rows and of columns.
        entries: each is three arrays of equal length: rows, columns, and the numbers to add there.
    """
    cells = np.zeros(size * size)
    for row, column, votes in entries:
        cells += np.bincount(row.astype(np.int64) * size + column, weights=votes, minlength=size * size)
    return cells.reshape(size, size)
