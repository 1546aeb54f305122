"""Moves the votes of sealed segments from the hot tables to the archive.

Votes are moved in the order of the log, the oldest segments first: the votes of all leaves before some leaf are
archived, and no others. A transaction moves the votes of one large segment, or of some small ones. It

1. reads the votes and their blinds from the tables `vote` and `blind`;
2. writes the votes to a new, encrypted file, flushes the file to the disk, reads it back and compares the votes;
3. writes the ids of the votes to a new file of ids;
4. deletes the votes from `vote`, `vote_key` and `blind`, and stores the rows that name the new files.

A process that is killed has either moved all of these votes or none; files without a row are deleted later. Readers see
each vote once: before the commit in the hot tables, afterwards in the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted
from pipeline.ledger.merkle import WIDTH
from pipeline.store.cold import archive_file, cold_files, cold_ids, id_file, vote_rows
from pipeline.store.cold.archive_file import CHUNK_VOTES, Part
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import ACCEPTED, QUARANTINED

GROUP_LEAVES = 131_072
"""Small segments are moved together until they have this number of leaves."""


@dataclass(frozen=True, slots=True)
class SegmentGroup:
    """Consecutive segments whose votes are moved together.

    Attributes:
        segments: the numbers of the segments (segment_no), in the order of the log.
        first_leaf, next_leaf: the leaves of the segments are [first_leaf, next_leaf).
    """

    segments: tuple[int, ...]
    first_leaf: int
    next_leaf: int


def next_group(connection: Connection, sealed_before: int, after: int | None = None) -> SegmentGroup | None:
    """Return the oldest segments whose votes are to be moved; None if there are none.

    Args:
        connection: a transaction.
        sealed_before: time in microseconds since 1970 UTC. A segment is taken if it and all earlier segments were
            sealed before this time.
        after: number of leaves whose votes are archived; None reads it from the tables.
    """
    s = schema.segment.c
    done = cold_files.archived_leaves(connection) if after is None else after
    query = sa.select(s.segment_no, s.log_size, s.leaves, s.at).where(s.log_size > done).order_by(s.log_size)
    chosen: list[int] = []
    end = done
    for number, size, leaves, at in connection.execute(query):
        if at >= sealed_before or (chosen and end - done + leaves > GROUP_LEAVES):
            break
        chosen.append(int(number))
        end = int(size)
    return SegmentGroup(tuple(chosen), done, end) if chosen else None


def count_votes(connection: Connection, group: SegmentGroup) -> int:
    """Return the number of votes of a group: its leaves without those of retractions."""
    r = schema.retraction.c
    query = sa.select(sa.func.count()).where(r.leaf >= group.first_leaf, r.leaf < group.next_leaf)
    return group.next_leaf - group.first_leaf - int(connection.scalar(query) or 0)


def move(connection: Connection, group: SegmentGroup, now: int) -> int:
    """Move the votes of a group of segments to the archive.

    Args:
        connection: the transaction, with the lock `cold_files.LOCK`; the group was read in this transaction.
        group: what `next_group` returned.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The number of votes that were moved.

    Raises:
        Refuted: the tables do not have the votes, ids or blinds that the segments have. Nothing is moved.
        Unavailable: the archive cannot be written to.
        MissingKey: there is no archive key.
    """
    moved = _Moved()
    written = archive_file.write(cold_files.archive_of(connection), _chunks(connection, group, moved))
    where = f"leaves {group.first_leaf} to {group.next_leaf - 1}"
    _expect(where, "votes", count_votes(connection, group), moved.votes)
    row = {
        "first_leaf": group.first_leaf,
        "next_leaf": group.next_leaf,
        "votes": moved.votes,
        "bytes": written.size,
        "sha256": written.sha256,
        "data_key": written.data_key,
        "chunks": written.chunks.pack(),
        "first_at": moved.first_at,
        "last_at": moved.last_at,
        "archived_at": now,
    }
    file_no = connection.execute(schema.cold_file.insert().returning(schema.cold_file.c.file_no), row).scalar_one()
    if moved.ranges:
        rows = [{"partition_no": part, "file_no": file_no, **one.row()} for part, one in sorted(moved.ranges.items())]
        connection.execute(schema.cold_range.insert(), rows)
        cold_ids.add(connection, id_file.Ids.of_keys(moved.keys(), *moved.positions()))
    _delete(connection, group, moved, where)
    return moved.votes


@dataclass(slots=True)
class _Range:
    """Collects the values of a row of the table `cold_range`: the votes of one partition in one archive file."""

    first_offset: int
    next_offset: int = 0
    fates: list[int] = field(default_factory=lambda: [0, 0, 0])
    first_appended_at: int = 0
    last_appended_at: int = 0
    last_offset: int = 0
    newest_at: int | None = None
    newest_accepted_at: int | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        fate, cast_at, appended_at = (batch[name].to_numpy() for name in ("fate", "cast_at", "appended_at"))
        if not sum(self.fates):
            self.first_appended_at = int(appended_at[0])
        for code, votes in enumerate(np.bincount(fate, minlength=3).tolist()):
            self.fates[code] += votes
        self.last_appended_at, self.last_offset = int(appended_at[-1]), int(batch["offset"][-1].as_py())
        self.newest_at = _latest(self.newest_at, cast_at[fate != QUARANTINED])
        self.newest_accepted_at = _latest(self.newest_accepted_at, cast_at[fate == ACCEPTED])

    def row(self) -> dict[str, Any]:
        names = ("first_offset", "next_offset", "first_appended_at", "last_appended_at", "last_offset", "newest_at")
        found = {name: getattr(self, name) for name in (*names, "newest_accepted_at")}
        return {**found, **dict(zip(("accepted", "late", "quarantined"), self.fates, strict=True))}


@dataclass(slots=True)
class _Moved:
    """Collects facts about a group's votes while they are archived: their number, times, offsets and ids."""

    votes: int = 0
    first_at: int = 0
    last_at: int = 0
    ranges: dict[int, _Range] = field(default_factory=dict)
    ids: list[tuple[bytes, int, Int64]] = field(default_factory=list)

    def add(self, part: int, first: int, batch: pa.RecordBatch) -> None:
        cast_at = batch["cast_at"].to_numpy()
        self.first_at = min(int(cast_at.min()), self.first_at if self.votes else int(cast_at.min()))
        self.last_at = max(int(cast_at.max()), self.last_at if self.votes else int(cast_at.max()))
        self.votes += len(batch)
        self.ranges.setdefault(part, _Range(first)).add(batch)
        keys = b"".join(sha256(one.encode()).digest()[:16] for one in batch["vote_id"].to_pylist())
        self.ids.append((keys, part, batch["offset"].to_numpy()))

    def keys(self) -> Any:
        return np.frombuffer(b"".join(keys for keys, _, _ in self.ids), dtype="V16")

    def positions(self) -> tuple[Int64, Int64]:
        parts = np.concatenate([np.full(len(offsets), part, dtype=np.int64) for _, part, offsets in self.ids])
        return parts, np.concatenate([offsets for _, _, offsets in self.ids])


def _ranges(connection: Connection, segment_no: int) -> list[tuple[int, int, int]]:
    r = schema.segment_range.c
    query = sa.select(r.partition_no, r.first_offset, r.next_offset).where(r.segment_no == segment_no)
    return [(int(p), int(a), int(b)) for p, a, b in connection.execute(query.order_by(r.first_leaf, r.partition_no))]


def _chunks(connection: Connection, group: SegmentGroup, moved: _Moved) -> Iterator[Part]:
    """Yield the votes of a group as the chunks of a file, and count them in `moved`."""
    waiting: dict[int, list[tuple[pa.RecordBatch, bytes]]] = {}
    for segment_no in group.segments:
        blinds = _Blinds(connection, segment_no)
        for part, first, end in _ranges(connection, segment_no):
            low: int | None = first
            while low is not None and low < end:
                batch = vote_rows.read_hot(connection, part, low, min(low + vote_rows.READ_ROWS, end))
                if len(batch):
                    moved.add(part, first, batch)
                    waiting.setdefault(part, []).append((batch, blinds.take(len(batch))))
                    yield from _full(part, waiting)
                low = low + vote_rows.READ_ROWS if len(batch) else vote_rows.next_hot(connection, part, low, end)
            if part in moved.ranges:
                moved.ranges[part].next_offset = end
    for part in sorted(waiting):
        yield from _full(part, waiting, whole=False)


def _full(part: int, waiting: dict[int, list[tuple[pa.RecordBatch, bytes]]], *, whole: bool = True) -> Iterator[Part]:
    """Take votes of a partition from `waiting`, and yield them as chunks.

    With `whole`, only full chunks are yielded, and the remaining votes stay in `waiting`.
    """
    batch = vote_rows.joined(one for one, _ in waiting[part])
    blinds = b"".join(one for _, one in waiting[part])
    size = len(batch) - len(batch) % CHUNK_VOTES if whole else len(batch)
    waiting[part] = [(batch.slice(size), blinds[size * WIDTH :])]
    yield from archive_file.chunked([(part, batch.slice(0, size), blinds[: size * WIDTH])])


class _Blinds:
    """Reads the blinds (the random bytes in the votes' commitments) of a segment in the order of its leaves."""

    def __init__(self, connection: Connection, segment_no: int) -> None:
        s, b = schema.segment.c, schema.blind.c
        query = sa.select(s.log_size, s.leaves).where(s.segment_no == segment_no)
        size, leaves = connection.execute(query).one()
        inside = (b.first_leaf >= size - leaves, b.first_leaf < size)
        rows = connection.scalars(sa.select(b.blinds).where(*inside).order_by(b.first_leaf))
        self._blinds, self._at = b"".join(bytes(one) for one in rows), 0
        # A retraction has a blind of zeros, after those of the votes.
        _expect(f"segment {segment_no}", "blinds", int(leaves), len(self._blinds) // WIDTH)

    def take(self, votes: int) -> bytes:
        start, self._at = self._at, self._at + votes * WIDTH
        return self._blinds[start : self._at]


def _latest(known: int | None, times: Int64) -> int | None:
    if not len(times):
        return known
    return int(times.max()) if known is None else max(known, int(times.max()))


def _delete(connection: Connection, group: SegmentGroup, moved: _Moved, where: str) -> None:
    """Delete the moved votes from the hot tables, and check the number of deleted votes."""
    v, b = schema.vote.c, schema.blind.c
    deleted = 0
    for segment_no in group.segments:
        for part, first, end in _ranges(connection, segment_no):
            inside = (v.partition_no == part, v.offset >= first, v.offset < end)
            deleted += connection.execute(sa.delete(schema.vote).where(*inside)).rowcount
    _expect(where, "votes to delete", moved.votes, deleted)
    keys, deleted = np.sort(moved.keys().view("S16")).view("V16") if moved.votes else moved.keys(), 0
    for start in range(0, len(keys), dialect.CHUNK):
        condition, given = dialect.any_of(connection, "key", keys[start : start + dialect.CHUNK])
        deleted += connection.exec_driver_sql(f"DELETE FROM vote_key WHERE {condition}", given).rowcount  # noqa: S608
    _expect(where, "ids of votes", moved.votes, deleted)
    inside_log = (b.first_leaf >= group.first_leaf, b.first_leaf < group.next_leaf)
    connection.execute(sa.delete(schema.blind).where(*inside_log))


def _expect(where: str, what: str, expected: int, found: int) -> None:
    if expected != found:
        raise Refuted(
            "archive", where, f"expected {expected} {what}, as the log has, found {found}: nothing was moved. "
            "`integrity verify` names what was changed"
        )  # fmt: skip
