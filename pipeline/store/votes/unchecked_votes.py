"""Counts unchecked votes: votes that were read before the first snapshot, so that no detector evaluated them.

A snapshot comes into force at the beginning of a batch. So the number of these votes follows from the table of batches,
without reading the votes.
"""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.partitions import all_next_offsets


def count_unchecked(connection: Connection, ends: Mapping[int, int] | None = None) -> int:
    """Count the accepted and late votes for which no snapshot was in force.

    Args:
        connection: reads the store.
        ends: the store's number of a partition → the offset before which votes are counted; default: all votes.
    """
    b, f = schema.batch.c, schema.in_force.c
    first = {
        int(part): int(offset)
        for part, offset in connection.execute(
            sa.select(f.partition_no, sa.func.min(f.from_offset)).group_by(f.partition_no)
        )
    }
    total = 0
    for part, end in (all_next_offsets(connection) if ends is None else ends).items():
        until = min(end, first.get(part, end))
        query = sa.select(sa.func.sum(b.accepted + b.late)).where(b.partition_no == part, b.first_offset < until)
        total += int(connection.scalar(query) or 0)
    return total
