"""Records of sweeps: the hypotheses submitted to e-LOND, which bounds false discoveries over all sweeps.

Law: the same log and registry are submitted once; a sweep that repeats them starts from the same state.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.evidence.multiple_testing import ELond
from pipeline.store.db import dialect, schema

_LOCK = 0x5EE9


def state_before(connection: Connection, log_size: int, event_no: int, alpha: float) -> ELond:
    """Return the state of e-LOND before a sweep over a log of this size and this many registry events.

    Waits for the end of another sweep's transaction.
    """
    dialect.lock(connection, _LOCK)
    s = schema.sweep.c
    same = connection.execute(
        sa.select(s.submitted_before, s.rejected_before).where(s.log_size == log_size, s.event_no == event_no)
    ).one_or_none()
    newest = connection.execute(sa.select(s.submitted, s.rejected).order_by(s.sweep_no.desc()).limit(1)).one_or_none()
    submitted, rejected = same or newest or (0, 0)
    return ELond(alpha, int(submitted), int(rejected))


def record_sweep(connection: Connection, log_size: int, event_no: int, start: ELond, end: ELond, now: int) -> None:
    """Store the e-LOND counts before and after a sweep, unless this log and registry have a record."""
    s = schema.sweep.c
    known = connection.scalar(sa.select(s.sweep_no).where(s.log_size == log_size, s.event_no == event_no))
    if known is None:
        connection.execute(
            schema.sweep.insert(),
            {
                "log_size": log_size,
                "event_no": event_no,
                "submitted_before": start.submitted,
                "rejected_before": start.rejected,
                "submitted": end.submitted,
                "rejected": end.rejected,
                "at": now,
            },
        )
