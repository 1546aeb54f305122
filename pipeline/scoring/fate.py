"""Decides the fate of a vote by its times: accepted, late or quarantined.

The watermark of a partition is its event time minus the allowed lateness. The event time is the largest min(cast_at,
appended_at) of the votes so far. A vote that was cast before the watermark is late. A vote that is dated more than five
minutes after the time at which it was appended is quarantined, and does not move the watermark. No clock is read. Fates
do not depend on how the votes are split into batches.

`stream.deduplication` decides the fate duplicate, and `events.decode` the fate rejected.
"""

from collections.abc import Mapping

import numpy as np

from pipeline.events import VoteBatch
from pipeline.vocabulary.arrays import Int8, Int64
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import MINUTE

MAX_AHEAD = 5 * MINUTE
"""Microseconds by which `cast_at` may exceed the append time, because clocks differ.

A vote whose `cast_at` is further ahead is quarantined.
"""


def window_times(batch: VoteBatch, fate: Int8, event_time: Mapping[int, int | None]) -> Int64:
    """Return for each vote a time that decides in which window it counts: int64[n], microseconds since 1970 UTC.

    The vote counts in the window that contains this time. The time is `cast_at`, except for a late vote that was read
    from a topic, since the window of its `cast_at` may be closed. Such a vote counts in the window of the largest
    min(cast_at, appended_at) that its partition has had up to this vote. A late vote that was read from a file counts
    at `cast_at`. If such votes counted in the newest window, an old file that is read today would look like a burst of
    votes today.

    Args:
        batch: all n votes of a batch, sorted by partition, then by offset.
        fate: int8[n], the fates from `assign_fate`.
        event_time: partition number (partition_no) → the largest min(cast_at, appended_at) before the batch; None
            before the first vote of the partition.
    """
    times = batch.cast_at.copy()
    for part in np.unique(batch.partition[(fate == LATE) & ~batch.of_file]).tolist():
        rows = np.flatnonzero((batch.partition == part) & (fate != QUARANTINED))
        newest = np.maximum.accumulate(np.minimum(batch.cast_at[rows], batch.appended_at[rows]))
        known = event_time.get(part)
        late = (fate[rows] == LATE) & ~batch.of_file[rows]
        times[rows[late]] = np.maximum(newest, newest[0] if known is None else known)[late]
    return times


def assign_fate(
    batch: VoteBatch, event_time: Mapping[int, int | None], lateness: int
) -> tuple[Int8, dict[int, int | None]]:
    """Decide the fate of each vote by its times: accepted, late or quarantined.

    A vote is late if it was cast before the watermark of its partition. All earlier votes of the partition that are not
    quarantined move the watermark. Duplicates move it too. Which of two equal votes on different partitions is
    the duplicate depends on the order of arrival, and a fate must not depend on this order.

    Args:
        batch: n votes, duplicates included, sorted by partition, then by offset.
        event_time: partition number (partition_no) → the largest min(cast_at, appended_at) so far; None before the
            first vote of the partition. The mapping is not changed.
        lateness: microseconds by which the watermark trails the event time.

    Returns:
        Two values: int8[n], the fate of each vote as a position in FATES; and `event_time` after the batch.
    """
    fate = np.zeros(len(batch), dtype=np.int8)
    fate[batch.cast_at > batch.appended_at + MAX_AHEAD] = QUARANTINED
    after = dict(event_time)
    for part in np.unique(batch.partition).tolist():
        rows = np.flatnonzero((batch.partition == part) & (fate != QUARANTINED))
        if not len(rows):
            continue
        newest = np.maximum.accumulate(np.minimum(batch.cast_at[rows], batch.appended_at[rows]))
        known = event_time.get(part)
        start = np.iinfo(np.int64).min + lateness if known is None else known
        before = np.maximum(np.append(start, newest[:-1]), start)
        fate[rows[batch.cast_at[rows] < before - lateness]] = LATE
        after[part] = int(max(newest[-1], start))
    return fate, after
