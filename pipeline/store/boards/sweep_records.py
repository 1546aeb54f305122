"""Records how many hypotheses each sweep tested, so that e-LOND can bound the share of false alerts over all sweeps.

e-LOND tests hypotheses one after another, and its state is the number of hypotheses tested and rejected so far. A sweep
may be repeated with the same log size and the same registry events. Its hypotheses then count once, because the
repeated sweep starts from the same state as the first one.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.evidence.multiple_testing import ELond
from pipeline.store.db import dialect, schema

_LOCK = 0x5EE9


def state_before(connection: Connection, log_size: int, event_no: int, alpha: float) -> ELond:
    """Wait until no other sweep runs, then return the state of e-LOND with which this sweep starts.

    Normally this is the state after the newest recorded sweep. There is one exception: if a sweep with this log size
    and these registry events is recorded already, the state with which that sweep started is returned.

    Args:
        connection: the transaction of the sweep. It holds a lock until its end.
        log_size: number of leaves of the vote log that the sweep audits.
        event_no: number of the newest registry event.
        alpha: upper bound of the expected share of false discoveries (FDR) over all sweeps.
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
    """Store the states of e-LOND before and after a sweep.

    A repeated sweep of the same log size and registry is not stored.

    Args:
        connection: the transaction of the sweep.
        log_size: number of leaves of the vote log that the sweep audited.
        event_no: number of the newest registry event.
        start, end: the states of e-LOND before and after the sweep.
        now: present time in microseconds since 1970 UTC.
    """
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
