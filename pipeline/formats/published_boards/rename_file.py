"""Reads a file that states which models were renamed: CSV with the columns old and new, or JSON."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadRecord, UnknownFormat

_MAX_BYTES = 16 * 1024 * 1024
# What `csv_cell` puts before text that a spreadsheet would execute.
_GUARDED = ("'=", "'+", "'-", "'@", "'\t", "'\r")


def read_renames(path: Path) -> dict[str, str]:
    """Read a file of renamed models.

    Args:
        path: .json with {"old name": "new name"} or a list of {"old", "new"}; any other file is CSV with the columns
            old and new. Other columns are not read.

    Returns:
        Old name → new name.

    Raises:
        UnknownFormat: the file is too large, or is neither such JSON nor such CSV.
        BadRecord: a row does not have two names, or an old name has two different new names.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise UnknownFormat(f"{path.name}: expected at most {_MAX_BYTES:,} bytes, got {path.stat().st_size:,}")
    renames: dict[str, str] = {}
    pairs = _json_pairs(path) if path.suffix.lower() == ".json" else _csv_pairs(path)
    for position, (old, new) in enumerate(pairs):
        if not old or not new:
            raise BadRecord(path.name, position, "rename", f"expected an old and a new name, got {old!r} and {new!r}")
        if renames.setdefault(old, new) != new:
            raise BadRecord(
                path.name, position, "rename", f"expected one new name for {old!r}, got {renames[old]!r} and {new!r}"
            )
    return renames


def _csv_pairs(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8-sig", errors="backslashreplace") as text:
        table = csv.DictReader(text)
        headers = list(table.fieldnames or ())
        if not {"old", "new"} <= set(headers):
            raise UnknownFormat(f"{path.name}: expected the columns old and new, got {headers}")
        try:
            for row in table:
                yield _name(row["old"]), _name(row["new"])
        except csv.Error as error:
            raise UnknownFormat(f"{path.name}, line {table.line_num}: {error}") from None


def _json_pairs(path: Path) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnknownFormat(f"{path.name}: expected JSON: {error}") from None
    if isinstance(document, Mapping):
        document = [{"old": old, "new": new} for old, new in document.items()]
    if not isinstance(document, list) or not all(isinstance(one, Mapping) for one in document):
        raise UnknownFormat(f'{path.name}: expected {{"old name": "new name", …}} or [{{"old": …, "new": …}}, …]')
    for one in document:
        yield _name(one.get("old")), _name(one.get("new"))


def _name(cell: Any) -> str:
    text = cell.strip() if isinstance(cell, str) else ""
    return text[1:] if text.startswith(_GUARDED) else text
