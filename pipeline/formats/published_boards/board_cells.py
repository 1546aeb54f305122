"""Reads single cells of published boards: names, days, numbers, votes, margins.

A cell is text, a number, a date or a time. A value is read in the same way from CSV, JSON and Parquet. A cell that
cannot be read raises a ValueError, whose text says what was expected.
"""

import re
from datetime import UTC, date, datetime
from math import isfinite, nan
from typing import Any

from pipeline.formats.time_parsing import to_rfc3339

_FIRST_YEAR, _LAST_YEAR = 2000, 2099
# Above any rating and any number of votes; larger ones are mistakes, and squares of them would overflow.
LARGEST = 1e12
_LONGEST_NAME = 1_000
# "+5/-4": the distances of the upper and the lower bound from the score.
_MARGINS = re.compile(r"\+\s*(\d+(?:\.\d+)?)\s*/\s*[-−]\s*(\d+(?:\.\d+)?)")
_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS_OF_DAY = 86_400


def is_missing(cell: Any) -> bool:
    """Return whether a cell is empty: null, NaN, or text without a visible character."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def text_cell(cell: Any) -> str:
    """Return a cell as text without spaces around it, "" if the cell is missing.

    Raises:
        ValueError: the cell is a list, a map or bytes, or the text is too long.
    """
    if is_missing(cell):
        return ""
    if isinstance(cell, list | dict | bytes):
        raise ValueError("a text")
    text = str(cell).strip()
    if len(text) > _LONGEST_NAME:
        raise ValueError(f"a text of at most {_LONGEST_NAME:,} characters")
    return text


def name_cell(cell: Any) -> str:
    """Return the name of a model in a cell. A missing or too long name raises a ValueError."""
    try:
        text = text_cell(cell)
    except ValueError as error:
        raise ValueError(str(error).replace("a text", "a name")) from None
    if not text:
        raise ValueError("a name")
    return text


def number_cell(cell: Any) -> float:
    """Return the number in a cell, NaN if the cell is empty. A cell with anything else raises a ValueError."""
    if is_missing(cell):
        return nan
    try:
        value = float("no" if isinstance(cell, bool | list | dict) else cell)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a number") from None
    if not isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"a number up to {LARGEST:,.0f}")
    return value


def score_cell(cell: Any) -> float:
    """Return the rating in a cell. A cell without a number raises a ValueError."""
    value = number_cell(cell)
    if value != value:
        raise ValueError("a number")
    return value


def votes_cell(cell: Any) -> float:
    """Return the number of votes in a cell. A cell that is not a whole number of at least 0 raises a ValueError."""
    value = number_cell(cell)
    if not value >= 0 or value != int(value):
        raise ValueError("a whole number of at least 0")
    return value


def margins_cell(cell: Any) -> tuple[float, float]:
    """Return the distances of the score from both bounds of its interval, from a cell such as "+5/-4".

    Returns:
        Two numbers in points: the distance from the lower bound, and the distance from the upper bound; NaN if the cell
            is missing.

    Raises:
        ValueError: the cell has another form.
    """
    text = text_cell(cell)
    if not text:
        return nan, nan
    margins = _MARGINS.fullmatch(text)
    if not margins:
        raise ValueError("margins as +5/-4")
    return float(margins[2]), float(margins[1])


def time_cell(cell: Any) -> float:
    """Return the time in a cell as seconds since 1970 UTC; a day gives midnight.

    Raises:
        ValueError: the cell is neither a time nor a day, or its year is not from 2000 to 2099.
    """
    time = _time(cell)
    if time is None:
        raise ValueError("a day as YYYY-MM-DD")
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise ValueError(f"a day from {_FIRST_YEAR} to {_LAST_YEAR}")
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return float((time.toordinal() - _EPOCH) * _SECONDS_OF_DAY + time.hour * 3600 + time.minute * 60 + time.second)


def _time(cell: Any) -> datetime | None:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)  # a day of UTC
    number = _as_number(cell)
    if number is not None and _FIRST_YEAR * 10_000 < number < (_LAST_YEAR + 1) * 10_000 and number == int(number):
        return _written(str(int(number)))  # 20240601
    written = _written(cell.strip()) if isinstance(cell, str) else None
    if written is not None or number is None:
        return written
    # Numbers, such as the milliseconds that pandas writes for a time.
    text = str(to_rfc3339(number))
    return datetime.fromisoformat(text) if text.endswith("Z") else None


def _written(text: str) -> datetime | None:
    """Return the time that a text states, or the day at its beginning; None if it has neither."""
    for part in (text, text[:10]):
        try:
            return datetime.fromisoformat(part)
        except ValueError:
            continue
    return None


def _as_number(cell: Any) -> float | None:
    if isinstance(cell, bool | list | dict):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def day_of(seconds: float) -> date:
    """Return the UTC day of a time in seconds since 1970 UTC."""
    return date.fromordinal(_EPOCH + int(seconds // _SECONDS_OF_DAY))
