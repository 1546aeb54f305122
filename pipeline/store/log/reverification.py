"""The public log held against the votes: every leaf made again from its row, and compared.

Laws: a row that was changed, taken out or put in is named with its leaf, its partition and its offset; a vote whose
private fields were erased is held against the public part of its leaf, and nothing else is forgiven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Refuted, VerificationFailed
from pipeline.ledger import leaf, segment
from pipeline.ledger.merkle import WIDTH, Frontier
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index, leaves, retractions, sealed_counts, styles
from pipeline.store.votes import arrow_reader
from pipeline.vocabulary.arrays import Bool, Int64

_ERASED = bytes(WIDTH)


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What was compared.

    Attributes:
        segments: how many.
        leaves: of them.
        erased: votes whose private fields were erased.
    """

    segments: int
    leaves: int
    erased: int


def recheck(connection: Connection, files: LedgerFiles) -> Rechecked:
    """Hold every segment, its file, counts and root against the votes.

    Raises:
        Refuted: names the leaf, or the segment, that is wrong.
        Unavailable: a file of the ledger is away.
    """
    texts, frontier = leaves.Texts.load(connection), Frontier()
    s, segments, erased = schema.segment.c, 0, 0
    for row in connection.execute(sa.select(schema.segment).order_by(s.log_size)).all():
        where = f"segment {row.segment_no}"
        if row.log_size - row.leaves != frontier.size:
            raise Refuted("size", where, f"expected its first leaf to be {frontier.size}")
        held = _Held.read(files, row, where)
        made = _Made.of(connection, row, held, texts)
        erased += made.erased
        _compare(held, made, row.log_size - row.leaves)
        frontier.extend(made.hashes)
        if frontier.root().hex() != row.root or b"".join(frontier.edge) != bytes(row.edge):
            raise Refuted("root", where, f"expected root {row.root}, its votes give {frontier.root().hex()}")
        _counts(connection, row, made, where)
        segments += 1
    _nothing_beside(connection)
    return Rechecked(segments, frontier.size, erased)


@dataclass(frozen=True, slots=True)
class _Held:
    """A segment's file."""

    rows: pa.Table
    hashes: bytes

    @classmethod
    def read(cls, files: LedgerFiles, row: Any, where: str) -> _Held:
        data = files.get(row.sha256)
        rows, hashes = segment.read(data, where)
        found = leaf.hashes(rows)
        first = row.log_size - row.leaves
        if found != hashes or len(rows) != row.leaves:
            at = first + _first_other(found, hashes)
            raise Refuted("segment", f"leaf {at}", f"the ledger's file of {where} was changed")
        return cls(rows, hashes)

    def commitments(self, first: int, size: int) -> bytes:
        column = self.rows["commitment"].slice(first, size).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        raw: bytes = column.buffers()[1].to_pybytes()
        return raw[column.offset * WIDTH : (column.offset + len(column)) * WIDTH]


@dataclass(slots=True)
class _Made:
    """A segment's leaves, made again."""

    hashes: bytes
    where: list[tuple[int, Int64]]
    counts: sealed_counts.SealedCounts
    styled: list[npt.NDArray[np.void]]
    erased: int
    gone: list[int] = field(default_factory=list)  # places of the erased ones (store/styles.py)

    @classmethod
    def of(cls, connection: Connection, row: Any, held: _Held, texts: leaves.Texts) -> _Made:
        first = row.log_size - row.leaves
        blinds = _Blinds(connection, first, row.leaves)
        counting, hashes = sealed_counts.Counting(), []
        made = cls(b"", [], counting.done(), [], 0)
        at = 0
        for part, batch in _votes(connection, row.segment_no):
            blind = blinds.take(len(batch))
            committed = leaves.commitments(batch, part, blind, texts)
            if _ERASED in blind:
                committed, gone = _kept_where_erased(committed, held.commitments(at, len(batch)), blind)
                made.erased += gone
                made.gone += [
                    styles.place(part, offset) for offset in batch["offset"].to_numpy()[_wiped(blind)].tolist()
                ]
            hashes.append(leaf.hashes(leaves.public(batch, texts, committed)))
            made.where.append((part, batch["offset"].to_numpy()))
            made.styled.append(styles.block(part, batch))
            counting.add(batch)
            at += len(batch)
        back = retractions.between(connection, first, row.log_size)
        if back:
            hashes.append(leaf.hashes(retractions.rows(back)))
            counting.take_back(retractions.cells(connection, first, row.log_size))
        made.hashes, made.counts = b"".join(hashes), counting.done()
        return made

    def place(self, at: int) -> str:
        """The vote that made a leaf of the segment."""
        for part, offsets in self.where:
            if at < len(offsets):
                return f"partition {part}, offset {offsets[at]}"
            at -= len(offsets)
        return "a retraction"


class _Blinds:
    """The blinds of a segment, in order."""

    def __init__(self, connection: Connection, first: int, size: int) -> None:
        b = schema.blind.c
        query = sa.select(b.blinds).where(b.first_leaf >= first, b.first_leaf < first + size).order_by(b.first_leaf)
        self._left = b"".join(bytes(one) for one in connection.scalars(query))
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size * WIDTH
        found = self._left[start : self._at]
        # Votes that the log does not know have none; the comparison of leaves names them.
        return found.ljust(size * WIDTH, b"\1")


def _votes(connection: Connection, segment_no: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    r = schema.segment_range.c
    ranges = connection.execute(
        sa.select(r.partition_no, r.first_offset, r.next_offset)
        .where(r.segment_no == segment_no)
        .order_by(r.first_leaf, r.partition_no)
    ).all()
    for part, first, end in ranges:
        for batch in arrow_reader.read_batches(connection, part, first, end):
            yield part, batch


def _kept_where_erased(made: bytes, held: bytes, blinds: bytes) -> tuple[bytes, int]:
    """Commitments, those of the file where the blind is gone."""
    gone = _wiped(blinds)
    if len(held) != len(made):
        return made, int(gone.sum())
    mixed = np.frombuffer(made, dtype=f"V{WIDTH}").copy()
    mixed[gone] = np.frombuffer(held, dtype=f"V{WIDTH}")[gone]
    return mixed.tobytes(), int(gone.sum())


def _wiped(blinds: bytes) -> Bool:
    return np.logical_not(np.frombuffer(blinds, dtype=np.uint8).reshape(-1, WIDTH).any(axis=1))


def _compare(held: _Held, made: _Made, first: int) -> None:
    if made.hashes == held.hashes:
        return
    at = _first_other(made.hashes, held.hashes)
    vote = held.rows["vote"][at].as_py() if at < len(held.rows) else "none"
    place = made.place(at) if at * WIDTH < len(made.hashes) else "no row"
    raise Refuted(
        "leaf",
        f"leaf {first + at}",
        f"expected vote {vote} as it was sealed, the store has another row, or none, at its place ({place})",
    )


def _first_other(one: bytes, other: bytes) -> int:
    """The first hash in which they differ."""
    size = min(len(one), len(other)) // WIDTH
    a, b = (np.frombuffer(raw[: size * WIDTH], dtype=np.uint8).reshape(size, WIDTH) for raw in (one, other))
    differs = np.flatnonzero((a != b).any(axis=1))
    return int(differs[0]) if len(differs) else size


def _counts(connection: Connection, row: Any, made: _Made, where: str) -> None:
    if not np.array_equal(sealed_counts.unpack(bytes(row.counts)).pairs, made.counts.pairs):
        raise Refuted("counts", where, "its counts are not those of its votes")
    # An erased vote has lost its style counts; the segment keeps them, for the boards that they gave.
    if not styles.same(made.styled, None if row.styles is None else bytes(row.styles), made.gone):
        raise VerificationFailed(f"{where}: its style counts are not those of its votes")
    r = schema.segment_range.c
    query = sa.select(r.partition_no, r.first_offset, r.next_offset, r.first_leaf, r.runs)
    at = row.log_size - row.leaves
    for one in connection.execute(query.where(r.segment_no == row.segment_no).order_by(r.first_leaf, r.partition_no)):
        offsets = np.concatenate([np.zeros(0, np.int64), *(o for part, o in made.where if part == one.partition_no)])
        packed = None if one.runs is None else bytes(one.runs)
        if one.first_leaf != at or not leaf_index.holds(packed, offsets, one.first_offset, one.next_offset):
            raise Refuted("place", where, f"what it says of partition {one.partition_no} is not where its votes are")
        at += len(offsets)


def _nothing_beside(connection: Connection) -> None:
    """No vote below what is sealed stands outside of every segment."""
    v, p, r = schema.vote.c, schema.partition.c, schema.segment_range.c
    bounds = connection.execute(sa.select(p.partition_no, p.sealed_offset)).all()
    for part, end in bounds:
        ranges = connection.execute(
            sa.select(r.first_offset, r.next_offset).where(r.partition_no == part).order_by(r.first_offset)
        ).all()
        at = 0
        for first, following in [*ranges, (end, end)]:
            if first > at:
                found = connection.scalar(
                    sa.select(sa.func.min(v.offset)).where(v.partition_no == part, v.offset >= at, v.offset < first)
                )
                if found is not None:
                    raise Refuted("leaf", f"partition {part}, offset {found}", "expected a sealed vote, it has no leaf")
            at = max(at, following)
