"""Segments: the append-only log of votes, and its counts.

A seal takes every partition's [sealed_offset, next_offset) in the order (partition, offset), then the retractions
that are new, as leaves of the public log (RFC 6962). Its root continues the log before it, so no vote can be changed,
added or taken out later without every later root changing. Its counts, and their sum over all segments, make a refresh
as cheap after years as on the first day.

Laws: one writer at a time (a lock); a segment's file is written before the row that names it, and that row in the
transaction that moves `sealed_offset`; tiles are written afterwards, from what is committed (`tile_cache`). So a crash
anywhere leaves either the log of before or the log with the whole seal.
"""

from __future__ import annotations

import secrets
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.ledger import leaf, segment, tiles
from pipeline.ledger.merkle import EMPTY_ROOT, WIDTH, Frontier
from pipeline.ratings import OUTCOMES
from pipeline.store import leaves, places, retractions, schema, stored_votes, styles
from pipeline.store.ledger_files import LedgerFiles
from pipeline.store.stored_votes import Range, numbers

_LOCK = 0x5EA1
_TOTAL = "votes"
# A segment is made in memory, some 600 bytes a vote.
MOST_VOTES = 1_000_000
# Blinds of a row: erasing one writes a row anew.
_BLINDS = 65_536

Counts = npt.NDArray[np.int64]
_OUTCOMES, _FATES = len(OUTCOMES), len(leaf.FATES)


@dataclass(frozen=True, slots=True)
class SealedCounts:
    """What a refresh needs of sealed votes.

    Attributes:
        pairs: int64[n, 5], model_a, model_b, outcome, fate, votes; below 0 for votes taken back.
        ties: int64[4], over voters: Σn, Σk, Σn(n−1), Σk(k−1) of n votes with k ties each.
    """

    pairs: Counts
    ties: Counts


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal did.

    Attributes:
        size: leaves of the log.
        grown: what the log has grown by, for its tiles (`tile_cache.write`), once this is committed.
    """

    size: int
    grown: tuple[tiles.Grown, ...]


def seal(connection: Connection, files: LedgerFiles, now: int) -> Sealed:
    """Append the committed votes that are not in the log yet.

    Raises:
        Unavailable: the ledger's folder cannot be written to.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    frontier = _frontier(connection)
    before = frontier.size
    p = schema.partition.c
    ranges = connection.execute(
        sa.select(p.partition_no, p.sealed_offset, p.next_offset)
        .where(p.next_offset > p.sealed_offset)
        .order_by(p.partition_no)
    ).all()
    building = Building(before, leaves.Texts.load(connection))
    grown: list[tiles.Grown] = []
    left = [(row.partition_no, row.sealed_offset, row.next_offset) for row in ranges]
    while left := building.read(connection, left):
        grown.append(_append(connection, files, building, frontier, now))
        building = Building(frontier.size, building.texts)
    building.take_back(retractions.waiting(connection))
    if building.size:
        grown.append(_append(connection, files, building, frontier, now))
    if frontier.size > before:
        for part, _, end in ranges:
            connection.execute(sa.update(schema.partition).where(p.partition_no == part).values(sealed_offset=end))
    return Sealed(frontier.size, tuple(grown))


@dataclass(slots=True)
class _Range:
    """What a segment takes of a partition."""

    part: int
    first: int
    first_leaf: int
    offsets: list[Counts] = field(default_factory=list)
    end: int = 0


class Building:
    """A segment that is being put together.

    Attributes:
        first_leaf: the log's size before it.
        texts: names.
        size: leaves so far.
    """

    def __init__(self, first_leaf: int, texts: leaves.Texts) -> None:
        self.first_leaf = first_leaf
        self.texts = texts
        self.size = 0
        self.ranges: list[_Range] = []
        self.rows: list[pa.Table] = []
        self.hashes: list[bytes] = []
        self.blinds: list[bytes] = []
        self.taken_back: list[retractions.Waiting] = []
        self.styled: list[npt.NDArray[np.void]] = []
        self.counting = Counting()

    def read(self, connection: Connection, ranges: list[Range]) -> list[Range]:
        """Append the votes of ranges, until the segment is full.

        Returns:
            What is left of the ranges.
        """

        def blinded(part: int, batch: pa.RecordBatch) -> tuple[bytes, pa.BinaryArray]:
            blinds = secrets.token_bytes(WIDTH * len(batch))
            return blinds, leaves.blinded(batch, part, blinds, self.texts)

        taken = 0
        with closing(stored_votes.prepared(connection, ranges, blinded)) as batches:
            for at, batch, made in batches:
                self._take(ranges[taken : at + 1])
                taken = at + 1
                self._add(batch, *made)
                if self.size >= MOST_VOTES:
                    part, _, end = ranges[at]
                    self.ranges[-1].end = int(self.ranges[-1].offsets[-1][-1]) + 1
                    rest = [(part, self.ranges[-1].end, end)] if self.ranges[-1].end < end else []
                    return [*rest, *ranges[at + 1 :]]
        self._take(ranges[taken:])
        return []

    def _take(self, ranges: list[Range]) -> None:
        self.ranges += [_Range(part, first, self.first_leaf + self.size, end=end) for part, first, end in ranges]

    def _add(self, batch: pa.RecordBatch, blinds: bytes, blinded: pa.BinaryArray) -> None:
        """Append votes of the last range."""
        here = self.ranges[-1]
        here.offsets.append(numbers(batch, "offset"))
        self._append(leaves.public(batch, self.texts, leaves.digests(blinded)), blinds)
        self.styled.append(styles.block(here.part, batch))
        self.counting.add(batch)

    def take_back(self, waiting: list[retractions.Waiting]) -> None:
        """Append retractions: what they take back counts no more."""
        if not waiting:
            return
        self.taken_back = waiting
        self._append(
            retractions.rows([(0, one.vote_id, one.retracts, one.reason, one.at) for one in waiting]),
            bytes(WIDTH * len(waiting)),
        )
        self.counting.take_back([one.cell for one in waiting])

    def _append(self, made: pa.Table, blinds: bytes) -> None:
        self.rows.append(made)
        self.hashes.append(leaf.hashes(made))
        self.blinds.append(blinds)
        self.size += len(made)


def _append(connection: Connection, files: LedgerFiles, built: Building, frontier: Frontier, now: int) -> tiles.Grown:
    """Write a segment, and let the frontier grow by it."""
    hashes, counted = b"".join(built.hashes), built.counting.done()
    with ThreadPoolExecutor(1) as thread:
        # Arrow and the disk work without Python's lock, which hashing holds.
        writing = thread.submit(lambda: files.put(segment.write(pa.concat_tables(built.rows), hashes)))
        grown = tiles.Grown(frontier.size, tuple(frontier.extend(hashes)))
        digest = writing.result()
    row = {
        "log_size": frontier.size,
        "leaves": built.size,
        "root": frontier.root().hex(),
        "edge": b"".join(frontier.edge),
        "sha256": digest,
        "counts": _pack(counted),
        "styles": styles.pack(built.styled),
        "at": now,
    }
    insert = schema.segment.insert().returning(schema.segment.c.segment_no)
    number = connection.execute(insert, row).scalar_one()
    if built.ranges:
        connection.execute(schema.segment_range.insert(), [_range_row(number, one) for one in built.ranges])
    blinds = b"".join(built.blinds)
    step = _BLINDS * WIDTH
    connection.execute(
        schema.blind.insert(),
        [
            {"first_leaf": built.first_leaf + at // WIDTH, "blinds": blinds[at : at + step]}
            for at in range(0, len(blinds), step)
        ],
    )
    retractions.sealed(connection, built.taken_back, frontier.size - len(built.taken_back))
    _add_to_total(connection, built.first_leaf, frontier.size, counted)
    return grown


def _range_row(segment_no: int, one: _Range) -> dict[str, Any]:
    offsets = np.concatenate([np.zeros(0, dtype=np.int64), *one.offsets])
    return {
        "segment_no": segment_no,
        "partition_no": one.part,
        "first_offset": one.first,
        "next_offset": one.end,
        "first_leaf": one.first_leaf,
        "runs": places.runs(offsets, one.first, one.end),
    }


def head(connection: Connection) -> tuple[int, str]:
    """The size of the log and its root."""
    s = schema.segment.c
    row = connection.execute(sa.select(s.log_size, s.root).order_by(s.log_size.desc()).limit(1)).one_or_none()
    return (int(row.log_size), row.root) if row else (0, EMPTY_ROOT.hex())


def root_at(connection: Connection, log_size: int) -> str:
    """The root of the log when it had this size."""
    s = schema.segment.c
    found = connection.scalar(sa.select(s.root).where(s.log_size == log_size))
    return EMPTY_ROOT.hex() if log_size == 0 else str(found)


def _frontier(connection: Connection) -> Frontier:
    s = schema.segment.c
    row = connection.execute(sa.select(s.log_size, s.edge).order_by(s.log_size.desc()).limit(1)).one_or_none()
    if row is None:
        return Frontier()
    edge = bytes(row.edge)
    return Frontier(int(row.log_size), [edge[at : at + WIDTH] for at in range(0, len(edge), WIDTH)])


def counts(connection: Connection, log_size: int) -> SealedCounts:
    """The counts of the first `log_size` votes: the sum of all segments but those sealed since.

    The newest size, which is what a refresh asks for, costs one row.
    """
    s = schema.segment.c
    total = _total(connection)
    newer = connection.scalar(sa.select(sa.func.count()).where(s.log_size > log_size)) or 0
    older = connection.scalar(sa.select(sa.func.count()).where(s.log_size <= log_size)) or 0
    if total is None or older < newer:
        return _added(_segments(connection, s.log_size <= log_size))
    taken = _added(_segments(connection, s.log_size > log_size))
    return _added([total, SealedCounts(taken.pairs * np.array([1, 1, 1, 1, -1]), -taken.ties)])


def total_agrees(connection: Connection) -> bool:
    """True if the sum that a refresh reads is the sum of the segments."""
    kept, summed = _total(connection), _added(_segments(connection, sa.true()))
    if kept is None:
        return not len(summed.pairs)
    return np.array_equal(kept.pairs, summed.pairs) and np.array_equal(kept.ties, summed.ties)


def _total(connection: Connection) -> SealedCounts | None:
    raw = connection.scalar(sa.select(schema.sealed_total.c.counts).where(schema.sealed_total.c.name == _TOTAL))
    return None if raw is None else unpack(bytes(raw))


def _segments(connection: Connection, which: sa.ColumnElement[bool]) -> list[SealedCounts]:
    s = schema.segment.c
    return [unpack(bytes(raw)) for raw in connection.scalars(sa.select(s.counts).where(which).order_by(s.segment_no))]


def _added(parts: list[SealedCounts]) -> SealedCounts:
    pairs = _summed(np.concatenate([part.pairs for part in parts] or [np.zeros((0, 5), dtype=np.int64)]))
    ties = sum((part.ties for part in parts), np.zeros(4, dtype=np.int64))
    return SealedCounts(pairs[pairs[:, 4] != 0], ties)


def _add_to_total(connection: Connection, before: int, size: int, fresh: SealedCounts) -> None:
    """The seal's lock is held: nobody else adds at the same time."""
    kept = _total(connection)
    table, t = schema.sealed_total, schema.sealed_total.c
    if kept is None:
        kept = _added(_segments(connection, schema.segment.c.log_size <= before))
        connection.execute(table.insert(), {"name": _TOTAL, "log_size": before, "counts": _pack(kept)})
    row = {"log_size": size, "counts": _pack(_added([kept, fresh]))}
    connection.execute(sa.update(table).where(t.name == _TOTAL).values(row))


class Counting:
    """The counts of a segment, grown batch by batch."""

    def __init__(self) -> None:
        self._pairs: list[Counts] = [np.zeros((0, 5), dtype=np.int64)]
        self._voters: list[Counts] = [np.zeros((0, 2), dtype=np.int64)]

    def add(self, batch: pa.RecordBatch) -> None:
        """Count votes (`stored_votes.SCHEMA`)."""
        self._pairs.append(_cells(batch))
        self._voters.append(_ties(batch))

    def take_back(self, cells: list[retractions.Cell]) -> None:
        """Count votes no more: model_a, model_b, outcome, fate of each."""
        self._pairs.append(_summed(np.array([(*cell, -1) for cell in cells], dtype=np.int64).reshape(-1, 5)))

    def done(self) -> SealedCounts:
        """The counts."""
        return SealedCounts(_summed(np.concatenate(self._pairs)), _tie_moments(np.concatenate(self._voters)))


def _cells(batch: pa.RecordBatch) -> Counts:
    columns = [numbers(batch, name).astype(np.int64) for name in ("model_a", "model_b", "outcome", "fate")]
    return _summed(np.column_stack([*columns, np.ones(len(batch), dtype=np.int64)]))


def _ties(batch: pa.RecordBatch) -> Counts:
    """Voter and "was a tie" of each accepted vote that has a voter."""
    voter, outcome = numbers(batch, "voter"), numbers(batch, "outcome")
    counts = (numbers(batch, "fate") == 0) & (voter != 0)
    return np.column_stack([voter[counts], outcome[counts] >= 2]).astype(np.int64)


def _summed(rows: Counts) -> Counts:
    """One row a (model_a, model_b, outcome, fate), sorted."""
    if not len(rows):
        return rows.reshape(0, 5)
    models = int(rows[:, :2].max()) + 1
    key = ((rows[:, 0] * models + rows[:, 1]) * _OUTCOMES + rows[:, 2]) * _FATES + rows[:, 3]
    cells, first, group = np.unique(key, return_index=True, return_inverse=True)
    total = np.zeros(len(cells), dtype=np.int64)
    np.add.at(total, group.ravel(), rows[:, 4])
    return np.column_stack([rows[first, :4], total])


def _tie_moments(votes: Counts) -> Counts:
    """Σn, Σk, Σn(n−1), Σk(k−1) over voters; votes is int64[n, 2] of voter and "was a tie"."""
    if not len(votes):
        return np.zeros(4, dtype=np.int64)
    _, voter = np.unique(votes[:, 0], return_inverse=True)
    n = np.bincount(voter)
    k = np.bincount(voter, weights=votes[:, 1]).astype(np.int64)
    return np.array([n.sum(), k.sum(), (n * (n - 1)).sum(), (k * (k - 1)).sum()], dtype=np.int64)


def _pack(sealed: SealedCounts) -> bytes:
    raw = sealed.ties.astype("<i8").tobytes() + sealed.pairs.astype("<i8").tobytes()
    return zlib.compress(raw, 1)


def unpack(raw: bytes) -> SealedCounts:
    """The counts of a segment's row."""
    flat = np.frombuffer(zlib.decompress(raw), dtype="<i8").astype(np.int64)
    return SealedCounts(flat[4:].reshape(-1, 5), flat[:4])
