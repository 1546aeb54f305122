"""Reads the records of a battle file as vote events in JSON (UTF-8 bytes), in bounded memory.

Empty lines are skipped. A file that is still being written may end in an incomplete record. For such files, callers
pass a callback, the argument `waits`: it is called with a description of the incomplete record, and the record is not
yielded. Three kinds of records are then incomplete:

- a last line of JSON Lines without a newline, if the line is not a complete JSON object
- a last line of a CSV or TSV file without a newline
- a last row of a CSV or TSV file whose quotes are open

Without a callback, the file is taken to be complete: a last line without a newline is a record, and open quotes at the
end are an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pipeline.events import decode_votes
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.events.vote import SCHEMA, VOTE_FIELDS, encode_event
from pipeline.formats.battle_file import (
    OWN,
    BattleFile,
    BattlePart,
    Waits,
    open_battles,
    raw_records,
    recognised,
)
from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.battle_formats.table import table_format
from pipeline.formats.cell_values import is_absent, whole_value
from pipeline.formats.column_names import ColumnMapping
from pipeline.formats.json_pieces import decoded
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.formats.row_mapping import SKIPPED, WITHOUT_OUTCOME, row_mapper
from pipeline.formats.tables import CELLS, delimited_records, parquet_records, printable
from pipeline.formats.vote_ids import CHECKED, CheckedFields, VoteIds, with_added

_TEXT_KEYS = tuple(f'"{name}"'.encode() for name in sorted(TEXT_COLUMNS))

RecordCheck = Callable[[Record, Fields], Fields]
"""A function that checks the texts of a record. It takes the record and its mapped fields, and returns the fields to
add."""

# Records whose texts are in memory at a time.
_CHECKED_RECORDS = 1_000


@runtime_checkable
class BatchCheck(Protocol):
    """A `RecordCheck` that can also check many records in one call, which is faster than a call for each."""

    def __call__(self, record: Record, fields: Fields) -> Fields:
        """Return fields of the vote that are computed from the texts of the record, such as the conversation."""

    def of_records(self, records: Sequence[Record], fields: Sequence[Fields]) -> list[Fields]:
        """Return, for each of several records, the fields of its vote that are computed from the record's texts.

        Args:
            records: the records with their texts.
            fields: the fields of each record's vote.
        """


def check_records(check: RecordCheck, records: Iterable[Record], fields: Iterable[Fields]) -> Iterator[Fields]:
    """Yield the fields that a text check adds to each record.

    Args:
        check: the text check.
        records: the records with their texts.
        fields: the fields of each record's vote.
    """
    pairs = zip(records, fields, strict=True)
    if not isinstance(check, BatchCheck):
        yield from (check(record, of_record) for record, of_record in pairs)
        return
    while some := list(islice(pairs, _CHECKED_RECORDS)):
        yield from check.of_records([record for record, _ in some], [of_record for _, of_record in some])


def read_records(
    path: Path, mapping: ColumnMapping | None = None, waits: Waits | None = None, check: RecordCheck | None = None
) -> Iterator[bytes]:
    """Yield every record of a battle file as one vote event in JSON (bytes), in the order of the file.

    Records that are not votes of the format, such as other actions in a log, are left out.

    Args:
        path: a file, a folder of shards, or a glob.
        mapping: the user's names of columns and outcomes; None if there are none.
        waits: called with a description of an incomplete record at the end of the file. None if the file is complete;
            then its last line needs no newline.
        check: adds fields computed from the texts of a record; None if texts need not be read.

    Raises:
        UnknownFormat: the file has a kind that cannot be read, or cannot be parsed.
    """
    return read_events(open_battles(path, mapping), waits, check)


def read_events(file: BattleFile, waits: Waits | None = None, check: RecordCheck | None = None) -> Iterator[bytes]:
    """Yield the records of a recognised battle file as vote events in JSON (bytes).

    Records that are not votes of the format, such as other actions in a log, are left out.

    Args:
        file: the file.
        waits: called with a description of an incomplete record at the end of the file; None if the file is complete.
        check: adds fields computed from the texts of a record; None if texts need not be read.
    """
    records = (record for record in mapped_records(file, waits, check) if record != SKIPPED)
    return identified(records, file.mapping.id_key)


def mapped_records(
    file: BattleFile, waits: Waits | None = None, check: RecordCheck | None = None
) -> Iterator[bytes | Fields]:
    """Yield one item for each record of a file.

    The item is the fields of the vote; SKIPPED if the record is not a vote of the format; or bytes that the decoder
    must check (`map_json`).

    Args:
        file: the file.
        waits: called with a description of an incomplete record at the end of the file; None if the file is complete.
        check: adds fields computed from the texts of a record; None if texts need not be read.
    """
    for part in file.parts:
        fixed = file.mapping.columns or file.mapping.winner_is
        read = _by_record(file) if part.mixed and not fixed else row_mapper(part.form, file.outcomes(part.form))
        if part.container.kind in ("json array", "json lines"):
            for raw in raw_records(part.container, waits):
                yield map_json(raw, read, check)
        else:
            for row in _rows(part, waits, TEXT_COLUMNS if check else frozenset()):
                yield _of_row(row, read, check)


def _of_row(row: Mapping[str, Any], read: Callable[[Record], Fields], check: RecordCheck | None) -> bytes | Fields:
    """Map a row of a table to the fields of its vote, or return bytes that the decoder of events rejects.

    A row with more cells than the header has an unknown outcome: nobody knows which of its cells belongs to which
    header. If a field has bytes that are not valid UTF-8, the result is JSON with these bytes.
    """
    mapped = _event(read(row), row)
    if mapped is SKIPPED:
        return SKIPPED
    if CELLS in row:
        mapped = {key: value for key, value in mapped.items() if key != WITHOUT_OUTCOME} | {"winner": row[CELLS]}
    if not _is_utf8(mapped):
        return json.dumps(mapped, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
    return _checked(mapped, row if check is None else {key: printable(cell) for key, cell in row.items()}, check)


def _is_utf8(fields: Fields) -> bool:
    texts = [value for value in fields.values() if isinstance(value, str)] + (fields.get("categories") or [])
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _by_record(file: BattleFile) -> Callable[[Record], Fields]:
    """Return a function that maps a record to the fields of its vote. The keys of a record determine its format."""
    mappers: dict[frozenset[str], Callable[[Record], Fields]] = {}

    def read(record: Record) -> Fields:
        names = frozenset(record)
        if names not in mappers:
            form = recognised(names) or table_format(names)
            mappers[names] = row_mapper(form, file.outcomes(form))
        return mappers[names](record)

    return read


def is_registry_event(raw: bytes) -> bool:
    """Return whether an event is a registry event and not a vote. Registry events belong to a separate topic.

    The result depends only on the keys in the event.
    """
    return b'"event_id"' in raw and b'"type"' in raw and b'"winner"' not in raw


def _rows(part: BattlePart, waits: Waits | None, texts: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    if part.container.kind == "parquet":
        return parquet_records(part.container, part.form.columns() | {"schema"} | texts)
    return delimited_records(part.container, waits)


def map_json(raw: bytes, read: Callable[[Record], Fields], check: RecordCheck | None = None) -> bytes | Fields:
    """Map a JSON record to the fields of its vote, or return bytes that the decoder of events must check.

    Args:
        raw: the record.
        read: maps a decoded record to the fields of its vote, or to SKIPPED.
        check: adds fields computed from the texts of a record; None if texts need not be read.

    Returns:
        The fields of the vote, with the fields of `check` under the key CHECKED; SKIPPED if the record is not a vote. A
        record that has no id, and whose field `schema` is a whole number, already has the fields of a vote and is not
        mapped.

        The result is bytes in three cases. An event of this project with an id is returned with the fields of
        `check` added. A record that is not a JSON object, or whose `schema` is not a whole number, is returned
        unchanged. Mapped fields with a value that no event can contain are returned as JSON.
    """
    if b'"schema"' in raw and (b'"vote_id"' in raw or b'"event_id"' in raw):
        return raw if check is None else _checked_own(raw, check)
    record = decoded(raw)
    if not isinstance(record, dict):
        return raw
    if "schema" in record:
        return _checked(record, record, check) if isinstance(record["schema"], int) else raw
    mapped = _checked(_event(read(record), record), record, check)
    try:
        encode_event(mapped)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, or a number that no field can hold
        return json.dumps(mapped).encode()  # the decoder says what is wrong with it
    return mapped


def _event(fields: Fields, record: Record) -> Fields:
    if fields is SKIPPED:
        return SKIPPED
    schema = record.get("schema")
    return {"schema": SCHEMA if is_absent(schema) else whole_value(schema), **fields}


def _checked(mapped: Fields, record: Record, check: RecordCheck | None) -> Fields:
    """Return a mapped record, extended by the fields that `check` computes from its texts."""
    if check is None or mapped is SKIPPED or not TEXT_COLUMNS & record.keys():
        return mapped
    return {**mapped, CHECKED: CheckedFields(check(record, mapped))}


def _checked_own(raw: bytes, check: RecordCheck) -> bytes:
    """Return one of our own events, extended by the fields that `check` computes from its texts, without the texts."""
    if not any(name in raw for name in _TEXT_KEYS) or decode_votes([raw])[2]:
        return raw
    record = decoded(raw)
    stated = {name: value for name, value in record.items() if value is not None and name in VOTE_FIELDS}
    return with_added(stated, check(record, stated))


def identified(records: Iterable[bytes | Fields], id_key: bytes | None = b"") -> Iterator[bytes]:
    """Yield each record as the bytes of an event. A vote without an id gets a derived id.

    Args:
        records: the records. Each is either the fields of a vote or bytes. Bytes are yielded unchanged; if they are
            larger than an event may be, they are cut to a length that the decoder still rejects.
        id_key: `ColumnMapping.id_key`, for logs that identify a vote by its conversation.
    """
    ids = VoteIds(id_key)
    for record in records:
        if isinstance(record, bytes):
            yield record if len(record) <= MAX_BYTES else record[: MAX_BYTES + 1]
        else:
            yield ids.encode(record)


__all__ = [
    "OWN",
    "ColumnMapping",
    "RecordCheck",
    "identified",
    "is_registry_event",
    "map_json",
    "mapped_records",
    "open_battles",
    "read_events",
    "read_records",
]
