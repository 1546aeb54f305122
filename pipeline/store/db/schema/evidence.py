"""Defines the tables of detector states, of windows, and of the snapshots in force.

Detectors compare a vote with the ratings of one snapshot. This is the vote's snapshot in force.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from pipeline.store.db.schema.base import metadata, not_null, primary_key

# The states of all voter detectors for a voter in one row: a row for each would multiply the cost of writing.
voter_state = Table(
    "voter_state",
    metadata,
    *primary_key(BigInteger, "partition_no", "voter"),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# The snapshot whose probabilities are in force for a partition's votes, from an offset on.
in_force = Table(
    "in_force",
    metadata,
    *primary_key(BigInteger, "partition_no", "from_offset"),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One row for each five-minute window and partition; `counts` and `voters` are packed by scoring/window_codec.py.
window = Table(
    "window",
    metadata,
    *primary_key(BigInteger, "start", "partition_no"),
    *not_null(Integer, "accepted", "late"),
    Column("counts", LargeBinary, nullable=False),
    Column("voters", LargeBinary),
    sqlite_with_rowid=False,
)

# One row for each five-minute window with issued battles: their counts (compressed JSON) and their keys of 8 bytes.
issued_window = Table(
    "issued_window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    *not_null(Integer, "battles"),
    *not_null(LargeBinary, "counts", "battle_keys"),
    sqlite_with_rowid=False,
)

closed_window = Table(
    "closed_window",
    metadata,
    Column("start", BigInteger, primary_key=True),
    *not_null(Integer, "accepted", "late"),
    sqlite_with_rowid=False,
)

# The state of a window detector as of the monitor's position: named arrays packed by evidence.
detector_state = Table(
    "detector_state",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Windows starting in [first, end) were closed without the votes of an idle partition.
left_out = Table(
    "left_out",
    metadata,
    *primary_key(BigInteger, "partition_no", "first"),
    Column("end", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# `monitor`: every window that starts before `position` is closed. `registry:<topic>`, `battles:<topic>`: the next
# offset to read.
position = Table(
    "position", metadata, Column("name", Text, primary_key=True), Column("position", BigInteger, nullable=False)
)
