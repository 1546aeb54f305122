"""Converts times: the project stores whole microseconds since 1970 UTC, and prints RFC 3339."""

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Microseconds of a day. SECOND, MINUTE and HOUR are the microseconds of these units."""

FIRST_TIME, END_TIME = 946_684_800 * SECOND, 4_102_444_800 * SECOND
"""Times of votes and registry events are from 2000 to 2099 UTC. Any other time is a wrong unit, a wrong clock or a
placeholder."""

NO_TIME = -(2**63)
"""Marks an absent time in an int64 column of microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """Return an aware datetime as the exact number of microseconds since 1970 UTC."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return a number of microseconds since 1970 UTC as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=int(value))


def format_rfc3339(time: int | datetime, timespec: str = "auto") -> str:
    """Return a time as text in UTC, ending in Z.

    A time outside the years 1 to 9999, which old stores may contain, is returned as a number of microseconds.

    Args:
        time: microseconds since 1970 UTC, or an aware datetime.
        timespec: the precision, a value that `datetime.isoformat` accepts; "seconds" drops the fraction.

    >>> format_rfc3339(1_718_445_600_000_000)
    '2024-06-15T10:00:00Z'
    """
    try:
        utc = time.astimezone(UTC) if isinstance(time, datetime) else from_microseconds(time)
    except OverflowError:
        return f"{time} µs since 1970"
    return utc.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def parse_rfc3339(text: str) -> int:
    """Parse a time with a zone; return microseconds since 1970 UTC.

    Raises:
        ValueError: the text is not a time, has no zone, or is outside the years 1 to 9999 UTC.
    """
    time = _parse(text)
    if time.tzinfo is None:
        raise ValueError(f"expected a time with a zone, such as 2026-03-01T12:00:00Z, got {text!r}")
    return to_microseconds(time)


def parse_iso8601(text: str) -> int:
    """Parse a date or time up to the year 2099; return microseconds since 1970 UTC.

    A date, and a time without a zone, are in UTC.

    Raises:
        ValueError: the text is neither a date nor a time, or its year is after 2099.
    """
    time = _parse(text)
    found = to_microseconds(time if time.tzinfo else time.replace(tzinfo=UTC))
    if found >= END_TIME:
        raise ValueError(f"expected a time up to 2099, got {text!r}")
    return found


def _parse(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"expected a date or time in ISO 8601, got {text!r}") from None
