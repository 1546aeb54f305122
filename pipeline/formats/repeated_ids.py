"""Finds the votes whose id repeats, without keeping the ids: each is kept as two hashes, 16 bytes in all.

Ids are as many as votes, and as texts they would be most of the memory of a reading. A word of eight bytes of all texts
is hashed at a time. The seeds are random, so that no file can be made in which two ids have the same hashes.
"""

import secrets

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.column_pieces import Undecided
from pipeline.formats.text_codes import row_positions
from pipeline.vocabulary.arrays import Int64, UInt64

MAX_ID = 200
"""Characters of an id that the decoder accepts."""

_WORD = 8
# The odd multipliers of the finaliser of splitmix64.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)


class RepeatedIds:
    """The ids of votes, piece by piece."""

    def __init__(self) -> None:
        self._seeds = np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64))
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._known: list[npt.NDArray[np.bool_]] = []

    def add(self, column: pa.DictionaryArray) -> None:
        """Add the ids of a piece.

        Raises:
            Undecided: an id that the decoder must check.
        """
        ids = column.dictionary
        longest = pc.max(pc.binary_length(ids)).as_py() or 0
        if longest > MAX_ID or pc.all(pc.ascii_is_printable(ids)).as_py() is False:
            raise Undecided
        positions = row_positions(column)
        empty = pc.index(ids, "").as_py()
        hashes = hash_texts(ids, self._seeds)
        self._known.append((positions >= 0) & (positions != empty if empty >= 0 else True))
        self._hashes.append(np.pad(hashes, ((0, 0), (0, 1)))[:, positions])

    def identity(self) -> Int64 | None:
        """Return int64[N], equal for equal ids, −1 for a vote without one; None if no id repeats."""
        known = np.concatenate(self._known) if self._known else np.zeros(0, dtype=np.bool_)
        first = np.concatenate([part[0] for part in self._hashes]) if self._hashes else np.zeros(0, dtype=np.uint64)
        ordered = np.sort(first[known])
        if not (ordered[1:] == ordered[:-1]).any():
            return None
        pairs = np.ascontiguousarray(np.concatenate(self._hashes, axis=1)[:, known].T)
        _, codes = np.unique(pairs.view([("first", np.uint64), ("second", np.uint64)]).ravel(), return_inverse=True)
        identity = np.full(len(known), -1, dtype=np.int64)
        identity[known] = codes.ravel()
        return identity


def hash_texts(texts: pa.StringArray, seeds: tuple[np.uint64, np.uint64]) -> UInt64:
    """Return uint64[2, n], two hashes of the UTF-8 of each text; a null is hashed as an empty text."""
    start, length, words = _layout(texts)
    first, second = (length.astype(np.uint64) ^ seed for seed in seeds)
    shortest, longest = int(length.min(initial=MAX_ID)), int(length.max(initial=0))
    for done in range(0, longest, _WORD):
        if done + _WORD <= shortest:
            _absorb(first, second, words[start + done])
            continue
        rows = np.flatnonzero(length > done)
        word = words[start[rows] + done] & _MASKS[np.minimum(length[rows] - done, _WORD)]
        parts = first[rows], second[rows]
        _absorb(*parts, word)
        first[rows], second[rows] = parts
    return np.stack([first, second])


def _absorb(first: UInt64, second: UInt64, word: UInt64) -> None:
    """Change two hashes by a word of each text, in place."""
    first ^= word
    first *= _FIRST
    first ^= first >> _HALF
    second *= _SECOND
    second += word ^ (word >> _HALF)


def _layout(texts: pa.StringArray) -> tuple[Int64, Int64, UInt64]:
    """Return the place and the length of each text, and the eight bytes from each place on as a number."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64), np.zeros(1, np.uint64)
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    padded = np.concatenate([np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]], np.zeros(_WORD, np.uint8)])
    words: UInt64 = np.ndarray((len(padded) - _WORD + 1,), dtype="<u8", buffer=padded, strides=(1,))
    return ends[:-1] - ends[0], np.diff(ends), words
