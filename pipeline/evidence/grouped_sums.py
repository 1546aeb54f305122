"""Computes running sums and counts within groups, without a loop over the groups."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.vocabulary.arrays import Bool, Int64


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

    Equal keys have equal numbers. Hashing is several times as fast as sorting by `numpy.unique`.
    """
    codes = pa.array(keys).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.asarray(codes, dtype=np.int64)


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
