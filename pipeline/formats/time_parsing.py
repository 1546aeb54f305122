"""Converts the times of public battle files to RFC 3339 in UTC."""

import math
from datetime import UTC, datetime

from pipeline.vocabulary.time import SECOND, format_rfc3339

# Numbers below are seconds (up to the year 5138), then milliseconds up to the same time, then microseconds.
_SECONDS_BELOW = 1e11
_MILLISECONDS_BELOW = 1e14
# Characters of an invalid value that are passed on.
_MAX_TEXT = 100


def to_rfc3339(value: object) -> str | None:
    """Return a time as RFC 3339 text; a time without a zone is in UTC.

    Args:
        value: seconds, milliseconds or microseconds since 1970, ISO 8601 text, or a datetime.

    Returns:
        RFC 3339 ending in Z, the text of a value that is not a time, or None for an absent value.
    """
    if value is None or value == "" or value != value:  # tables write NaN for an absent value
        return None
    if isinstance(value, bool):
        return str(value)
    try:
        if isinstance(value, int | float):
            return _from_number(float(value))
        return _from_datetime(value) if isinstance(value, datetime) else _from_text(str(value))
    except OverflowError:
        return f"out of range: {str(value)[:_MAX_TEXT]}"
    except ValueError:
        return str(value)[:_MAX_TEXT]


def _from_number(number: float) -> str:
    if not math.isfinite(number) or number < 0:
        raise ValueError(number)
    if number >= _MILLISECONDS_BELOW:
        number /= 1e6
    elif number >= _SECONDS_BELOW:
        number /= 1e3
    return format_rfc3339(round(number * SECOND))


def _from_text(text: str) -> str:
    try:
        return _from_datetime(datetime.fromisoformat(text.strip()))
    except ValueError:
        number = float(text)
    if len(text) == len("2024") and number >= 1900:
        raise ValueError(text)  # a year, not a number of seconds
    return _from_number(number)


def _from_datetime(time: datetime) -> str:
    return format_rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
