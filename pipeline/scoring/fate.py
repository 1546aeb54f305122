"""The fate that time gives a vote: accepted, late or quarantined.

Laws: no clock; the split of the votes into batches changes no fate; a quarantined vote does not move the watermark.

Not decided here: duplicate (`stream.deduplication`), rejected (`events.decode`).
"""

from collections.abc import Mapping

import numpy as np

from pipeline.events import VoteBatch
from pipeline.vocabulary.arrays import Int8, Int64
from pipeline.vocabulary.fates import LATE, QUARANTINED
from pipeline.vocabulary.time import MINUTE

MAX_AHEAD = 5 * MINUTE
"""Microseconds by which `cast_at` may exceed the append time (clocks differ); beyond that a vote is quarantined."""


def window_times(batch: VoteBatch, fate: Int8, event_time: Mapping[int, int | None]) -> Int64:
    """Return the time whose window counts each vote: `cast_at`, and for a late vote its partition's newest event time.

    The window of a late vote may be closed; the window of the newest event time is not. Late votes of files keep
    `cast_at`: a history that is read later is no burst of today.

    Args:
        batch: all votes of a batch, in the order (partition, offset).
        fate: fates from `assign_fate`.
        event_time: newest event time of each partition before the batch.
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
    """Return the fate of each vote, repeated votes included.

    A vote is late if it was cast before the watermark of its partition. The watermark at a vote follows from the votes
    before it, in offset order. Repeated votes move the watermark too: which of two equal votes on different partitions
    is the repeat depends on the order of arrival, and a fate must not.

    Args:
        batch: votes in the order (partition, offset).
        event_time: per partition, the largest min(cast_at, appended_at) so far; None before the first vote.
        lateness: microseconds by which the watermark trails the event time.

    Returns:
        int8[n] fates, and the new event times.
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
