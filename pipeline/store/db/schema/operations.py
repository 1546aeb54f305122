"""Defines the tables for the operation of a store: single values, operators' tokens and log, leases, and the outbox."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

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

# The operators' log: one row for each decision, login, failed login, token, export and erasure. The database refuses to
# change or delete a row (triggers of the migration that made the table).
operator_log = Table(
    "operator_log",
    metadata,
    numbered("entry_no"),
    Column("at", BigInteger, nullable=False),
    # who; how (api or cli); from where: a client's address, or the login and host of a command
    *not_null(Text, "operator", "via", "origin"),
    *not_null(Text, "action", "target", "reason"),
    # JSON; what the decision changed, null where there was nothing or is nothing
    Column("before", Text),
    Column("after", Text),
    # the role that wrote the row, set by PostgreSQL; null on SQLite
    Column("database_role", Text),
)
Index("ix_operator_log_action", operator_log.c.action, operator_log.c.at)

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
