"""Partitions of the sources: the owner of each partition, and how far it is read.

Laws: the database has the truth about how far a partition is read. `claim` raises the partition's epoch; `fence` is the
first statement of every batch and fails for a former owner. Each batch leaves one row in the ledger of offsets, in the
transaction that writes its votes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Fenced
from pipeline.store.db import dialect, schema


@dataclass(frozen=True, slots=True)
class PartitionClaim:
    """A partition that this worker owns now.

    Attributes:
        partition_no: the store's number of the partition.
        number: the source's number of the partition.
        next_offset: the next offset to read.
        epoch: number of this claim; a batch of a former owner, with a lower epoch, fails.
        event_time: the largest event time so far, None before the first vote.
        state_offset: the stored voter states cover the votes before this offset.
        fresh: True if the partition was never read before.
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
    """The progress of one partition by one batch: a row of the ledger of offsets."""

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
    """How far a partition has come, for the merged watermark.

    Attributes:
        partition_no: the store's number of the partition.
        event_time: the largest event time of its votes.
        updated_at: wall clock of its last batch.
        live: True if its source has a broker and so does not end, unlike a file.
        finished: True if the partition is of files and no reading is unfinished.
    """

    partition_no: int
    event_time: int
    updated_at: int
    live: bool
    finished: bool = False


def register_source(connection: Connection, name: str) -> int:
    """Return the store's number of a source; a new source gets one."""
    connection.execute(dialect.insert_or_ignore(connection, schema.source, "name"), {"name": name})
    number = connection.scalar(sa.select(schema.source.c.source_no).where(schema.source.c.name == name))
    return int(number)  # type: ignore[arg-type]  # the row was just put there


def live_sources(connection: Connection) -> list[int]:
    """Return the numbers of the sources that have a broker."""
    s = schema.source.c
    query = sa.select(s.source_no).where(s.name.not_like("file:%")).order_by(s.source_no)
    return list(connection.scalars(query))


def is_file(source: str) -> bool:
    """Return whether a source consists of files; in earlier versions each file was a source, `file:…`."""
    return source.startswith("file:")


def file_partitions(connection: Connection) -> set[int]:
    """Return the store's numbers of the partitions that are files."""
    p, s = schema.partition.c, schema.source.c
    query = sa.select(p.partition_no).join(schema.source, s.source_no == p.source_no).where(s.name.like("file:%"))
    return set(connection.scalars(query))


def end_frozen_transactions(connection: Connection, source_no: int, numbers: Iterable[int]) -> None:
    """End transactions that have locked one of these partitions for more than 3 s; their batches are rolled back.

    A worker that is frozen in the middle of a COPY is not idle: no timeout of PostgreSQL ends its transaction
    (statement and transaction timeouts wait for the client's next message), and the partition's next owner would wait
    without end. Nothing is lost: the caller is the owner now, and the other batch would be fenced.
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
    """Make a worker the owner of a partition; from then on batches of its former owner fail.

    Args:
        first: the offset to begin at if the partition was never read.
        owner: the new owner's name, for people.
        now: wall clock in microseconds.
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
    """Move a partition's next offset on, if this worker still owns the partition.

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
    """Return the error of a worker that no longer owns a partition."""
    return Fenced(f"partition {partition_no}, epoch {epoch}: another worker owns it now")


def record_batch(connection: Connection, progress: Iterable[BatchProgress]) -> None:
    """Add a batch to the ledger of offsets."""
    rows = [
        {name: getattr(p, name) for name in p.__slots__ if name != "event_time"}  # the partition has it
        for p in progress
    ]
    connection.execute(schema.batch.insert(), rows)


def next_offsets(connection: Connection, source_no: int) -> dict[int, int]:
    """Return the source's number of each of its partitions → next offset to read."""
    c = schema.partition.c
    rows = connection.execute(sa.select(c.number, c.next_offset).where(c.source_no == source_no))
    return {int(number): int(offset) for number, offset in rows}


def all_next_offsets(connection: Connection) -> dict[int, int]:
    """Return for every partition: its number in the store → the next offset to read."""
    p = schema.partition.c
    rows = connection.execute(sa.select(p.partition_no, p.next_offset).order_by(p.partition_no))
    return {int(part): int(offset) for part, offset in rows}


def last_votes(connection: Connection, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return the store's number of a partition → offset and append time of its last vote, where it has one."""
    v = schema.vote.c
    found = {}
    for part in partitions:
        query = sa.select(v.offset, v.appended_at).where(v.partition_no == part).order_by(v.offset.desc()).limit(1)
        for offset, appended_at in connection.execute(query):
            found[part] = (int(offset), int(appended_at))
    return found


def read_progress(connection: Connection) -> list[PartitionProgress]:
    """Return the progress of the partitions that ever had a vote."""
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
