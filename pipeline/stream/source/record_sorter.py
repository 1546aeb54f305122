"""Sorts the records of a file by time, in bounded memory.

Records are collected into pieces of about 64 MB. A full piece is sorted and written to a temporary folder. Reading
merges the pieces block by block. If all records fit into one piece, they stay in memory.

Records of the same time are in the order of the file, so the result does not depend on the size of the pieces. Memory
holds one piece while records are added, and one block of each piece while they are read.
"""

import errno
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import Unavailable
from pipeline.vocabulary.arrays import Int64

PIECE_BYTES = 64 * 1024 * 1024
BLOCK_ROWS = 4_096
_SCHEMA = pa.schema([("at", pa.int64()), ("number", pa.int64()), ("value", pa.large_binary())])


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Some consecutive records of the sorted sequence: n records with their times and numbers.

    Attributes:
        at: int64[n], time of each record in microseconds since 1970 UTC.
        number: int64[n], record number in the file.
        values: the n records as bytes.
    """

    at: Int64
    number: Int64
    values: list[bytes]

    def take(self, rows: Int64) -> "RecordBlock":
        """Return the records at the given indices, in the given order."""
        return RecordBlock(self.at[rows], self.number[rows], [self.values[row] for row in rows.tolist()])

    def split(self, row: int) -> tuple["RecordBlock", "RecordBlock"]:
        """Split the records into two blocks: the first `row` records, and the others."""
        head = RecordBlock(self.at[:row], self.number[:row], self.values[:row])
        return head, RecordBlock(self.at[row:], self.number[row:], self.values[row:])


class RecordSorter:
    """Sorts the records of one reading. Records are added in the order of the file, and read in the order of time."""

    def __init__(self, piece_bytes: int = PIECE_BYTES, block_rows: int = BLOCK_ROWS) -> None:
        """Create a sorter without records.

        Args:
            piece_bytes: size of a piece in bytes.
            block_rows: number of records in a block of a written piece.
        """
        self._piece_bytes, self._block_rows = piece_bytes, block_rows
        self._open: list[RecordBlock] = []
        self._open_bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._pieces: list[Path] = []
        self.size = 0

    def add(self, first: int, values: Sequence[bytes], at: Int64) -> None:
        """Add n consecutive records of the file.

        Args:
            first: number of the first of these records in the file.
            values: the n records as bytes.
            at: int64[n], time of each record in microseconds since 1970 UTC.

        Raises:
            Unavailable: the disk of the temporary folder is full.
        """
        self._open.append(RecordBlock(at, np.arange(first, first + len(values), dtype=np.int64), list(values)))
        self._open_bytes += sum(map(len, values)) + 100 * len(values)
        self.size += len(values)
        if self._open_bytes >= self._piece_bytes:
            self._write_piece()

    def read(self, first: int = 0) -> Iterator[RecordBlock]:
        """Yield the records in the order of time, block by block.

        Args:
            first: number of records at the beginning of this order that are left out.

        Raises:
            Unavailable: the disk of the temporary folder is full.
        """
        if self._pieces and self._open:
            self._write_piece()
        blocks = _merge([self._blocks(path) for path in self._pieces]) if self._pieces else iter([self._sorted()])
        for block in blocks:
            if first >= len(block.values):
                first -= len(block.values)
                continue
            yield block.split(first)[1] if first else block
            first = 0

    def close(self) -> None:
        """Delete the temporary folder, and discard all records."""
        self._open, self._pieces = [], []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _sorted(self) -> RecordBlock:
        whole = _joined(self._open)
        if not (whole.at[1:] < whole.at[:-1]).any():
            return whole
        return whole.take(np.argsort(whole.at, kind="stable"))  # numbers grow, so a stable sort keeps their order

    def _write_piece(self) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="integrity-sort-")
        path = Path(self._folder.name) / f"{len(self._pieces):06d}.arrow"
        piece = self._sorted()
        table = pa.table([piece.at, piece.number, pa.array(piece.values, pa.large_binary())], schema=_SCHEMA)
        try:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
                writer.write_table(table, self._block_rows)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise Unavailable(
                f"{path.parent} is full: sorting a file by time needs as much room there as its records take "
                "(set TMPDIR to a folder with more)"
            ) from error
        self._pieces.append(path)
        self._open, self._open_bytes = [], 0

    def _blocks(self, path: Path) -> Iterator[RecordBlock]:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            for place in range(reader.num_record_batches):
                batch = reader.get_batch(place)
                at, number = (np.array(batch[name]) for name in ("at", "number"))
                yield RecordBlock(at, number, batch["value"].to_pylist())


def _joined(blocks: Sequence[RecordBlock]) -> RecordBlock:
    if not blocks:
        return RecordBlock(np.zeros(0, np.int64), np.zeros(0, np.int64), [])
    values = [value for block in blocks for value in block.values]
    return RecordBlock(
        np.concatenate([block.at for block in blocks]), np.concatenate([block.number for block in blocks]), values
    )


def _merge(pieces: list[Iterator[RecordBlock]]) -> Iterator[RecordBlock]:
    """Merge sorted pieces block by block.

    A record can be yielded as soon as no block that is still to be loaded can have an earlier record.
    """
    loaded: dict[int, RecordBlock] = {}
    while True:
        for place, piece in enumerate(pieces):
            if place not in loaded and (block := next(piece, None)) is not None:
                loaded[place] = block
        if not loaded:
            return
        last = min((int(block.at[-1]), int(block.number[-1])) for block in loaded.values())
        ready = []
        for place, block in list(loaded.items()):
            head, rest = block.split(_rows_until(block, *last))
            ready.append(head)
            if rest.values:
                loaded[place] = rest
            else:
                del loaded[place]
        whole = _joined(ready)
        yield whole.take(np.lexsort((whole.number, whole.at)))


def _rows_until(block: RecordBlock, at: int, number: int) -> int:
    """Return how many records of a block are not after (at, number). Records are sorted by time, then by number."""
    first, end = (int(np.searchsorted(block.at, at, side=side)) for side in ("left", "right"))
    return first + int(np.searchsorted(block.number[first:end], number, side="right"))
