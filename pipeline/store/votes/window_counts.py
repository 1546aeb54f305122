"""Stores the counts of each window in each partition. Batches add to them, and the monitor reads them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from pipeline.scoring import window_codec, window_counter
from pipeline.scoring.sittings import WindowVoters, add_voters, voter_number, without_voters
from pipeline.scoring.window_counter import WindowCounts
from pipeline.store.db import dialect, schema


def add_counts(connection: Connection, counted: Iterable[WindowCounts]) -> None:
    """Add the counts of a batch to the stored counts. Only the owner of a partition may do this."""
    by_part: dict[int, list[WindowCounts]] = {}
    for one in counted:
        by_part.setdefault(one.partition, []).append(one)
    rows = []
    c = schema.window.c
    for part, group in by_part.items():
        starts = [w.start for w in group]
        stored: dict[int, Any] = {}
        for first in range(0, len(starts), dialect.CHUNK):
            chunk = starts[first : first + dialect.CHUNK]
            found = connection.execute(sa.select(schema.window).where(c.partition_no == part, c.start.in_(chunk)))
            stored |= {row["start"]: row for row in found.mappings()}
        rows += [_sum(w, stored.get(w.start)) for w in group]
    dialect.upsert(connection, schema.window, ["start", "partition_no"], rows)


def _sum(new: WindowCounts, old: Mapping[str, Any] | None) -> dict[str, Any]:
    counts = (
        new.counts
        if old is None
        else window_counter.add_counts(window_codec.unpack_counts(bytes(old["counts"])), new.counts)
    )
    return {
        "start": new.start,
        "partition_no": new.partition,
        "accepted": new.accepted + (old["accepted"] if old else 0),
        "late": new.late + (old["late"] if old else 0),
        "counts": window_codec.pack_counts(counts),
        "voters": _sum_voters(new.voters, old),
    }


def _sum_voters(new: WindowVoters | None, old: Mapping[str, Any] | None) -> bytes | None:
    if new is None or (old is not None and old["voters"] is None):
        return None
    return window_codec.pack_voters(add_voters([new, *(_voters(old) if old else ())]))


def _voters(row: RowMapping | Mapping[str, Any]) -> list[WindowVoters]:
    return [] if row["voters"] is None else [window_codec.unpack_voters(bytes(row["voters"]))]


def read_range(connection: Connection, first: int, end: int) -> list[WindowCounts]:
    """Return the counts of the windows that start in [first, end), in the order of start and partition."""
    c = schema.window.c
    query = sa.select(schema.window).where(c.start >= first, c.start < end).order_by(c.start, c.partition_no)
    return [
        WindowCounts(
            row["start"],
            row["partition_no"],
            row["accepted"],
            row["late"],
            window_codec.unpack_counts(bytes(row["counts"])),
            next(iter(_voters(row)), None),
        )
        for row in connection.execute(query).mappings()
    ]


def forget_voters(connection: Connection, positions: Iterable[tuple[int, int, int]]) -> None:
    """Remove erased voters from stored windows. Their votes still count, without a voter and without a network.

    Args:
        connection: the transaction.
        positions: partition, `cast_at` and pseudonym of each erased vote.
    """
    gone: dict[tuple[int, int], set[int]] = {}
    for part, cast_at, voter in positions:
        gone.setdefault((cast_at - cast_at % window_counter.WINDOW_WIDTH, part), set()).add(voter)
    c = schema.window.c
    for (start, part), voters in gone.items():
        this = (c.start == start, c.partition_no == part)
        raw = connection.scalar(sa.select(c.voters).where(*this))
        if raw is not None:
            kept = without_voters(window_codec.unpack_voters(bytes(raw)), voter_number(np.array(sorted(voters))))
            connection.execute(sa.update(schema.window).where(*this).values(voters=window_codec.pack_voters(kept)))


def count_windows(connection: Connection) -> int:
    """Return the number of stored counts: one for each window and partition with votes."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(schema.window)) or 0)


def first_start(connection: Connection) -> int | None:
    """Return the start of the earliest window with counts, None if there is none."""
    start: int | None = connection.scalar(sa.select(sa.func.min(schema.window.c.start)))
    return start


def last_start(connection: Connection) -> int | None:
    """Return the start of the latest window with counts, None if there is none."""
    start: int | None = connection.scalar(sa.select(sa.func.max(schema.window.c.start)))
    return start


def last_start_with_votes(connection: Connection, before: int) -> int | None:
    """Return the start of the last window that starts before a time and has an accepted vote, None if there is none."""
    c = schema.window.c
    query = sa.select(c.start).where(c.start < before, c.accepted > 0).order_by(c.start.desc()).limit(1)
    start: int | None = connection.scalar(query)
    return start
