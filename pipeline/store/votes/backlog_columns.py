"""Reads the columns of votes that the evaluation of a backlog needs.

A backlog is a set of votes that are evaluated together after they were cast. Accepted and late votes are read.
Quarantined and retracted votes are left out. The rows of a range of offsets are read as one CSV text, as in
`arrow_reader`, but with a third of its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.cold import cold_votes
from pipeline.store.db import dialect, schema
from pipeline.store.db.csv_query import csv_query
from pipeline.store.votes.arrow_reader import BATCH_ROWS, OffsetRange, next_vote
from pipeline.vocabulary.arrays import Int8, Int32, Int64
from pipeline.vocabulary.fates import QUARANTINED
from pipeline.vocabulary.large_arrays import join_large, keep
from pipeline.vocabulary.time import NO_TIME

_COLUMNS = {
    "offset": "integer", "voter": "integer", "cast_at": "integer", "model_a": "integer", "model_b": "integer",
    "outcome": "integer", "network": "integer", "voter_since": "maybe_integer", "fate": "integer",
    "prompt": "integer", "session": "integer", "style": "maybe_bytes",
}  # fmt: skip
_TYPES = {name: pa.int64() for name in ("offset", "voter", "cast_at", "voter_since", "prompt", "session")}
_TYPES["style"] = pa.string()
STYLE_FEATURES = 5
"""Number of style features that are compared: tokens, headers, lists, bold words and emoji."""


@dataclass(frozen=True)
class BacklogColumns:
    """Holds n votes of a backlog as columns of length n, in the order of partitions and offsets.

    Attributes:
        partition: partition numbers (partition_no).
        offset: offsets of the votes in their partitions.
        voter: pseudonyms, 0 for a vote without a voter.
        at: event times, in microseconds since 1970 UTC.
        model_a, model_b: model numbers of the store (model_no).
        outcome: indices into OUTCOMES.
        network: term number (term_no) of the network, 0 for none.
        since: time at which the voter's account was made, in microseconds since 1970 UTC; NO_TIME if unknown.
        prompt: hashes of the prompts, 0 for a vote without a prompt.
        session: keyed hashes of the sessions, 0 for a vote without a session.
        style: int8[n, STYLE_FEATURES]. 1 if answer a has more of the feature, −1 if answer b has more. 0 if both have
            the same amount, or if the vote does not state it.
    """

    partition: Int32
    offset: Int64
    voter: Int64
    at: Int64
    model_a: Int32
    model_b: Int32
    outcome: Int8
    network: Int32
    since: Int64
    prompt: Int64
    session: Int64
    style: Int8

    def take(self, rows: Int64) -> BacklogColumns:
        """Return the votes at the given indices, int64[m], in the order of these indices."""
        return BacklogColumns(*(keep(getattr(self, one.name)[rows]) for one in fields(self)))

    def kept(self) -> BacklogColumns:
        """Return the same votes in arrays that may be mapped files instead of memory (`vocabulary.large_arrays`)."""
        return BacklogColumns(*(keep(getattr(self, one.name)) for one in fields(self)))


def read_columns(
    connection: Connection, ranges: Sequence[OffsetRange], progress: Callable[[int], None] = lambda _: None
) -> BacklogColumns:
    """Read the accepted and late votes in some ranges of offsets. Retracted votes are left out.

    Args:
        connection: reads the store.
        ranges: (partition_no, first offset, end) of each range.
        progress: a function that is called with the number of votes of each block that was read.
    """
    blocks = [_empty()]
    for part, first, end in ranges:
        retracted = _retracted(connection, part)
        query = csv_query(connection, _COLUMNS, "vote")
        for low in _starts(connection, part, first, end):
            high = min(low + BATCH_ROWS, end)
            tables = [_from_archive(cold_votes.read_rows(connection, part, low, high))]
            data = dialect.fetch_bytes(connection, query, (part, low, high))
            for table in [*tables, _parse(data)] if data else tables:
                if len(table):
                    blocks.append(_select(table, part, retracted).kept())
                    progress(len(blocks[-1].voter))
    names = [one.name for one in fields(BacklogColumns)]
    return BacklogColumns(*(join_large([getattr(block, name) for block in blocks]) for name in names))


def _starts(connection: Connection, part: int, first: int, end: int) -> Iterator[int]:
    """Yield the first offset of each block that may have votes. Long gaps between offsets are skipped."""
    low = first
    while low < end:
        found = next_vote(connection, part, low, end)
        if found is None:
            return
        yield int(found)
        low = int(found) + BATCH_ROWS


def _retracted(connection: Connection, part: int) -> Int64:
    r = schema.retraction.c
    found = connection.scalars(sa.select(r.offset).where(r.partition_no == part))
    return np.array(sorted(found), dtype=np.int64)


def _parse(data: bytes) -> pa.Table:
    types = {name: _TYPES.get(name, pa.int32()) for name in _COLUMNS}
    return arrow_csv.read_csv(
        pa.py_buffer(data),
        read_options=arrow_csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False, block_size=len(data) + 1),
        convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
    )


def _from_archive(rows: pa.RecordBatch) -> pa.Table:
    """Return archived votes (`vote_rows.ROWS`) with the columns that `_parse` returns."""
    style = pa.array([None if one is None else one.hex() for one in rows["style"].to_pylist()], pa.string())
    columns = [style if name == "style" else rows[name].cast(_TYPES.get(name, pa.int32())) for name in _COLUMNS]
    return pa.table(columns, names=list(_COLUMNS))


def _select(table: pa.Table, part: int, retracted: Int64) -> BacklogColumns:
    """Return the votes of a table that are neither quarantined nor retracted, in the order of their offsets."""
    table = table.combine_chunks()
    since = table["voter_since"].fill_null(NO_TIME).to_numpy()
    style = _compare_styles(table["style"].chunk(0))
    column = {name: table[name].to_numpy() for name in _COLUMNS if name not in ("voter_since", "style")}
    rows = np.flatnonzero((column["fate"] != QUARANTINED) & ~np.isin(column["offset"], retracted))
    rows = rows[np.argsort(column["offset"][rows], kind="stable")]
    return BacklogColumns(
        np.full(len(rows), part, dtype=np.int32), column["offset"][rows], column["voter"][rows],
        column["cast_at"][rows], column["model_a"][rows], column["model_b"][rows],
        column["outcome"][rows].astype(np.int8), column["network"][rows], since[rows], column["prompt"][rows],
        column["session"][rows], style[rows],
    )  # fmt: skip


def _compare_styles(texts: pa.StringArray) -> Int8:
    """Return int8[n, STYLE_FEATURES]: 1 if answer a has more of a feature, −1 if answer b has more, 0 otherwise.

    Args:
        texts: the style counts of both answers in hexadecimal digits, null for a vote without style counts.
    """
    found = np.zeros((len(texts), STYLE_FEATURES), dtype=np.int8)
    rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
    if len(rows):
        digits = "".join(texts.drop_null().to_pylist())
        counts = np.frombuffer(bytes.fromhex(digits), dtype="<i4").reshape(len(rows), 2, STYLE_FEATURES)
        known = (counts >= 0).all(axis=1)
        found[rows] = np.where(known, np.sign(counts[:, 0] - counts[:, 1]), 0)
    return found


def _empty() -> BacklogColumns:
    long, short = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    outcome, style = np.zeros(0, dtype=np.int8), np.zeros((0, STYLE_FEATURES), dtype=np.int8)
    return BacklogColumns(short, long, long, long, short, short, outcome, short, long, long, long, style)
