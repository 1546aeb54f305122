"""The ways in which public battle files write a time → RFC 3339 in UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from pipeline.vocabulary.time import SECOND, format_rfc3339

# Seconds up to the year 5138; a larger number is milliseconds (up to there: microseconds).
_SECONDS_BELOW = 1e11
_MILLISECONDS_BELOW = 1e14
# What is no time is shown to people, but not all of it.
_LONGEST = 100


def to_rfc3339(value: object) -> str | None:
    """A time in UTC as text; a naive time is UTC; what is no time is handed on as its text.

    Args:
        value: seconds, milliseconds or microseconds since 1970, ISO 8601 text, or a datetime.

    Returns:
        RFC 3339 ending in Z, the text of a value that is no time, or None for an absent one.
    """
    if value is None or value == "" or value != value:  # NaN is how tables write "absent"
        return None
    if isinstance(value, bool):
        return str(value)
    try:
        if isinstance(value, int | float):
            return _from_number(float(value))
        return _text(value) if isinstance(value, datetime) else _from_text(str(value))
    except OverflowError:
        return f"out of range: {str(value)[:_LONGEST]}"
    except ValueError:
        return str(value)[:_LONGEST]


def _from_number(number: float) -> str:
    if not math.isfinite(number) or number < 0:
        raise ValueError(number)
    if number >= _MILLISECONDS_BELOW:
        number /= SECOND
    elif number >= _SECONDS_BELOW:
        number /= 1e3
    return format_rfc3339(round(number * SECOND))


def _from_text(text: str) -> str:
    try:
        return _text(datetime.fromisoformat(text.strip()))
    except ValueError:
        number = float(text)
    if len(text) == len("2024") and number >= 1900:
        raise ValueError(text)  # a year and no number of seconds
    return _from_number(number)


def _text(time: datetime) -> str:
    return format_rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
