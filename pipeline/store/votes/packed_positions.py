"""Packs the position of a vote, its partition and offset, into one integer."""

import numpy as np

from pipeline.vocabulary.arrays import Int64

# Low bits of a packed position are the offset: 2⁴⁰ offsets are a thousand years of a busy partition.
_OFFSETS = 2**40


def pack_position(partition_no: int, offset: int) -> int:
    """Pack the position of a vote into one integer. Packed positions sort by partition_no, then by offset."""
    return partition_no * _OFFSETS + offset


def pack_positions(partition_no: Int64 | int, offset: Int64) -> Int64:
    """Pack the positions of n votes into int64[n], as `pack_position` packs one.

    Args:
        partition_no: int64[n], or one partition number for all votes.
        offset: int64[n], offset of each vote.
    """
    return np.asarray(partition_no, dtype=np.int64) * _OFFSETS + offset
