"""Definitions and helpers that ledger and ratings share, such as outcomes, fates, array types and times."""
