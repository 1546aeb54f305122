"""Defines the tables of registry events and their rejects, and of sweeps."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, UniqueConstraint

from pipeline.store.db.schema.base import metadata, not_null, numbered

registry_event = Table(
    "registry_event",
    metadata,
    numbered("event_no"),
    Column("event_id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    *not_null(Text, "type", "body"),
)

# Records of a registry topic that are no events; events that contradict others are in registry_event.
registry_reject = Table(
    "registry_reject",
    metadata,
    Column("source", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("appended_at", BigInteger, nullable=False),
    *not_null(Text, "reason", "detail"),
    Column("origin", Text),
    *not_null(LargeBinary, "sha256", "sample"),
    sqlite_with_rowid=False,
)

# A sweep's position in e-LOND's stream of hypotheses. The same log and registry are submitted once.
sweep = Table(
    "sweep",
    metadata,
    numbered("sweep_no"),
    *not_null(BigInteger, "log_size", "event_no"),
    # families of hypotheses and discoveries, before this sweep and after it
    *not_null(BigInteger, "submitted_before", "rejected_before", "submitted", "rejected"),
    # wall clock, for people
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("log_size", "event_no"),
)
