"""Why a worker stops for good, and what it leaves behind: nobody watches a process that has ended."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from pipeline.alerts import Raised
from pipeline.errors import OffsetGap, TooManyRejects
from pipeline.store import alerts
from pipeline.stream.commit import Owned


def leave_alert(
    connection: Connection, error: OffsetGap | TooManyRejects, source: str, owned: Mapping[int, Owned], now: int
) -> None:
    """Open the alert `worker_halted`, with what happened and the runbook.

    Args:
        owned: the worker's partitions; the alert stands at the first one's next offset.
        now: wall clock in microseconds.
    """
    some = next(iter(owned.values()), None)
    raised = Raised(
        detector="worker_halted",
        subject_kind="board",
        subject=source,
        direction="offset_gap" if isinstance(error, OffsetGap) else "too_many_rejects",
        severity="critical",
        e_value=None,
        level=1,
        partition=some.claim.partition_no if some else 0,
        offset=some.next_offset if some else 0,
        at=some.event_time if some and some.event_time is not None else now,
        evidence={"what": str(error), "runbook": f"deploy/runbooks/{error.runbook}.md"},
    )
    alerts.write(connection, [raised], {}, now)
