"""Reads the origin of a record (its file and record number) from the record's headers when the origin is needed.

Only rejects and duplicates are shown with their origins. Decoding the headers of all records would take as long as
copying the votes into arrays.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import overload

ORIGIN_HEADER = "ce_origin"
"""The header that names the file and the row of a published record."""

Headers = Sequence[tuple[str, bytes]]

_MOST_LETTERS = 500


class HeaderOrigins(Sequence[str | None]):
    """The origin of each record that one poll of a topic returned. An origin is decoded when it is read."""

    def __init__(self, headers: Sequence[Headers | None]) -> None:
        """Keep the headers of each record; None or an empty sequence for a record without headers."""
        self._headers = headers

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._headers)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> "HeaderOrigins": ...

    def __getitem__(self, index: int | slice) -> "str | HeaderOrigins | None":
        """Return the origins of a slice, or the origin of one record: None if the record's headers have no origin."""
        if isinstance(index, slice):
            return HeaderOrigins(self._headers[index])
        found = dict(self._headers[index] or ()).get(ORIGIN_HEADER)
        # A header may contain any byte; PostgreSQL's text cannot contain NUL.
        return found.decode("utf-8", "replace").replace("\x00", "\\0")[:_MOST_LETTERS] if found else None


class JoinedOrigins(Sequence[str | None]):
    """Several sequences of origins, one after the other, as one sequence."""

    def __init__(self, parts: Sequence[Sequence[str | None]]) -> None:
        """Join these sequences, at least one."""
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        """Return the number of origins."""
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...

    def __getitem__(self, index: int | slice) -> "str | list[str | None] | None":
        """Return one origin, or several as a list. The origin of a record without one is None."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        part = bisect_right(self._ends, place)
        return self._parts[part][place - self._ends[part] + len(self._parts[part])]
