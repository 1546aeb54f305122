"""A battle file as a source: one partition, offset = record number, append time = cast time."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import Unavailable
from pipeline.events.chunk import Chunk
from pipeline.formats import ColumnMap, read_records

# Enough to tell two exports apart by their content, little enough that an appended-to file of any
# useful size keeps its identity.
_IDENTITY_BYTES = 64 * 1024


class FileSource:
    """Reads a file from any record on. Given again, it continues; a grown file goes on where it stopped."""

    def __init__(self, path: Path, mapping: ColumnMap | None = None) -> None:
        """Open a file.

        Raises:
            Unavailable: there is no such file.
        """
        if not path.is_file():
            raise Unavailable(f"expected a battle file, got none at {path}")
        self._path = path
        self._mapping = mapping
        self._records: Iterator[bytes] | None = None
        self._next = 0
        with path.open("rb") as file:
            head = file.read(_IDENTITY_BYTES)
        self.name = f"file:{hashlib.sha256(head).hexdigest()}:{path.name}"

    def generation(self) -> int:
        """A file is this worker's from the beginning to the end."""
        return 1

    def partitions(self) -> list[int]:
        """One, number 0."""
        return [0]

    def all_partitions(self) -> list[int]:
        """One, number 0."""
        return [0]

    def bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """A file's end shows only when it is read: the bound is open."""
        return {number: (0, np.iinfo(np.int64).max) for number in partitions}

    def ends(self) -> Mapping[int, int]:
        """Unknown until it is read."""
        return {}

    def replaced(self, read: Mapping[int, tuple[int, int]]) -> list[int]:  # noqa: ARG002
        """None: another beginning would be another name."""
        return []

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read on from a record. Ids of records without one depend on those before, so they are read too."""
        self._next = offsets[0]
        self._records = itertools.islice(read_records(self._path, self._mapping), self._next, None)

    def poll(self, limit: int, seconds: float) -> list[Chunk]:  # noqa: ARG002  # a file never waits
        """The next records; none at the end of the file."""
        if self._records is None:
            return []
        values: list[bytes | None] = list(itertools.islice(self._records, limit))
        if not values:
            return []
        offsets = np.arange(self._next, self._next + len(values), dtype=np.int64)
        self._next += len(values)
        origins: list[str | None] = [None] * len(values)
        unknown = np.full(len(values), -1, dtype=np.int64)
        return [Chunk(0, offsets, unknown, values, origins, self._next)]

    def keep(self) -> None:
        """Nobody takes a file away."""

    def positions(self) -> Mapping[int, int]:
        """The next record to read."""
        return {0: self._next}

    def done(self, offsets: Mapping[int, int]) -> None:
        """Nobody watches a file's lag."""

    def close(self) -> None:
        """Let go of the file."""
        self._records = None
