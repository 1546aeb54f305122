"""Computes window counts again from the stored votes, after a migration has marked them stale.

`integrity migrate` runs this job after the migrations, with the database role that owns the tables. Workers, the
monitor and `replay` raise an error if the windows are stale (`store.votes.stale_windows`). These processes do not
rebuild the windows, for two reasons. Their database roles may not delete rows, and if many of them start together, only
one should count all votes.

The rebuild is one transaction, so the windows stay stale if it is interrupted. The result equals the counts of the
workers: all votes before each partition's next offset are counted, and each is evaluated by its snapshot in force. A
late vote from a topic counts in the window that contains the newest event time up to this vote, because the window of
its own time may have been closed.
"""

import hashlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from pipeline.evidence import Reference
from pipeline.scoring import window_counter
from pipeline.scoring.sittings import voter_number
from pipeline.store import Store
from pipeline.store.boards.reference_codec import read_reference
from pipeline.store.votes import dictionary, partitions, snapshots_in_force, stale_windows, window_counts
from pipeline.store.votes.arrow_reader import BATCH_ROWS, read_batch, to_numpy
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import NO_TIME


def rebuild_windows(store: Store) -> int:
    """Rebuild the window counts if they are stale.

    Returns the number of windows that were rebuilt, 0 if none was stale.
    """
    with store.write() as connection:
        if not stale_windows.clear(connection):
            return 0
        _count_all(connection)
        return window_counts.count_windows(connection)


def _count_all(connection: Connection) -> None:
    terms = dictionary.terms_of_kind(connection, "network")
    networks = {number: window_counter.network_hash(text) for number, text in terms.items()}
    reference = cache(lambda sequence: read_reference(connection, sequence))
    files = partitions.file_partitions(connection)
    for part, end in partitions.all_next_offsets(connection).items():
        _count(connection, part, end, _WindowTimes(part in files), networks, reference)


class _WindowTimes:
    """Finds for each vote of a partition the time whose window counts it, as `scoring.fate.window_times` does."""

    def __init__(self, of_file: bool) -> None:
        self._of_file = of_file
        self._newest = np.iinfo(np.int64).min

    def take(self, batch: pa.RecordBatch) -> tuple[Int64, Bool]:
        """Return for each of n votes the time whose window counts it, and whether it is late (`WindowVotes.late`).

        Returns:
            int64[n], microseconds since 1970 UTC; and bool[n].
        """
        cast, fate = to_numpy(batch, "cast_at"), to_numpy(batch, "fate")
        appended = batch["appended_at"].cast(pa.int64()).to_numpy()
        newest = np.maximum(np.maximum.accumulate(np.minimum(cast, appended)), self._newest)
        self._newest = int(newest[-1]) if len(newest) else self._newest
        late = (fate == LATE) & (not self._of_file)
        return np.where(late, newest, cast), late


def _count(
    connection: Connection,
    part: int,
    end: int,
    times: _WindowTimes,
    networks: dict[int, int],
    reference: Callable[[int], Reference | None],
) -> None:
    known = snapshots_in_force.periods(connection, part)
    before = known[0][0] if known else end
    for sequence, start, stop in [(0, 0, before), *snapshots_in_force.split_range(known, 0, end)]:
        in_force = reference(sequence) if sequence else None
        for low in range(start, stop, BATCH_ROWS):
            batch = read_batch(connection, part, low, min(low + BATCH_ROWS, stop))
            if len(batch):
                counted = window_counter.count_votes(_counted(part, batch, times, networks, in_force), in_force)
                window_counts.add_counts(connection, counted)


def _counted(
    part: int, batch: pa.RecordBatch, times: _WindowTimes, networks: dict[int, int], in_force: Reference | None
) -> window_counter.WindowVotes:
    """Return a batch of stored votes in the form that a worker counts.

    Quarantined votes belong to no window, nor do votes that the method of the snapshot in force leaves out.
    """
    batch = batch.filter(pc.not_equal(batch["fate"], QUARANTINED))
    at, late = times.take(batch)
    if in_force is not None and in_force.left_out:
        counts = to_numpy(batch, "flags") & in_force.left_out == 0
        batch, at, late = batch.filter(pa.array(counts)), at[counts], late[counts]
    column = {name: to_numpy(batch, name) for name in ("cast_at", "model_a", "model_b", "network", "voter")}
    sides = [hashlib.sha256(one.encode()).digest()[31] & 1 for one in batch["vote_id"].to_pylist()]
    since = pc.fill_null(batch["voter_since"].cast(pa.int64()), NO_TIME).to_numpy()
    return window_counter.WindowVotes(
        np.full(len(batch), part, dtype=np.int64),
        at,
        late,
        np.column_stack([column["model_a"], column["model_b"]]).astype(np.int64),
        to_numpy(batch, "outcome").astype(np.int8),
        np.array(sides, dtype=np.uint8),
        window_counter.account_cohorts(column["cast_at"], since),
        np.array([networks.get(number, -1) for number in column["network"].tolist()], dtype=np.int64),
        np.array([int(text[8:], 16) if int(text, 16) else -1 for text in batch["prompt"].to_pylist()], dtype=np.int64),
        np.where(column["voter"] == 0, 0, voter_number(column["voter"])),
    )
