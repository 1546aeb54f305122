"""Packs the position of a vote, its partition and offset, into one integer."""

import numpy as np

from pipeline.vocabulary.arrays import Int64

# Low bits of a packed position are the offset: 2⁴⁰ offsets are a thousand years of a busy partition.
_OFFSETS = 2**40


def pack_position(partition_no: int, offset: int) -> int:
    """Return a position as one integer. These integers sort like (partition_no, offset)."""
    return partition_no * _OFFSETS + offset


def pack_positions(partition_no: Int64 | int, offset: Int64) -> Int64:
    """Return int64[n], the positions of n votes of one partition or of n, packed as `pack_position` does for one."""
    return np.asarray(partition_no, dtype=np.int64) * _OFFSETS + offset
