"""Reads CSV, TSV and Parquet files as records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import IO, Any

from pipeline.errors import UnknownFormat
from pipeline.formats.bounded_parquet import read_headers, read_rows
from pipeline.formats.containers import Container
from pipeline.formats.csv_rows import CsvRow, csv_rows

CELLS = "\0cells"
"""Key of a row that has more cells than the header, or a quote that is not closed. Its value describes the row."""

_SEPARATOR_LINE = re.compile(r"\ufeff?sep=.\r?\n?")
_NO_NEWLINE = "a last line of {} bytes without a newline"


def headers(container: Container) -> list[str]:
    """Return the names of a table's columns, without empty names. Names of CSV and TSV have no spaces around them.

    Raises:
        UnknownFormat: the file is not a table.
    """
    if container.kind == "parquet":
        with container.plain_path() as path:
            return read_headers(path)
    with container.open() as stream, _text(stream) as text:
        names = next(csv.reader(_content(text), delimiter=container.delimiter), [])
        return [name for name in map(str.strip, names) if name]


def delimited_records(container: Container, waits: Callable[[str], None] | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV or TSV file as header → cell, without rows in which all cells are empty.

    Each byte of a cell that is not valid UTF-8 is a lone surrogate.

    Args:
        container: the file.
        waits: called with a description of an incomplete row at the end of the file; None if the file is complete.

    Raises:
        UnknownFormat: the header is not valid CSV.
    """
    with container.open() as stream, _text(stream) as text:
        lines = _whole_lines(_content(text), waits)
        try:
            names = list(map(str.strip, next(csv.reader(lines, delimiter=container.delimiter), [])))
        except csv.Error as error:
            raise UnknownFormat(f"{container.name}, line 1: {error}") from None
        for row in csv_rows(lines, container.delimiter, waits):
            if row.fault or len(row.cells) > len(names) or any(map(_is_filled, row.cells)):
                yield _record(names, row)


def _record(names: list[str], row: CsvRow) -> dict[str, Any]:
    found = {name: cell for name, cell in zip_longest(names, row.cells[: len(names)]) if name}
    if row.fault:
        found[CELLS] = row.fault
    elif any(map(_is_filled, row.cells[len(names) :])):
        found[CELLS] = f"a row of {len(row.cells)} cells under a header of {len(names)}"
    return found


def line_of_row(container: Container, row: int) -> int | None:
    """Return the line, counted from 1, on which a row of a CSV or TSV file begins; None without such a row.

    Args:
        container: the file.
        row: the 0-based row, as `delimited_records` yields them.
    """
    with container.open() as stream, _text(stream) as text:
        before = 0

        def counted() -> Iterator[str]:
            nonlocal before
            for line in text:
                before += 1
                yield line

        lines = _content(counted())
        columns = len(next(csv.reader(lines, delimiter=container.delimiter), []))
        header = before
        for found in csv_rows(lines, container.delimiter, None):
            if found.fault or len(found.cells) > columns or any(map(_is_filled, found.cells)):
                if not row:
                    return header + found.line
                row -= 1
    return None


def parquet_records(container: Container, wanted: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a Parquet file as dictionaries with the columns in `wanted`.

    Raises:
        UnknownFormat: the file is not Parquet, or declares more rows or bytes than a file of its size can honestly
            have.
    """
    names = set(wanted)
    with container.plain_path() as path:
        yield from read_rows(path, [name for name in read_headers(path) if name in names])


def _text(stream: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _content(text: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a table from its header on.

    Empty lines before the header are left out, and so is the line `sep=;` of a spreadsheet.
    """
    lines = iter(text)
    for line in lines:
        if line.strip() and not _SEPARATOR_LINE.fullmatch(line):
            yield line
            break
    yield from lines


def _whole_lines(text: Iterable[str], waits: Callable[[str], None] | None) -> Iterator[str]:
    """Yield the lines that end in a newline.

    If `waits` is None, a last line without a newline is yielded too. Otherwise `waits` is called with a description of
    this line.
    """
    for line in text:
        if waits is not None and not line.endswith(("\n", "\r")):
            waits(_NO_NEWLINE.format(len(line.encode("utf-8", "surrogateescape"))))
            return
        yield line


def _is_filled(cell: object) -> bool:
    return bool(cell.strip() if isinstance(cell, str) else cell)


def printable(cell: Any) -> Any:
    """Write the bytes that are not valid UTF-8 (in a text: lone surrogates) as backslash escapes."""
    if not isinstance(cell, str) or cell.isascii():
        return cell
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
