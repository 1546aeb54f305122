"""Records readings of files: which records of which file were read, and at which offsets.

All files of a store form one partition. A reading is one pass over the new records of a file, in the order of time, at
consecutive offsets. At most the last reading of a partition is unfinished. For each offset, the store also keeps the
number of the record in its file, so that messages can name the record.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import schema
from pipeline.store.votes.ingest import VotePosition
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import pack_integers, unpack_integers


@dataclass(frozen=True, slots=True)
class FileReading:
    """Describes one pass over the new records of a file: its records [skipped, records).

    Attributes:
        number: the reading number (reading_no), 0 before it is stored.
        name: name of the file.
        skipped: number of records at the beginning of the file that earlier readings took.
        records: number of records from the beginning of the file to the end of this reading.
        digest: SHA-256 of the first `records` records; b"" for a reading that was abandoned.
        first_offset, next_offset: the offsets [first_offset, next_offset) of the reading in the partition.
        read_at: when the reading began, microseconds since 1970 UTC.
    """

    number: int
    name: str
    skipped: int
    records: int
    digest: bytes
    first_offset: int
    next_offset: int
    read_at: int


def read_readings(connection: Connection, partition_no: int) -> list[FileReading]:
    """Return the readings (passes over the new records of files) in a partition, in the order of their offsets."""
    r = schema.file_reading.c
    query = sa.select(schema.file_reading).where(r.partition_no == partition_no).order_by(r.reading_no)
    return [
        FileReading(
            row["reading_no"], row["name"], row["skipped"], row["records"], bytes(row["digest"]), row["first_offset"],
            row["next_offset"], row["read_at"],
        )
        for row in connection.execute(query).mappings()
    ]  # fmt: skip


def begin(
    connection: Connection, partition_no: int, next_offset: int, readings: Iterable[FileReading]
) -> list[FileReading]:
    """Store the readings that a worker is about to do. A reading is a pass over the new records of a file.

    The partition may have an unfinished reading that is not among `readings`. Such a reading is marked as abandoned: it
    ends at `next_offset`, and its digest becomes empty.

    Args:
        connection: the transaction.
        partition_no: the partition number of the store (partition_no).
        next_offset: next offset of the partition.
        readings: interrupted readings, which have numbers, and new ones.

    Returns:
        The given readings, in order. New readings have got numbers.
    """
    table, r = schema.file_reading, schema.file_reading.c
    going = list(readings)
    kept = [one.number for one in going if one.number]
    connection.execute(
        sa.update(table)
        .where(r.partition_no == partition_no, r.next_offset > next_offset, r.reading_no.not_in(kept))
        .values(next_offset=next_offset, digest=b"")
    )
    numbered = []
    for one in going:
        if not one.number:
            row = {name: getattr(one, name) for name in one.__slots__ if name != "number"}
            found = connection.execute(
                sa.insert(table).values(partition_no=partition_no, **row).returning(r.reading_no)
            )
            numbered.append(replace(one, number=int(found.scalar_one())))
        else:
            numbered.append(one)
    return numbered


def write_records(connection: Connection, partition_no: int, first: int, reading_no: int, records: Int64) -> None:
    """Store which records of a file are at the offsets of a batch.

    Args:
        connection: the transaction.
        partition_no: the partition number of the store (partition_no).
        first: first offset of the batch.
        reading_no: the reading number (reading_no).
        records: int64[n], numbers of the records in the file, at the offsets `first`, `first + 1`, and so on.
    """
    steps = np.diff(records, prepend=0)  # mostly 1, which compresses to nothing
    row = {
        "partition_no": partition_no,
        "first_offset": first,
        "reading_no": reading_no,
        "records": pack_integers(steps),
    }
    connection.execute(schema.file_records.insert(), row)


def name_places(connection: Connection, positions: Iterable[VotePosition]) -> dict[VotePosition, str]:
    """Name the file and the record at each position, for messages.

    Returns:
        Position (partition_no, offset) → name, such as "votes.jsonl#17". A position that belongs to no file is left
        out.
    """
    wanted: dict[int, list[int]] = {}
    for part, offset in positions:
        wanted.setdefault(part, []).append(offset)
    b, r = schema.file_records.c, schema.file_reading.c
    found: dict[VotePosition, str] = {}
    for part, offsets in wanted.items():
        for start in _starts(connection, part, offsets):
            query = sa.select(r.name, b.records).join_from(
                schema.file_records, schema.file_reading, b.reading_no == r.reading_no
            )
            name, packed = connection.execute(query.where(b.partition_no == part, b.first_offset == start)).one()
            records = np.cumsum(unpack_integers(bytes(packed)))
            inside = [offset for offset in offsets if 0 <= offset - start < len(records)]
            found |= {(part, offset): f"{name}#{records[offset - start]}" for offset in inside}
    return found


def _starts(connection: Connection, part: int, offsets: Iterable[int]) -> list[int]:
    """Return the first offset of each batch that contains one of the given offsets."""
    b = schema.file_records.c
    wanted = sorted(offsets)
    query = sa.select(b.first_offset).where(b.partition_no == part, b.first_offset <= wanted[-1])
    starts = list(connection.scalars(query.order_by(b.first_offset)))
    return sorted({starts[at - 1] for one in wanted if (at := bisect_right(starts, one))})
