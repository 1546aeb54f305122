"""The merged watermark: how far windows are complete, over active, idle and ended partitions."""

from pipeline.store.votes.partitions import PartitionProgress
from pipeline.stream.merged_watermark import MergedWatermark, merged_watermark

HOUR = 3_600_000_000
NOW = 1000 * HOUR


def at(no: int, event: int, updated: int = NOW, live: bool = True, finished: bool = False) -> PartitionProgress:
    return PartitionProgress(no, event, updated, live, finished)


def watermark(*partitions: PartitionProgress, floor: int | None = None) -> MergedWatermark:
    return merged_watermark(partitions, HOUR, HOUR // 12, NOW, floor)


def test_the_watermark_is_the_smallest_of_the_active_partitions() -> None:
    assert watermark(at(1, NOW), at(2, NOW - 7)) == MergedWatermark(NOW - 7 - HOUR)
    assert watermark() == MergedWatermark(None)


def test_an_idle_partition_is_ignored_and_named_where_it_is_behind() -> None:
    assert watermark(at(1, NOW), at(2, NOW - 5 * HOUR, NOW - 5 * HOUR)) == MergedWatermark(NOW - HOUR, (2,))
    assert watermark(at(1, NOW), at(2, NOW, NOW - 5 * HOUR)) == MergedWatermark(NOW - HOUR)


def test_when_a_live_source_falls_silent_the_clock_replaces_the_watermark() -> None:
    silent = at(1, NOW - 5 * HOUR, NOW - 5 * HOUR + 1)
    assert watermark(silent) == MergedWatermark(NOW - HOUR - HOUR // 12, (1,))


def test_a_log_of_old_votes_that_has_ended_is_no_silence() -> None:
    assert watermark(at(1, NOW - 900 * HOUR, NOW - 5 * HOUR)) == MergedWatermark(NOW - 901 * HOUR)
    assert watermark(at(1, NOW - 5 * HOUR, NOW - 5 * HOUR, live=False)) == MergedWatermark(NOW - 6 * HOUR)


def test_a_finished_file_holds_nobody_up_and_when_all_are_finished_nothing_late_is_waited_for() -> None:
    file = at(1, NOW - 900 * HOUR, live=False, finished=True)
    assert watermark(file, at(2, NOW)) == MergedWatermark(NOW - HOUR)
    assert watermark(file) == MergedWatermark(NOW - 900 * HOUR)
    assert watermark(file, at(3, NOW - 7 * HOUR, live=False, finished=True)) == MergedWatermark(NOW - 7 * HOUR)
    assert watermark(file, floor=NOW) == MergedWatermark(NOW)


def test_the_watermark_never_goes_back_behind_closed_windows() -> None:
    assert watermark(at(1, NOW - 50 * HOUR), floor=NOW - 3 * HOUR) == MergedWatermark(NOW - 3 * HOUR)
