"""Five-minute windows: counts add up in any order, and bytes hold them all."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pipeline.events.batch import NO_TIME, microseconds
from pipeline.stream import windows

DAY = 24 * 3600 * 1_000_000
numbers = st.integers(0, 2**31 - 1)


@st.composite
def counts(draw: st.DrawFn) -> windows.Counts:
    keys = sorted(draw(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=8)))
    rows = [(*key, *draw(st.tuples(*[st.integers(0, 1000)] * 4))) for key in keys]
    return np.array(rows, dtype=np.int32).reshape(-1, len(windows.COLUMNS))


def slow_sum(*parts: windows.Counts) -> list[list[int]]:
    total: dict[tuple[int, int], Counter[int]] = {}
    for part in parts:
        for model, cohort, *values in part.tolist():
            into = total.setdefault((model, cohort), Counter())
            for i, value in enumerate(values):
                into[i] += value
    return [[*key, *(total[key][i] for i in range(4))] for key in sorted(total)]


@given(st.lists(counts(), min_size=1, max_size=4))
def test_adding_is_what_a_loop_would_add_in_any_order_and_any_grouping(parts: list[windows.Counts]) -> None:
    whole = windows.add(*parts)
    assert whole.dtype == np.int32
    assert whole.tolist() == slow_sum(*parts)
    assert windows.add(*reversed(parts)).tolist() == whole.tolist()
    assert windows.add(windows.add(*parts[:2]), *parts[2:]).tolist() == whole.tolist()


@given(st_numpy.arrays(np.int32, st.tuples(st.integers(0, 9), st.just(6)), elements=numbers))
def test_bytes_hold_all_there_is_to_know(rows: windows.Counts) -> None:
    again = windows.unpack(windows.pack(rows))
    assert again.dtype == np.int32
    assert again.shape == rows.shape
    assert np.array_equal(again, rows)
    assert windows.add(again).flags.writeable


def test_packed_counts_do_not_depend_on_the_machine() -> None:
    rows = np.arange(12, dtype=np.int32).reshape(2, 6)
    assert windows.unpack(windows.pack(rows.astype(">i4"))).tolist() == rows.tolist()
    assert windows.unpack(windows.pack(np.asfortranarray(rows))).tolist() == rows.tolist()


@given(st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_window_is_five_minutes_of_utc_and_holds_its_start(time: datetime) -> None:
    start = windows.start_of(np.array([microseconds(time)]))[0]
    expected = time.replace(minute=time.minute // 5 * 5, second=0, microsecond=0)
    assert start == microseconds(expected)
    assert timedelta(0) <= time - expected < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("since", "cohort"),
    [(NO_TIME, 0), (100 * DAY - 1, 2), (93 * DAY, 2), (93 * DAY - 1, 1), (0, 1), (100 * DAY, 2), (101 * DAY, 2)],
)
def test_an_account_is_new_for_seven_days_and_unknown_without_a_date(since: int, cohort: int) -> None:
    assert windows.cohorts(np.array([100 * DAY]), np.array([since])).tolist() == [cohort]


def test_no_votes_make_no_windows() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert (
        windows.count(none, none, none == 1, none.reshape(0, 2), none.astype(np.int8), none.astype(np.uint8), none)
        == []
    )


def test_a_window_of_late_votes_only_counts_them_and_rates_nothing() -> None:
    one = np.ones(1, dtype=np.int64)
    (found,) = windows.count(one, one, one == 1, np.array([[3, 4]]), one.astype(np.int8), one.astype(np.uint8), one)
    assert (found.start, found.partition, found.accepted, found.late) == (0, 1, 0, 1)
    assert found.counts.shape == (0, 6)
    assert windows.unpack(windows.pack(found.counts)).shape == (0, 6)


def test_a_vote_counts_once_for_each_of_its_models() -> None:
    start = 7 * windows.WIDTH
    (found,) = windows.count(
        np.zeros(3, dtype=np.int64),
        np.array([start, start + 1, start + windows.WIDTH - 1]),
        np.zeros(3, dtype=np.bool_),
        np.array([[3, 4], [4, 3], [3, 4]]),
        np.array([0, 3, 1], dtype=np.int8),
        np.array([0, 1, 1], dtype=np.uint8),
        np.array([0, 0, 2]),
    )
    assert (found.start, found.accepted) == (start, 3)
    # model, cohort, appearances, chosen, wins, ties
    assert found.counts.tolist() == [[3, 0, 2, 2, 1, 1], [3, 2, 1, 0, 0, 0], [4, 0, 2, 0, 0, 1], [4, 2, 1, 1, 1, 0]]
