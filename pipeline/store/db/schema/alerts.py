"""Defines the tables of alerts, of their history, of exclusions, and of incidents."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, numbered

alert = Table(
    "alert",
    metadata,
    Column("alert_id", Text, primary_key=True),
    *not_null(Text, "detector", "severity", "subject_kind", "subject", "direction", "state"),
    *not_null(BigInteger, "opened_at", "partition_no", "offset"),
    Column("level", Integer, nullable=False),
    Column("e_value", Double),
    Column("evidence", Text, nullable=False),
    # wall clock; a snoozed alert is open again from here on
    Column("snoozed_until", BigInteger),
    # event time at which its detector cleared it; it is not about votes after that
    Column("over_at", BigInteger),
    # names the voter to the public: made at random for this alert alone; null for an alert about something else
    Column("label", Text),
)
Index("ix_alert_subject", alert.c.detector, alert.c.subject, alert.c.direction)

# Every change of an alert, and by whom. Rows are never changed or deleted.
alert_event = Table(
    "alert_event",
    metadata,
    numbered("event_no"),
    Column("alert_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    *not_null(Text, "action", "name", "reason"),
)

# A dated list: an entry is undone by another one, never removed.
exclusion = Table(
    "exclusion",
    metadata,
    numbered("exclusion_no"),
    *not_null(Text, "action", "kind", "target", "reason", "name"),
    Column("at", BigInteger, nullable=False),
    Column("alert_id", Text),
    # names the voter to the public, as in the alert behind it; null for an exclusion of something else
    Column("label", Text),
)

# The incidents into which all alerts are grouped. Rows are derived: a new grouping replaces them all.
incident = Table(
    "incident",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("opened_at", BigInteger, nullable=False),
    # JSON without voters, networks and exact times, which the public may read; and JSON with them
    *not_null(Text, "body", "private"),
)

# One row: a JSON object from which one sees whether the incidents were made from the present alerts and decisions.
grouping = Table("grouping", metadata, Column("inputs", Text, primary_key=True))

# What people decided about incidents: splits, merges, notes, states. Rows are never changed or deleted.
incident_event = Table(
    "incident_event",
    metadata,
    numbered("event_no"),
    Column("incident_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    *not_null(Text, "action", "name", "reason"),
    # JSON: the ids of alerts that the decision is about
    Column("alerts", Text),
)
