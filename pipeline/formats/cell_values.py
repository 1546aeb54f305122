"""Reads single values of public files: text, truth, counts, labels, outcomes.

The same value is read alike from JSON, CSV and Parquet: 3, 3.0 and "3" are one text, true, 1 and "true" one truth.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from pipeline.formats.battle_format import Record, ValueSource

OUTCOME_SPELLINGS = {
    "tie (bothbad)": "both_bad",
    "tie(bothbad)": "both_bad",
    "tie (all bad)": "both_bad",
    "tie(all bad)": "both_bad",
    "bothbad": "both_bad",
    "both bad": "both_bad",
}
"""Public spellings of an outcome → ours."""

MAX_TEXT = 300
"""Characters of a text that are read; the decoder refuses more than 200."""

_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no"})


def value_at(record: Record, source: ValueSource) -> Any:
    """Return the value at a source, None if there is none."""
    value = record.get(source.column)
    for key in source.keys:
        value = entry(value, key)
    return value


def entry(value: Any, key: str) -> Any:
    """Return an entry of a map, or of a list by its number; None if there is none."""
    value = structured(value)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else None
    return value.get(key) if isinstance(value, Mapping) else None


def structured(value: Any) -> Any:
    """Return the map or list in a text cell (JSON, or as Python prints it); any other value unchanged."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def is_absent(value: Any) -> bool:
    """Return whether a cell is empty: null, an empty text, or NaN, which tables write for a missing value."""
    return value is None or (isinstance(value, str) and not value) or (isinstance(value, float) and value != value)


def text_value(value: Any) -> str | None:
    """Return a value as text, None if it is absent."""
    if is_absent(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value[:MAX_TEXT] if isinstance(value, str) else str(value)[:MAX_TEXT]


def truth_value(value: Any) -> bool | None:
    """Return a value as true or false, None if it is neither."""
    if isinstance(value, bool):
        return value
    text = (text_value(value) or "").strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def outcome_word(value: Any) -> str | None:
    """Return an outcome as the word by which spellings are compared: 1, 1.0 and "1" are one, as are true and "True"."""
    if is_absent(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        word = value[:MAX_TEXT].strip()
        if word.lower() in ("true", "false"):
            return word.lower()
        try:
            value = float(word) if word[:1] in "+-.0123456789" else word
        except ValueError:
            return word
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)[:MAX_TEXT]


def whole_value(value: Any) -> Any:
    """Return a whole number that a table stores as a float or as digits; any other value unchanged."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def count_value(value: Any) -> Any:
    """Return a count, or the sum of a map of counts; any other value unchanged, None if absent."""
    value = structured(value)
    if isinstance(value, Mapping):
        parts = [whole_value(part) for part in value.values() if not is_absent(part)]
        return sum(parts) if all(isinstance(part, int) for part in parts) else dict(value)
    return None if is_absent(value) else whole_value(value)


def label_values(value: Any) -> list[str]:
    """Return the labels of a list, or of a map of label → true."""
    value = structured(value)
    if isinstance(value, Mapping):
        return [str(label) for label, chosen in value.items() if chosen is True]
    if isinstance(value, list):
        return [text for entry in value if (text := text_value(entry))]
    return [value] if isinstance(value, str) and value else []
