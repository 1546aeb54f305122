"""Applies a function to every segment of a log, in threads of this process.

Another engine can run the same functions on other machines: functions can be pickled, a segment is described by the
paths of its files, and results are returned in the order of the segments.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from pipeline.errors import Refuted, Unavailable
from pipeline.ledger import leaf_labels, segment

Result = TypeVar("Result")

# More threads would only wait for each other, because about half of a pass holds Python's lock.
_MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """The place of a segment in the vote log, and the paths of its public files.

    Attributes:
        first: index of the segment's first leaf.
        leaves: number of leaves.
        rows: path of the file with the leaves.
        labels: path of the file with the labels of the votes; None if no vote has a label.
        labels_sha256: SHA-256 of the file of labels; "" if there is none.
    """

    first: int
    leaves: int
    rows: Path
    labels: Path | None
    labels_sha256: str

    @property
    def name(self) -> str:
        """The name of the segment in messages."""
        return f"segment of leaves {self.first} to {self.first + self.leaves - 1}"

    def read_rows(self) -> pa.Table:
        """Return the leaves of the segment, a table with `ledger.leaf.SCHEMA`.

        Raises:
            Refuted: the file is not a segment file.
            Unavailable: the file is missing.
        """
        return segment.read(_read(self.rows), self.name)[0]

    def read_labels(self) -> pa.Table:
        """Return the labels of the segment, a table with `ledger.leaf_labels.SCHEMA`; no rows if it has no labels.

        Raises:
            Refuted: the content of the file is not what was sealed.
            Unavailable: the file is missing.
        """
        if self.labels is None:
            return leaf_labels.SCHEMA.empty_table()
        data = _read(self.labels)
        if sha256(data).hexdigest() != self.labels_sha256:
            raise Refuted("labels", self.name, f"expected labels with SHA-256 {self.labels_sha256}, got another file")
        return leaf_labels.read(data, self.name, self.first, self.leaves)


def map_segments(
    function: Callable[[SealedSegment], Result], segments: Iterable[SealedSegment], threads: int | None = None
) -> Iterator[Result]:
    """Yield the result of a function for each segment, in the order of the segments.

    At most `threads` results are in memory besides the yielded one.

    Args:
        function: reads the segment's files and changes nothing; can be pickled.
        segments: the segments.
        threads: largest number of segments that are processed at the same time; by default one for each processor, at
            most 4.

    Raises:
        Exception: the error of `function`, in place of the result of its segment.
    """
    size = threads or min(_MOST_THREADS, os.cpu_count() or 1)
    left = iter(segments)
    with ThreadPoolExecutor(size) as pool:
        waiting: deque[Future[Result]] = deque(pool.submit(function, one) for one in islice(left, size))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, one) for one in islice(left, 1))
                yield result
        finally:
            for one in waiting:
                one.cancel()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"expected the ledger's file {path}, got: {error.strerror}") from error
