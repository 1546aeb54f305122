"""Keeps a packed copy of the newest sealed votes. A refresh reads the copy faster than single rows.

The copy has the columns of `newest_votes`. A refresh reads single rows only for segments that were sealed after the
copy was made. If more than a twentieth of the votes are not in the copy, the refresh stores the copy anew.

The copy names voters, so an erasure deletes it. A refresh that read votes before an erasure must not store these votes
after the erasure. The number of erasures is stored beside the copy. A refresh stores its copy only if this number has
not changed since it read the votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.store.log import newest_votes
from pipeline.store.log.newest_votes import NewestVotes, SealedRange
from pipeline.vocabulary.arrays import Int64

LEAST = 100_000
"""Fewer votes are not copied: to read them from their rows takes 0.1 s."""
_NAME = "newest"
# The copy is stored anew when this share of the votes is not in it.
_MOST_NEW = 0.05
_ENDS = b"segments"
_COLUMNS = {
    "position": pa.int64(), "voter": pa.int64(), "model_a": pa.int32(), "model_b": pa.int32(), "outcome": pa.int8(),
    "fate": pa.int8(), "flags": pa.int32(),
}  # fmt: skip


@dataclass(frozen=True)
class _Copy:
    """The votes of consecutive segments.

    Attributes:
        ends: for each segment, number of leaves of the log up to its end, ascending.
        rows: number of votes of each segment.
        votes: the votes in the order of the log.
    """

    ends: Int64
    rows: Int64
    votes: NewestVotes

    def of(self, wanted: Sequence[SealedRange]) -> _Copy | None:
        """Return the part of the copy that begins with the first wanted segment.

        Returns:
            None if the copy does not contain the first wanted segment, or if the last segment of the copy is not
                wanted.
        """
        ends = [one.log_size for one in wanted]
        first = int(np.searchsorted(self.ends, ends[0]))
        if int(self.ends[-1]) not in ends or self.ends[first] != ends[0]:
            return None
        votes = self.votes.since(int(self.rows[:first].sum()))
        return _Copy(self.ends[first:], self.rows[first:], votes)

    def plus(self, wanted: Sequence[SealedRange], fresh: newest_votes.SegmentVotes) -> _Copy:
        """Return the copy with the votes of further segments."""
        return _Copy(
            np.append(self.ends, [one.log_size for one in wanted]).astype(np.int64),
            np.append(self.rows, fresh.rows).astype(np.int64),
            self.votes.plus(fresh.votes),
        )

    def pack(self) -> bytes:
        """Return the copy as an Arrow stream. Positions are stored as differences, which compress well."""
        columns = {**vars(self.votes), "position": np.diff(self.votes.position, prepend=0)}
        facts = {_ENDS: np.stack([self.ends, self.rows]).astype("<i8").tobytes()}
        table = pa.schema(list(_COLUMNS.items()), metadata=facts)
        batch = pa.record_batch([pa.array(columns[name]).cast(kind) for name, kind in _COLUMNS.items()], schema=table)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    @classmethod
    def unpack(cls, raw: bytes) -> _Copy:
        """Return the copy that `pack` packed."""
        table = pa.ipc.open_stream(pa.BufferReader(raw)).read_all()
        columns = {name: table[name].to_numpy() for name in _COLUMNS}
        columns["position"] = np.cumsum(columns["position"])
        ends, rows = np.frombuffer((table.schema.metadata or {})[_ENDS], dtype="<i8").astype(np.int64).reshape(2, -1)
        return cls(ends, rows, NewestVotes(**columns))


def read_newest(connection: Connection, log_size: int, limit: int) -> NewestVotes:
    """Return the votes of the newest segments, as `newest_votes.read_newest` does, but mostly from the packed copy.

    The copy is stored anew if more than a twentieth of these votes are not in it.

    Args:
        connection: a write transaction.
        log_size: number of leaves of the log; later votes are not read.
        limit: the newest segments are read until they have this number of leaves.
    """
    wanted = newest_votes.newest_segments(connection, log_size, limit)
    if sum(one.leaves for one in wanted) < LEAST:
        return newest_votes.read_segments(connection, wanted).votes
    erasures, stored = _read(connection)
    kept = None if stored is None else stored.of(wanted)
    new = wanted if kept is None else [one for one in wanted if one.log_size > kept.ends[-1]]
    fresh = newest_votes.read_segments(connection, new)
    found = (kept or _NOTHING).plus(new, fresh)
    if len(fresh.votes.voter) > _MOST_NEW * len(found.votes.voter):
        _store(connection, found.pack(), erasures)
    return found.votes


def forget(connection: Connection) -> None:
    """Delete the packed copy of the newest votes.

    A refresh that read votes before this transaction ends cannot store its copy any more.
    """
    k = schema.kept_votes.c
    row = {"name": _NAME, "erasures": 1, "votes": None}
    changed = {"erasures": k.erasures + 1, "votes": None}
    added = dialect.insert(connection, schema.kept_votes).values(row)
    connection.execute(added.on_conflict_do_update(index_elements=["name"], set_=changed))


def _read(connection: Connection) -> tuple[int, _Copy | None]:
    """Return two values: the number of erasures when the copy was stored, and the copy.

    The second value is None if no copy is stored.
    """
    k = schema.kept_votes.c
    row = connection.execute(sa.select(k.erasures, k.votes).where(k.name == _NAME)).one_or_none()
    if row is None:
        return 0, None
    return int(row.erasures), None if row.votes is None else _Copy.unpack(bytes(row.votes))


def _store(connection: Connection, packed: bytes, erasures: int) -> None:
    k = schema.kept_votes.c
    row = {"name": _NAME, "erasures": 0, "votes": packed}
    added = dialect.insert(connection, schema.kept_votes).values(row)
    connection.execute(
        added.on_conflict_do_update(index_elements=["name"], set_={"votes": packed}, where=k.erasures == erasures)
    )


_NOTHING = _Copy(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), newest_votes.NOTHING)
