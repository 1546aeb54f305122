"""Reads a file of published boards in pieces of a few thousand rows, stored as columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from pipeline.errors import BadRecord, UnknownFormat
from pipeline.formats.bounded_parquet import open_bounded, read_headers, with_texts
from pipeline.formats.containers import Container
from pipeline.formats.json_pieces import MARK, read_elements, read_lines
from pipeline.formats.published_boards.board_columns import NEEDED, SYNONYMS, Cells, name_columns
from pipeline.formats.published_boards.board_documents import MAX_DOCUMENT, decode_json, document_rows
from pipeline.formats.published_boards.board_files import BoardFile
from pipeline.formats.tables import CELLS, delimited_records, headers, printable

_ROWS = 20_000
# Records by which the columns of a JSON file are told.
_FIRST_RECORDS = 1_000
_BATTLES = "; battles are rated by `integrity rate`"
_HINTS = {"snapshot": "; a file of one day may have the day in its name, such as board-2026-03-01.csv"}
# Bytes after the first line that show whether more follow.
_SHORT = 64
# The day of the arena's dataset; a table with this column is one of its files.
_ARENA_DAY = "leaderboard_publish_date"

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenBoardFile:
    """A file of published boards whose columns were found, ready to be read in pieces.

    Attributes:
        columns: our field → the header of its column.
        unread: headers of the columns that are not read.
        constants: our field → a value that holds for every row, from the path of the file.
        pieces: returns an iterator over pieces. A piece is a pair: our field → its cells; and the number of rows.
    """

    columns: Mapping[str, str]
    unread: tuple[str, ...]
    constants: Mapping[str, str]
    pieces: Callable[[], Iterator[tuple[dict[str, Cells], int]]]


def open_board_file(file: BoardFile) -> OpenBoardFile:
    """Find the column of each of our fields in a file.

    Returns:
        The file with its columns. Its rows come from `OpenBoardFile.pieces`.

    Raises:
        UnknownFormat: the file lacks a column for a required field, or cannot be parsed.
        BadRecord: one of the first JSON records is not an object.
    """
    container = file.container
    if container is None:
        return _open_rows(file, file.rows or [], "")
    if container.kind == "parquet":
        with container.plain_path() as path:
            names = read_headers(path)
        return _open(file, names, file.subset, lambda columns: _parquet_pieces(container, columns))
    if container.kind in ("csv", "tsv"):
        names = headers(container)
        return _open(file, names, file.subset, lambda columns: _pieces(_table_rows(container), columns))
    rows = document_rows(_whole_document(container))
    if rows is not None:
        return _open_rows(file, rows, file.folders)
    names = list(dict.fromkeys(name for record in islice(_json_records(container), _FIRST_RECORDS) for name in record))
    return _open(file, names, file.subset, lambda columns: _pieces(_json_records(container), columns))


def _table_rows(container: Container) -> Iterator[Record]:
    """Yield the rows of a CSV or TSV file. Bytes that are not valid UTF-8 are shown as escapes.

    Raises:
        BadRecord: a row has more cells than headers.
    """
    for number, row in enumerate(delimited_records(container, None)):
        if CELLS in row:
            raise BadRecord(container.name, number, "malformed", f"expected a header for each cell, got {row[CELLS]}")
        yield {name: printable(cell) for name, cell in row.items()}


def _open_rows(file: BoardFile, rows: list[dict[str, Any]], subset: str) -> OpenBoardFile:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _open(file, names, subset, lambda columns: _pieces(iter(rows), columns))


def _open(
    file: BoardFile,
    names: Sequence[str],
    subset: str,
    pieces: Callable[[dict[str, str]], Iterator[tuple[dict[str, Cells], int]]],
) -> OpenBoardFile:
    columns = name_columns([name for name in names if name])
    constants = {}
    twice = [name for name in columns.values() if list(names).count(name) > 1]
    if twice:
        raise UnknownFormat(f"{file.name}: expected one column {twice[0]!r}, got {list(names).count(twice[0])}")
    if "snapshot" not in columns and file.day:
        constants["snapshot"] = file.day
    for name in NEEDED:
        if name not in {*columns, *constants}:
            known = ", ".join(SYNONYMS[name])
            hint = _BATTLES if {"model_a", "winner"} & set(names) else _HINTS.get(name, "")
            raise UnknownFormat(f"{file.name}: expected a column for {name} ({known}), got {list(names)}{hint}")
    if "board" not in columns and (not file.alone or _ARENA_DAY in {name.strip().lower() for name in names}):
        constants["board"] = subset
    used = set(columns.values())
    unread = tuple(name for name in names if name and name not in used)
    return OpenBoardFile(columns, unread, constants, lambda: pieces(columns))


def _pieces(records: Iterator[Record], columns: Mapping[str, str]) -> Iterator[tuple[dict[str, Cells], int]]:
    while rows := list(islice(records, _ROWS)):
        yield {field: [row.get(header) for row in rows] for field, header in columns.items()}, len(rows)


def _parquet_pieces(container: Container, columns: Mapping[str, str]) -> Iterator[tuple[dict[str, Cells], int]]:
    wanted = list(columns.values())
    with container.plain_path() as path:
        file, rows = open_bounded(path, wanted)
        try:
            with file:
                for batch in map(with_texts, file.iter_batches(rows, columns=wanted, use_threads=False)):
                    yield {field: batch.column(header) for field, header in columns.items()}, batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise UnknownFormat(f"{container.name}: expected Parquet: {error}") from None


def _json_records(container: Container) -> Iterator[Record]:
    with container.open() as stream:
        lines = read_elements(stream, container.name) if container.kind == "json array" else read_lines(stream)
        for position, raw in enumerate(line for line in lines if line.strip()):
            try:
                record = decode_json(raw)
            except ValueError as error:
                raise BadRecord(container.name, position, "json", f"expected a JSON object: {error}") from None
            if not isinstance(record, dict):
                raise BadRecord(container.name, position, "json", f"expected a JSON object, got {record!r:.40}")
            yield record


def _whole_document(container: Container) -> object:
    """Return the JSON object that is the whole content of a file; None for an array or lines of objects."""
    if container.kind != "json lines":
        return None
    with container.open() as stream:
        line = stream.readline(MAX_DOCUMENT).removeprefix(MARK)
        try:
            document = decode_json(line)
        except ValueError:
            rest = stream.read(MAX_DOCUMENT)
        else:
            return None if stream.read(_SHORT).strip() else document
    try:
        return decode_json(line + rest)
    except ValueError:
        return None
