"""Records the owner of each partition of the sources, and how far the partition is read.

The database alone decides how far a partition is read. `claim` makes a worker the owner of a partition and raises its
epoch. `fence` is the first statement of every batch; it fails for a former owner, who has a lower epoch.

The table of batches is called the ledger of offsets. The transaction that writes the votes of a batch also adds one row
for each partition of the batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Fenced
from pipeline.store.cold import cold_votes
from pipeline.store.db import dialect, schema


@dataclass(frozen=True, slots=True)
class PartitionClaim:
    """Tells a worker where to continue in a partition that it owns now.

    Attributes:
        partition_no: the partition number of the store (partition_no).
        number: source's number of the partition.
        next_offset: the next offset to read.
        epoch: number of this claim. A batch of a former owner has a lower epoch and fails.
        event_time: the largest event time so far, in microseconds since 1970 UTC; None before the first vote.
        state_offset: the stored voter states include the votes before this offset.
        fresh: whether the partition was never claimed before.
    """

    partition_no: int
    number: int
    next_offset: int
    epoch: int
    event_time: int | None
    state_offset: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Describes what a batch read of one partition: a row of the ledger of offsets.

    Attributes:
        partition_no: the partition number of the store (partition_no).
        epoch: epoch of the partition's owner.
        first_offset, next_offset: the offsets [first_offset, next_offset) that were read.
        event_time: the largest event time of the partition's votes up to the end of the batch, in microseconds since
            1970 UTC; None before the first vote.
        read: number of records.
        accepted, late, quarantined, duplicate, rejected: number of records with each fate.
    """

    partition_no: int
    epoch: int
    first_offset: int
    next_offset: int
    event_time: int | None
    read: int
    accepted: int
    late: int
    quarantined: int
    duplicate: int
    rejected: int


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """Describes how far a partition was read. The merged watermark is computed from it.

    Attributes:
        partition_no: the partition number of the store (partition_no).
        event_time: the largest event time of its votes, in microseconds since 1970 UTC.
        updated_at: time of its last batch, in microseconds since 1970 UTC.
        live: True if the source is a topic, which has no end; False for a file.
        finished: True if the source is a file and all its readings are complete.
    """

    partition_no: int
    event_time: int
    updated_at: int
    live: bool
    finished: bool = False


def register_source(connection: Connection, name: str) -> int:
    """Return the number of a source in the store (source_no). A new source gets a number."""
    connection.execute(dialect.insert_or_ignore(connection, schema.source, "name"), {"name": name})
    number = connection.scalar(sa.select(schema.source.c.source_no).where(schema.source.c.name == name))
    return int(number)  # type: ignore[arg-type]  # the row was just put there


def live_sources(connection: Connection) -> list[int]:
    """Return the numbers (source_no) of the sources that are topics, not files, in ascending order."""
    s = schema.source.c
    query = sa.select(s.source_no).where(s.name.not_like("file:%")).order_by(s.source_no)
    return list(connection.scalars(query))


def is_file(source: str) -> bool:
    """Return whether a source consists of files. The name of such a source begins with `file:`."""
    return source.startswith("file:")


def file_partitions(connection: Connection) -> set[int]:
    """Return the partition numbers (partition_no) of the partitions whose source is a file."""
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no).join(schema.source, s.source_no == p.source_no).where(s.name.like("file:%"))
    return set(connection.scalars(query))


def end_frozen_transactions(connection: Connection, source_no: int, numbers: Iterable[int]) -> None:
    """End transactions that have locked one of these partitions for more than 3 s. Their batches are rolled back.

    Nothing is done on SQLite. A worker may freeze within a COPY. No timeout of PostgreSQL ends its transaction then,
    because timeouts take effect at the client's next message. The next owner of the partition would wait forever.
    Nothing is lost: the caller becomes the owner, and the frozen batch could not commit anyway.

    Args:
        connection: the transaction that will claim the partitions.
        source_no: the source number (source_no).
        numbers: the source's numbers of the partitions.
    """
    dialect.execute_on_server(
        connection,
        "SELECT pg_terminate_backend(l.pid) FROM partition p"
        " JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = p.xmax"
        " JOIN pg_stat_activity a ON a.pid = l.pid AND a.xact_start < clock_timestamp() - interval '3 seconds'"
        " WHERE p.source_no = :source_no AND p.number = ANY(:numbers)",
        {"source_no": source_no, "numbers": list(numbers)},
    )


def claim(connection: Connection, source_no: int, number: int, first: int, owner: str, now: int) -> PartitionClaim:
    """Make a worker the owner of a partition. From then on, batches of its former owner fail.

    Args:
        connection: the transaction.
        source_no: the source number (source_no).
        number: the source's number of the partition.
        first: the offset to begin at if the partition was never claimed before.
        owner: name of the new owner, for display.
        now: present time in microseconds since 1970 UTC.

    Returns:
        The claim, which says where the worker continues.
    """
    table = schema.partition
    statement = dialect.insert(connection, table).values(
        source_no=source_no,
        number=number,
        next_offset=first,
        epoch=1,
        owner=owner,
        sealed_offset=first,
        state_offset=first,
        updated_at=now,
    )
    upsert = statement.on_conflict_do_update(
        index_elements=["source_no", "number"], set_={"epoch": table.c.epoch + 1, "owner": owner}
    ).returning(table.c.partition_no, table.c.next_offset, table.c.epoch, table.c.event_time, table.c.state_offset)
    partition_no, next_offset, epoch, event_time, state_offset = connection.execute(upsert).one()
    return PartitionClaim(partition_no, number, next_offset, epoch, event_time, state_offset, fresh=epoch == 1)


def fence(connection: Connection, progress: BatchProgress, now: int) -> None:
    """Move a partition's next offset to the end of a batch, if this worker still owns the partition.

    Args:
        connection: the transaction.
        progress: what the batch read of the partition.
        now: present time in microseconds since 1970 UTC.

    Raises:
        Fenced: another worker claimed the partition, or these offsets are stored already.
    """
    table = schema.partition
    moved = connection.execute(
        sa.update(table)
        .where(
            table.c.partition_no == progress.partition_no,
            table.c.epoch == progress.epoch,
            table.c.next_offset <= progress.first_offset,
        )
        .values(next_offset=progress.next_offset, event_time=progress.event_time, updated_at=now)
    )
    if moved.rowcount != 1:
        raise fenced(progress.partition_no, progress.epoch)


def fenced(partition_no: int, epoch: int) -> Fenced:
    """Return the error to raise in a worker that no longer owns a partition.

    Args:
        partition_no: the partition number of the store (partition_no).
        epoch: number of the worker's claim.
    """
    return Fenced(f"partition {partition_no}, epoch {epoch}: another worker owns it now")


def record_batch(connection: Connection, progress: Iterable[BatchProgress]) -> None:
    """Add a batch to the ledger of offsets, one row for each partition."""
    rows = [
        {name: getattr(p, name) for name in p.__slots__ if name != "event_time"}  # the partition has it
        for p in progress
    ]
    connection.execute(schema.batch.insert(), rows)


def next_offsets(connection: Connection, source_no: int) -> dict[int, int]:
    """Return a source's next offsets to read: number of a partition in the source → offset."""
    c = schema.partition.c
    rows = connection.execute(sa.select(c.number, c.next_offset).where(c.source_no == source_no))
    return {int(number): int(offset) for number, offset in rows}


def all_next_offsets(connection: Connection) -> dict[int, int]:
    """Return the next offset to read of every partition, as partition number (partition_no) → offset."""
    p = schema.partition.c
    rows = connection.execute(sa.select(p.partition_no, p.next_offset).order_by(p.partition_no))
    return {int(part): int(offset) for part, offset in rows}


def newest_event_time(connection: Connection) -> int:
    """Return the largest event time in all partitions, in microseconds since 1970 UTC; 0 without votes."""
    return int(connection.scalar(sa.select(sa.func.max(schema.partition.c.event_time))) or 0)


def ranges_since(connection: Connection, since: int) -> list[tuple[int, int, int]]:
    """Return the ranges of offsets that contain all votes cast at `since` or later.

    A range begins at the first such vote of a partition. Later votes in it may be older, because votes are not in order
    of time.

    Args:
        connection: reads the store.
        since: the time, in microseconds since 1970 UTC.

    Returns:
        (partition_no, first offset, next offset) of each partition with such a vote.
    """
    v, found, cold = schema.vote.c, [], cold_votes.first_since(connection, since)
    for part, end in all_next_offsets(connection).items():
        query = sa.select(sa.func.min(v.offset)).where(v.partition_no == part, v.cast_at >= since)
        firsts = [cold.get(part), connection.scalar(query)]
        if any(first is not None for first in firsts):
            found.append((part, min(int(first) for first in firsts if first is not None), end))
    return found


def last_votes(connection: Connection, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return the offset and the append time of the last vote of each partition.

    Returns:
        Partition number (partition_no) → (offset, append time in microseconds since 1970 UTC). A partition without a
        vote is left out.
    """
    v, r = schema.vote.c, schema.cold_range.c
    found = {}
    for part in partitions:
        query = sa.select(v.offset, v.appended_at).where(v.partition_no == part).order_by(v.offset.desc()).limit(1)
        archived = sa.select(r.last_offset, r.last_appended_at).where(r.partition_no == part)
        # A hot vote comes after all archived ones of its partition.
        for one in (archived.order_by(r.first_offset.desc()).limit(1), query):
            for offset, appended_at in connection.execute(one):
                found[part] = (int(offset), int(appended_at))
    return found


def read_progress(connection: Connection) -> list[PartitionProgress]:
    """Return how far each partition is read. Partitions without a vote are left out."""
    p, s, r = schema.partition.c, schema.source.c, schema.file_reading.c
    unfinished = sa.exists().where(r.partition_no == p.partition_no, r.next_offset > p.next_offset)
    rows = connection.execute(
        sa.select(p.partition_no, p.event_time, p.updated_at, s.name, unfinished.label("unfinished"))
        .join_from(schema.partition, schema.source, p.source_no == s.source_no)
        .where(p.event_time.is_not(None))
        .order_by(p.partition_no)
    )
    return [
        PartitionProgress(no, event, updated, not is_file(name), is_file(name) and not unfinished)
        for no, event, updated, name, unfinished in rows
    ]
