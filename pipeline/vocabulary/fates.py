"""The fates of a record that was read from a source."""

FATES = ("accepted", "late", "quarantined")
"""Fates of a stored vote; its code is the position here."""

ACCEPTED, LATE, QUARANTINED = range(len(FATES))

COUNTED = (ACCEPTED, LATE)
"""Fates of the votes that count, in the raw and in the defended view."""

RECORD_FATES = (*FATES, "duplicate", "rejected")
"""Fates of every record: a duplicate or a rejected record is no stored vote."""
