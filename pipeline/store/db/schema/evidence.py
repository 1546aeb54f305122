"""What is remembered of voters and windows, and which snapshot it was judged by."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata

# What all voter detectors remember of a voter, in one row (stream/states.py): a row a detector would cost as many
# times as much to write.
voter_state = Table(
    "voter_state",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("voter", BigInteger, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Which snapshot gave the probabilities for a partition's votes, from which offset on.
in_force = Table(
    "in_force",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("from_offset", BigInteger, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One row a five-minute window and partition; `counts` is a compressed array (stream/windows.py).
window = Table(
    "window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    Column("partition_no", BigInteger, primary_key=True),
    Column("accepted", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

closed_window = Table(
    "closed_window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    Column("accepted", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# What a window detector remembers as of the monitor's position: named arrays (evidence/keyed.py).
detector_state = Table(
    "detector_state",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Partitions without events that windows were closed without: those starting in [first, end) hold none of their votes.
left_out = Table(
    "left_out",
    metadata,
    Column("partition_no", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("end", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# How far the monitor has come: every window that starts before `position` is closed.
position = Table(
    "position",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
