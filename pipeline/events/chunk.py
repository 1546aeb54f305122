"""Undecoded records of one partition, as a source delivers them."""

from dataclasses import dataclass

from pipeline.vocabulary.arrays import Int64


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in order.

    Attributes:
        partition: the source's number of the partition.
        offsets: int64[n], offset of each record.
        appended_at: int64[n], append time in microseconds; −1 for a file, where the vote's own time is used.
        values: n values, None for a record without a value.
        origins: file and row of each record, if it was published from a file.
        next_offset: the next offset to read.
    """

    partition: int
    offsets: Int64
    appended_at: Int64
    values: list[bytes | None]
    origins: list[str | None]
    next_offset: int
