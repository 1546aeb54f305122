"""Reads and decodes the elements of a JSON array or the lines of a file. Only one record is in memory at a time.

An element is returned as the bytes in the file, since the decoder of events checks bytes.
"""

import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

from pipeline.errors import UnknownFormat
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.formats.element_scan import ElementScan

MAX_RECORD = 2 * 1024 * 1024
"""Largest size of one record in bytes. Records of public files may contain whole conversations."""

MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which may stand at the beginning of a file."""

_PIECE = 1024 * 1024
_SPACE = " \t\r\n"
# Control characters in texts are left to the decoder, which rejects the record alone.
_DECODER = json.JSONDecoder(strict=False)


def read_elements(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the elements of a JSON array as bytes.

    An element that is too large is cut to a length at which the decoder of events rejects it as too large. The elements
    after it are read.

    Args:
        file: the file.
        name: name of the file, for messages.

    Raises:
        UnknownFormat: the file is not a JSON array, or an element is not JSON, or is nested too deeply. The message has
            the number of the element.
    """
    yield from _Array(name, file).elements()


class _Array:
    """A JSON array that is read from a file. Bytes not yet parsed are kept as text with one character for each byte."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self._name, self._file = name, file
        self._text, self._at, self._ended = "", 0, False
        self._number = 0

    def elements(self) -> Iterator[bytes]:
        if self._next_sign(skip=True) != "[":
            kind = {"{": "object", '"': "str", "": "nothing"}.get(self._text[:1].strip(), "another value")
            raise UnknownFormat(f"{self._name}: expected a JSON array of battles, got `{kind}`")
        if self._next_sign() == "]":
            self._at += 1
        else:
            yield self._element()
            while (sign := self._next_sign(skip=True)) == ",":
                if self._next_sign() == "]":
                    raise self._error("expected it after the comma, got the end of the array: remove the comma")
                yield self._element()
            if sign != "]":
                got = repr(sign) if sign else "the end of the file: it may be cut off"
                raise self._error(f"expected a comma or the end of the array after it, got {got}", self._number - 1)
        if sign := self._next_sign():
            what = "the next array: write one array, or a record a line" if sign == "[" else repr(sign)
            raise UnknownFormat(f"{self._name}: expected the end of the file after the JSON array, got {what}")

    def _element(self) -> bytes:
        self._next_sign()
        while True:
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise self._error("expected JSON, got one that is nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    raise self._error(f"expected JSON: {error}") from None
            else:
                if end < len(self._text) or self._ended:
                    found = self._text[self._at : end].encode("latin-1")
                    self._at, self._number = end, self._number + 1
                    return found
            if len(self._text) - self._at > MAX_RECORD:
                return self._large_element()
            self._read(_PIECE)

    def _large_element(self) -> bytes:
        """Skip an element that is too large, and return its beginning, which the decoder of events rejects too."""
        start = self._text[self._at : self._at + MAX_BYTES + 1].encode("latin-1")
        scan = ElementScan()
        while (end := scan.find_end(self._text[self._at :].encode("latin-1"))) is None:
            if self._ended:
                raise self._error(f"expected JSON of at most {MAX_RECORD} bytes, got more, or no JSON")
            self._at = len(self._text)
            self._read(_PIECE)
        self._at, self._number = self._at + end, self._number + 1
        return start

    def _next_sign(self, *, skip: bool = False) -> str:
        """Return the next character that is not a space, "" at the end. With `skip`, move past this character."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                sign = self._text[self._at]
                self._at += skip
                return sign
            if self._ended:
                return ""
            self._read(_PIECE)

    def _read(self, size: int) -> None:
        data = self._file.read(size)
        if not self._text and not self._number:
            data = data.removeprefix(MARK)
        self._ended = not data
        self._text, self._at = self._text[self._at :] + data.decode("latin-1"), 0

    def _error(self, what: str, number: int | None = None) -> UnknownFormat:
        place = self._number if number is None else number
        return UnknownFormat(f"{self._name}: expected a JSON array of battles; record {place}: {what}")


def read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file, each with its line end.

    A line that is too large for an event is cut to a length at which the decoder still rejects it as too large. The
    rest of the line is skipped, and later lines are read.
    """
    first = True
    while line := file.readline(MAX_RECORD):
        line, first = line.removeprefix(MARK) if first else line, False
        if len(line) == MAX_RECORD and not line.endswith(b"\n"):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(_PIECE)
            yield line[: MAX_BYTES + 1] + (b"\n" if rest else b"")
        else:
            yield line


def decoded(raw: bytes) -> Any:
    """Return a record decoded from JSON; None if it is not JSON, or is an object that contains a key twice."""
    record, repeats = parsed(raw)
    return None if repeats else record


def parsed(raw: bytes) -> tuple[Any, bool]:
    """Decode a record from JSON.

    NaN, which Python and pandas write for a missing value, becomes None. A lone surrogate in a text is accepted.

    Returns:
        Two values: the decoded value, None if the bytes are not JSON; and whether the value is an object that contains
            a key twice.
    """
    repeats = False

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        result = dict(pairs)
        repeats = len(result) < len(pairs)  # the last call is that of the outermost object
        return result

    try:
        record = json.loads(raw, object_pairs_hook=once, parse_constant=_constant)
    except (ValueError, RecursionError):
        return None, False
    return record, repeats and isinstance(record, dict)


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)
