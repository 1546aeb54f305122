"""Which snapshot's probabilities are in force for a partition's votes, from which offset on.

Law: replay reads these rows, never "the latest snapshot"; votes before the first row have no evidence.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema


def put_in_force(connection: Connection, partition_no: int, from_offset: int, sequence: int) -> None:
    """Put a snapshot in force for a partition's votes from an offset on."""
    connection.execute(
        schema.in_force.insert(),
        {"partition_no": partition_no, "from_offset": from_offset, "sequence": sequence},
    )


def newest_sequence(connection: Connection, partition_no: int) -> int:
    """Return the sequence number of the snapshot in force for a partition's next votes; 0 for none."""
    c = schema.in_force.c
    found = connection.scalar(sa.select(sa.func.max(c.sequence)).where(c.partition_no == partition_no))
    return int(found or 0)


def periods(connection: Connection, partition_no: int) -> list[tuple[int, int]]:
    """Return (from_offset, sequence) of every snapshot that was put in force for a partition, in order."""
    f = schema.in_force.c
    rows = connection.execute(
        sa.select(f.from_offset, f.sequence).where(f.partition_no == partition_no).order_by(f.from_offset)
    )
    return [(int(offset), int(sequence)) for offset, sequence in rows]


def split_range(given: Sequence[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield [first, end) split by `periods`: (sequence, first, end). Offsets before the first period are left out."""
    ends = [*(offset for offset, _ in given[1:]), end][: len(given)]
    for (start, sequence), stop in zip(given, ends, strict=True):
        if max(start, first) < min(stop, end):
            yield sequence, max(start, first), min(stop, end)
