"""A battle file as a source: one partition, offset = record number, append time = cast time."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import Unavailable
from pipeline.events.chunk import Chunk
from pipeline.formats import ColumnMapping, read_records
from pipeline.vocabulary.visible_text import visible

# Long enough to distinguish two exports by content, short enough that a file of any useful size keeps its name
# when records are appended.
_IDENTITY_BYTES = 64 * 1024


class FileSource:
    """Reads a file from any record on. Records appended to a file continue the same source."""

    def __init__(self, path: Path, mapping: ColumnMapping | None = None) -> None:
        """Open a file.

        Raises:
            Unavailable: the file does not exist.
        """
        if not path.is_file():
            raise Unavailable(f"expected a battle file, got none at {path}")
        self._path = path
        self._mapping = mapping
        self._records: Iterator[bytes] | None = None
        self._next = 0
        with path.open("rb") as file:
            head = file.read(_IDENTITY_BYTES)
        self.name = f"file:{hashlib.sha256(head).hexdigest()}:{visible(path.name)}"

    def generation(self) -> int:
        """Always the same number: the assignment of a file never changes."""
        return 1

    def assigned_partitions(self) -> list[int]:
        """The only partition, number 0."""
        return [0]

    def all_partitions(self) -> list[int]:
        """The only partition, number 0."""
        return [0]

    def offset_bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """Return bounds without an upper limit: the number of records is unknown until the file is read."""
        return {number: (0, np.iinfo(np.int64).max) for number in partitions}

    def known_ends(self) -> Mapping[int, int]:
        """Return nothing: the end is unknown until the file is read."""
        return {}

    def replaced_partitions(self, read: Mapping[int, tuple[int, int]]) -> list[int]:  # noqa: ARG002
        """Return no partition: a file with another beginning has another name."""
        return []

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Continue at a record. Reads all records before it too: missing ids of records are derived from these."""
        self._next = offsets[0]
        self._records = itertools.islice(read_records(self._path, self._mapping), self._next, None)

    def poll(self, limit: int, seconds: float) -> list[Chunk]:  # noqa: ARG002  # a file never waits
        """Return the next records; an empty list at the end of the file."""
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

    def heartbeat(self) -> None:
        """Do nothing: a file is never reassigned."""

    def positions(self) -> Mapping[int, int]:
        """The next record to read."""
        return {0: self._next}

    def report_committed(self, offsets: Mapping[int, int]) -> None:
        """Do nothing: no display shows a file's lag."""

    def close(self) -> None:
        """Release the file."""
        self._records = None
