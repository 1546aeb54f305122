"""Reads CSV, TSV and Parquet files as records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from pipeline.errors import UnknownFormat
from pipeline.formats.bounded_parquet import read_headers, read_rows
from pipeline.formats.containers import Container

CELLS = "\0cells"
"""Key of a row that has more cells than the header. Its value describes the row."""

_SEPARATOR_LINE = re.compile(r"\ufeff?sep=.\r?\n?")
_NO_NEWLINE = "a last line of {} bytes without a newline"
# A line that follows the last one of a CSV file; no file has it.
_END = "\x1f(end of file)\x1f"
# Cells may contain whole prompts; the limit of the csv module is 128 KiB.
csv.field_size_limit(64 * 1024 * 1024)


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
        UnknownFormat: a line is not valid CSV.
    """
    with container.open() as stream, _text(stream) as text:
        rows = csv.DictReader(_whole_lines(_content(text), waits), delimiter=container.delimiter)
        try:
            rows.fieldnames = list(map(str.strip, rows.fieldnames or ()))
            for row in _whole_rows(rows, waits):
                more = row.pop(None, None)  # type: ignore[call-overload]  # the key of cells without a header
                found = {key: cell for key, cell in row.items() if key}
                if more and any(map(_is_filled, more)):
                    found[CELLS] = f"a row of {len(row) + len(more)} cells under a header of {len(row)}"
                yield found
        except csv.Error as error:
            raise UnknownFormat(f"{container.name}, line {rows.line_num}: {error}") from None


def line_of_row(container: Container, row: int) -> int | None:
    """Return the line, counted from 1, on which a row of a CSV or TSV file begins; None without such a row.

    Args:
        container: the file.
        row: the 0-based row, as `delimited_records` yields them.
    """
    with container.open() as stream, _text(stream) as text:
        ends = 0

        def counted() -> Iterator[str]:
            nonlocal ends
            for line in text:
                ends += 1
                yield line

        rows = csv.reader(_content(counted()), delimiter=container.delimiter)
        columns, before = len(next(rows, [])), ends
        for cells in rows:
            start, before = before + 1, ends
            if len(cells) > columns or any(map(_is_filled, cells)):
                if not row:
                    return start
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
    """Yield the lines that end in a newline, then the line `_END`.

    If quotes are open at the end of the file, the CSV reader adds `_END` to the last row. So `_whole_rows` can see that
    this row is incomplete. If `waits` is None, a last line without a newline is yielded too. Otherwise `waits` is
    called with a description of this line.
    """
    for line in text:
        if not line.endswith(("\n", "\r")):
            if waits is None:
                yield f"{line}\n"
                break
            waits(_NO_NEWLINE.format(len(line.encode("utf-8", "surrogateescape"))))
            break
        yield line
    yield f"{_END}\n"


def _whole_rows(rows: Iterable[dict[str, Any]], waits: Callable[[str], None] | None) -> Iterator[dict[str, Any]]:
    """Yield the rows with at least one filled cell, without the last row, in which `_whole_lines` put the text `_END`.

    If the last row has another cell too, it is an incomplete row of the file, whose quotes are not closed.

    Args:
        rows: the rows from the CSV reader.
        waits: called with a description of an incomplete row; None makes such a row an error.

    Raises:
        csv.Error: the last row is incomplete, and `waits` is None.
    """
    before: dict[str, Any] | None = None
    for row in rows:
        if before is not None and any(_is_filled(cell) for cell in before.values()):
            yield before
        before = row
    cells = [cell for cell in before.values() if cell] if before is not None else []
    if cells and cells != [_END]:
        if waits is None:
            raise csv.Error("the quotes of the last row are open")
        waits("a row whose quotes are open at the end of the file")


def _is_filled(cell: object) -> bool:
    return bool(cell.strip() if isinstance(cell, str) else cell)


def printable(cell: Any) -> Any:
    """Replace the bytes of a text that are not valid UTF-8, which are lone surrogates, by backslash escapes."""
    if not isinstance(cell, str) or cell.isascii():
        return cell
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
