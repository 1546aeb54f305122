"""What the monitor keeps: window detectors' states, partitions left out, and the registry as it came.

Law: states, position, alerts and closed windows are written in one transaction; who comes after a monitor that died
finds all of them or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.evidence import keyed
from pipeline.scoring.detector_contracts import WindowState
from pipeline.store.db import dialect, schema


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition has come, for the merged watermark.

    Attributes:
        partition_no: the store's number.
        event_time: its largest event time.
        updated_at: wall clock of its last batch.
        live: its source goes on for ever; a file has an end.
    """

    partition_no: int
    event_time: int
    updated_at: int
    live: bool


def partitions(connection: Connection) -> list[Progress]:
    """The partitions that ever had a vote."""
    p, s = schema.partition.c, schema.source.c
    rows = connection.execute(
        sa.select(p.partition_no, p.event_time, p.updated_at, s.name)
        .join_from(schema.partition, schema.source, p.source_no == s.source_no)
        .where(p.event_time.is_not(None))
        .order_by(p.partition_no)
    )
    return [Progress(no, event, updated, not name.startswith("file:")) for no, event, updated, name in rows]


def live_sources(connection: Connection) -> list[int]:
    """Numbers of the sources that have a broker behind them."""
    s = schema.source.c
    query = sa.select(s.source_no).where(s.name.not_like("file:%")).order_by(s.source_no)
    return list(connection.scalars(query))


def states(connection: Connection) -> dict[str, WindowState]:
    """What each window detector remembers as of the monitor's position."""
    c = schema.detector_state.c
    return {name: keyed.unpack(bytes(raw)) for name, raw in connection.execute(sa.select(c.detector, c.state))}


def write_states(connection: Connection, after: Mapping[str, WindowState]) -> None:
    """Put each state in the place of the one before."""
    rows = [{"detector": name, "state": keyed.pack(state)} for name, state in sorted(after.items())]
    dialect.upsert(connection, schema.detector_state, ["detector"], rows)


def leave_out(connection: Connection, partitions: Iterable[int], first: int, end: int) -> None:
    """Windows that start in [first, end) are closed without these partitions; stretches that touch become one."""
    c = schema.left_out.c
    for part in sorted(partitions):
        grown = connection.execute(
            sa.update(schema.left_out).where(c.partition_no == part, c.end == first).values(end=end)
        )
        if not grown.rowcount:
            connection.execute(schema.left_out.insert(), {"partition_no": part, "first": first, "end": end})


def left_out(connection: Connection, first: int, end: int) -> list[tuple[int, int, int]]:
    """(partition, first, end) of every stretch of left-out windows that touches [first, end)."""
    c = schema.left_out.c
    query = sa.select(c.partition_no, c.first, c.end).where(c.first < end, c.end > first)
    return [(int(part), int(a), int(b)) for part, a, b in connection.execute(query.order_by(c.partition_no, c.first))]


def last_votes(connection: Connection, before: int) -> int | None:
    """The start of the last window before a time that holds an accepted vote."""
    c = schema.window.c
    query = sa.select(c.start).where(c.start < before, c.accepted > 0).order_by(c.start.desc()).limit(1)
    start: int | None = connection.scalar(query)
    return start
