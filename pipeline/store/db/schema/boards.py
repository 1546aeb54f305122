"""Snapshots, and the verdicts that let them be published."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, primary_key

verdict = Table(
    "verdict",
    metadata,
    Column("verdict_id", Text, primary_key=True),
    Column("suite", Text, nullable=False),
    Column("log_size", BigInteger, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("results", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# A candidate has no sequence; publishing gives it one. UNIQUE(previous) makes a fork impossible.
snapshot = Table(
    "snapshot",
    metadata,
    Column("snapshot_id", Text, primary_key=True),
    Column("work_key", Text, nullable=False, unique=True),
    Column("log_size", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("reference", LargeBinary, nullable=False),
    Column("rated_at", BigInteger, nullable=False),
    Column("sequence", BigInteger, unique=True),
    Column("previous", Text, unique=True),
    Column("digest", Text, unique=True),
    Column("published_at", BigInteger),
)

snapshot_row = Table(
    "snapshot_row",
    metadata,
    *primary_key(Text, "snapshot_id", "view", "model"),
    *not_null(Double, "rating", "lower", "upper"),
    *not_null(Integer, "rank", "rank_best", "rank_worst"),
    Column("votes", BigInteger, nullable=False),
)
