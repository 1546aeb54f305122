"""Collects the values of a column piece by piece, in little more memory than the values take."""

from mmap import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.vocabulary.large_arrays import have_place, new_large

_BLOCK = 1 << 20
_MOST_SMALL = np.iinfo(np.int16).max


class ColumnBuffer:
    """Collects the values of a column in blocks.

    `finish` frees each block as soon as the block is copied to the result. Blocks are memory maps, since the heap would
    not return freed blocks to the system. Blocks and results are large arrays (`pipeline.vocabulary.large_arrays`). A
    column of codes uses two bytes for each code until a code needs more.
    """

    def __init__(self, kind: npt.DTypeLike, width: int = 0) -> None:
        """Create an empty column.

        Args:
            kind: numpy type of the values.
            width: how many values a row has; 0 for rows that are single values.
        """
        self._kind = np.dtype(kind)
        self._shape: tuple[int, ...] = (width,) if width else ()
        self._blocks: list[npt.NDArray[Any]] = []
        self._size = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._size

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values as rows at the end of the column."""
        if self._kind == np.int16 and values.max(initial=0) > _MOST_SMALL:
            self._kind = np.dtype(np.int32)
            self._blocks[-1:] = [block.astype(self._kind) for block in self._blocks[-1:]]
        while len(values):
            place = self._size % _BLOCK
            if not place:
                self._blocks.append(self._new_block())
            taken = min(len(values), _BLOCK - place)
            self._blocks[-1][place : place + taken] = values[:taken]
            self._size, values = self._size + taken, values[taken:]

    def fill(self, rows: int, value: int) -> None:
        """Add `rows` rows, all with the value `value`."""
        self.append(np.broadcast_to(self._kind.type(value), (rows, *self._shape)))

    def _new_block(self) -> npt.NDArray[Any]:
        if self._blocks and have_place():  # the first block stays in memory: most columns are short
            return new_large((_BLOCK, *self._shape), self._kind)
        values = _BLOCK * int(np.prod(self._shape, dtype=np.int64))
        return np.frombuffer(mmap(-1, values * self._kind.itemsize), self._kind).reshape(_BLOCK, *self._shape)

    def finish(self, kind: npt.DTypeLike | None = None, table: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return all rows as one array, with a row for each row that was added, and empty the buffer.

        Args:
            kind: numpy type of the result; None for the type of the values, or of `table` if it is given.
            table: each value v is replaced by `table[v]`; None to keep the values.
        """
        result = new_large((self._size, *self._shape), kind or (self._kind if table is None else table.dtype))
        for start in range(0, self._size, _BLOCK):
            block = self._blocks.pop(0)[: self._size - start]
            result[start : start + len(block)] = block if table is None else table[block]
        self._size = 0
        return result
