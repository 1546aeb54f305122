"""Counts unchecked votes: votes that were read before the first snapshot and that no `backfill` evaluated afterwards.

A backfill evaluates such votes by comparing voters with each other. A vote without a voter cannot be compared, so it
stays unchecked.

A snapshot comes into force at the beginning of a batch, and a backfill covers whole batches. The ledger of offsets is
therefore enough to count unchecked votes; the votes are not read.
"""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.arrow_reader import OffsetRange
from pipeline.store.votes.backlog_runs import RunForm, evaluated_until, evaluated_without_voter
from pipeline.store.votes.partitions import all_next_offsets


def unpreceded_ranges(connection: Connection, ends: Mapping[int, int] | None = None) -> list[OffsetRange]:
    """Return the ranges of offsets that were stored before the first snapshot came into force, sorted by partition.

    No snapshot evaluated the votes in these ranges.

    Args:
        connection: reads the store.
        ends: partition number (partition_no) → end. Offsets from the end on are ignored. None ignores no offset.

    Returns:
        (partition_no, 0, end) of each partition with such offsets.
    """
    f = schema.in_force.c
    query = sa.select(f.partition_no, sa.func.min(f.from_offset)).group_by(f.partition_no)
    first = {int(part): int(offset) for part, offset in connection.execute(query)}
    given = sorted((all_next_offsets(connection) if ends is None else ends).items())
    return [(part, 0, until) for part, end in given if (until := min(end, first.get(part, end))) > 0]


def unchecked_ranges(
    connection: Connection, ends: Mapping[int, int] | None = None, form: RunForm | None = None
) -> list[OffsetRange]:
    """Return the ranges of offsets whose votes neither a snapshot nor a backfill evaluated.

    Args:
        connection: reads the store.
        ends: partition number (partition_no) → end. Offsets from the end on are ignored. None ignores no offset.
        form: only backfills of this form count as evaluation; None for all forms.

    Returns:
        (partition_no, first offset, end) of each partition with such offsets.
    """
    done = evaluated_until(connection, form)
    ranges = unpreceded_ranges(connection, ends)
    return [(part, start, until) for part, _, until in ranges if (start := done.get(part, 0)) < until]


def count_votes(connection: Connection, ranges: list[OffsetRange]) -> int:
    """Return the number of accepted and late votes in some ranges of offsets.

    Args:
        connection: reads the store.
        ranges: (partition_no, first offset, end) of each range. A range must not begin or end within a batch.
    """
    b, total = schema.batch.c, 0
    for part, start, until in ranges:
        within = (b.partition_no == part, b.first_offset >= start, b.first_offset < until)
        total += int(connection.scalar(sa.select(sa.func.sum(b.accepted + b.late)).where(*within)) or 0)
    return total


def count_unchecked(connection: Connection, ends: Mapping[int, int] | None = None) -> int:
    """Count the accepted and late votes that neither a snapshot nor a backfill evaluated.

    A vote without a voter is counted even if a backfill read it, because no backfill can evaluate it.

    Args:
        connection: reads the store.
        ends: partition number (partition_no) → end. Offsets from the end on are ignored. None ignores no offset.
    """
    todo = count_votes(connection, unchecked_ranges(connection, ends))
    return todo + count_without_voter(connection, ends)


def count_without_voter(connection: Connection, ends: Mapping[int, int] | None = None) -> int:
    """Count the votes that the newest complete backfill read but could not evaluate, because they name no voter.

    Args:
        connection: reads the store.
        ends: partition number (partition_no) → end. Offsets from the end on are ignored. If an end is inside a range of
            the backfill, the result is an upper bound. None ignores no offset.
    """
    if not (found := evaluated_without_voter(connection)):
        return 0
    done, given = evaluated_until(connection), all_next_offsets(connection) if ends is None else ends
    read = [(part, 0, min(done.get(part, 0), end)) for part, end in sorted(given.items())]
    return min(found, count_votes(connection, read))
