"""Snapshots, and the verdicts that let them be published."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata

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
    Column("snapshot_id", Text, primary_key=True),
    Column("view", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("rating", Double, nullable=False),
    Column("lower", Double, nullable=False),
    Column("upper", Double, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("rank_best", Integer, nullable=False),
    Column("rank_worst", Integer, nullable=False),
    Column("votes", BigInteger, nullable=False),
)
