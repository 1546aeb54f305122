"""Records of one partition as a source delivers them: bytes that nothing has decoded yet."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.vocabulary.arrays import Int64


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in order.

    Attributes:
        partition: the source's number of it.
        offsets: int64[n].
        appended_at: int64[n], microseconds; for a file −1: the vote's own time stands for it.
        values: n values, None for a record without one.
        origins: where each record came from before (file and row), if it says so.
        next_offset: the next offset to read after these.
    """

    partition: int
    offsets: Int64
    appended_at: Int64
    values: list[bytes | None]
    origins: list[str | None]
    next_offset: int
