"""When the next refresh is expected: only where the times of the last ones say it."""

from __future__ import annotations

import pytest

from pipeline.store.boards.refresh_rhythm import every, find_rhythm
from pipeline.vocabulary.time import DAY, HOUR, MINUTE, SECOND, parse_rfc3339

NOON = parse_rfc3339("2026-03-01T12:00:20Z")
HOURLY = [NOON - HOUR * n for n in (3, 2, 1, 0)]


def test_the_usual_interval_after_the_last_refresh() -> None:
    found = find_rhythm(HOURLY, NOON + 5 * MINUTE)
    assert found is not None
    assert (found.expected_at, found.every, found.overdue) == ("2026-03-01T13:00:00Z", "every hour", False)
    assert found.sentence("13:00 UTC") == "the next refresh is expected about 13:00 UTC (every hour)"


def test_a_refresh_that_does_not_come_is_no_promise() -> None:
    found = find_rhythm(HOURLY, NOON + 2 * HOUR)
    assert found is not None
    assert found.sentence("13:00 UTC").endswith("was expected about 13:00 UTC (every hour) and has not come")


@pytest.mark.parametrize(
    "times",
    [
        [],
        HOURLY[-2:],
        [NOON, NOON + 5 * SECOND, NOON + 9 * SECOND],
        [NOON, NOON + HOUR, NOON + 5 * HOUR, NOON + 6 * DAY],
    ],
    ids=["none", "two", "by hand, one after the other", "without a rhythm"],
)
def test_no_promise_without_a_rhythm(times: list[int]) -> None:
    assert find_rhythm(times, NOON) is None


def test_one_gap_changes_no_rhythm() -> None:
    found = find_rhythm([NOON - DAY, *HOURLY], NOON)
    assert found is not None
    assert found.every == "every hour"


def test_intervals_in_words() -> None:
    assert [every(one) for one in (61 * MINUTE, 90 * MINUTE, 2 * HOUR, 7 * DAY, 30 * MINUTE)] == [
        "every hour", "every 90 minutes", "every 2 hours", "every 7 days", "every 30 minutes"
    ]  # fmt: skip
