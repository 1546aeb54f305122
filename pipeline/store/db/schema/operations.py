"""Facts about the store, operators' tokens, leases, and the outbox."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, numbered

# Facts about the store: its id, a check of its pseudonym key, times of events, the mark of stale windows.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

# Permits decisions over HTTP. Only the hash is stored; revoked tokens stay listed.
token = Table(
    "token",
    metadata,
    numbered("token_no"),
    *not_null(Text, "name", "scopes"),
    Column("sha256", Text, nullable=False, unique=True),
    *not_null(Text, "made_by", "reason"),
    *not_null(BigInteger, "made_at", "expires_at"),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Text),
    Column("revoked_reason", Text),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    *not_null(BigInteger, "epoch", "expires_at"),
)

# Messages that must still reach a topic: written with the batch, deleted when the broker has acknowledged them.
outbox = Table(
    "outbox",
    metadata,
    numbered("outbox_no"),
    Column("source_no", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    *not_null(LargeBinary, "key", "value"),
)
