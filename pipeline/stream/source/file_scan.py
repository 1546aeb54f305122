"""Reads the records of a file from its beginning, and computes a digest of all records so far.

The digest is computed from the records, not from the bytes of the file, so it is the same in every file format. If
records are appended to a file, the digest of the earlier records stays the same.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
import numpy as np

from pipeline.events.vote import Time
from pipeline.events.vote_batch import to_times
from pipeline.formats.vote_ids import ReadEvent, recognised_bytes
from pipeline.vocabulary.arrays import Int64

_STEP = 5_000
# Votes by which it is noticed that a log was read with other ids before.
_CONVERSATIONS = 1_000


class FileScan:
    """Reads the records of a file in order, and computes their digest.

    Attributes:
        at: number of records taken so far.
        conversations: for the first votes of a log, the ids that an early version made from the name of the
            conversation and the number of the turn. Empty if the log names no conversations, or if the board
            still uses such ids.
    """

    def __init__(self, records: Iterator[bytes]) -> None:
        """Begin before the first record. `records` yields the records of the file in order."""
        self._records = records
        self._lengths, self._bytes = hashlib.sha256(), hashlib.sha256()
        self.at = 0
        self.conversations: list[str] = []

    def take(self, limit: int) -> list[bytes]:
        """Return the next records of the file, and add them to the digest by which the file is recognised.

        At most `limit` records are returned, and at most 5,000. The list is empty at the end of the file.
        """
        step = list(islice(self._records, min(_STEP, limit)))
        bare = list(map(recognised_bytes, step))
        self._lengths.update(np.fromiter(map(len, bare), dtype="<i8", count=len(bare)).tobytes())
        self._bytes.update(b"".join(bare))
        self.at += len(step)
        if len(self.conversations) < _CONVERSATIONS:
            named = (one.conversation for one in step if isinstance(one, ReadEvent) and one.conversation)
            self.conversations += islice(named, _CONVERSATIONS - len(self.conversations))
        return step

    def digest(self) -> bytes:
        """Return the SHA-256 digest (32 bytes) of the records taken so far and of their lengths."""
        return hashlib.sha256(self._lengths.digest() + self._bytes.digest()).digest()


class _CastTime(msgspec.Struct):
    """The field of a record by which records are sorted in order of time."""

    cast_at: Time


_decode = msgspec.json.Decoder(_CastTime).decode
_NO_TIME = (ValueError, RecursionError, OverflowError)


def record_times(records: Sequence[bytes], before: int) -> Int64:
    """Return the `cast_at` of n records as int64[n], in microseconds since 1970 UTC.

    A record without a readable time gets the time of the record before it.

    Args:
        records: n records.
        before: time of the record before the first one, in microseconds since 1970 UTC.
    """
    try:
        return to_times([_decode(record).cast_at for record in records])
    except _NO_TIME:
        times = np.empty(len(records), dtype=np.int64)
        for row, record in enumerate(records):
            with contextlib.suppress(*_NO_TIME):
                before = int(to_times([_decode(record).cast_at])[0])
            times[row] = before
        return times
