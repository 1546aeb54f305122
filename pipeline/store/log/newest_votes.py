"""Reads the newest sealed votes as columns, for estimates that need single votes and their voters.

The number of votes is limited, so the time to read them does not grow with the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_votes
from pipeline.store.db import dialect, schema
from pipeline.store.db.csv_query import csv_query
from pipeline.store.log import frequent_prompts
from pipeline.store.votes.ingest import VotePosition
from pipeline.store.votes.packed_positions import pack_position, pack_positions
from pipeline.vocabulary.arrays import Bool, Int8, Int64
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT

_COLUMNS = ("offset", "voter", "model_a", "model_b", "outcome", "fate", "flags")
# Offsets that one query reads: long enough that its overhead is small, and a few MB of text.
_STEP = 65_536


@dataclass(frozen=True)
class NewestVotes:
    """Holds the newest sealed votes as arrays of length n, sorted by segment, partition and offset, the oldest first.

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
        """Return the votes at which the mask `kept`, bool[n], is True."""
        return self if kept.all() else NewestVotes(*(column[kept] for column in vars(self).values()))

    def since(self, row: int) -> NewestVotes:
        """Return all votes from index `row` on."""
        return NewestVotes(*(column[row:] for column in vars(self).values())) if row else self

    def plus(self, later: NewestVotes) -> NewestVotes:
        """Return the votes of this object, followed by those of `later`."""
        if not len(self.voter) or not len(later.voter):
            return self if len(self.voter) else later
        pairs = zip(vars(self).values(), vars(later).values(), strict=True)
        return NewestVotes(*(np.concatenate(pair, dtype=pair[0].dtype, casting="unsafe") for pair in pairs))

    def without(self, positions: Collection[VotePosition]) -> NewestVotes:
        """Return the votes that are not at one of the given positions (partition_no, offset)."""
        if not positions:
            return self
        out = np.array([pack_position(*one) for one in positions], dtype=np.int64)
        return self.where(~np.isin(self.position, out))


_NO_NUMBERS, _NO_CODES = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int8)
NOTHING = NewestVotes(_NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_CODES, _NO_CODES, _NO_NUMBERS)
"""No votes."""


@dataclass(frozen=True, slots=True)
class SealedRange:
    """Identifies a segment of the log, and says how many leaves it has.

    Attributes:
        segment_no: number of the segment.
        log_size: number of leaves of the log after the segment.
        leaves: number of leaves of the segment.
    """

    segment_no: int
    log_size: int
    leaves: int


@dataclass(frozen=True, slots=True)
class SegmentVotes:
    """Holds the votes of consecutive segments, and how many votes each segment has.

    Attributes:
        votes: the votes in the order of the log.
        rows: int64[s], the number of votes of each of the s segments.
    """

    votes: NewestVotes
    rows: Int64


def read_newest(connection: Connection, log_size: int, limit: int) -> NewestVotes:
    """Return the votes of the newest segments of the log.

    Whole segments are read, from the newest to older ones, until they have at least `limit` leaves.

    Args:
        connection: reads the store.
        log_size: number of leaves of the log; later votes are not read.
        limit: smallest number of leaves, unless the log has fewer.
    """
    return read_segments(connection, newest_segments(connection, log_size, limit)).votes


def newest_segments(connection: Connection, log_size: int, limit: int) -> list[SealedRange]:
    """Return the segments that `read_newest` would read, oldest first.

    Args:
        connection: reads the store.
        log_size: number of leaves of the log; later segments are left out.
        limit: segments are added, the newest first, until together they have at least this number of leaves.
    """
    s = schema.segment.c
    newest = sa.select(s.segment_no, s.log_size, s.leaves).where(s.log_size <= log_size).order_by(s.log_size.desc())
    found, total = list[SealedRange](), 0
    for number, size, leaves in connection.execute(newest):
        if total >= limit:
            break
        found.append(SealedRange(int(number), int(size), int(leaves)))
        total += leaves
    return found[::-1]


def read_segments(connection: Connection, segments: Sequence[SealedRange]) -> SegmentVotes:
    """Return the votes of consecutive segments in the order of the log, and the number of votes of each segment."""
    place = {one.segment_no: at for at, one in enumerate(segments)}
    parts, rows = list[list[Int64]](), np.zeros(len(segments), dtype=np.int64)
    marked = [np.zeros(0, dtype=np.int64)]
    ranges = _ranges(connection, segments)
    for number, part, first, end in ranges:
        for block in _blocks(connection, part, first, end):
            parts.append(block)
            rows[place[number]] += len(block[0])
    for part in {one[1] for one in ranges}:
        mine = [one for one in ranges if one[1] == part]
        offsets = frequent_prompts.read_marked(connection, part, mine[0][2], mine[-1][3])
        marked.append(pack_positions(np.full(len(offsets), part), offsets))
    position, voter, model_a, model_b, outcome, fate, flags = (_join(parts, i) for i in range(len(_COLUMNS)))
    flags |= np.where(np.isin(position, np.concatenate(marked)), FREQUENT_PROMPT, 0)
    votes = NewestVotes(position, voter, model_a, model_b, outcome.astype(np.int8), fate.astype(np.int8), flags)
    return SegmentVotes(votes, rows)


def _join(parts: list[list[Int64]], column: int) -> Int64:
    """Return a column of all blocks, and empty it in each block, so that the votes are never in memory twice."""
    joined = np.concatenate([one[column] for one in parts] or [_NO_NUMBERS])
    for one in parts:
        one[column] = _NO_NUMBERS
    return joined


def _ranges(connection: Connection, segments: Sequence[SealedRange]) -> list[tuple[int, int, int, int]]:
    """Return (segment_no, partition_no, first offset, end) of each range of the segments, in the order of the log."""
    if not segments:
        return []
    r = schema.segment_range.c
    query = sa.select(r.segment_no, r.partition_no, r.first_offset, r.next_offset)
    ours = (r.segment_no >= segments[0].segment_no, r.segment_no <= segments[-1].segment_no)
    rows = connection.execute(query.where(*ours).order_by(r.segment_no, r.partition_no))
    return [(int(number), int(part), int(first), int(end)) for number, part, first, end in rows]


def _blocks(connection: Connection, part: int, first: int, end: int) -> Iterator[list[Int64]]:
    """Yield the votes at offsets [first, end) of a partition in blocks.

    A block is a list of columns: first the packed position of each vote, then the other columns of `NewestVotes`.
    """
    query = csv_query(connection, dict.fromkeys(_COLUMNS, "integer"), "vote")
    for low in range(first, end, _STEP):
        high = min(low + _STEP, end)
        cold = cold_votes.read_rows(connection, part, low, high)
        if len(cold):
            offset, *rest = (cold[name].to_numpy() for name in _COLUMNS)
            yield [pack_positions(np.full(len(offset), part), offset), *rest]
        text = dialect.fetch_bytes(connection, query, (part, low, high))
        if text:
            yield _parse(part, text)


def _parse(part: int, text: bytes) -> list[Int64]:
    table = arrow_csv.read_csv(
        pa.py_buffer(text),
        read_options=arrow_csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False, block_size=len(text) + 1),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.int64())),
    )
    offset, *rest = (table[name].to_numpy() for name in _COLUMNS)
    order = np.argsort(offset, kind="stable")  # databases do not promise the order within an aggregate
    return [pack_positions(np.full(len(offset), part), offset)[order], *(column[order] for column in rest)]
