"""Compares one segment with the stored votes: builds its leaves, counts and labels again, and names what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import style_blocks
from pipeline.errors import Refuted, VerificationFailed
from pipeline.ledger import leaf_encoding, leaf_labels, merkle, segment
from pipeline.ledger.merkle import WIDTH
from pipeline.store.cold import cold_files, cold_votes
from pipeline.store.db import schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import (
    frequent_prompts,
    leaf_index,
    retractions,
    sealed_counts,
    sealed_labels,
    sealed_styles,
    vote_leaves,
)
from pipeline.store.votes.arrow_reader import read_batches
from pipeline.store.votes.packed_positions import pack_position
from pipeline.vocabulary.arrays import Bool, Int64

_ERASED = bytes(WIDTH)


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A segment that is to be verified: the values that are sent to the verifying process.

    The verifying process reads everything else from the store.

    Attributes:
        segment_no: number of the segment.
        first: index of the segment's first leaf.
        end: index after the segment's last leaf.
        root: root of the log with `end` leaves, in hexadecimal digits.
        edge: right edge of the Merkle tree over the first `end` leaves of the log.
    """

    segment_no: int
    first: int
    end: int
    root: str
    edge: bytes

    @property
    def name(self) -> str:
        """The name of the segment in messages."""
        return f"segment {self.segment_no}"


@dataclass(frozen=True, slots=True)
class VerifiedSegment:
    """The result for a segment that agrees with its votes.

    Attributes:
        subtrees: the complete subtrees of its leaves (`merkle.complete_subtrees`).
        erased: number of its erased votes.
    """

    subtrees: list[tuple[int, bytes]]
    erased: int


def verify_segment(
    connection: Connection, files: LedgerFiles, one: SealedRow, names: vote_leaves.LeafNames
) -> VerifiedSegment:
    """Compare a segment with its votes.

    Args:
        connection: reads the store.
        files: the files of the ledger.
        one: the segment.
        names: translates the numbers in votes to names.

    Raises:
        Refuted: a leaf, or another part of the segment, is wrong. The message names the wrong part.
        VerificationFailed: the style counts of the segment are wrong.
        Unavailable: a file of the ledger is missing.
    """
    row = connection.execute(sa.select(schema.segment).where(schema.segment.c.segment_no == one.segment_no)).one()
    file = _SegmentFile.read(files, row, one.name)
    rebuilt = _RebuiltSegment.build(connection, row, file, names)
    _compare_leaves(file, rebuilt, one.first)
    _compare_row(connection, row, rebuilt, one.name)
    _compare_labels(connection, files, row, rebuilt, one.name)
    return VerifiedSegment(merkle.complete_subtrees(one.first, rebuilt.hashes), rebuilt.erased)


@dataclass(frozen=True, slots=True)
class _SegmentFile:
    rows: pa.Table
    hashes: bytes

    @classmethod
    def read(cls, files: LedgerFiles, row: Any, where: str) -> _SegmentFile:
        rows, hashes = segment.read(files.get(row.sha256), where)
        found = leaf_encoding.hashes(rows)
        first = row.log_size - row.leaves
        if found != hashes or len(rows) != row.leaves:
            at = first + _first_difference(found, hashes)
            raise Refuted("segment", f"leaf {at}", f"the ledger's file of {where} was changed")
        return cls(rows, hashes)

    def commitments(self, first: int, size: int) -> bytes:
        column = self.rows["commitment"].slice(first, size).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        raw: bytes = column.buffers()[1].to_pybytes()
        return raw[column.offset * WIDTH : (column.offset + len(column)) * WIDTH]


@dataclass(slots=True)
class _RebuiltSegment:
    """A segment built again from the votes.

    Attributes:
        offsets: (partition, int64[n]) of each batch.
        erased: the number of erased votes.
        labels: categories, languages and rules of the votes.
        erased_positions: packed positions of the erased votes (`packed_positions.pack_position`).
    """

    hashes: bytes
    offsets: list[tuple[int, Int64]]
    counts: sealed_counts.SealedCounts
    styled: list[npt.NDArray[np.void]]
    erased: int
    labels: sealed_labels.LabelCollector
    erased_positions: list[int] = field(default_factory=list)

    @classmethod
    def build(
        cls, connection: Connection, row: Any, file: _SegmentFile, names: vote_leaves.LeafNames
    ) -> _RebuiltSegment:
        first = row.log_size - row.leaves
        archived = cold_files.archived_leaves(connection) > first
        blinds = _Blinds(connection, first, row.leaves, row.segment_no if archived else None)
        counter, hashes = sealed_counts.SegmentCounter(), []
        labels = sealed_labels.LabelCollector(names.terms)
        rebuilt = cls(b"", [], counter.result(), [], 0, labels)
        at = 0
        for part, batch in _votes(connection, row.segment_no):
            blind = blinds.take(len(batch))
            commitments = vote_leaves.commit(batch, part, blind, names)
            offsets = batch["offset"].to_numpy()
            if _ERASED in blind:
                erased = _erased(blind)
                commitments = _with_erased(commitments, file.commitments(at, len(batch)), erased)
                rebuilt.erased += int(erased.sum())
                rebuilt.erased_positions += [pack_position(part, o) for o in offsets[erased].tolist()]
            hashes.append(leaf_encoding.hashes(vote_leaves.build_leaves(batch, names, commitments)))
            rebuilt.offsets.append((part, offsets))
            rebuilt.styled.append(sealed_styles.build_block(part, batch, late=style_blocks.has_late(row.styles)))
            counter.add_votes(batch)
            labels.add_votes(batch)
            at += len(batch)
        retracted = retractions.read_range(connection, first, row.log_size)
        if retracted:
            hashes.append(leaf_encoding.hashes(retractions.build_leaves(retracted)))
            counter.subtract(retractions.retracted_cells(connection, first, row.log_size))
        rebuilt.hashes, rebuilt.counts = b"".join(hashes), counter.result()
        return rebuilt

    def position(self, at: int) -> str:
        """Return the position of the vote behind a leaf of the segment, for messages."""
        for part, offsets in self.offsets:
            if at < len(offsets):
                return f"partition {part}, offset {offsets[at]}"
            at -= len(offsets)
        return "a retraction"


class _Blinds:
    """The blinds of a segment, in the order of its leaves."""

    def __init__(self, connection: Connection, first: int, size: int, archived: int | None) -> None:
        b = schema.blind.c
        query = sa.select(b.blinds).where(b.first_leaf >= first, b.first_leaf < first + size).order_by(b.first_leaf)
        hot = b"".join(bytes(one) for one in connection.scalars(query))
        ranges = [] if archived is None else _ranges(connection, archived)
        self._blinds = hot or b"".join(cold_votes.read_blinds(connection, *one) for one in ranges)
        self._at = 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size * WIDTH
        found = self._blinds[start : self._at]
        # Votes that the log does not know have none; the comparison of leaves names them.
        return found.ljust(size * WIDTH, b"\1")


def _ranges(connection: Connection, segment_no: int) -> list[tuple[int, int, int]]:
    """Return (partition_no, first offset, end) of the ranges of a segment, in the order of its leaves."""
    r = schema.segment_range.c
    query = sa.select(r.partition_no, r.first_offset, r.next_offset).where(r.segment_no == segment_no)
    rows = connection.execute(query.order_by(r.first_leaf, r.partition_no))
    return [(int(part), int(first), int(end)) for part, first, end in rows]


def _votes(connection: Connection, segment_no: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    for part, first, end in _ranges(connection, segment_no):
        for batch in read_batches(connection, part, first, end):
            yield part, batch


def _with_erased(rebuilt: bytes, stored: bytes, erased: Bool) -> bytes:
    """Return the rebuilt commitments. A vote whose private fields were erased gets its stored commitment."""
    if len(stored) != len(rebuilt):
        return rebuilt
    mixed = np.frombuffer(rebuilt, dtype=f"V{WIDTH}").copy()
    mixed[erased] = np.frombuffer(stored, dtype=f"V{WIDTH}")[erased]
    return mixed.tobytes()


def _erased(blinds: bytes) -> Bool:
    return np.logical_not(np.frombuffer(blinds, dtype=np.uint8).reshape(-1, WIDTH).any(axis=1))


def _compare_leaves(file: _SegmentFile, rebuilt: _RebuiltSegment, first: int) -> None:
    if rebuilt.hashes == file.hashes:
        return
    at = _first_difference(rebuilt.hashes, file.hashes)
    vote = file.rows["vote"][at].as_py() if at < len(file.rows) else "none"
    position = rebuilt.position(at) if at * WIDTH < len(rebuilt.hashes) else "no row"
    raise Refuted(
        "leaf",
        f"leaf {first + at}",
        f"expected vote {vote} as it was sealed, got another row, or none, from the store ({position})",
    )


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the index of the first hash that differs."""
    size = min(len(one), len(other)) // WIDTH
    a, b = (np.frombuffer(raw[: size * WIDTH], dtype=np.uint8).reshape(size, WIDTH) for raw in (one, other))
    differs = np.flatnonzero((a != b).any(axis=1))
    return int(differs[0]) if len(differs) else size


def _compare_row(connection: Connection, row: Any, rebuilt: _RebuiltSegment, where: str) -> None:
    """Compare a segment's counts, style counts and ranges with those rebuilt from the votes."""
    if not np.array_equal(sealed_counts.unpack(bytes(row.counts)).pairs, rebuilt.counts.pairs):
        raise Refuted("counts", where, "its counts are not those of its votes")
    # An erased vote has lost its style counts; the segment keeps them, for the boards that were fitted to them.
    styles = None if row.styles is None else bytes(row.styles)
    if not sealed_styles.matches(rebuilt.styled, styles, rebuilt.erased_positions):
        raise VerificationFailed(f"{where}: its style counts are not those of its votes")
    r = schema.segment_range.c
    query = sa.select(r.partition_no, r.first_offset, r.next_offset, r.first_leaf, r.runs)
    at = row.log_size - row.leaves
    for one in connection.execute(query.where(r.segment_no == row.segment_no).order_by(r.first_leaf, r.partition_no)):
        of_part = (offsets for part, offsets in rebuilt.offsets if part == one.partition_no)
        offsets = np.concatenate([np.zeros(0, np.int64), *of_part])
        packed = None if one.runs is None else bytes(one.runs)
        if one.first_leaf != at or not leaf_index.runs_match(packed, offsets, one.first_offset, one.next_offset):
            raise Refuted("place", where, f"its range of partition {one.partition_no} is not where its votes are")
        at += len(offsets)


def _compare_labels(connection: Connection, files: LedgerFiles, row: Any, rebuilt: _RebuiltSegment, where: str) -> None:
    """Compare the stored label file of a segment with the file that its votes give.

    The stored decision about frequent prompts is used; it is not made again.
    """
    if row.boards is None:
        return
    frequent, at = [np.zeros(0, dtype=np.int64)], 0
    for part, offsets in rebuilt.offsets:
        marked = frequent_prompts.read_marked(connection, part, int(offsets[0]), int(offsets[-1]) + 1)
        frequent.append(at + np.flatnonzero(np.isin(offsets, marked)))
        at += len(offsets)
    votes = rebuilt.labels.votes()
    expected = votes.file(row.log_size - row.leaves, votes.rules(np.concatenate(frequent)))
    stored = None if row.labels is None else files.get(row.labels)
    if stored is not None and sha256(stored).hexdigest() != row.labels:
        raise Refuted("labels", where, f"its file of labels does not have the SHA-256 {row.labels}")
    if stored == expected:
        return
    # Another version of Arrow may have written other bytes of the same labels.
    if stored is None or expected is None or not _plain(expected, row, where).equals(_plain(stored, row, where)):
        raise Refuted("labels", where, "its labels are not those of its votes")


def _plain(labels: bytes, row: Any, where: str) -> pa.Table:
    return leaf_labels.read(labels, where, row.log_size - row.leaves, row.leaves).cast(leaf_labels.SCHEMA)
