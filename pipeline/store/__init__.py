"""Reads and writes everything that is stored: all SQL statements, and the ledger's files.

The same code works with SQLite and with PostgreSQL.

db         the database: opening a store, dialect, schema, migrations, key files, ledger files
cold       votes that left the database: encrypted files of votes, and files of sorted vote ids to search in
votes      votes as they were read, window counts, states of detectors, registry events
log        the public log: seals, segments, leaves, manifests, retractions
boards     snapshots, exclusions, verdicts of checks, queries for audits, erasure
alerting   alerts, the outbox, operators' tokens
read       read-only queries for the API, the exporter and readers' proofs

Each package imports only from packages above it in this list.
"""

from pipeline.store.db.engine import Store

__all__ = ["Store"]
