"""Represents records of one partition that are not decoded yet, as a source delivers them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from pipeline.events.record_signature import RecordMarks
from pipeline.vocabulary.arrays import Int64


class FileRecords(Sequence[str | None]):
    """A sequence with the origin of each record of a file.

    An origin is a text such as "votes.jsonl#17". It is built when it is read from the sequence.

    Attributes:
        name: name of the file.
        reading: the number that the store gave to this reading of the file.
        numbers: int64[n], the number of each record in the file.
    """

    def __init__(self, name: str, reading: int, numbers: Int64) -> None:
        self.name, self.reading, self.numbers = name, reading, numbers

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.numbers)

    @overload
    def __getitem__(self, row: int) -> str | None: ...

    @overload
    def __getitem__(self, row: slice) -> "FileRecords": ...

    def __getitem__(self, row: int | slice) -> "str | FileRecords | None":
        """Return the origin (file and record number) of the record in this row, or the origins of a slice of rows.

        The result is never None. The type allows None, as for other sequences of origins.
        """
        if isinstance(row, slice):
            return FileRecords(self.name, self.reading, self.numbers[row])
        return f"{self.name}#{self.numbers[row]}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in order.

    Attributes:
        partition: the partition's number in its source, for example in Kafka (not partition_no).
        offsets: int64[n], offset of each record.
        appended_at: int64[n], append time of each record in microseconds since 1970 UTC; for a file, the time when the
            record was first read.
        values: n values, None for a record without a value.
        origins: for each record, its file and its number in the file; None for a record that was not published from a
            file.
        next_offset: the next offset to read after this chunk.
        of_file: whether the records come from a file. `appended_at` then only decides which votes are dated in the
            future.
        marks: headers of each record about its voter and its publisher; None if no record has such headers.
    """

    partition: int
    offsets: Int64
    appended_at: Int64
    values: list[bytes | None]
    origins: Sequence[str | None]
    next_offset: int
    of_file: bool = False
    marks: list[RecordMarks] | None = None
