"""Finds JSON files whose records are not one object each: whole tables, records over several lines, nested records."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UnknownFormat
from pipeline.formats.containers import Container

BATTLE_KEYS = frozenset({"model_a", "model_b", "winner", "states", "models", "schema", "type"})
"""A record with one of these keys is a battle, an event, or an action of a log."""

_FIRST_BYTES = 1024 * 1024


def require_row(container: Container, record: Mapping[str, Any]) -> None:
    """Raise `UnknownFormat` if a JSON object contains a whole table instead of one row."""
    by_column = all(isinstance(record.get(name), Mapping | list) for name in ("model_a", "model_b", "winner"))
    names = record.keys()
    by_row = bool(record) and all(isinstance(value, Mapping) for value in record.values())
    if (
        by_column
        or by_row
        or names >= {"columns", "data"}
        or (isinstance(record.get("schema"), Mapping) and "data" in names)
    ):
        raise UnknownFormat(
            f"{container.name}: expected an array of records, or a record a line, got one object with a whole table, "
            'as pandas writes it: write it with to_json(orient="records", lines=True)'
        )


def require_lines(container: Container) -> None:
    """Raise `UnknownFormat` if the first record of a file of JSON Lines takes several lines."""
    with container.open() as stream:
        text = stream.read(_FIRST_BYTES).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return
    if "\n" in text[:end]:
        raise UnknownFormat(
            f"{container.name}: expected an array of records, or a record a line, got a record over several lines: "
            "`jq -c .` writes each on one line"
        )


def find_holder(record: Mapping[str, Any]) -> str:
    """Return the key of a JSON object under which a list of objects is, "" unless there is exactly one such key."""
    lists = [name for name, value in record.items() if isinstance(value, list) and value]
    is_holder = len(lists) == 1 and all(isinstance(one, Mapping) for one in record[lists[0]])
    return lists[0] if is_holder else ""
