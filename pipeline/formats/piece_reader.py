"""Reads battle files in bounded memory, a piece at a time. A piece contains some rows of the file as columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv

from pipeline.errors import UnknownFormat
from pipeline.formats.battle_file import OWN, BattleFile, BattlePart
from pipeline.formats.bounded_parquet import (
    PIECE_ROWS,
    has_long_texts,
    is_bytes,
    open_bounded,
    read_batches,
    read_headers,
)
from pipeline.formats.column_pieces import ArrowPiece, Piece, RowPiece, TextedPiece, Undecided
from pipeline.formats.containers import Container
from pipeline.formats.csv_rows import QuoteCheck
from pipeline.formats.json_pieces import MARK, MAX_RECORD, read_elements
from pipeline.formats.vote_piece import decode_piece

_BLOCK = 8 * 1024 * 1024
_ROWS = 128 * 1024
# With conversations, which may have some thousand characters a row; and beside them.
_TEXT_ROWS, _TEXTED_ROWS = 2_000, 20_000


def pieces(file: BattleFile, fields: Collection[str], conversations: Collection[str] = ()) -> Iterator[Piece]:
    """Yield a battle file as pieces, in the order of the rows.

    Args:
        file: the file.
        fields: fields to read (`BattleFormat.rating_columns`), in addition to the columns that every rating needs.
        conversations: names of columns with long texts, which are read too; pieces then have fewer rows.

    Raises:
        Undecided: the file must be read record by record, for example because it cannot be parsed.
    """
    short = file.form.rating_columns(fields)
    columns = sorted(short | set(conversations))
    rows = _TEXT_ROWS if conversations else _ROWS
    for part in file.parts:
        container = part.container
        try:
            if container.kind == "parquet":
                yield from _parquet(container, sorted(short), conversations, _TEXTED_ROWS if conversations else _ROWS)
            elif container.kind in ("csv", "tsv"):
                yield from _delimited(part, columns)
            elif part.form.name == OWN:
                yield from _votes(container)
            else:
                yield from _json(container, columns, rows)
        except (pa.ArrowException, ValueError, OSError, UnknownFormat, RecursionError):
            raise Undecided from None


def _parquet(container: Container, columns: list[str], conversations: Collection[str], most: int) -> Iterator[Piece]:
    """Yield the rows of a Parquet file as pieces of at most `most` rows.

    A piece has many rows, because each piece contains the whole dictionary of a column with repeated texts. Only the
    long texts, in the columns `conversations`, are read a few rows at a time.
    """
    with container.plain_path() as path:
        names = read_headers(path)
        if len(set(names)) != len(names):
            raise Undecided
        texts = [name for name in names if name in conversations]
        wanted = [name for name in names if name in columns]
        file, rows = open_bounded(path, wanted)
        with file, ExitStack() as opened:
            records = _text_records(opened, path, texts) if texts else None
            for batch in read_batches(file, wanted, most if rows == PIECE_ROWS else min(rows, most)):
                if has_long_texts(batch):
                    raise Undecided
                yield ArrowPiece(batch) if records is None else TextedPiece(batch, records)


def _text_records(opened: ExitStack, path: Path, texts: list[str]) -> Iterator[Mapping[str, Any]]:
    """Return an iterator over the texts of the rows, one record for each row.

    The file is read while the iterator advances.

    Raises:
        Undecided: a text cannot be read. The iterator raises the error when it reaches this text.
    """
    file, rows = open_bounded(path, texts)
    opened.enter_context(file)

    def read() -> Iterator[Mapping[str, Any]]:
        try:
            for batch in read_batches(file, texts, min(rows, _TEXT_ROWS)):
                if any(is_bytes(column.type) for column in batch.columns):
                    raise Undecided
                yield from batch.to_pylist(maps_as_pydicts="lossy")
        except (pa.ArrowException, ValueError, OSError, OverflowError):
            raise Undecided from None

    return read()


def _delimited(part: BattlePart, columns: list[str]) -> Iterator[Piece]:
    container = part.container
    with container.open() as stream:
        parse = pacsv.ParseOptions(delimiter=container.delimiter, newlines_in_values=True)
        names = list(_headers(container, parse))
        if len(set(names)) != len(names) or [name for name in names if name] != list(part.columns):
            raise Undecided
        wanted = [name for name in names if name in columns]
        convert = pacsv.ConvertOptions(
            include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
        )
        read = pacsv.ReadOptions(block_size=_BLOCK)
        checked = QuoteCheck(stream, container.delimiter)
        with pacsv.open_csv(checked, read_options=read, parse_options=parse, convert_options=convert) as batches:
            for batch in batches:
                if not checked.sound:
                    raise Undecided
                yield ArrowPiece(batch)
        if not checked.sound:
            raise Undecided


def _headers(container: Container, parse: pacsv.ParseOptions) -> list[str]:
    with container.open() as stream, pacsv.open_csv(stream, parse_options=parse) as batches:
        return list(batches.schema.names)


def _json(container: Container, columns: list[str], most: int) -> Iterator[Piece]:
    attributes = {column: f"c{i}" for i, column in enumerate(columns)}
    row = msgspec.defstruct(
        "JsonRow", [(name, Any, None) for name in attributes.values()], rename={v: k for k, v in attributes.items()}
    )
    if container.kind == "json lines":
        decode_lines = msgspec.json.Decoder(row).decode_lines
        with container.open() as stream:
            for block in _line_blocks(stream):
                yield RowPiece(decode_lines(block), attributes)
        return
    decode = msgspec.json.Decoder(row).decode
    rows: list[Any] = []
    with container.open() as stream:
        for element in read_elements(stream, container.name):
            rows.append(decode(element))
            if len(rows) == most:
                yield RowPiece(rows, attributes)
                rows = []
    yield RowPiece(rows, attributes)


def _votes(container: Container) -> Iterator[Piece]:
    with container.open() as stream:
        for block in _line_blocks(stream):
            yield decode_piece(block)


def _line_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield whole lines, some megabytes at a time."""
    rest = b""
    first = True
    while block := stream.read(_BLOCK):
        block, first = block.removeprefix(MARK) if first else block, False
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            if len(rest) > MAX_RECORD:
                raise Undecided
            continue
        yield rest + block[:end]
        rest = block[end:]
    if rest.strip():
        yield rest
