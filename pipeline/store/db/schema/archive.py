"""Defines the tables of the archive: which sealed votes left the database, and which files hold these votes.

The votes of an archive file are no longer in `vote`, their ids not in `vote_key`, their blinds not in `blind`.
"""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, numbered, primary_key

# A file with the votes of consecutive segments, and their blinds, encrypted (cold/archive_file.py). The files together
# hold the votes of the first leaves of the log, without a gap.
cold_file = Table(
    "cold_file",
    metadata,
    numbered("file_no"),
    Column("first_leaf", BigInteger, nullable=False, unique=True),
    *not_null(BigInteger, "next_leaf", "votes", "bytes"),
    Column("sha256", Text, nullable=False),
    # the key of this file, encrypted with the store's archive key; an erasure replaces both key and file
    Column("data_key", LargeBinary, nullable=False),
    # partition, offsets, votes and lengths of each chunk of the file (cold/archive_file.py)
    Column("chunks", LargeBinary, nullable=False),
    # of its votes: first and last time of casting
    *not_null(BigInteger, "first_at", "last_at"),
    Column("archived_at", BigInteger, nullable=False),
)

# The offsets of each partition in a file.
cold_range = Table(
    "cold_range",
    metadata,
    *primary_key(BigInteger, "partition_no", "first_offset"),
    *not_null(BigInteger, "file_no", "next_offset", "accepted", "late", "quarantined"),
    # append times of its first and its last vote, and the offset of the last
    *not_null(BigInteger, "first_appended_at", "last_appended_at", "last_offset"),
    # time of the newest vote that is not quarantined, and of the newest that is accepted; null without one
    Column("newest_at", BigInteger),
    Column("newest_accepted_at", BigInteger),
    sqlite_with_rowid=False,
)

# A file with sorted ids of archived votes (cold/id_file.py). An id is in one file.
cold_ids = Table(
    "cold_ids",
    metadata,
    numbered("run_no"),
    *not_null(BigInteger, "ids", "bytes"),
    Column("sha256", Text, nullable=False),
)
