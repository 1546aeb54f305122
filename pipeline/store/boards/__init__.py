"""Boards: snapshots, exclusions, verdicts, audits' inputs, erasure."""
