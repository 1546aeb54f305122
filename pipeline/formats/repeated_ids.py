"""Finds the votes whose id is also the id of an earlier vote.

Two hashes of each id are stored, 12 bytes together, instead of the id. Ids as texts would take most of the memory while
a file is read.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.column_buffer import ColumnBuffer
from pipeline.formats.column_pieces import Undecided
from pipeline.formats.text_codes import Texts, row_positions
from pipeline.formats.text_hashes import HALF, hash_texts
from pipeline.vocabulary.arrays import Bool, Int64, UInt64

MAX_ID = 200
"""Largest number of characters of an id that the decoder accepts."""


class RepeatedIds:
    """Collects the ids of votes, piece by piece, to find the votes with repeated ids."""

    def __init__(self, *, checked: bool = False) -> None:
        """Create an empty collection.

        Args:
            checked: whether the decoder of events has accepted the ids.
        """
        self._checked = checked
        self._first, self._second = ColumnBuffer(np.uint64), ColumnBuffer(np.uint32)
        self._known = ColumnBuffer(np.bool_)

    def add(self, column: Texts) -> None:
        """Add the ids of the votes of a piece.

        Raises:
            Undecided: an id has characters that the decoder of events must check, so the file must be read record by
                record.
        """
        is_coded = pa.types.is_dictionary(column.type)
        ids = column.dictionary if is_coded else column
        sizes = pc.fill_null(pc.binary_length(ids), 0).to_numpy(zero_copy_only=False)
        plain = sizes.max(initial=0) <= MAX_ID and pc.all(pc.ascii_is_printable(ids)).as_py() is not False
        if not (plain or self._checked):
            raise Undecided
        hashes, known = hash_texts(ids), sizes > 0
        if is_coded:
            positions = row_positions(column)
            hashes = np.pad(hashes, ((0, 0), (0, 1)))[:, positions]
            known = np.append(known, False)[positions]
        self._known.append(known)
        self._first.append(hashes[0])
        self._second.append(hashes[1] >> HALF)

    def identity(self) -> Int64 | None:
        """Return a number for the id of each vote, int64[N]; None if no id repeats. The collection is empty afterwards.

        Votes with equal ids have equal numbers. A vote without an id has −1.
        """
        known, first, second = self._known.finish(), self._first.finish(), self._second.finish()
        if not _has_repeats(first, known):
            return None
        pairs = np.zeros(np.count_nonzero(known), dtype=[("first", np.uint64), ("second", np.uint32)])
        pairs["first"], pairs["second"] = first[known], second[known]
        _, codes = np.unique(pairs, return_inverse=True)
        identity = np.full(len(known), -1, dtype=np.int64)
        identity[known] = codes.ravel()
        return identity


def _has_repeats(hashes: UInt64, known: Bool) -> bool:
    """Return whether two of the hashes are equal. To save memory, a sixteenth of the hashes is sorted at a time.

    Args:
        hashes: uint64[n], a hash of each id.
        known: bool[n], true for the hashes that count, which belong to votes with an id.
    """
    share = hashes.astype("<u8", copy=False).view(np.uint8)[7::8] >> 4
    for number in range(16):
        part = np.sort(hashes[(share == number) & known])
        if (part[1:] == part[:-1]).any():
            return True
    return False
