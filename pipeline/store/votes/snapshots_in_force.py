"""Records which snapshot evaluates the votes of a partition, and from which offset on (the snapshot in force).

A replay evaluates stored votes again with the recorded snapshots, never with the newest one. Votes at offsets before
the first recorded one were not evaluated.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema


def put_in_force(connection: Connection, partition_no: int, from_offset: int, sequence: int) -> None:
    """Put a snapshot in force for the votes of a partition from an offset on.

    Args:
        connection: the transaction.
        partition_no: the partition number of the store (partition_no).
        from_offset: the first offset whose vote the snapshot evaluates.
        sequence: sequence number of the snapshot.
    """
    connection.execute(
        schema.in_force.insert(),
        {"partition_no": partition_no, "from_offset": from_offset, "sequence": sequence},
    )


def newest_sequence(connection: Connection, partition_no: int) -> int:
    """Return the sequence number of the snapshot that will evaluate the next votes of a partition.

    The result is 0 if there is no such snapshot.
    """
    c = schema.in_force.c
    found = connection.scalar(sa.select(sa.func.max(c.sequence)).where(c.partition_no == partition_no))
    return int(found or 0)


def periods(connection: Connection, partition_no: int) -> list[tuple[int, int]]:
    """Return the snapshots that evaluate the votes of a partition, in the order of offsets.

    Returns:
        (first offset, sequence number of the snapshot) for each snapshot in force.
    """
    f = schema.in_force.c
    rows = connection.execute(
        sa.select(f.from_offset, f.sequence).where(f.partition_no == partition_no).order_by(f.from_offset)
    )
    return [(int(offset), int(sequence)) for offset, sequence in rows]


def split_range(given: Sequence[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Split a range of offsets where the snapshot that evaluates the votes changes.

    Args:
        given: the result of `periods`.
        first, end: the range of offsets [first, end).

    Yields:
        (sequence number of the snapshot, first offset, end offset), in the order of offsets. Offsets before the first
        period are left out, because no snapshot evaluates their votes.
    """
    ends = [*(offset for offset, _ in given[1:]), end][: len(given)]
    for (start, sequence), stop in zip(given, ends, strict=True):
        if max(start, first) < min(stop, end):
            yield sequence, max(start, first), min(stop, end)
