"""Writes and searches a file of sorted vote ids: an exact set of 128-bit keys, each with the position of its vote.

A key is the first 128 bits of the SHA-256 of a vote id, so keys are evenly spread. The file has, for n keys in
ascending order:

    starts      uint32[2^b + 1]   where the keys with the same first b bits begin (about 4 keys)
    marks       uint16[n]         the 16 bits after the first b
    high, low   uint64[n]         the key
    partition   int32[n]          position of the vote (partition_no, offset)
    offset      int64[n]

A search reads `starts` and `marks`, 3 bytes a key, which remain in the memory of the operating system. For a key that
is not in the file, more is read with probability 4 · 2⁻¹⁶. The whole key is always compared, so the answer is exact.
The file is mapped, and processes of one machine share it; it takes 31 bytes a key on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import Refuted
from pipeline.store.db.archive_folder import ArchiveFolder
from pipeline.vocabulary.arrays import Int64

_MAGIC = b"vote-ids-1\0\0\0\0\0\0"
_HEAD = np.dtype([("magic", "S16"), ("ids", "<u8"), ("bits", "<u8")])
_PER_BUCKET = 4
_MOST = 2**32 - 1
_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Ids:
    """n ids with the positions of their votes.

    Attributes:
        high, low: the two halves of each key, uint64[n].
        partition: partition numbers (partition_no), int64[n].
        offset: offsets, int64[n].
    """

    high: _Words
    low: _Words
    partition: Int64
    offset: Int64

    @classmethod
    def of_keys(cls, keys: npt.NDArray[np.void], partition: Int64, offset: Int64) -> Ids:
        """Return n ids from their keys (V16[n], `ingest.VoteKeys`) and the positions of their votes (int64[n] each)."""
        high, low = split_keys(keys)
        return cls(high, low, partition, offset)

    @classmethod
    def joined(cls, parts: Sequence[Ids]) -> Ids:
        """Return the ids of several parts together."""
        names = ("high", "low", "partition", "offset")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))


def split_keys(keys: npt.NDArray[np.void]) -> tuple[_Words, _Words]:
    """Return the high and the low 64 bits of n keys (V16[n]), uint64[n] each."""
    words = np.frombuffer(np.ascontiguousarray(keys).tobytes(), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def build(ids: Ids) -> Iterator[bytes]:
    """Yield the pieces of a file with n ids, n at least 1.

    Raises:
        ValueError: an id occurs twice, or there are 2³² ids or more.
    """
    number = len(ids.high)
    if number > _MOST:
        raise ValueError(f"expected at most {_MOST} ids in a file, got {number}")
    order = np.lexsort((ids.low, ids.high))
    high, low = ids.high[order], ids.low[order]
    if ((high[1:] == high[:-1]) & (low[1:] == low[:-1])).any():
        raise ValueError("expected each id once")
    bits = max(0, (number // _PER_BUCKET).bit_length() - 1)
    bucket = _first_bits(high, bits)
    starts = np.searchsorted(bucket, np.arange((1 << bits) + 1, dtype=np.uint64)).astype("<u4")
    head = np.zeros(1, dtype=_HEAD)
    head["magic"], head["ids"], head["bits"] = _MAGIC, number, bits
    yield head.tobytes()
    yield starts.tobytes()
    yield _marks(high, bits).astype("<u2").tobytes()
    yield high.astype("<u8").tobytes()
    yield low.astype("<u8").tobytes()
    yield ids.partition[order].astype("<i4").tobytes()
    yield ids.offset[order].astype("<i8").tobytes()


class IdFile:
    """Searches a file of ids."""

    def __init__(self, data: Any, where: str) -> None:
        """Use the mapped content of a file.

        Raises:
            Refuted: the content is not a complete file of ids.
        """
        head = np.frombuffer(data, dtype=_HEAD, count=1)[0] if len(data) >= _HEAD.itemsize else None
        if head is None or head["magic"] != _MAGIC.rstrip(b"\0"):
            raise Refuted("archive", where, "expected a file of vote ids")
        self.ids, self._bits = int(head["ids"]), int(head["bits"])
        buckets = (1 << self._bits) + 1
        at, columns = _HEAD.itemsize, []
        for kind, number in (("<u4", buckets), *((k, self.ids) for k in ("<u2", "<u8", "<u8", "<i4", "<i8"))):
            dtype = np.dtype(kind)
            if at + number * dtype.itemsize > len(data):
                raise Refuted("archive", where, f"expected {self.ids} vote ids, got a shorter file")
            columns.append(np.frombuffer(data, dtype=dtype, count=number, offset=at))
            at += number * dtype.itemsize
        self._starts, self._marks, self._high, self._low, self._partition, self._offset = columns

    def find(self, high: _Words, low: _Words) -> tuple[Int64, Int64, Int64]:
        """Find n keys, given by their halves.

        Returns:
            Three arrays int64[m], one value for each key that is in the file: its index in the given keys, and the
            partition and the offset of its vote.
        """
        bucket = _first_bits(high, self._bits).astype(np.int64)
        start = self._starts[bucket].astype(np.int64)
        lengths = self._starts[bucket + 1].astype(np.int64) - start
        asked = np.repeat(np.arange(len(high)), lengths)
        place = np.repeat(start - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(asked))
        same = np.flatnonzero(self._marks[place] == _marks(high, self._bits)[asked])
        asked, place = asked[same], place[same]
        same = np.flatnonzero((self._high[place] == high[asked]) & (self._low[place] == low[asked]))
        asked, place = asked[same], place[same]
        return asked, self._partition[place].astype(np.int64), self._offset[place].astype(np.int64)

    def all(self) -> Ids:
        """Return all ids of the file, in ascending order."""
        return Ids(
            self._high.astype(np.uint64), self._low.astype(np.uint64), self._partition.astype(np.int64),
            self._offset.astype(np.int64),
        )  # fmt: skip


@lru_cache(maxsize=64)
def _opened(folder: Path, digest: str) -> IdFile:
    """Map a file into memory. The result is cached, because the file of a digest never changes."""
    archive = ArchiveFolder(folder, folder)
    return IdFile(archive.open(digest), str(archive.path(digest)))


def open_ids(folder: ArchiveFolder, digest: str, ids: int) -> IdFile:
    """Open a file of ids, which stays mapped for later calls.

    Raises:
        Unavailable: the file is missing.
        Refuted: the file does not have the form of a file with this number of ids.
    """
    found = _opened(folder.folder, digest)
    if found.ids != ids:
        where = str(folder.path(digest))
        raise Refuted("archive", where, f"expected {ids} vote ids, as the store says, got {found.ids}")
    return found


def _first_bits(high: _Words, bits: int) -> _Words:
    return high >> np.uint64(64 - bits) if bits else np.zeros(len(high), dtype=np.uint64)


def _marks(high: _Words, bits: int) -> npt.NDArray[np.uint16]:
    return ((high << np.uint64(bits)) >> np.uint64(48)).astype(np.uint16)
