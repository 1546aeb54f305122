"""Computes running sums and counts within groups, without a loop over the groups."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array

from pipeline.vocabulary.arrays import Bool, Int32, Int64


def group_starts(group: npt.NDArray[Any]) -> Bool:
    """Return bool[n], true at the first element of each group of a sorted array of n group numbers."""
    first = np.ones(len(group), dtype=np.bool_)
    np.not_equal(group[1:], group[:-1], out=first[1:])
    return first


def running_sums(values: Int64, group: Int64, prior: Int64) -> Int64:
    """Return running sums that start anew in each group.

    Args:
        values: int64[n] or int64[n, c], the numbers to add, sorted by group.
        group: int64[n], the group of each row, counted from 0, ascending.
        prior: int64[g] or int64[g, c], the sum of each group before its first row.

    Returns:
        An array of the shape of `values`: the group's sum after each row, that row included.
    """
    if not len(values):
        return values.copy()
    total = np.cumsum(values, axis=0)
    first = np.flatnonzero(group_starts(group))
    before = total[first] - values[first]
    lengths = np.diff(np.append(first, len(group)))
    return np.asarray(total - np.repeat(before, lengths, axis=0) + prior[group])


def number_groups(keys: Int64) -> Int64:
    """Return int64[n], a number for each key: 0 for the first key, 1 for the next different key, and so on.

    Equal keys have equal numbers. Unsorted keys are hashed, which is several times as fast as sorting them by
    `numpy.unique`. Sorted keys are only compared with their neighbours.
    """
    keys = np.asarray(keys)
    if (keys[1:] >= keys[:-1]).all() or (keys[1:] <= keys[:-1]).all():
        return np.asarray(np.cumsum(group_starts(keys)) - 1, dtype=np.int64) if len(keys) else keys.astype(np.int64)
    codes = pa.array(keys).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.asarray(codes, dtype=np.int64)


def order_by_group(group: npt.NDArray[np.integer[Any]], groups: int) -> Int32:
    """Return int32[n], the positions of the rows sorted by group. Rows of one group stay in their order.

    This is a counting sort, which takes a tenth of the time of `numpy.argsort`.

    Args:
        group: int[n], the group of each row, from 0 to `groups` − 1.
        groups: number of groups.
    """
    column = np.arange(len(group), dtype=np.int32)
    marks = coo_array((np.ones(len(group), dtype=np.int8), (group, column)), shape=(groups, len(group)))
    return np.asarray(marks.tocsr().indices, dtype=np.int32)


def order_by_cell(first: npt.NDArray[np.integer[Any]], second: npt.NDArray[np.integer[Any]]) -> tuple[Int32, Int64]:
    """Sort rows by two groups; rows with the same two groups are a cell and stay in their order.

    Args:
        first, second: int[n], the two groups of each row, counted from 0.

    Returns:
        Two values: int32[n], the order of the rows, by the first group and then by the second; and int64[cells], the
        number of rows of each cell in this order.
    """
    if not len(first):
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    first, second = first.astype(np.int32), second.astype(np.int32)
    order = order_by_group(second, int(second.max()) + 1)
    order = order[order_by_group(first[order], int(first.max()) + 1)]
    one, other = first[order], second[order]
    starts = np.flatnonzero(group_starts(one) | group_starts(other))
    return order, np.diff(np.append(starts, len(order)))


def count_before(group: Int64) -> Int64:
    """Return int64[n]: for each value, how many equal values precede it. The values may be in any order."""
    order = np.argsort(group, kind="stable")
    count = np.empty(len(group), dtype=np.int64)
    count[order] = place_within(group[order]) - 1
    return count


def place_within(group: Int64) -> Int64:
    """Return int64[n], the place of each row (1, 2, 3 …) in its run of adjacent equal values."""
    index = np.arange(len(group))
    first = index[group_starts(group)] if len(group) else index
    return index - np.repeat(first, np.diff(np.append(first, len(group)))) + 1
