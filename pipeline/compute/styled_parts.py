"""Represents the votes of a log that have style counts, in parts that are read one at a time.

A part has the blocks of a large segment, or of several small segments that follow each other. How a log is divided
depends on its segments alone. So sums over parts have the same digits on every engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.compute import style_blocks
from pipeline.vocabulary.arrays import Int64

PART_LEAVES = 262_144
"""Segments are joined to parts of at most this number of leaves. A larger segment is a part of its own."""

_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class StyledPart:
    """The blocks of some segments, and which votes of these blocks do not count.

    Attributes:
        first: index of the first leaf of the segments.
        end: index after the last leaf of the segments.
        packed: the blocks (`style_blocks.pack`), in the order of the log.
        without: int64[m], votes that do not count, by their `position` in `style_blocks.BLOCK`.
        rules: bits of `vote_flags`. A vote with one of them does not count.
        models: int64[k], model numbers (model_no). A vote on one of them does not count.
    """

    first: int
    end: int
    packed: tuple[bytes, ...]
    without: Int64 = field(default_factory=_NOTHING.copy)
    rules: int = 0
    models: Int64 = field(default_factory=_NOTHING.copy)

    @property
    def name(self) -> str:
        """The name of the part in messages."""
        return f"segments of leaves {self.first} to {self.end - 1}"

    @property
    def sent_bytes(self) -> int:
        """About how many bytes are sent to a worker with the part."""
        return sum(map(len, self.packed)) + self.without.nbytes

    def read(self) -> dict[str, npt.NDArray[Any]]:
        """Return column name → values of the counted votes, with the columns of `style_blocks.BLOCK`."""
        blocks = [style_blocks.unpack(one) for one in self.packed or (None,)]
        if len(blocks) != 1:
            blocks = [{name: np.concatenate([one[name] for one in blocks]) for name in style_blocks.NAMES}]
        votes = blocks[0]
        kept = votes["flags"] & self.rules == 0
        if len(self.without):
            kept &= ~np.isin(votes["position"], self.without)
        if len(self.models):
            kept &= ~(np.isin(votes["model_a"], self.models) | np.isin(votes["model_b"], self.models))
        return votes if kept.all() else {name: column[kept] for name, column in votes.items()}


class StyledVotes(Protocol):
    """The votes with style counts that a view counts, in parts."""

    def parts(self, numbers: Sequence[int] | None = None) -> Iterator[StyledPart]:
        """Yield parts one after the other, in the order of the log. The blocks of a part are read just before its turn.

        Args:
            numbers: positions of the parts to yield, ascending; None for all.
        """

    def __len__(self) -> int:
        """Return the number of parts."""
