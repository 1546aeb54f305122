"""Microseconds and their text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vocabulary.time import (
    DAY,
    SECOND,
    format_rfc3339,
    from_microseconds,
    parse_iso8601,
    parse_rfc3339,
    to_microseconds,
)

NOON = datetime(2024, 8, 14, 12, tzinfo=UTC)


@given(st.integers(-(10**16), 10**17))
def test_a_time_survives_its_text_and_its_datetime(value: int) -> None:
    assert to_microseconds(from_microseconds(value)) == value
    assert parse_rfc3339(format_rfc3339(value)) == value
    assert format_rfc3339(from_microseconds(value)) == format_rfc3339(value)


def test_text_is_in_utc_and_has_a_fraction_only_where_there_is_one() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_rfc3339(east) == "2024-08-14T12:00:00Z"
    assert format_rfc3339(to_microseconds(NOON) + 1) == "2024-08-14T12:00:00.000001Z"
    assert format_rfc3339(to_microseconds(NOON) + SECOND - 1, "seconds") == "2024-08-14T12:00:00Z"


def test_a_time_without_a_zone_is_refused_where_rfc_3339_is_expected_and_is_utc_elsewhere() -> None:
    with pytest.raises(ValueError, match="with a zone, such as 2026-03-01T12:00:00Z, got '2024-08-14T12:00:00'"):
        parse_rfc3339("2024-08-14T12:00:00")
    assert parse_iso8601("2024-08-14T12:00:00") == parse_iso8601("2024-08-14T14:00+02:00") == to_microseconds(NOON)
    assert parse_iso8601("2024-08-15") - parse_iso8601("2024-08-14") == DAY
