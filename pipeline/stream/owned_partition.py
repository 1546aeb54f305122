"""Claims the partitions of a worker in the store, and keeps what the worker must know about each."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from pipeline.store.votes import partitions, snapshots_in_force, stale_windows


@dataclass
class OwnedPartition:
    """A partition that this worker owns, and how far it is stored.

    Attributes:
        claim: the state of the partition when it was claimed.
        next_offset: the next offset to store.
        event_time: the largest event time of the partition so far, in microseconds since 1970 UTC; None before the
            first vote.
        snapshot: sequence number of the snapshot in force, with which the next votes are compared; 0 if there is none.
    """

    claim: partitions.PartitionClaim
    next_offset: int
    event_time: int | None
    snapshot: int


def claim_partitions(
    connection: Connection, source_no: int, bounds: Mapping[int, tuple[int, int]], owner: str, now: int
) -> dict[int, OwnedPartition]:
    """Make a worker the owner of partitions. From then on, batches of the former owners fail.

    In PostgreSQL, transactions that have locked one of these partitions for more than 3 s are ended first.

    Args:
        connection: the transaction.
        source_no: the number of the source in the store (source_no).
        bounds: source's number of a partition → (first available offset, next offset to be written).
        owner: the name of the worker, for display.
        now: present time in microseconds since 1970 UTC.

    Returns:
        Source's number of a partition → the owned partition.

    Raises:
        StoreUnavailable: a migration marked the window counts as stale.
    """
    stale_windows.expect_current(connection)
    owned = {}
    partitions.end_frozen_transactions(connection, source_no, bounds)
    for number in sorted(bounds):
        claim = partitions.claim(connection, source_no, number, bounds[number][0], owner, now)
        snapshot = snapshots_in_force.newest_sequence(connection, claim.partition_no)
        owned[number] = OwnedPartition(claim, claim.next_offset, claim.event_time, snapshot)
    return owned


def skip_offsets(connection: Connection, owned: OwnedPartition, end: int, now: int) -> None:
    """Move the next offset of a partition over offsets that have no record, such as transaction markers.

    Args:
        connection: the transaction.
        owned: the partition, which this worker owns.
        end: the new next offset.
        now: present time in microseconds since 1970 UTC.

    Raises:
        Fenced: another worker claimed the partition.
    """
    progress = partitions.BatchProgress(
        owned.claim.partition_no, owned.claim.epoch, owned.next_offset, end, owned.event_time, 0, 0, 0, 0, 0, 0
    )
    partitions.fence(connection, progress, now)
    partitions.record_batch(connection, [progress])
