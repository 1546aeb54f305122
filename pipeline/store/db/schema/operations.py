"""Facts about the store, operators' tokens, leases, and the outbox."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, numbered

# Facts about the store: its id, a check of its pseudonym key, times of events, the mark of stale windows.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

# Permits decisions over HTTP. Only the hash is stored; revoked tokens stay listed.
token = Table(
    "token",
    metadata,
    numbered("token_no"),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("made_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Text),
    Column("revoked_reason", Text),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# Messages that must still reach a topic: written with the batch, deleted when the broker has acknowledged them.
outbox = Table(
    "outbox",
    metadata,
    numbered("outbox_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
)
