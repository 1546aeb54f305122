"""Stores which windows are closed, with their numbers of votes and the partitions that were left out.

A window is five minutes of event time. It is closed when no more votes are expected for it. A partition that sends
nothing is left out, so that other partitions need not wait for it.

The transaction that closes a window also writes the detectors' states and alerts. After a crash, the next monitor
therefore finds all of these changes or none.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema

_MONITOR = "monitor"


def close_windows(connection: Connection, totals: Iterable[tuple[int, int, int]], end: int) -> None:
    """Store that all windows before `end` are closed.

    Args:
        connection: the transaction.
        totals: (start, number of accepted votes, number of late votes) of each window with votes. Starts are in
            microseconds since 1970 UTC.
        end: end of the last closed window, in microseconds since 1970 UTC.
    """
    rows = [{"start": start, "accepted": accepted, "late": late} for start, accepted, late in totals]
    dialect.upsert(connection, schema.closed_window, ["start"], rows)
    dialect.upsert(connection, schema.position, ["name"], [{"name": _MONITOR, "position": end}])


def closed_until(connection: Connection) -> int | None:
    """Return the end of the last closed window in microseconds since 1970 UTC, None if no window is closed."""
    c = schema.position.c
    value: int | None = connection.scalar(sa.select(c.position).where(c.name == _MONITOR))
    return value


def leave_out(connection: Connection, partitions: Iterable[int], first: int, end: int) -> None:
    """Store that some windows were closed without waiting for these partitions.

    If a stored range of a partition ends at `first`, it is extended to `end`.

    Args:
        connection: the transaction.
        partitions: partition numbers (partition_no).
        first, end: the windows that start in [first, end), in microseconds since 1970 UTC.
    """
    c = schema.left_out.c
    for part in sorted(partitions):
        grown = connection.execute(
            sa.update(schema.left_out).where(c.partition_no == part, c.end == first).values(end=end)
        )
        if not grown.rowcount:
            connection.execute(schema.left_out.insert(), {"partition_no": part, "first": first, "end": end})
