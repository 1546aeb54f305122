"""Defines the tables of stored votes, duplicates and rejects, and of reading positions.

The tables `model` and `term` are the dictionary: they give each name a number, which the other tables store instead of
the name. The tables `partition`, `batch` and `file_reading` record how far each partition and each file is read.
"""

from sqlalchemy import (
    UUID,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from pipeline.store.db.schema.base import metadata, not_null, numbered, primary_key

source = Table("source", metadata, numbered("source_no"), Column("name", Text, nullable=False, unique=True))

# One row for each partition: the truth about how far it is read. The epoch fences off a former owner.
partition = Table(
    "partition",
    metadata,
    numbered("partition_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    *not_null(BigInteger, "next_offset", "epoch"),
    Column("owner", Text, nullable=False),
    # max over its events of min(cast, append); the watermark is this minus the lateness
    Column("event_time", BigInteger),
    Column("sealed_offset", BigInteger, nullable=False),
    # the stored voter states cover the votes before it; the next owner replays the votes after it
    Column("state_offset", BigInteger, nullable=False),
    # wall clock of the last batch, for idle partitions and the staleness alert
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("source_no", "number"),
)

# The ledger of offsets: one row for each batch, beginning where the one before ended.
batch = Table(
    "batch",
    metadata,
    *primary_key(BigInteger, "partition_no", "first_offset"),
    *not_null(BigInteger, "next_offset", "epoch"),
    *not_null(Integer, "read", "accepted", "late", "quarantined", "duplicate", "rejected"),
    sqlite_with_rowid=False,
)

vote = Table(
    "vote",
    metadata,
    *primary_key(BigInteger, "partition_no", "offset"),
    Column("vote_id", Text, nullable=False),
    *not_null(BigInteger, "voter", "cast_at", "appended_at"),
    *not_null(Integer, "model_a", "model_b"),
    *not_null(SmallInteger, "outcome", "fate"),
    *not_null(Integer, "language", "category", "network"),
    Column("prompt", BigInteger, nullable=False),
    Column("voter_since", BigInteger),
    Column("style", LargeBinary),
    # what the vote states (vocabulary/vote_flags.py); 0 where it states nothing
    Column("flags", Integer, nullable=False, server_default="0"),
    Column("turn", Integer, nullable=False, server_default="0"),
    # a keyed hash, as the voter's
    Column("session", BigInteger, nullable=False, server_default="0"),
    # the term of a list of all its categories in JSON, 0 where it has none besides `category`
    Column("categories", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
# An excluded voter's votes are looked up by voter.
Index("ix_vote_voter", vote.c.voter, vote.c.partition_no, vote.c.offset)

# The id of every stored vote as 128 bits: this unique key decides duplicates. It is no UUID; that is PostgreSQL's type
# for 16 bytes that are compared as bytes.
vote_key = Table(
    "vote_key",
    metadata,
    Column("key", LargeBinary().with_variant(UUID(), "postgresql"), primary_key=True),
    *not_null(BigInteger, "partition_no", "offset"),
    sqlite_with_rowid=False,
)

duplicate = Table(
    "duplicate",
    metadata,
    *primary_key(BigInteger, "partition_no", "offset"),
    *not_null(BigInteger, "first_partition_no", "first_offset"),
    Column("same_body", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

reject = Table(
    "reject",
    metadata,
    *primary_key(BigInteger, "partition_no", "offset"),
    Column("appended_at", BigInteger, nullable=False),
    *not_null(Text, "reason", "detail"),
    Column("origin", Text),
    *not_null(LargeBinary, "sha256", "sample"),
)

# What was read of which file, at which offsets. All files are one partition.
file_reading = Table(
    "file_reading",
    metadata,
    numbered("reading_no"),
    Column("partition_no", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    *not_null(BigInteger, "skipped", "records", "first_offset", "next_offset", "read_at"),
    # SHA-256 over the first `records` records of the file; empty where the reading was given up
    Column("digest", LargeBinary, nullable=False),
)

# The record numbers at the offsets of a batch, as differences packed by vocabulary/packing.py.
file_records = Table(
    "file_records",
    metadata,
    *primary_key(BigInteger, "partition_no", "first_offset"),
    Column("reading_no", BigInteger, nullable=False),
    Column("records", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

model = Table("model", metadata, numbered("model_no"), Column("name", Text, nullable=False, unique=True))

term = Table("term", metadata, numbered("term_no"), *not_null(Text, "kind", "text"), UniqueConstraint("kind", "text"))
