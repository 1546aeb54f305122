"""Five-minute windows, and the monitor's lease and position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.scoring import window_codec, window_counter
from pipeline.scoring.window_counter import WindowCounts
from pipeline.store.db import dialect, schema
from pipeline.vocabulary.time import SECOND


def add(connection: Connection, counted: Iterable[WindowCounts]) -> None:
    """Add a batch's counts to the windows. Only the partition's owner does."""
    by_part: dict[int, list[WindowCounts]] = {}
    for one in counted:
        by_part.setdefault(one.partition, []).append(one)
    rows = []
    c = schema.window.c
    for part, group in by_part.items():
        starts = [w.start for w in group]
        stored: dict[int, Any] = {}
        for first in range(0, len(starts), 5_000):
            found = connection.execute(
                sa.select(schema.window).where(c.partition_no == part, c.start.in_(starts[first : first + 5_000]))
            )
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
    }


def between(connection: Connection, first: int, end: int) -> list[WindowCounts]:
    """Every partition's windows that start in [first, end), in the order of time and partition."""
    c = schema.window.c
    query = sa.select(schema.window).where(c.start >= first, c.start < end).order_by(c.start, c.partition_no)
    return [
        WindowCounts(
            row["start"],
            row["partition_no"],
            row["accepted"],
            row["late"],
            window_codec.unpack_counts(bytes(row["counts"])),
        )
        for row in connection.execute(query).mappings()
    ]


def first_start(connection: Connection) -> int | None:
    """The start of the earliest window."""
    start: int | None = connection.scalar(sa.select(sa.func.min(schema.window.c.start)))
    return start


def last_start(connection: Connection) -> int | None:
    """The start of the latest window."""
    start: int | None = connection.scalar(sa.select(sa.func.max(schema.window.c.start)))
    return start


def watermark(connection: Connection, lateness: int) -> int | None:
    """The merged watermark: the smallest over the partitions that ever had a vote; None before one has."""
    oldest: int | None = connection.scalar(sa.select(sa.func.min(schema.partition.c.event_time)))
    return None if oldest is None else oldest - lateness


def position(connection: Connection) -> int | None:
    """The end of the closed windows: the next one to close starts here or later."""
    c = schema.position.c
    value: int | None = connection.scalar(sa.select(c.position).where(c.name == "monitor"))
    return value


def close(connection: Connection, totals: Iterable[tuple[int, int, int]], end: int) -> None:
    """Record closed windows (start, accepted, late), and that everything before `end` is closed."""
    rows = [{"start": start, "accepted": accepted, "late": late} for start, accepted, late in totals]
    dialect.upsert(connection, schema.closed_window, ["start"], rows)
    dialect.upsert(connection, schema.position, ["name"], [{"name": "monitor", "position": end}])


def take_lease(connection: Connection, name: str, owner: str, now: int, seconds: float) -> bool:
    """Take or keep a lease.

    Returns:
        False if somebody else holds it and it has not run out.
    """
    c = schema.lease.c
    until = now + int(seconds * SECOND)
    statement = dialect.insert(connection, schema.lease).values(name=name, owner=owner, epoch=1, expires_at=until)
    taken = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": owner, "epoch": c.epoch + 1, "expires_at": until},
            where=sa.or_(c.owner == owner, c.expires_at < now),
        ).returning(c.owner)
    ).scalar_one_or_none()
    return taken == owner


def drop_lease(connection: Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    c = schema.lease.c
    connection.execute(sa.delete(schema.lease).where(c.name == name, c.owner == owner))
