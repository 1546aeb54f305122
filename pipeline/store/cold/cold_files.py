"""Reads from the tables which archive files hold which votes, and opens them.

The archive has the votes of the first leaves of the log. None of these votes is in the hot tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import MissingKey
from pipeline.store.cold.archive_file import ArchiveFile, Chunks
from pipeline.store.db import dialect, schema
from pipeline.store.db.archive_folder import ArchiveFolder

LOCK = 0xA2C1
"""Number of the lock that a transaction holds while it moves votes to the archive or changes archived votes."""

OPTION = "archive"
"""Name of the SQLAlchemy execution option that has the archive of the store, on each connection of the store."""


@dataclass(frozen=True, slots=True)
class ColdFile:
    """An archive file, as its row describes it.

    Attributes:
        file_no: number of the file.
        sha256: SHA-256 of the file, its name.
        data_key: the key of the file, encrypted with the archive key.
        chunks: the directory of the file's chunks.
        first_leaf, next_leaf: the file's segments have the leaves [first_leaf, next_leaf), retractions included.
    """

    file_no: int
    sha256: str
    data_key: bytes
    chunks: Chunks
    first_leaf: int
    next_leaf: int

    def open(self, folder: ArchiveFolder) -> ArchiveFile:
        """Open the file; see `ArchiveFile.open`."""
        return ArchiveFile.open(folder, self.sha256, self.data_key, self.chunks)


def archive_of(connection: Connection) -> ArchiveFolder:
    """Return the archive of the store to which a connection belongs."""
    found: ArchiveFolder = connection.get_execution_options()[OPTION]
    return found


def any_archived(connection: Connection) -> bool:
    """Return whether any vote is archived."""
    return connection.scalar(sa.select(schema.cold_file.c.file_no).limit(1)) is not None


def archived_leaves(connection: Connection) -> int:
    """Return how many leaves of the log have archived votes. These are the first leaves of the log."""
    return int(connection.scalar(sa.select(sa.func.max(schema.cold_file.c.next_leaf))) or 0)


def holds(connection: Connection, part: int, first: int, end: int) -> bool:
    """Return whether some offsets in [first, end) of a partition are archived."""
    r = schema.cold_range.c
    query = sa.select(r.file_no).where(r.partition_no == part, r.first_offset < end, r.next_offset > first)
    return connection.scalar(query.limit(1)) is not None


def files_of_range(connection: Connection, part: int, first: int, end: int) -> list[ColdFile]:
    """Return the files with votes at offsets [first, end) of a partition, in the order of their offsets."""
    r = schema.cold_range.c
    numbers = sa.select(r.file_no).where(r.partition_no == part, r.first_offset < end, r.next_offset > first)
    found = list(connection.scalars(numbers.order_by(r.first_offset)))
    by_number = {one.file_no: one for one in _read(connection, schema.cold_file.c.file_no.in_(found))} if found else {}
    return [by_number[number] for number in dict.fromkeys(found)]


def files_of_time(connection: Connection, first_at: int | None = None, end_at: int | None = None) -> list[ColdFile]:
    """Return the files that have votes cast in [first_at, end_at), oldest first; None is no limit."""
    f = schema.cold_file.c
    after = sa.true() if first_at is None else f.last_at >= first_at
    before = sa.true() if end_at is None else f.first_at < end_at
    return _read(connection, sa.and_(after, before)) if any_archived(connection) else []


def _read(connection: Connection, which: sa.ColumnElement[bool]) -> list[ColdFile]:
    f = schema.cold_file.c
    wanted = sa.select(f.file_no).where(which).limit(1)
    if connection.scalar(wanted) is None:
        return []
    if not dialect.may_read(connection, "cold_file", "data_key"):
        raise MissingKey(
            "expected a database role that may read the keys of archived votes, got another one: the votes that this "
            "needs are archived. Run it as integrity_rate, or as the owner of the tables, with the archive key"
        )
    query = sa.select(f.file_no, f.sha256, f.data_key, f.chunks, f.first_leaf, f.next_leaf).where(which)
    return [_file(row) for row in connection.execute(query.order_by(f.first_leaf))]


def _file(row: Any) -> ColdFile:
    chunks = Chunks.unpack(bytes(row.chunks))
    return ColdFile(row.file_no, row.sha256, bytes(row.data_key), chunks, int(row.first_leaf), int(row.next_leaf))


def count_archived(connection: Connection) -> int:
    """Return the number of archived votes."""
    return int(connection.scalar(sa.select(sa.func.sum(schema.cold_file.c.votes))) or 0)


def total_bytes(connection: Connection) -> int:
    """Return the size of all files of the archive that the tables name, in bytes."""
    tables = (schema.cold_file, schema.cold_ids)
    return sum(int(connection.scalar(sa.select(sa.func.sum(one.c.bytes))) or 0) for one in tables)


def names(connection: Connection) -> set[str]:
    """Return the SHA-256 of every file that the tables name: files of votes, and files of ids."""
    return {
        *connection.scalars(sa.select(schema.cold_file.c.sha256)),
        *connection.scalars(sa.select(schema.cold_ids.c.sha256)),
    }


def missing(connection: Connection) -> list[str]:
    """Return what this process lacks to read archived votes: files, as their paths, and the key."""
    folder = archive_of(connection)
    found = [str(folder.path(digest)) for digest in sorted(names(connection)) if not folder.path(digest).exists()]
    needs_key = any_archived(connection) and dialect.may_read(connection, "cold_file", "data_key")
    if needs_key and not folder.has_key():
        found.append("the archive key (INTEGRITY_ARCHIVE_KEY or archive.key)")
    return found


def delete_unnamed(connection: Connection) -> int:
    """Delete archive files that no row of the store names and that are older than an hour; return their number.

    Some of these files were left by a killed process. Others are old versions that an erasure or a new file of ids has
    replaced. The given transaction must begin after the replacing transaction has ended.
    """
    return archive_of(connection).delete_unnamed(names(connection))
