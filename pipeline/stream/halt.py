"""Halts a worker permanently: the check for a replaced log, and the alert that explains the halt.

The alert is stored because nobody watches the output of a process that has ended.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from sqlalchemy.engine import Connection

from pipeline.errors import BrokerRefused, BrokerUnavailable, OffsetGap, TooManyRejects
from pipeline.scoring.signals import AlertSignal
from pipeline.store.alerting import alert_lifecycle
from pipeline.store.votes import partitions
from pipeline.stream.owned_partition import OwnedPartition
from pipeline.stream.retry import RetryPolicy
from pipeline.stream.source.event_source import Source, find_offset_gap


@contextmanager
def absence_endured() -> Iterator[None]:
    """Continue while the broker does not answer; end if it refuses us, since waiting would not help."""
    try:
        yield
    except BrokerRefused:
        raise
    except BrokerUnavailable:
        return


def check_log_unchanged(
    source: Source, retry: RetryPolicy, owned: Mapping[int, OwnedPartition], bounds: Mapping[int, tuple[int, int]]
) -> None:
    """Check that every partition continues the log that was read. A worker halts instead of resetting its offset.

    Args:
        retry: retry policy of the store.
        owned: the worker's partitions.
        bounds: first and next offset of each partition.

    Raises:
        OffsetGap: the next offset does not exist, or the record before it is not the record that was read.
        BrokerUnavailable: the broker does not answer.
    """
    for number, one in owned.items():
        if missing := find_offset_gap(source.name, number, one.next_offset, *bounds[number]):
            raise missing
    numbers = {one.claim.partition_no: number for number, one in owned.items()}
    last = retry.read(partial(partitions.last_votes, partitions=list(numbers)))
    read = {numbers[no]: place for no, place in last.items() if place[0] >= bounds[numbers[no]][0]}
    for number in source.replaced_partitions(read):
        raise OffsetGap(
            f"{source.name}, partition {number}: offset {read[number][0]} does not hold the record that was read "
            "there: the log was truncated and written to again"
        )


def open_halt_alert(
    connection: Connection,
    error: OffsetGap | TooManyRejects,
    source: str,
    owned: Mapping[int, OwnedPartition],
    now: int,
) -> None:
    """Open the alert `worker_halted` with the cause and the runbook.

    Args:
        owned: the worker's partitions; the alert names the first partition's next offset.
        now: wall clock in microseconds.
    """
    some = next(iter(owned.values()), None)
    raised = AlertSignal(
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
    alert_lifecycle.open_alerts(connection, [raised], {}, now)
