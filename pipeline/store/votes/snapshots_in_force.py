"""Records which snapshot evaluates the votes of a partition, and from which offset on (the snapshot in force).

A replay uses these rows, never the newest snapshot. Votes before the first row were not evaluated.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema


def put_in_force(connection: Connection, partition_no: int, from_offset: int, sequence: int) -> None:
    """Put a snapshot in force for the votes of a partition from an offset on. `sequence` is the snapshot's number."""
    connection.execute(
        schema.in_force.insert(),
        {"partition_no": partition_no, "from_offset": from_offset, "sequence": sequence},
    )


def newest_sequence(connection: Connection, partition_no: int) -> int:
    """Return the number of the snapshot in force for the next votes of a partition, 0 if there is none."""
    c = schema.in_force.c
    found = connection.scalar(sa.select(sa.func.max(c.sequence)).where(c.partition_no == partition_no))
    return int(found or 0)


def periods(connection: Connection, partition_no: int) -> list[tuple[int, int]]:
    """Return (first offset, number of the snapshot) for each snapshot in force in a partition, sorted by offset."""
    f = schema.in_force.c
    rows = connection.execute(
        sa.select(f.from_offset, f.sequence).where(f.partition_no == partition_no).order_by(f.from_offset)
    )
    return [(int(offset), int(sequence)) for offset, sequence in rows]


def split_range(given: Sequence[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Split a range of offsets by the snapshots in force: those whose references evaluate the votes.

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
