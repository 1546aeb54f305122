"""Converts the times of public battle files to RFC 3339 in UTC."""

import math
import unicodedata
from datetime import UTC, datetime

from pipeline.vocabulary.time import END_TIME, FIRST_TIME, SECOND, format_rfc3339, to_microseconds
from pipeline.vocabulary.visible_text import visible

SECONDS_BELOW = 1e11
MILLISECONDS_BELOW = 1e14
"""Numbers below SECONDS_BELOW are seconds (up to the year 5138). From there on, numbers below MILLISECONDS_BELOW are
milliseconds, and larger numbers are microseconds."""

# Characters of an invalid value that are passed on.
_MAX_TEXT = 100


def to_rfc3339(value: object, column: str = "") -> str | None:
    """Return a time as RFC 3339 text in UTC. A time without a zone is taken as UTC.

    Args:
        value: seconds, milliseconds or microseconds since 1970 UTC, ISO 8601 text, or a datetime.
        column: name of the column with the value.

    Returns:
        RFC 3339 ending in Z; None for an absent value. A value that is not a time from 2000 to 2099 gives a text with
        the column and the value. The decoder rejects this text and quotes it.
    """
    if value is None or value == "" or value != value:  # tables write NaN for an absent value
        return None
    try:
        time = _microseconds(value)
    except (OverflowError, ValueError):
        time = FIRST_TIME - 1
    return format_rfc3339(time) if FIRST_TIME <= time < END_TIME else _refused(value, column)


def to_time(value: object) -> int | None:
    """Return a time as microseconds since 1970 UTC; None for a value that is not a time from 2000 to 2099."""
    try:
        time = _microseconds(value)
    except (OverflowError, ValueError):
        return None
    return time if FIRST_TIME <= time < END_TIME else None


def _refused(value: object, column: str) -> str:
    try:
        # The decoder must find fault with the time, and not with a character in it.
        shown = unicodedata.normalize("NFC", visible(str(value)[:_MAX_TEXT]))
    except ValueError:  # Python prints no integer of more than 4,300 digits
        shown = "a number of thousands of digits"
    return f"{shown}{_guess(shown)}" + (f" in column {column}" if column else "")


def _guess(shown: str) -> str:
    """Return a guess at the meaning of a number that is not a time, for the error: nanoseconds, a year, or ""."""
    if shown.isascii() and shown.isdigit():
        if FIRST_TIME <= int(shown) // 1000 < END_TIME:
            return ": nanoseconds?"
        if len(shown) == len("2024"):
            return ": a year?"
    return ""


def _microseconds(value: object) -> int:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, int | float):
        return _from_number(float(value))
    return _from_datetime(value) if isinstance(value, datetime) else _from_text(str(value))


def _from_number(number: float) -> int:
    if not math.isfinite(number) or number < 0:
        raise ValueError(number)
    if number >= MILLISECONDS_BELOW:
        number /= 1e6
    elif number >= SECONDS_BELOW:
        number /= 1e3
    return round(number * SECOND)


def _from_text(text: str) -> int:
    bare = text.strip()
    for zone in (" UTC", " GMT", "UTC"):
        bare = bare.removesuffix(zone)
    try:
        return _from_datetime(datetime.fromisoformat(bare))
    except ValueError:
        number = float(text)
    if len(text) == len("2024") and number >= 1900:
        raise ValueError(text)  # a year, not a number of seconds
    return _from_number(number)


def _from_datetime(time: datetime) -> int:
    return to_microseconds(time if time.tzinfo else time.replace(tzinfo=UTC))
