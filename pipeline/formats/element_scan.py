"""Finds where an element of a JSON array ends, when the element is too large to be decoded."""

from __future__ import annotations

import numpy as np

from pipeline.vocabulary.arrays import Int64

_QUOTE, _ESCAPE, _COMMA = b'"\\,'
# The change of depth at each byte, and whether a byte can end an element.
_STEPS = np.zeros(256, dtype=np.int64)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_SIGNS = (_STEPS != 0) | (np.arange(256) == _COMMA)


class ElementScan:
    """Reads an element piece by piece. It ends at the first comma or closing bracket that belongs to the array."""

    def __init__(self) -> None:
        self._depth, self._quoted, self._escaped = 0, False, False

    def find_end(self, piece: bytes) -> int | None:
        """Return the position in the next piece at which the element ends; None if it goes on after the piece."""
        values = np.frombuffer(piece, dtype=np.uint8)
        quotes = self._quotes(values)
        signs = np.flatnonzero(_SIGNS[values])
        outside = signs[(np.searchsorted(quotes, signs) + self._quoted) % 2 == 0]
        depths = self._depth + np.cumsum(_STEPS[values[outside]])
        ends = np.flatnonzero((depths < 0) | ((depths == 0) & (values[outside] == _COMMA)))
        if len(ends):
            return int(outside[ends[0]])
        self._depth = int(depths[-1]) if len(depths) else self._depth
        self._quoted ^= len(quotes) % 2 == 1
        return None

    def _quotes(self, values: np.ndarray) -> Int64:
        """Return the positions of the quotes that are not escaped."""
        quotes = np.flatnonzero(values == _QUOTE)
        escapes = np.flatnonzero(values == _ESCAPE)
        before = self._escaped
        if not len(values):
            return quotes
        # A run of backslashes escapes the sign after it if their number is odd, with one from the piece before.
        first = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
        lengths = np.diff(np.append(first, len(escapes)))
        starts = escapes[first]
        odd = (lengths + (before & (starts == 0))) % 2 == 1
        after = (starts + lengths)[odd]
        if before and values[0] != _ESCAPE:
            after = np.append(after, 0)
        self._escaped = bool((after == len(values)).any())
        return np.setdiff1d(quotes, after, assume_unique=True)
