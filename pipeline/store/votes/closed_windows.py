"""Closed windows: their totals, the time up to which windows are closed, and partitions that were left out.

Law: a window is closed in the transaction that writes the detectors' states and alerts, so that a monitor that replaces
a dead monitor finds all of them or none.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema

_MONITOR = "monitor"


def close_windows(connection: Connection, totals: Iterable[tuple[int, int, int]], end: int) -> None:
    """Store closed windows, given as (start, accepted, late), and that everything before `end` is closed."""
    rows = [{"start": start, "accepted": accepted, "late": late} for start, accepted, late in totals]
    dialect.upsert(connection, schema.closed_window, ["start"], rows)
    dialect.upsert(connection, schema.position, ["name"], [{"name": _MONITOR, "position": end}])


def closed_until(connection: Connection) -> int | None:
    """Return the end of the closed windows: the next window to close starts here or later. None before the first."""
    c = schema.position.c
    value: int | None = connection.scalar(sa.select(c.position).where(c.name == _MONITOR))
    return value


def leave_out(connection: Connection, partitions: Iterable[int], first: int, end: int) -> None:
    """Store that windows starting in [first, end) are closed without these partitions. Adjoining ranges are merged."""
    c = schema.left_out.c
    for part in sorted(partitions):
        grown = connection.execute(
            sa.update(schema.left_out).where(c.partition_no == part, c.end == first).values(end=end)
        )
        if not grown.rowcount:
            connection.execute(schema.left_out.insert(), {"partition_no": part, "first": first, "end": end})
