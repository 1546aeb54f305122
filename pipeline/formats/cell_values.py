"""Reads single values of public files: texts, flags, counts, labels and outcomes.

A value is read in the same way from JSON, CSV and Parquet: 3, 3.0 and "3" give the same text, and true, 1 and "true"
the same flag.
"""

import ast
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pipeline.formats.battle_format import Record, ValueSource

OUTCOME_SPELLINGS = {
    "modela": "model_a",
    "modelb": "model_b",
    "tie": "tie",
    "bothbad": "both_bad",
    "tiebothbad": "both_bad",
    "tieallbad": "both_bad",
}
"""Public spellings of an outcome, without case, spaces, brackets, hyphens and underscores → ours."""

MAX_COUNT = 2**31 - 1
"""The largest value of a style count or a turn number of a vote."""

MAX_TEXT = 300
"""Number of characters of a text that are read. The decoder refuses a text of more than 200 characters."""

# PostgreSQL writes t and f, and a table with a missing value writes 1.0 and 0.0.
_TRUE = frozenset({"true", "1", "1.0", "yes", "t"})
_FALSE = frozenset({"false", "0", "0.0", "no", "f"})
_WHOLE_WITH_POINT = re.compile(r"[0-9]+\.0+")
_FOLDED_AWAY = re.compile(r"[\s_()\-]+")
# As numpy prints a list, its texts have no commas between them; Python would join them to one.
_NO_COMMA = re.compile(r"""(['"])\s+(['"])""")
_NOT_A_NUMBER = re.compile(r"\bnan\b")


def value_at(record: Record, source: ValueSource) -> Any:
    """Return the value of a record at a place, None if there is none."""
    value = record.get(source.column)
    for key in source.keys:
        value = entry(value, key)
    return value


def entry(value: Any, key: str) -> Any:
    """Return the entry of a map with this key, or of a list at this position; None if there is none."""
    value = structured(value)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else None
    return value.get(key) if isinstance(value, Mapping) else None


def structured(value: Any) -> Any:
    """Convert a text that contains a map or a list to that map or list; return any other value unchanged.

    The text may be JSON, or have the form in which Python or numpy prints a map or a list.
    """
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    for parse in (json.loads, _printed):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def _printed(text: str) -> Any:
    """Parse a map or a list in the form in which Python or numpy prints it. NaN becomes None."""
    if text[0] == "[":
        text = _NO_COMMA.sub(r"\1, \2", text)
    return ast.literal_eval(_NOT_A_NUMBER.sub("None", text) if "nan" in text else text)


def is_absent(value: Any) -> bool:
    """Return whether a cell is empty: null, an empty text, or NaN, which tables write for a missing value."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and value != value)


def text_value(value: Any) -> str | None:
    """Return a value as text of at most MAX_TEXT characters, None if it is absent. A whole number has no decimals."""
    if is_absent(value):
        return None
    value = _plain_number(value)
    return value[:MAX_TEXT] if isinstance(value, str) else str(value)[:MAX_TEXT]


def _plain_number(value: Any) -> Any:
    """Convert a whole float or decimal number to an int, any other decimal number to a float; else return the value."""
    if isinstance(value, Decimal):
        value = float(value) if value % 1 else int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def truth_value(value: Any) -> bool | None:
    """Return whether a value means true: True, False, or None if it means neither.

    Words such as "yes", "t" and "0.0" are understood, without regard to case.
    """
    if isinstance(value, bool):
        return value
    text = (text_value(value) or "").strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def outcome_word(value: Any) -> str | None:
    """Convert the value of an outcome's cell to a word in a uniform spelling; None if the value is absent.

    1, 1.0 and "1" give the same word. So do true and "True".
    """
    if is_absent(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        word = value[:MAX_TEXT].strip()
        if not word:
            return None
        if word.lower() in ("true", "false"):
            return word.lower()
        try:
            value = float(word) if word[:1] in "+-.0123456789" else word
        except ValueError:
            return word
    return str(_plain_number(value))[:MAX_TEXT]


def spelled_outcome(word: str, outcomes: Mapping[str, str]) -> str:
    """Return our outcome for a word from `outcome_word`; the word itself if it means none of our outcomes.

    Args:
        word: the word.
        outcomes: word → our outcome, from the format and the user. They take precedence over OUTCOME_SPELLINGS. Words
            are first compared exactly, then without case.
    """
    if word in outcomes:
        return outcomes[word]
    lower = word.casefold()
    found = {ours for theirs, ours in outcomes.items() if theirs.casefold() == lower}
    if len(found) == 1:
        return found.pop()
    return OUTCOME_SPELLINGS.get(_FOLDED_AWAY.sub("", lower), word)


def whole_value(value: Any) -> Any:
    """Convert a whole number that a table stores as a float, a decimal or text to an int; other values are unchanged.

    The text is digits, or digits with a point and zeros: some tables write 3 as "3.0" if a column has missing values.
    """
    if isinstance(value, str):
        is_whole = value.isascii() and (value.isdigit() or _WHOLE_WITH_POINT.fullmatch(value))
        return int(value.partition(".")[0]) if is_whole else value
    return _plain_number(value)


def count_value(value: Any) -> Any:
    """Return a count as a number.

    A map of counts gives the sum of its counts. An absent value gives None. Any other value is returned unchanged, and
    the decoder rejects it.
    """
    value = structured(value)
    if isinstance(value, Mapping):
        parts = [whole_value(part) for part in value.values() if not is_absent(part)]
        return sum(parts) if all(isinstance(part, int) for part in parts) else dict(value)
    return None if is_absent(value) else whole_value(value)


def turn_value(value: Any) -> int | None:
    """Return the number of a turn; None unless the value is a whole number of at least 1."""
    number = whole_value(value)
    is_number = isinstance(number, int) and not isinstance(number, bool)
    return number if is_number and 1 <= number <= MAX_COUNT else None


def label_values(value: Any) -> list[str]:
    """Return the labels in a value.

    The labels of a list are its items. The labels of a map are its keys with the value true, and the labels of the maps
    in it. A text is one label. Any other value has no labels.
    """
    value = structured(value)
    if isinstance(value, Mapping):
        return [label for key, chosen in value.items() for label in _labels_of(key, chosen)]
    if isinstance(value, list):
        return [text for entry in value if (text := text_value(entry))]
    return [value] if isinstance(value, str) and value else []


def _labels_of(key: Any, chosen: Any) -> list[str]:
    if isinstance(chosen, Mapping):
        return label_values(chosen)
    return [str(key)] if chosen is True else []
