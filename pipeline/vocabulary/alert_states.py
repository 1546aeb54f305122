"""The states of an alert."""

ALERT_STATES = ("open", "acknowledged", "snoozed", "appealed", "resolved")
