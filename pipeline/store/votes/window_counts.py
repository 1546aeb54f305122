"""Stores the vote counts of each window in each partition. Batches add to these counts, and the monitor reads them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from pipeline.scoring import window_codec, window_counter
from pipeline.scoring.sittings import WindowVoters, add_voters, voter_number, without_voters
from pipeline.scoring.window_counter import WindowCounts
from pipeline.store.db import dialect, schema


def add_counts(connection: Connection, counted: Iterable[WindowCounts]) -> None:
    """Add the counts of a batch to the stored counts of the same windows. Only the owner of a partition may call this.

    A window keeps its list of voters only if both the stored and the added counts have a list.
    """
    by_part: dict[int, list[WindowCounts]] = {}
    for one in counted:
        by_part.setdefault(one.partition, []).append(one)
    sums = [total for part, group in sorted(by_part.items()) for total in _sums(connection, part, group)]
    if not sums:
        return
    columns: dict[str, Any] = {
        name: np.array([getattr(total, attribute) for total in sums], dtype=np.int64)
        for name, attribute in (("start", "start"), ("partition_no", "partition"), ("accepted",) * 2, ("late",) * 2)
    }
    columns["counts"] = window_codec.pack_counts([total.counts for total in sums])
    columns["voters"] = [total.voters and window_codec.pack_voters(total.voters) for total in sums]
    dialect.upsert_columns(connection, schema.window, ("start", "partition_no"), columns)


def _sums(connection: Connection, part: int, group: Sequence[WindowCounts]) -> Iterator[WindowCounts]:
    """Yield for each window the sum of its new counts and its stored counts, in one partition."""
    c = schema.window.c
    starts = [w.start for w in group]
    stored: dict[int, Any] = {}
    for first in range(0, len(starts), dialect.CHUNK):
        chunk = starts[first : first + dialect.CHUNK]
        found = connection.execute(sa.select(schema.window).where(c.partition_no == part, c.start.in_(chunk)))
        stored |= {row["start"]: row for row in found.mappings()}
    for new in group:
        old = stored.get(new.start)
        yield new if old is None else _sum(new, old)


def _sum(new: WindowCounts, old: Mapping[str, Any]) -> WindowCounts:
    counts = window_counter.add_counts(window_codec.unpack_counts(bytes(old["counts"])), new.counts)
    voters = _sum_voters(new.voters, _voters(old))
    return replace(
        new, accepted=new.accepted + old["accepted"], late=new.late + old["late"], counts=counts, voters=voters
    )


def _sum_voters(new: WindowVoters | None, old: list[WindowVoters]) -> WindowVoters | None:
    return add_voters([new, *old]) if new is not None and old else None


def _voters(row: RowMapping | Mapping[str, Any]) -> list[WindowVoters]:
    return [] if row["voters"] is None else [window_codec.unpack_voters(bytes(row["voters"]))]


def read_range(connection: Connection, first: int, end: int) -> list[WindowCounts]:
    """Return the counts of the windows that start in [first, end), sorted by start and partition.

    Times are in microseconds since 1970 UTC.
    """
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
        positions: (partition_no, event time in microseconds since 1970 UTC, pseudonym) of each erased vote.
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
    """Return how many counts of windows are stored: one for each window and partition with votes."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(schema.window)) or 0)


def first_start(connection: Connection) -> int | None:
    """Return the start of the earliest window with counts, in microseconds since 1970 UTC. None if there is none."""
    start: int | None = connection.scalar(sa.select(sa.func.min(schema.window.c.start)))
    return start


def last_start(connection: Connection) -> int | None:
    """Return the start of the latest window with counts, in microseconds since 1970 UTC. None if there is none."""
    start: int | None = connection.scalar(sa.select(sa.func.max(schema.window.c.start)))
    return start


def last_start_with_votes(connection: Connection, before: int) -> int | None:
    """Return the start of the last window that has an accepted vote and starts before a time. None if there is none.

    Both times are in microseconds since 1970 UTC.
    """
    c = schema.window.c
    query = sa.select(c.start).where(c.start < before, c.accepted > 0).order_by(c.start.desc()).limit(1)
    start: int | None = connection.scalar(query)
    return start
