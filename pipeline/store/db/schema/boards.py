"""Defines the tables of snapshots, verdicts of the expectation suites, held publications and correction notices."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, numbered, primary_key

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

# What a refresh prepares for readers, as compressed JSON; `store.boards.prepared_answers` says what is kept.
prepared = Table(
    "prepared",
    metadata,
    *primary_key(Text, "kind", "name"),
    Column("snapshot_id", Text, nullable=False),
    *not_null(BigInteger, "event_no", "prepared_at"),
    Column("body", LargeBinary, nullable=False),
)

snapshot_row = Table(
    "snapshot_row",
    metadata,
    *primary_key(Text, "snapshot_id", "view", "model"),
    *not_null(Double, "rating", "lower", "upper"),
    *not_null(Integer, "rank", "rank_best", "rank_worst"),
    Column("votes", BigInteger, nullable=False),
)

# A candidate that a person must release, because it moves the top of the board too far.
publication_hold = Table(
    "publication_hold",
    metadata,
    Column("snapshot_id", Text, primary_key=True),
    # sequence of the snapshot that it would follow
    Column("after", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    # JSON: the moves that are too far
    Column("moves", Text, nullable=False),
    Column("released_at", BigInteger),
    Column("released_by", Text),
    Column("released_reason", Text),
)

# Correction notices: dated notes of a named person on a published snapshot. Rows are never changed or deleted.
notice = Table(
    "notice",
    metadata,
    numbered("notice_no"),
    Column("sequence", BigInteger, nullable=False),
    *not_null(Text, "snapshot_id", "text", "name"),
    Column("at", BigInteger, nullable=False),
)
