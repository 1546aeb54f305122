"""Alerts with their history, and exclusions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text

from pipeline.store.db.schema.base import metadata, numbered

alert = Table(
    "alert",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("detector", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("partition_no", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("e_value", Double),
    Column("evidence", Text, nullable=False),
    # wall clock; a snoozed alert is open again from here on
    Column("snoozed_until", BigInteger),
    # event time at which its detector cleared it; it is not about votes after that
    Column("over_at", BigInteger),
)
Index("ix_alert_subject", alert.c.detector, alert.c.subject, alert.c.direction)

# Every change of an alert, and by whom. Rows are never changed or deleted.
alert_event = Table(
    "alert_event",
    metadata,
    numbered("event_no"),
    Column("alert_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# A dated list: an entry is undone by another one, never removed.
exclusion = Table(
    "exclusion",
    metadata,
    numbered("exclusion_no"),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("alert_id", Text),
)
