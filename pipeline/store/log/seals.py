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

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.concurrency import short_switch_interval
from pipeline.ledger import tiles
from pipeline.ledger.merkle import EMPTY_ROOT, WIDTH, Frontier
from pipeline.store.db import dialect, schema
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import leaf_index, leaves, retractions, sealed_counts, styles
from pipeline.store.log.segment_builder import Building, Taken

_LOCK = 0x5EA1
# Blinds of a row: erasing one writes a row anew.
_BLINDS = 32_768


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal did.

    Attributes:
        size: leaves of the log.
        grown: what the log has grown by, for its tiles (`tile_cache.write`), once this is committed.
    """

    size: int
    grown: tuple[tiles.LogGrowth, ...]


def seal(connection: Connection, files: LedgerFiles, now: int) -> Sealed:
    """Append the committed votes that are not in the log yet.

    Raises:
        Unavailable: the ledger's folder cannot be written to.
    """
    dialect.lock(connection, _LOCK)
    frontier = _frontier(connection)
    before = frontier.size
    p = schema.partition.c
    ranges = connection.execute(
        sa.select(p.partition_no, p.sealed_offset, p.next_offset)
        .where(p.next_offset > p.sealed_offset)
        .order_by(p.partition_no)
    ).all()
    texts = leaves.Texts.load(connection)
    files.forget_drafts()
    grown: list[tiles.LogGrowth] = []
    waiting = [(row.partition_no, row.sealed_offset, row.next_offset) for row in ranges]
    more = True
    while more:
        with short_switch_interval(), Building(files, frontier, texts) as building:
            waiting = building.read(connection, waiting)
            more = bool(waiting)
            if not more:
                building.take_back(retractions.waiting(connection))
            if building.size:
                _append(connection, building, frontier, now)
                grown += building.grown
    if frontier.size > before:
        for part, _, end in ranges:
            connection.execute(sa.update(schema.partition).where(p.partition_no == part).values(sealed_offset=end))
    return Sealed(frontier.size, tuple(grown))


def _append(connection: Connection, building: Building, frontier: Frontier, now: int) -> None:
    """Write a segment's rows: the database's part."""
    built = building.finish()
    # While the file is flushed: these 32 bytes a vote are most of what the database is to write.
    connection.execute(schema.blind.insert(), _blind_rows(building))
    made = built()
    row = {
        "log_size": frontier.size,
        "leaves": building.size,
        "root": frontier.root().hex(),
        "edge": b"".join(frontier.edge),
        "sha256": made.sha256,
        "counts": sealed_counts.pack(made.counts),
        "styles": styles.pack(building.styled),
        "at": now,
    }
    insert = schema.segment.insert().returning(schema.segment.c.segment_no)
    number = connection.execute(insert, row).scalar_one()
    if building.taken:
        connection.execute(schema.segment_range.insert(), [_range_row(number, one) for one in building.taken])
    retractions.sealed(connection, building.back, frontier.size - len(building.back))
    sealed_counts.add_to_total(connection, building.first_leaf, frontier.size, made.counts)


def _blind_rows(building: Building) -> list[dict[str, Any]]:
    """Small batches share a row; large ones are not copied."""
    rows, first = list[dict[str, Any]](), building.first_leaf
    for blinds in building.blinds:
        if rows and len(rows[-1]["blinds"]) + len(blinds) <= _BLINDS * WIDTH:
            rows[-1]["blinds"] += blinds
        else:
            rows.append({"first_leaf": first, "blinds": blinds})
        first += len(blinds) // WIDTH
    return rows


def _range_row(segment_no: int, one: Taken) -> dict[str, Any]:
    offsets = np.concatenate([np.zeros(0, dtype=np.int64), *one.offsets])
    return {
        "segment_no": segment_no,
        "partition_no": one.part,
        "first_offset": one.first,
        "next_offset": one.end,
        "first_leaf": one.first_leaf,
        "runs": leaf_index.runs(offsets, one.first, one.end),
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
