"""Reads archived votes: by range of offsets, by position, or all those that meet a condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_files
from pipeline.store.cold.archive_file import Chunks
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Bool, Int64

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.store.cold.vote_rows import PackedRows


_CHUNKS_BETWEEN = 16


@dataclass(frozen=True, slots=True)
class VoteFilter:
    """A condition on votes. A vote must meet every attribute that is not None.

    Attributes:
        voters: pseudonyms of the allowed voters, int64[n].
        offsets: partition number (partition_no) → the allowed offsets in the partition, int64[n].
        first_at, end_at: the vote was cast in [first_at, end_at), in microseconds since 1970 UTC.
        network: term number (term_no) of the vote's network.
        model: model number (model_no) of one of the vote's two models.
    """

    voters: Int64 | None = None
    offsets: Mapping[int, Int64] | None = None
    first_at: int | None = None
    end_at: int | None = None
    network: int | None = None
    model: int | None = None

    def mask(self, part: int, rows: PackedRows) -> Bool:
        """Return bool[n]: which votes of a chunk meet the condition."""
        kept = np.ones(rows.rows, dtype=np.bool_)
        if self.offsets is not None:
            kept &= np.isin(rows.integers("offset"), self.offsets.get(part, np.zeros(0, dtype=np.int64)))
        if self.voters is not None:
            kept &= np.isin(rows.integers("voter"), self.voters)
        if self.first_at is not None or self.end_at is not None:
            at = rows.integers("cast_at")
            kept &= (at >= self.first_at) if self.first_at is not None else True
            kept &= (at < self.end_at) if self.end_at is not None else True
        if self.network is not None:
            kept &= rows.integers("network") == self.network
        if self.model is not None:
            kept &= (rows.integers("model_a") == self.model) | (rows.integers("model_b") == self.model)
        return kept


def read_rows(connection: Connection, part: int, first: int, end: int) -> pa.RecordBatch:
    """Return the archived votes at offsets [first, end) of a partition (`vote_rows.ROWS`), in their order."""
    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    return vote_rows.joined(batch for batch, _ in _chunks(connection, part, first, end, blinds=False))


def read_blinds(connection: Connection, part: int, first: int, end: int) -> bytes:
    """Return the blinds of the archived votes at offsets [first, end) of a partition, 32 bytes each, in their order."""
    return b"".join(blinds for _, blinds in _chunks(connection, part, first, end, blinds=True))


def _chunks(
    connection: Connection, part: int, first: int, end: int, *, blinds: bool
) -> Iterator[tuple[pa.RecordBatch, bytes]]:
    from pipeline.store.cold import vote_rows  # noqa: PLC0415 - imports Arrow, which short commands do not need

    for one in cold_files.files_of_range(connection, part, first, end):
        with one.open(cold_files.archive_of(connection)) as file:
            for at in _without_idling(connection, file.chunks.within(part, first, end)):
                rows = file.rows(at)
                offset = rows.integers("offset")
                low, high = (int(np.searchsorted(offset, bound)) for bound in (first, end))
                yield (
                    vote_rows.empty() if blinds else rows.batch().slice(low, high - low),
                    file.blinds(at)[32 * low : 32 * high] if blinds else b"",
                )


def blocks(connection: Connection, part: int, first: int, end: int) -> Iterator[pa.RecordBatch]:
    """Yield the archived votes at offsets [first, end) of a partition (`vote_rows.ROWS`), chunk by chunk."""
    yield from (batch for batch, _ in _chunks(connection, part, first, end, blinds=False) if len(batch))


def first_since(connection: Connection, since: int) -> dict[int, int]:
    """Return, for each partition, the smallest offset of an archived vote that was cast at `since` or later."""
    found: dict[int, int] = {}
    for part, rows in scan(connection, VoteFilter(first_at=since)):
        offset = rows.integers("offset")[rows.integers("cast_at") >= since]
        if len(offset):
            found[part] = min(int(offset[0]), found.get(part, int(offset[0])))
    return found


def next_vote(connection: Connection, part: int, first: int, end: int) -> int | None:
    """Return the first offset in [first, end) of a partition that has an archived vote; None if there is none."""
    for one in cold_files.files_of_range(connection, part, first, end):
        with one.open(cold_files.archive_of(connection)) as file:
            for at in file.chunks.within(part, first, end):
                if (start := int(file.chunks.first[at])) >= first:
                    return start
                offset = file.rows(at).integers("offset")
                if (found := int(offset[np.searchsorted(offset, first)])) < end:
                    return found
    return None


def find(connection: Connection, wanted: VoteFilter) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (partition_no, archived votes that meet a condition), chunk by chunk. Empty batches are left out.

    Files without votes in the wanted time, and chunks without a wanted offset or voter, are not read.
    """
    for part, rows in scan(connection, wanted):
        if (mask := wanted.mask(part, rows)).any():
            yield part, rows.batch().filter(mask)


def scan(connection: Connection, wanted: VoteFilter) -> Iterator[tuple[int, PackedRows]]:
    """Yield (partition_no, rows) of the chunks that may have votes that meet a condition, in the order of the log."""
    files = cold_files.files_of_time(connection, wanted.first_at, wanted.end_at)
    for one in files:
        numbers = chunks_within(one.chunks, wanted.offsets)
        if numbers:
            with one.open(cold_files.archive_of(connection)) as file:
                if wanted.voters is not None:
                    numbers = sorted(set(numbers).intersection(file.chunks_of(wanted.voters)))
                for at in _without_idling(connection, numbers):
                    yield int(file.chunks.partition[at]), file.rows(at)


def _without_idling(connection: Connection, chunks: Iterable[int]) -> Iterator[int]:
    """Yield numbers of chunks. Between some of them, run a statement on the connection.

    PostgreSQL ends the transaction of a worker that runs no statement for 3 s, and to read many chunks takes longer.
    """
    for nth, at in enumerate(chunks):
        if nth % _CHUNKS_BETWEEN == 0:
            dialect.execute_on_server(connection, "SELECT 1")
        yield at


def chunks_within(chunks: Chunks, offsets: Mapping[int, Int64] | None) -> Sequence[int]:
    """Return the numbers of the chunks that may have votes at some offsets of each partition; all chunks for None."""
    if offsets is None:
        return range(len(chunks.votes))
    found = set()
    for part, wanted in offsets.items():
        mine = np.flatnonzero(chunks.partition == part)
        asked = np.sort(wanted)
        inside = np.searchsorted(asked, chunks.first[mine]) < np.searchsorted(asked, chunks.last[mine], side="right")
        found |= set(mine[inside].tolist())
    return sorted(found)


def ends(connection: Connection) -> dict[int, int]:
    """Return, for each partition with archived votes, the offset before which all its votes are archived."""
    r = schema.cold_range.c
    query = sa.select(r.partition_no, sa.func.max(r.next_offset)).group_by(r.partition_no)
    return {int(part): int(end) for part, end in connection.execute(query)}
