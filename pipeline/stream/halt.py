"""Halts a worker: checks whether the log of a partition was replaced, and opens the alert that explains the halt.

The alert is stored, because nobody watches the output of a process that has ended.
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
    """Suppress BrokerUnavailable within a `with` block, because the broker may return.

    BrokerRefused is still raised.
    """
    try:
        yield
    except BrokerRefused:
        raise
    except BrokerUnavailable:
        return


def check_log_unchanged(
    source: Source, retry: RetryPolicy, owned: Mapping[int, OwnedPartition], bounds: Mapping[int, tuple[int, int]]
) -> None:
    """Check that each owned partition is still the log that was read, and that its next offset is available.

    Args:
        source: the source of the partitions.
        retry: runs transactions of the store, with retries.
        owned: source's number of a partition → the worker's partition.
        bounds: source's number of a partition → (first available offset, next offset to be written).

    Raises:
        OffsetGap: the next offset is not available, or the last vote that was read is no longer at its offset.
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
    """Open the alert `worker_halted`, which says why a worker stopped and names the runbook.

    Args:
        connection: the transaction.
        error: the cause of the halt.
        source: name of the source.
        owned: source's number of a partition → the worker's partition. The alert states the next offset of the first
            partition.
        now: present time in microseconds since 1970 UTC.
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
