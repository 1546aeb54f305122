"""Names the fates that a record can have, and their codes."""

FATES = ("accepted", "late", "quarantined")
"""Fates of a stored vote. The code of a fate is its position here."""

ACCEPTED, LATE, QUARANTINED = range(len(FATES))

COUNTED = (ACCEPTED, LATE)
"""Fates of the votes that count, both in the raw and in the defended view."""

RECORD_FATES = (*FATES, "duplicate", "rejected")
"""All fates of a record. Duplicate and rejected records are not stored as votes."""
