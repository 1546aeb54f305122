"""Votes, duplicates, rejects, the dictionaries, and how far each partition is read."""

from __future__ import annotations

from sqlalchemy import (
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
from sqlalchemy.dialects.postgresql import UUID

from pipeline.store.db.schema.base import metadata, numbered

source = Table("source", metadata, numbered("source_no"), Column("name", Text, nullable=False, unique=True))

# One row for each partition: the truth about how far it is read. The epoch fences off a former owner.
partition = Table(
    "partition",
    metadata,
    numbered("partition_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
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
    Column("partition_no", BigInteger, primary_key=True),
    Column("first_offset", BigInteger, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("read", "accepted", "late", "quarantined", "duplicate", "rejected")
    ),
    sqlite_with_rowid=False,
)

vote = Table(
    "vote",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("vote_id", Text, nullable=False),
    Column("voter", BigInteger, nullable=False),
    Column("cast_at", BigInteger, nullable=False),
    Column("appended_at", BigInteger, nullable=False),
    Column("model_a", Integer, nullable=False),
    Column("model_b", Integer, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("fate", SmallInteger, nullable=False),
    Column("language", Integer, nullable=False),
    Column("category", Integer, nullable=False),
    Column("network", Integer, nullable=False),
    Column("prompt", BigInteger, nullable=False),
    Column("voter_since", BigInteger),
    Column("style", LargeBinary),
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
    Column("partition_no", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

duplicate = Table(
    "duplicate",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("first_partition_no", BigInteger, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("same_body", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

reject = Table(
    "reject",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("appended_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", Text),
    Column("sha256", LargeBinary, nullable=False),
    Column("sample", LargeBinary, nullable=False),
)

model = Table("model", metadata, numbered("model_no"), Column("name", Text, nullable=False, unique=True))

term = Table(
    "term",
    metadata,
    numbered("term_no"),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("kind", "text"),
)
