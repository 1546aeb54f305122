"""Finds the leaf of a vote in the log, and the vote of a leaf.

The stored row of a segment has ranges of offsets. Some offsets in a range have no vote: those of duplicates, rejects
and transaction markers. The row therefore also has runs, which are intervals of consecutive offsets that all have a
vote.

A leaf is found from ranges and runs, never by reading votes. A look-up reads the ranges of all segments, and the runs
of the ranges that it needs.
"""

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.ingest import VotePosition
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import pack_integers, unpack_integers


def pack_runs(offsets: Int64, first: int, end: int) -> bytes | None:
    """Pack the offsets of a range that have a vote as runs, each a pair (first offset, length).

    Args:
        offsets: int64[n], the offsets that have a vote, ascending, within [first, end).
        first: first offset of the range.
        end: end of the range, itself excluded.

    Returns:
        The packed runs, or None if every offset of the range has a vote.
    """
    if len(offsets) == end - first:
        return None
    cut = np.flatnonzero(np.diff(offsets) != 1) + 1
    starts = np.concatenate([[0], cut]) if len(offsets) else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.append(starts, len(offsets)))
    return pack_integers(np.column_stack([offsets[starts], lengths]))


def find_leaves(connection: Connection, positions: Iterable[VotePosition]) -> dict[VotePosition, int]:
    """Return the leaves of votes, as position (partition_no, offset) of a vote → index of its leaf.

    A position without a leaf is left out.
    """
    wanted: dict[int, list[int]] = {}
    for part, offset in set(positions):
        wanted.setdefault(part, []).append(offset)
    found: dict[VotePosition, int] = {}
    for part, offsets in wanted.items():
        found.update(_of_partition(connection, part, np.array(sorted(offsets), dtype=np.int64)))
    return found


def find_votes(connection: Connection, leaves: Iterable[int]) -> dict[int, VotePosition]:
    """Return the votes of leaves, as index of a leaf → position (partition_no, offset) of its vote.

    A leaf that is not a vote is left out.
    """
    asked = np.array(sorted(set(leaves)), dtype=np.int64)
    r = schema.segment_range.c
    known = connection.execute(
        sa.select(r.segment_no, r.partition_no, r.first_leaf).order_by(r.first_leaf, r.segment_no, r.partition_no)
    ).all()
    if not known or not len(asked):
        return {}
    table = np.array([tuple(row) for row in known], dtype=np.int64)
    # Of several ranges with the same first leaf, all but the last are empty.
    at = np.searchsorted(table[:, 2], asked, side="right") - 1
    found: dict[int, VotePosition] = {}
    for one in np.unique(at[at >= 0]).tolist():
        segment_no, part, first = table[one].tolist()
        row = connection.execute(
            sa.select(r.first_offset, r.next_offset, r.runs).where(r.segment_no == segment_no, r.partition_no == part)
        ).one()
        starts, lengths = _unpack_runs(row)
        before = np.cumsum(lengths) - lengths
        for leaf in asked[at == one].tolist():
            run = int(np.searchsorted(before, leaf - first, side="right")) - 1
            if run >= 0 and leaf - first < before[run] + lengths[run]:
                found[leaf] = (part, int(starts[run] + leaf - first - before[run]))
    return found


def next_offsets(connection: Connection, log_size: int) -> dict[int, int]:
    """Return how far each partition is sealed in the first `log_size` leaves of the log.

    Returns:
        Partition number (partition_no) → the offset after the last sealed offset. A partition without a leaf is left
        out.
    """
    r, s = schema.segment_range.c, schema.segment.c
    query = (
        sa.select(r.partition_no, sa.func.max(r.next_offset))
        .join(schema.segment, s.segment_no == r.segment_no)
        .where(s.log_size <= log_size)
        .group_by(r.partition_no)
    )
    return {part: int(end) for part, end in connection.execute(query)}


def runs_match(packed: bytes | None, offsets: Int64, first: int, end: int) -> bool:
    """Return whether packed runs stand for exactly the given offsets.

    The uncompressed bytes are compared, because versions of zlib may compress differently.

    Args:
        packed: the result of `pack_runs`.
        offsets: int64[n], the offsets that have a vote, ascending, within [first, end).
        first: first offset of the range.
        end: end of the range, itself excluded.
    """
    if packed is None:
        return len(offsets) == end - first
    expected = pack_runs(offsets, first, end)
    return expected is not None and zlib.decompress(expected) == zlib.decompress(packed)


def _of_partition(connection: Connection, part: int, offsets: Int64) -> dict[VotePosition, int]:
    r = schema.segment_range.c
    known = connection.execute(
        sa.select(r.segment_no, r.first_offset, r.next_offset, r.first_leaf)
        .where(r.partition_no == part)
        .order_by(r.first_offset)
    ).all()
    if not known:
        return {}
    table = np.array([tuple(row) for row in known], dtype=np.int64)
    which = np.searchsorted(table[:, 1], offsets, side="right") - 1
    found: dict[VotePosition, int] = {}
    for at in np.unique(which[which >= 0]).tolist():
        asked = offsets[(which == at) & (offsets < table[at, 2])]
        row = connection.execute(
            sa.select(r.first_offset, r.next_offset, r.first_leaf, r.runs).where(
                r.partition_no == part, r.segment_no == int(table[at, 0])
            )
        ).one()
        found.update({(part, offset): leaf for offset, leaf in _in_range(row, asked)})
    return found


def _in_range(row: Any, asked: Int64) -> list[tuple[int, int]]:
    starts, lengths = _unpack_runs(row)
    if not len(starts):
        return []
    before = np.cumsum(lengths) - lengths
    at = np.searchsorted(starts, asked, side="right") - 1
    inside = (at >= 0) & (asked < starts[at] + lengths[at])
    leaf = row.first_leaf + before[at] + asked - starts[at]
    return list(zip(asked[inside].tolist(), leaf[inside].tolist(), strict=True))


def _unpack_runs(row: Any) -> tuple[Int64, Int64]:
    if row.runs is None:
        return np.array([row.first_offset]), np.array([row.next_offset - row.first_offset])
    flat = unpack_integers(bytes(row.runs)).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]
