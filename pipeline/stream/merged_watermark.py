"""Merges the watermarks of all partitions into the event time up to which windows are complete."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.store.votes.partitions import PartitionProgress


@dataclass(frozen=True, slots=True)
class MergedWatermark:
    """States the event time up to which windows are complete.

    Attributes:
        at: microseconds since 1970 UTC, None before the first vote.
        idle: partition numbers (partition_no) of idle partitions that are behind the watermark and were left out.
    """

    at: int | None
    idle: tuple[int, ...] = ()


def merged_watermark(
    known: Sequence[PartitionProgress], lateness: int, idle_after: int, now: int, floor: int | None = None
) -> MergedWatermark:
    """Compute the merged watermark of all partitions by the rules in the docstring of `window_monitor`.

    Args:
        known: all partitions that ever had a vote.
        lateness: microseconds by which a watermark is behind the event time.
        idle_after: microseconds without an event after which a partition is idle.
        now: present time in microseconds since 1970 UTC.
        floor: end of the closed windows; the result is never before it. None if no window is closed.
    """
    if known and all(p.finished for p in known):
        at = max(p.event_time for p in known)
        return MergedWatermark(at if floor is None else max(at, floor))
    known = [p for p in known if not p.finished]
    active = [p for p in known if now - p.updated_at <= idle_after]
    idle = [p for p in known if now - p.updated_at > idle_after]
    # Sources whose newest votes were recent when they were read. A log of old votes has ended, it is not silent.
    live = [p for p in idle if p.live and p.updated_at - p.event_time <= lateness + idle_after]
    if active:
        at = min(p.event_time for p in active) - lateness
    elif live:
        at = now - lateness - idle_after
    elif idle:
        return MergedWatermark(min(p.event_time for p in idle) - lateness)
    else:
        return MergedWatermark(None)
    behind = [p.partition_no for p in idle if p.event_time - lateness < at]
    return MergedWatermark(at if floor is None else max(at, floor), tuple(behind))
