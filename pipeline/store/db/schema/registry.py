"""Registry events and their rejects, and sweeps."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, UniqueConstraint

from pipeline.store.db.schema.base import metadata, numbered

registry_event = Table(
    "registry_event",
    metadata,
    numbered("event_no"),
    Column("event_id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
)

# Records of a registry topic that are no events; events that contradict others are in registry_event.
registry_reject = Table(
    "registry_reject",
    metadata,
    Column("source", Text, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("appended_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("origin", Text),
    Column("sha256", LargeBinary, nullable=False),
    Column("sample", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# A sweep's position in e-LOND's stream of hypotheses. The same log and registry are submitted once.
sweep = Table(
    "sweep",
    metadata,
    numbered("sweep_no"),
    Column("log_size", BigInteger, nullable=False),
    Column("event_no", BigInteger, nullable=False),
    # families of hypotheses and discoveries, before this sweep and after it
    Column("submitted_before", BigInteger, nullable=False),
    Column("rejected_before", BigInteger, nullable=False),
    Column("submitted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    # wall clock, for people
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("log_size", "event_no"),
)
