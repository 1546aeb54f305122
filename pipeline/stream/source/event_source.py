"""The protocol of a source of events.

Laws (tests/integration/test_sources.py checks them for every source):

1. A partition is a sequence of records with growing offsets; reading from an offset gives the same records every time.
2. An offset is always the *next* one to read. Offsets may have gaps: compare with <=, never = + 1.
3. `assigned_partitions()` is what this worker may read now. When it changes, `generation()` grows; the worker drops a
   batch that was polled before.
4. Nothing is read from a partition before `seek`.
5. The source does not store progress: the store does.
"""

from collections.abc import Mapping
from typing import Protocol

from pipeline.errors import OffsetGap
from pipeline.events.chunk import Chunk


class Source(Protocol):
    """A source of events; the module docstring has its laws."""

    @property
    def name(self) -> str:
        """The source's name in the store: stable for one log, different for different logs."""
        ...

    def generation(self) -> int:
        """Return a counter that grows whenever `assigned_partitions` changes."""
        ...

    def assigned_partitions(self) -> list[int]:
        """Return the partitions that this worker may read now."""
        ...

    def offset_bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """Return for each partition the first offset still available, and the next offset to be written."""
        ...

    def known_ends(self) -> Mapping[int, int]:
        """Return partition → next offset to be written, as of the last fetches. Makes no request."""
        ...

    def replaced_partitions(self, read: Mapping[int, tuple[int, int]]) -> list[int]:
        """Return the partitions whose log is no longer the log that was read.

        Args:
            read: partition → offset of a record that was read, and its append time in microseconds.
        """
        ...

    def all_partitions(self) -> list[int]:
        """Return every partition, assigned to this worker or not."""
        ...

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Continue at these offsets."""
        ...

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        """Return up to `limit` records; wait at most `seconds` for the first one."""
        ...

    def heartbeat(self) -> None:
        """Keep the assignment without reading; called every second while the worker waits for a slow store."""
        ...

    def positions(self) -> Mapping[int, int]:
        """Return the next offset to read of each partition, past gaps at the end of the log."""
        ...

    def report_committed(self, offsets: Mapping[int, int]) -> None:
        """Report offsets up to which records are stored, for displays of lag only."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def find_offset_gap(source: str, partition: int, wanted: int, first: int, end: int) -> OffsetGap | None:
    """Return the error if reading cannot continue at `wanted`, else None.

    Args:
        source: name of the source.
        partition: the source's number of the partition.
        wanted: the next offset to read.
        first, end: the first offset that is available, and the next offset to be written.
    """
    where = f"{source}, partition {partition}"
    if wanted < first:
        return OffsetGap(
            f"{where}: offsets {wanted} to {first - 1} ({first - wanted} records) were deleted by retention "
            "before they were read"
        )
    if wanted > end:
        return OffsetGap(
            f"{where}: the log ends at {end}, but {wanted - end} records beyond it were read: "
            "it was truncated or recreated"
        )
    return None
