"""Packs votes with style counts as blocks, and reads blocks.

A block has the counted votes of one segment that have style counts of both answers, about 25 bytes per vote.

A block begins with a tag: "F" if it has the flags of the votes, "L" if it was sealed before votes had flags. A block
without a tag was sealed before late votes counted; it contains accepted votes only.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

# The first byte of a block with late votes, without and with flags; compressed bytes begin with another one.
WITH_LATE, WITH_FLAGS = b"L", b"F"
FIELDS = 10
"""Number of style counts of a vote: the `SIDE` features of answer a, then the same features of answer b."""
SIDE = FIELDS // 2
BLOCK = np.dtype(
    [
        ("position", "<i8"), ("model_a", "<i4"), ("model_b", "<i4"), ("outcome", "<i4"), ("style", "<i4", (FIELDS,)),
        ("flags", "<i4"),
    ]
)  # fmt: skip
"""The columns of a block.

position: partition_no and offset of the vote, packed into one integer. model_a, model_b: model numbers (model_no).
outcome: position in OUTCOMES. style: tokens, headers, lists, bold, emoji of answer a, then of answer b. flags: bits of
`vote_flags`.
"""
NAMES = tuple(BLOCK.names or ())
WITHOUT_FLAGS = NAMES[:-1]


def has_late(packed: bytes | None) -> bool:
    """Return whether a packed block includes the late votes of its segment; False for None, which means no block."""
    return packed is not None and packed[:1] in (WITH_LATE, WITH_FLAGS)


def pack(votes: npt.NDArray[np.void]) -> bytes | None:
    """Pack votes as the bytes of a block; return None if there are no votes.

    `votes` is a structured array with the columns of `BLOCK`.
    """
    # Column by column: similar bytes are neighbours, and compress to half.
    raw = b"".join(np.ascontiguousarray(votes[name]).tobytes() for name in NAMES)
    return WITH_FLAGS + zlib.compress(raw, 1) if len(votes) else None


def unpack(packed: bytes | None) -> dict[str, npt.NDArray[Any]]:
    """Return column name → values of the votes that `pack` packed.

    All flags are 0 if the block has no flags. `packed` is None for a segment without a block; the columns are then
    empty.
    """
    flat = b"" if packed is None else zlib.decompress(memoryview(packed)[1:] if has_late(packed) else packed)
    names = NAMES if packed is not None and packed[:1] == WITH_FLAGS else WITHOUT_FLAGS
    votes, start = len(flat) // sum(BLOCK[name].itemsize for name in names), 0
    found: dict[str, npt.NDArray[Any]] = {"flags": np.zeros(votes, dtype=np.int32)}
    for name in names:
        kind = BLOCK[name]
        count = votes * kind.itemsize // kind.base.itemsize
        found[name] = np.frombuffer(flat, kind.base, count, start).reshape(votes, *kind.shape)
        start += votes * kind.itemsize
    return found
