"""Reads the rows of CSV and TSV text, and keeps a quote that is never closed from taking other rows with it.

A cell that begins with a quote goes on to the next quote, over the ends of lines too. If the closing quote is missing,
the cell takes in the following rows up to the first quote of a later row, and their votes would be lost without a word.
Such a row is told by what follows the later quote, which is neither a delimiter nor the end of a line. Then only the
line on which the quote opens is broken, and the lines after it are read again.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

_LARGEST = 64 * 1024 * 1024
# Cells may contain whole prompts; the limit of the csv module is 128 KiB.
csv.field_size_limit(_LARGEST)

_QUOTE = ord('"')
_ENDS = b'\r\n"'


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row.

    Attributes:
        line: the 1-based line of the text on which the row begins.
        cells: the cells. Of a broken row, the cells of its first line, or none.
        fault: what is wrong with the row; "" if the row is whole.
    """

    line: int
    cells: list[str]
    fault: str = ""


class _Lines:
    """The lines of a text, some of which may be given back to be read again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._again = iter(lines), deque[str]()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self.number += 1
        return line

    def give_back(self) -> None:
        """Let all taken lines but the first be read again."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1


def csv_rows(lines: Iterable[str], delimiter: str, waits: Callable[[str], None] | None) -> Iterator[CsvRow]:
    """Yield the rows of a text, without empty lines.

    A row of one line whose quotes are not closed properly, such as `"a"b`, is read as it stands.

    Args:
        lines: the lines of the text, with their ends.
        delimiter: the character between two cells.
        waits: called with a description of a row at the end whose quotes are open, which is not yielded. None if the
            text is complete: such a row is broken.
    """
    feed = _Lines(lines)
    rows = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken, line, fault = [], feed.number + 1, ""
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error) and waits is not None:
                waits("a row whose quotes are open at the end of the file")
                return
            if len(feed.taken) > 1 or "end of data" in str(error):
                fault = "a row with a quote that is not closed"
            feed.give_back()
            cells = _cells(feed.taken[0], delimiter)
            fault = fault or ("" if cells else f"a row with a cell of more than {_LARGEST} characters")
        if cells or fault:
            yield CsvRow(line, cells, fault)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line whose quotes may be open; none if a cell is too large."""
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return []


class QuoteCheck:
    """A stream of CSV or TSV that sees, while it is read, whether all quotes open and close where a cell does.

    Args:
        stream: the stream.
        delimiter: the character between two cells.
    """

    def __init__(self, stream: IO[bytes], delimiter: str) -> None:
        self._stream = stream
        self._borders = np.frombuffer(delimiter.encode() + _ENDS, dtype=np.uint8)
        self._before, self._open, self._start = b"\n", False, True
        self.sound = True
        """Whether each quote that was read stands at the border of a cell or is a doubled quote in a quoted cell."""

    @property
    def closed(self) -> bool:
        """Whether the stream is closed."""
        return self._stream.closed

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all that are left if it is negative."""
        data = self._stream.read(size)
        if self.sound:
            text = data.removeprefix(b"\xef\xbb\xbf") if self._start else data
            self.sound, self._start = self._holds(text), False
        return data

    def _holds(self, text: bytes) -> bool:
        # The byte before the block comes first: what must follow a quote there is known only now.
        values = np.frombuffer(self._before + text, dtype=np.uint8)
        quotes = np.flatnonzero(values[1:] == _QUOTE) + 1
        opens = (np.arange(len(quotes)) + self._open) % 2 == 0
        closing = quotes[~opens]
        if values[0] == _QUOTE and not self._open:
            closing = np.concatenate([[0], closing])
        followers = values[closing[closing + 1 < len(values)] + 1]
        if len(quotes) % 2:
            self._open = not self._open
        self._before = values[-1:].tobytes()
        beside = np.concatenate([values[quotes[opens] - 1], followers])
        return bool(np.isin(beside, self._borders).all())
