"""Reads the records of a battle file as vote events in bytes.

Every format is read in pieces, in memory that does not grow with the file.

An empty line is no record. Text at the end of a file that may be half written is not read as a record yet: a last line
without its newline, unless it is a complete JSON object, and a CSV row whose quotes are open. The caller is informed.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import UnknownFormat
from pipeline.events.strict_checks import MAX_BYTES, find_fault, parse_strictly
from pipeline.events.vote import SCHEMA, derive_vote_id, encode_event
from pipeline.formats import bounded_parquet, field_mapping, json_pieces
from pipeline.vocabulary.voter_identity import Network

Waits = Callable[[str], None]

_NO_NEWLINE = "a last line of {} bytes without a newline"
# A line that follows the last one of a CSV file; no file has it.
_END = "\x1f(end of file)\x1f"
# Characters of a text in an event that is too large; the decoder refuses more than 200.
_MAX_TEXT = 300
# Cells may contain whole prompts; the limit of the csv module is 128 KiB.
csv.field_size_limit(64 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How a table's own names translate.

    Attributes:
        columns: our field → its header.
        outcomes: its outcome → ours.
        proxies: addresses that name nobody, for a rating without a store; a worker has its own.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    proxies: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, columns: str = "", outcomes: str = "") -> ColumnMapping:
        """Return the mapping written as "field=header,…" and "their outcome=our outcome,…".

        Raises:
            UnknownFormat: a pair without "=", or an unknown field.
        """
        parsed = cls(_pairs(columns), _pairs(outcomes))
        for name in parsed.columns:
            if name not in field_mapping.SYNONYMS:
                raise UnknownFormat(f"expected a field of {', '.join(field_mapping.SYNONYMS)}, got {name!r}")
        return parsed


def read_records(
    path: Path, mapping: ColumnMapping | None = None, waits: Callable[[str], None] = lambda _: None
) -> Iterator[bytes]:
    """Yield every record of a battle file as one event in bytes, in the order of the file.

    Args:
        path: .json, .jsonl, .ndjson, .csv or .parquet.
        mapping: how the table's headers and outcomes translate to ours, if it has its own.
        waits: called with the text at the end of the file that is not a complete record yet.

    Raises:
        UnknownFormat: no reader for this suffix, or a file that its reader cannot parse.
    """
    mapping = mapping or ColumnMapping()
    suffix = path.suffix.lower()
    try:
        reader = READERS[suffix]
    except KeyError:
        raise UnknownFormat(f"expected one of {', '.join(READERS)}, got {path.name!r}") from None
    return _identified(reader(path, mapping, waits))


def is_registry_event(raw: bytes) -> bool:
    """Return whether an event is a registry event, which belongs to a topic of its own."""
    return b'"event_id"' in raw and b'"type"' in raw and b'"winner"' not in raw


def _identified(records: Iterable[bytes | dict[str, Any]]) -> Iterator[bytes]:
    """Yield the records as bytes, with a derived id for each vote without one. Bytes are passed on unchanged.

    A record that is larger than an event may be is cut, so that a batch of such records does not fill the memory; the
    decoder still rejects it.
    """
    seen: Counter[str] = Counter()
    for record in records:
        if isinstance(record, bytes):
            yield record[: MAX_BYTES + 1]
            continue
        event = {k: v for k, v in record.items() if v is not None}
        if "vote_id" not in event:
            first = derive_vote_id(event, 0)
            event["vote_id"] = derive_vote_id(event, seen[first]) if first in seen else first
            seen[first] += 1
        raw = encode_event(event)
        yield raw if len(raw) <= MAX_BYTES else encode_event(_cut(event))


def _cut(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that is too large with shorter texts, one of which is still longer than the decoder accepts."""
    cut = {name: value[:_MAX_TEXT] if isinstance(value, str) else value for name, value in event.items()}
    return {name: value for name, value in cut.items() if isinstance(value, str | int)}


def _json_array(path: Path, mapping: ColumnMapping, _waits: Waits) -> Iterator[bytes | dict[str, Any]]:
    for raw in json_pieces.read_elements(path):
        yield _map_json(raw, mapping)


def _json_lines(path: Path, mapping: ColumnMapping, waits: Waits) -> Iterator[bytes | dict[str, Any]]:
    with path.open("rb") as lines:
        for line in json_pieces.read_lines(lines):
            if not line.strip():
                continue
            if not line.endswith(b"\n") and not _is_object(line):
                waits(_NO_NEWLINE.format(len(line)))
                return
            yield _map_json(line.rstrip(b"\r\n"), mapping)


def _is_object(line: bytes) -> bool:
    """Return whether a line is a complete JSON object, which the beginning of an object never is."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (ValueError, RecursionError):
        return False


def _map_json(raw: bytes, mapping: ColumnMapping) -> bytes | dict[str, Any]:
    """Return a battle in our fields. Our own events and whatever is not a battle are passed on unchanged.

    The decoder checks the text of the fields that are mapped. Other text, such as a conversation, is not read.
    """
    if b'"schema"' in raw and (b'"vote_id"' in raw or b'"event_id"' in raw):
        return raw
    if find_fault(raw, ()):
        return raw
    try:
        record = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        record = parse_strictly(raw)
    if not isinstance(record, dict):
        return raw
    if "schema" in record:
        return record if isinstance(record["schema"], int) else raw
    read = field_mapping.table_mapper(list(record), mapping.columns) if mapping.columns else _battle_reader(record)
    mapped = _finish(read(record), mapping)
    try:
        encode_event(mapped)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, or a number that no field can hold
        return json.dumps(mapped).encode()  # the decoder says what is wrong with it
    return mapped


def _battle_reader(record: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    if "evaluation_session_id" in record:
        return field_mapping.map_preference_140k
    if "tstamp" in record or "judge" in record:
        return field_mapping.map_fastchat
    return field_mapping.table_mapper(list(record), {})


def _csv(path: Path, mapping: ColumnMapping, waits: Waits) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text:
        rows = csv.DictReader(_whole_lines(text, waits))
        read = _table(path, [name for name in rows.fieldnames or () if _END not in name], mapping)
        try:
            for row in _whole_rows(rows, waits):
                yield _finish(read({k: _printable(v) for k, v in row.items() if k}), mapping)
        except csv.Error as error:
            raise UnknownFormat(f"{path.name}, line {rows.line_num}: {error}") from None


def _whole_lines(text: Iterable[str], waits: Waits) -> Iterator[str]:
    """Yield the lines that have their newline, then a marker line that shows whether the row before was complete."""
    for line in text:
        if not line.endswith(("\n", "\r")):
            waits(_NO_NEWLINE.format(len(line.encode("utf-8", "surrogateescape"))))
            break
        yield line
    yield f"{_END}\n"


def _whole_rows(rows: Iterable[dict[str, Any]], waits: Waits) -> Iterator[dict[str, Any]]:
    """Yield the rows that have any cell, without the marker line. A row that contains the marker has open quotes."""
    before: dict[str, Any] | None = None
    for row in rows:
        if before is not None and any(_is_filled(cell) for cell in before.values()):
            yield before
        before = row
    cells = [cell for cell in before.values() if cell] if before is not None else []
    if cells and cells != [_END]:
        waits("a row whose quotes are open at the end of the file")


def _is_filled(cell: object) -> bool:
    return bool(cell.strip() if isinstance(cell, str) else cell)


def _printable(cell: str | None) -> str | None:
    """Return a cell with invalid UTF-8 as backslash escapes, so that the decoder's error shows the bytes."""
    if cell is None or cell.isascii():
        return cell
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parquet(path: Path, mapping: ColumnMapping, _waits: Waits) -> Iterator[dict[str, Any]]:
    headers = bounded_parquet.read_headers(path)
    if "evaluation_session_id" in headers and not mapping.columns:
        read: Callable[[Mapping[str, Any]], dict[str, Any]] = field_mapping.map_preference_140k
    else:
        read = _table(path, headers, mapping)
    wanted = field_mapping.used_columns(headers, mapping.columns)
    for row in bounded_parquet.read_rows(path, wanted):
        yield _finish(read(row), mapping)


def _table(path: Path, headers: list[str], mapping: ColumnMapping) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    missing = [c for c in mapping.columns.values() if c and c not in headers]
    if missing:
        raise UnknownFormat(f"{path.name}: expected columns {missing}, got {headers}")
    for name in ("model_a", "model_b", "winner"):
        names = field_mapping.SYNONYMS[name]
        if name not in mapping.columns and not set(names) & set(headers):
            raise UnknownFormat(
                f"{path.name}: expected a column for {name} ({', '.join(names)}), got {headers}; "
                f"name it with --columns {name}=HEADER"
            )
    return field_mapping.table_mapper(headers, mapping.columns)


def _finish(fields: dict[str, Any], mapping: ColumnMapping) -> dict[str, Any]:
    winner = fields.get("winner")
    if isinstance(winner, str) and winner in mapping.outcomes:
        fields["winner"] = mapping.outcomes[winner]
    return {"schema": SCHEMA, **fields}


def _pairs(text: str) -> dict[str, str]:
    result = {}
    for part in filter(None, text.split(",")):
        name, sign, value = part.partition("=")
        if not sign:
            raise UnknownFormat(f"expected NAME=VALUE, got {part!r}")
        result[name.strip()] = value.strip()
    return result


READERS: dict[str, Callable[[Path, ColumnMapping, Waits], Iterator[bytes | dict[str, Any]]]] = {
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
