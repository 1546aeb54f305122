"""Fates: agreement with a slow loop, and the laws of time."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.vote_batch import VoteBatch
from pipeline.scoring.fate import MAX_AHEAD, assign_fate, window_times
from pipeline.vocabulary.fates import ACCEPTED, FATES, LATE, QUARANTINED
from tests.unit.scoring.batches import DAY, MINUTE, batch_of


def slow_fates(
    batch: VoteBatch, event_time: Mapping[int, int | None], lateness: int
) -> tuple[list[int], dict[int, int | None]]:
    """The rule as the design states it, one vote at a time."""
    after, fates = dict(event_time), []
    rows = zip(batch.partition.tolist(), batch.cast_at.tolist(), batch.appended_at.tolist(), strict=True)
    for part, cast, appended in rows:
        newest = after.get(part)
        if cast > appended + 5 * MINUTE:
            fates.append(QUARANTINED)
            continue
        fates.append(LATE if newest is not None and cast < newest - lateness else ACCEPTED)
        seen = min(cast, appended)
        after[part] = seen if newest is None else max(newest, seen)
    return fates, after


# Whole minutes and a microsecond either side of them meet every limit.
near = st.tuples(st.integers(0, 20), st.integers(-1, 1)).map(lambda t: t[0] * MINUTE + t[1])


one_vote = st.tuples(st.integers(0, 2), near, near)


batches = st.lists(one_vote, max_size=30).map(
    lambda rows: batch_of([r[1] for r in rows], appended=[r[2] for r in rows], partition=sorted(r[0] for r in rows))
)


clocks = st.dictionaries(st.integers(0, 3), st.none() | near)


latenesses = st.sampled_from([0, 3 * MINUTE, 60 * MINUTE])


@given(batches, clocks, latenesses)
@settings(max_examples=300, deadline=None)
@pytest.mark.long
def test_fates_and_event_times_are_those_of_a_slow_loop(
    batch: VoteBatch, event_time: dict[int, int | None], lateness: int
) -> None:
    before = dict(event_time)
    fate, after = assign_fate(batch, event_time, lateness)
    assert fate.dtype == np.int8
    assert (fate.tolist(), after) == slow_fates(batch, event_time, lateness)
    assert event_time == before


@given(batches, clocks, latenesses, st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_fates_do_not_depend_on_where_a_batch_is_split(
    batch: VoteBatch, event_time: dict[int, int | None], lateness: int, cut: int
) -> None:
    whole, after = assign_fate(batch, event_time, lateness)
    index = np.arange(len(batch))
    first, between = assign_fate(batch.take(index[:cut]), event_time, lateness)
    second, end = assign_fate(batch.take(index[cut:]), between, lateness)
    assert [*first, *second] == whole.tolist()
    assert end == after


def test_fate_codes_are_positions_and_never_move() -> None:
    # They are stored in every vote row.
    assert [FATES[code] for code in (ACCEPTED, LATE, QUARANTINED)] == ["accepted", "late", "quarantined"]
    assert MAX_AHEAD == 5 * MINUTE


def test_a_vote_from_the_future_is_quarantined_and_leaves_the_watermark() -> None:
    batch = batch_of([10 * MINUTE, DAY, 9 * MINUTE], appended=[10 * MINUTE] * 3)
    fate, after = assign_fate(batch, {}, 2 * MINUTE)
    assert fate.tolist() == [ACCEPTED, QUARANTINED, ACCEPTED]
    assert after == {0: 10 * MINUTE}
    alone, untouched = assign_fate(batch_of([DAY], appended=[0]), {0: None, 1: 5}, 0)
    assert alone.tolist() == [QUARANTINED]
    assert untouched == {0: None, 1: 5}


def test_five_minutes_ahead_is_allowed_and_moves_the_watermark_to_the_append_time_only() -> None:
    batch = batch_of([MAX_AHEAD, MAX_AHEAD + 1], appended=[0, 0])
    fate, after = assign_fate(batch, {}, 0)
    assert fate.tolist() == [ACCEPTED, QUARANTINED]
    assert after == {0: 0}


def test_a_vote_on_the_watermark_is_in_time_and_one_before_it_is_late() -> None:
    batch = batch_of([100 * MINUTE, 40 * MINUTE, 40 * MINUTE - 1, 99 * MINUTE])
    fate, after = assign_fate(batch, {}, 60 * MINUTE)
    assert fate.tolist() == [ACCEPTED, ACCEPTED, LATE, ACCEPTED]
    assert after == {0: 100 * MINUTE}


def test_a_late_vote_of_a_stream_counts_in_the_window_of_the_newest_event_time_and_one_of_a_file_in_its_own() -> None:
    batch = batch_of([100 * MINUTE, MINUTE, 99 * MINUTE, 2 * MINUTE])
    fate, _ = assign_fate(batch, {}, 60 * MINUTE)
    assert window_times(batch, fate, {}).tolist() == [100 * MINUTE, 100 * MINUTE, 99 * MINUTE, 100 * MINUTE]
    assert window_times(batch, fate, {0: 400 * MINUTE}).tolist()[1] == 400 * MINUTE
    read = replace(batch, of_file=np.ones(4, dtype=np.bool_))
    assert window_times(read, fate, {}).tolist() == batch.cast_at.tolist()


def test_old_votes_are_accepted_before_the_first_vote_and_each_partition_has_its_own_watermark() -> None:
    batch = batch_of([-300 * 365 * DAY, 5 * DAY, 0], partition=[0, 1, 1])
    fate, after = assign_fate(batch, {}, 60 * MINUTE)
    assert fate.tolist() == [ACCEPTED, ACCEPTED, LATE]
    assert after == {0: -300 * 365 * DAY, 1: 5 * DAY}


def test_the_newest_event_time_of_late_votes_grows_with_the_votes_before_them() -> None:
    batch = batch_of([50 * MINUTE, 100 * MINUTE, 30 * MINUTE, 200 * MINUTE, 90 * MINUTE])
    fate, _ = assign_fate(batch, {}, 60 * MINUTE)
    assert fate.tolist() == [ACCEPTED, ACCEPTED, LATE, ACCEPTED, LATE]
    assert (window_times(batch, fate, {}) // MINUTE).tolist() == [50, 100, 100, 200, 200]
