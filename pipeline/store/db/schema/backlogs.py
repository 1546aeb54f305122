"""Defines the tables of backlog evaluations.

A backlog has the votes from before the first snapshot, or the votes of the last weeks.
"""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, numbered, primary_key

# An evaluation by cross-fitting, and its position in e-LOND's sequence of hypotheses.
backlog_run = Table(
    "backlog_run",
    metadata,
    numbered("run_no"),
    # kind: `backfill` or `reevaluate`; form: `iterated` or `nested`; fold_key identifies the key of the folds;
    # summary: what was found, as JSON
    *not_null(Text, "kind", "form", "fold_key", "summary"),
    *not_null(Integer, "rounds", "nested_rounds"),
    *not_null(BigInteger, "votes", "voters"),
    # families of hypotheses and discoveries, before this run and after it
    *not_null(BigInteger, "submitted_before", "rejected_before", "submitted", "rejected"),
    # wall clock, for people
    Column("at", BigInteger, nullable=False),
)

# The votes at offsets [first_offset, next_offset) of a partition were read by a run; the summary marks a complete run.
backlog_range = Table(
    "backlog_range",
    metadata,
    *primary_key(BigInteger, "run_no", "partition_no"),
    *not_null(BigInteger, "first_offset", "next_offset"),
    sqlite_with_rowid=False,
)
