"""Alerts and their lifecycle, the outbox, operators' tokens."""
