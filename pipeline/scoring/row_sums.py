"""Sums rows of counts that have the same key, and sorts them by the key. Keys and counts are integers of 0 or more."""

import math

import numpy as np

from pipeline.vocabulary.arrays import Int64


def sort_keys(*columns: Int64) -> tuple[Int64, Int64]:
    """Sort rows by several columns, the first column first.

    If the columns fit together into one number of 63 bits, the rows are sorted by it. This is three times as fast.

    Args:
        columns: int64[n] each, at least 0.

    Returns:
        Two arrays: int64[n], the positions that sort the rows; and int64[g], the places in this order at which a new
            key begins, the first of them 0.
    """
    if not len(columns[0]):
        return np.zeros((2, 0), dtype=np.int64)  # type: ignore[return-value]  # unpacks to two arrays
    sizes = [int(column.max()) + 1 for column in columns]
    if math.prod(sizes) < 2**63:
        code = columns[0]
        for column, size in zip(columns[1:], sizes[1:], strict=True):
            code = code * size + column
        order = np.argsort(code, kind="stable")
        ordered = code[order]
        new = ordered[1:] != ordered[:-1]
    else:
        order = np.lexsort(columns[::-1])
        new = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    return order, np.flatnonzero(np.append(True, new))


def sum_groups(ordered: Int64, first: Int64) -> Int64:
    """Return int64[g], the sum of each group of adjacent values.

    Args:
        ordered: int64[n], the values.
        first: int64[g], the position of the first value of each group; the first is 0.
    """
    # Differences of running sums: a third of the time of np.add.reduceat, and exact in integers.
    return np.diff(np.cumsum(ordered)[np.append(first[1:], len(ordered)) - 1], prepend=0) if len(first) else ordered


def sum_rows(rows: Int64, keys: int) -> Int64:
    """Sum the rows that have the same key.

    Args:
        rows: int64[n, c]. The first columns are the key, the others are counts.
        keys: number of columns of the key.

    Returns:
        int64[g, c], one row for each key, sorted by key.
    """
    order, first = sort_keys(*rows.T[:keys])
    summed = np.empty((rows.shape[1], len(first)), dtype=np.int64)
    for i, column in enumerate(rows.T):
        summed[i] = column[order[first]] if i < keys else sum_groups(column[order], first)
    return summed.T
