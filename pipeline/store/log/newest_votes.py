"""Reads a few columns of the newest sealed votes, for estimates that need single votes and their voters.

The number of votes is limited, so the time does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.store.db.csv_query import csv_query
from pipeline.store.votes.arrow_reader import OffsetRange
from pipeline.store.votes.ingest import VotePosition
from pipeline.store.votes.packed_positions import pack_position, pack_positions
from pipeline.vocabulary.arrays import Bool, Int8, Int64
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

_COLUMNS = ("offset", "voter", "model_a", "model_b", "outcome", "fate", "flags")
# Offsets that one query reads: long enough that its overhead is small, and a few MB of text.
_STEP = 65_536


@dataclass(frozen=True)
class NewestVotes:
    """Votes as arrays of length n. They are sorted by segment, partition and offset, the oldest segment first.

    Attributes:
        position: partition_no and offset, packed into one integer (`pack_position`).
        voter: pseudonym of the voter, 0 for a vote without a voter.
        model_a, model_b: model numbers of the store (model_no).
        outcome: index into OUTCOMES.
        fate: index into FATES.
        flags: bits of `vote_flags`.
    """

    position: Int64
    voter: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    fate: Int8
    flags: Int64

    def where(self, kept: Bool) -> NewestVotes:
        """Return the votes for which the mask `kept` is true."""
        return NewestVotes(*(column[kept] for column in vars(self).values()))

    def without(self, positions: Collection[VotePosition]) -> NewestVotes:
        """Return the votes without those at the given positions (partition_no, offset)."""
        out = np.array([pack_position(*one) for one in positions], dtype=np.int64)
        return self.where(~np.isin(self.position, out))


def read_newest(connection: Connection, log_size: int, limit: int) -> NewestVotes:
    """Return the votes of the newest segments of a log.

    Whole segments are read until they have at least `limit` leaves, or until the log has no older segment.

    Args:
        connection: reads the store.
        log_size: number of leaves of the log; later votes are not read.
        limit: number of leaves after which no older segment is read.
    """
    found = [_parse(part, text) for part, text in _texts(connection, _newest_ranges(connection, log_size, limit))]
    columns = [np.concatenate([part[i] for part in found] or [np.zeros(0, np.int64)]) for i in range(len(_COLUMNS))]
    position, voter, model_a, model_b, outcome, fate, flags = columns
    f = schema.frequent_vote.c
    marked = np.array(connection.execute(sa.select(f.partition_no, f.offset)).all(), dtype=np.int64).reshape(-1, 2)
    flags |= np.where(np.isin(position, pack_positions(*marked.T)), FREQUENT_PROMPT, 0)
    return NewestVotes(position, voter, model_a, model_b, outcome.astype(np.int8), fate.astype(np.int8), flags)


def _newest_ranges(connection: Connection, log_size: int, limit: int) -> list[OffsetRange]:
    """Return (partition, first offset, end) of the newest segments, in the order of the log."""
    s, r = schema.segment.c, schema.segment_range.c
    newest = sa.select(s.segment_no, s.leaves).where(s.log_size <= log_size).order_by(s.log_size.desc())
    first, total = None, 0
    for segment, leaves in connection.execute(newest):
        if total >= limit:
            break
        first, total = segment, total + leaves
    if first is None:
        return []
    rows = connection.execute(
        sa.select(r.partition_no, r.first_offset, r.next_offset)
        .join(schema.segment, s.segment_no == r.segment_no)
        .where(r.segment_no >= first, s.log_size <= log_size)
        .order_by(r.segment_no, r.partition_no)
    )
    return [(int(part), int(begin), int(end)) for part, begin, end in rows]


def _texts(connection: Connection, ranges: list[OffsetRange]) -> Iterator[tuple[int, bytes]]:
    query = csv_query(connection, dict.fromkeys(_COLUMNS, "integer"), "vote")
    for part, first, end in ranges:
        for low in range(first, end, _STEP):
            text = dialect.fetch_bytes(connection, query, (part, low, min(low + _STEP, end)))
            if text:
                yield part, text


def _parse(part: int, text: bytes) -> list[Int64]:
    table = arrow_csv.read_csv(
        pa.py_buffer(text),
        read_options=arrow_csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False, block_size=len(text) + 1),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.int64())),
    )
    offset, *rest = (table[name].to_numpy() for name in _COLUMNS)
    order = np.argsort(offset, kind="stable")  # databases do not promise the order within an aggregate
    return [pack_positions(np.full(len(offset), part), offset)[order], *(column[order] for column in rest)]
