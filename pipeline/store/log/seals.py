"""Seals committed votes: appends them, and pending retractions, to the public log as segments.

The public log is a Merkle tree (RFC 6962). A seal appends the new votes of every partition, sorted by partition and
offset, and then the pending retractions. The new votes of a partition are those at the offsets [sealed_offset,
next_offset). Each root covers all earlier leaves. Nobody can therefore change, add or remove an earlier vote without
changing every later root.

A lock allows one seal at a time. The files of a segment are written before the row that names them. The transaction
that writes this row also moves `sealed_offset`. After a crash, the log therefore has either nothing of a seal or the
whole seal. Tiles are written afterwards, from committed leaves (`tile_cache`).
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.compute import board_cells
from pipeline.concurrency import run_in_thread, short_switch_interval
from pipeline.ledger import tiles
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import SegmentFile
from pipeline.ledger.merkle import EMPTY_ROOT, WIDTH, Frontier
from pipeline.store.db import dialect, schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import (
    frequent_prompts,
    leaf_index,
    retractions,
    sealed_boards,
    sealed_counts,
    sealed_styles,
    vote_leaves,
)
from pipeline.store.log.segment_builder import SegmentBuilder, SegmentRange
from pipeline.store.votes.packed_positions import pack_positions
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.visible_text import visible

_log = logging.getLogger("integrity.seal")

_LOCK = 0x5EA1
# Labels beyond the limit that a warning names.
_NAMED = 10
# Blinds of a row: erasing one rewrites its row.
_BLINDS = 32_768


@dataclass(frozen=True, slots=True)
class SealResult:
    """The size of the log after a seal, and the hashes that the seal added.

    Attributes:
        size: number of leaves of the log.
        growth: the new hashes. The caller passes them to `tile_cache.write` after the transaction is committed.
    """

    size: int
    growth: tuple[tiles.LogGrowth, ...]


def seal(connection: Connection, files: LedgerFiles, now: int) -> SealResult:
    """Append to the vote log all votes and retractions that are committed but not in the log yet.

    Old drafts in the ledger's folder are deleted. The number of boards by category and language is limited. Votes of
    further categories and languages are sealed, but not counted by board; a log message names these categories and
    languages.

    Args:
        connection: the transaction.
        files: the files of the ledger.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The size of the log after the seal, and the Merkle hashes that the seal added. If there was nothing to append,
        the size is unchanged and there are no new hashes.

    Raises:
        Unavailable: the ledger's folder cannot be written to.
    """
    dialect.lock(connection, _LOCK)
    frontier = _frontier(connection)
    before = frontier.size
    p = schema.partition.c
    rows = connection.execute(
        sa.select(p.partition_no, p.sealed_offset, p.next_offset)
        .where(p.next_offset > p.sealed_offset)
        .order_by(p.partition_no)
    ).all()
    names = vote_leaves.LeafNames.load(connection)
    files.delete_old_drafts()
    growth: list[tiles.LogGrowth] = []
    ranges = [(row.partition_no, row.sealed_offset, row.next_offset) for row in rows]
    more = True
    while more:
        with short_switch_interval(), SegmentBuilder(files, frontier, names) as builder:
            ranges = builder.add_votes(connection, ranges)
            more = bool(ranges)
            if not more:
                builder.add_retractions(retractions.read_pending(connection))
            if builder.size:
                _insert_segment(connection, files, builder, frontier, now)
                growth += builder.growth
    if frontier.size > before:
        for row in rows:
            ours = p.partition_no == row.partition_no
            connection.execute(sa.update(schema.partition).where(ours).values(sealed_offset=row.next_offset))
    return SealResult(frontier.size, tuple(growth))


@dataclass(frozen=True, slots=True)
class _Labels:
    """What a seal computes from the labels of a segment's votes.

    Attributes:
        boards: the counts of the boards by label.
        file: the segment's file of labels; None if no vote has a label.
        frequent: packed positions of the votes outside the samples of frequent prompts.
    """

    boards: board_cells.Boards
    file: bytes | None
    frequent: Int64


def _insert_segment(
    connection: Connection, files: LedgerFiles, builder: SegmentBuilder, frontier: Frontier, now: int
) -> None:
    wait_for_file = builder.finish()
    # While the file is flushed: these 32 bytes a vote are most of what the database is to write.
    connection.execute(schema.blind.insert(), _blind_rows(builder))
    labels = _label(connection, builder, frontier.size)
    built = wait_for_file()
    row = {
        "log_size": frontier.size,
        "leaves": builder.size,
        "root": frontier.root().hex(),
        "edge": b"".join(frontier.edge),
        "sha256": built.sha256,
        "counts": sealed_counts.pack(built.counts),
        "styles": sealed_styles.pack(builder.styled, labels.frequent),
        "at": now,
        "boards": board_cells.pack(labels.boards),
        "labels": None if labels.file is None else files.put(labels.file),
    }
    insert = schema.segment.insert().returning(schema.segment.c.segment_no)
    number = connection.execute(insert, row).scalar_one()
    if builder.ranges:
        connection.execute(schema.segment_range.insert(), [_range_row(number, one) for one in builder.ranges])
    retractions.set_leaves(connection, builder.retractions, frontier.size - len(builder.retractions))
    sealed_counts.add_segment(connection, builder.first_leaf, frontier.size, built.counts)
    sealed_boards.add_segment(connection, builder.first_leaf, frontier.size, labels.boards)


def _label(connection: Connection, builder: SegmentBuilder, log_size: int) -> _Labels:
    """Decide which votes of a segment are outside the samples of frequent prompts. Then compute labels and counts."""
    votes = builder.labelled_votes()
    # Beside the decision about prompts, which mostly waits for the database.
    count = run_in_thread(votes.boards)
    asked = np.flatnonzero(votes.counted & (votes.prompt != 0))
    prompts, ids = votes.prompt[asked], votes.vote_id
    chosen = frequent_prompts.decide(connection, prompts, lambda rows: ids.take(pa.array(asked[rows])), log_size)
    frequent, packed = asked[chosen], np.zeros(0, dtype=np.int64)
    if len(frequent):
        offset = np.concatenate([offsets for one in builder.ranges for offsets in one.offsets])
        partition = np.repeat(
            [one.part for one in builder.ranges], [sum(map(len, one.offsets)) for one in builder.ranges]
        )
        frequent_prompts.mark(connection, partition[frequent], offset[frequent])
        packed = pack_positions(partition[frequent], offset[frequent])
    write = run_in_thread(lambda: votes.file(builder.first_leaf, votes.rules(frequent)))
    boards = count()
    votes.move_frequent(boards, frequent)
    if builder.retractions:
        taken = sealed_boards.boards_of(connection, [one.position for one in builder.retractions])
        board_cells.add(boards, taken, -1)
    boards = _within_limit(connection, boards, builder.first_leaf)
    return _Labels(boards, write(), packed)


def _within_limit(connection: Connection, boards: board_cells.Boards, log_size: int) -> board_cells.Boards:
    """Return the boards that the limit on the number of boards allows. A logged warning names the other boards."""
    found = board_cells.within_limit(boards, sealed_boards.counted_labels(connection, log_size))
    refused = sorted(boards.keys() - found.keys())
    if refused:
        named = ", ".join(f"{one.kind}/{one.text}" for one in refused[:_NAMED])
        _log.warning(
            "%d categories and languages are not counted, because the log has %d already, which is the limit: %s%s. "
            "Their votes count on the board of all votes and on those of their other labels.",
            len(refused), board_cells.MAX_LABELS, visible(named), ", …" if len(refused) > _NAMED else "",
        )  # fmt: skip
    return found


def _blind_rows(builder: SegmentBuilder) -> list[dict[str, Any]]:
    """Return the blinds of a segment as rows of the table of blinds.

    Small batches share a row. A large batch has its own row, so its blinds are not copied.
    """
    rows, first = list[dict[str, Any]](), builder.first_leaf
    for blinds in builder.blinds:
        if rows and len(rows[-1]["blinds"]) + len(blinds) <= _BLINDS * WIDTH:
            rows[-1]["blinds"] += blinds
        else:
            rows.append({"first_leaf": first, "blinds": blinds})
        first += len(blinds) // WIDTH
    return rows


def _range_row(segment_no: int, one: SegmentRange) -> dict[str, Any]:
    offsets = np.concatenate([np.zeros(0, dtype=np.int64), *one.offsets])
    return {
        "segment_no": segment_no,
        "partition_no": one.part,
        "first_offset": one.first,
        "next_offset": one.end,
        "first_leaf": one.first_leaf,
        "runs": leaf_index.pack_runs(offsets, one.first, one.end),
    }


def head(connection: Connection) -> tuple[int, str]:
    """Return the number of leaves of the vote log, and its root hash in hexadecimal digits.

    Before the first seal, the number is 0 and the root hash is that of an empty tree.
    """
    s = schema.segment.c
    row = connection.execute(sa.select(s.log_size, s.root).order_by(s.log_size.desc()).limit(1)).one_or_none()
    return (int(row.log_size), row.root) if row else (0, EMPTY_ROOT.hex())


def root_at(connection: Connection, log_size: int) -> str:
    """Return the root hash that the vote log had at a size, in hexadecimal digits.

    A seal must have ended at this size.
    """
    s = schema.segment.c
    found = connection.scalar(sa.select(s.root).where(s.log_size == log_size))
    return EMPTY_ROOT.hex() if log_size == 0 else str(found)


def segment_files(connection: Connection, log_size: int) -> list[SegmentFile]:
    """Return the segment files in the first `log_size` leaves of the vote log, in the order of their leaves."""
    s = schema.segment.c
    query = sa.select(s.log_size, s.leaves, s.sha256).where(s.log_size <= log_size).order_by(s.log_size)
    return [SegmentFile(row.log_size - row.leaves, row.leaves, Digest(row.sha256)) for row in connection.execute(query)]


def _frontier(connection: Connection) -> Frontier:
    s = schema.segment.c
    row = connection.execute(sa.select(s.log_size, s.edge).order_by(s.log_size.desc()).limit(1)).one_or_none()
    if row is None:
        return Frontier()
    return unpack_frontier(row.log_size, row.edge)


def unpack_frontier(log_size: int, edge: bytes) -> Frontier:
    """Return the right edge of the vote log's Merkle tree after a segment, from which the tree can grow.

    Args:
        log_size: number of leaves of the log after the segment.
        edge: the column `edge` of the segment's row: the hashes of the edge, 32·n bytes.
    """
    raw = bytes(edge)
    return Frontier(int(log_size), [raw[at : at + WIDTH] for at in range(0, len(raw), WIDTH)])
