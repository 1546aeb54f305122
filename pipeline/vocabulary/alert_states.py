"""Names the states that an alert can have."""

ALERT_STATES = ("open", "acknowledged", "snoozed", "appealed", "resolved")
