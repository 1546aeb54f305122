"""What keeps a store running: facts about it, who may decide, who is at work, what must still be sent."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, numbered

# Facts about the store itself: its id, a check of the key that made its pseudonyms.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

# Whoever shows one may decide over HTTP. Only its hash is kept; a revoked one stays listed.
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

# What must still reach a topic: written with the batch, removed when the broker has it.
outbox = Table(
    "outbox",
    metadata,
    numbered("outbox_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
)
