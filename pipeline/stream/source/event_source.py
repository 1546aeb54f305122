"""Defines the protocol of a source of events.

Rules that every source keeps (checked by tests/integration/test_sources.py):

1. A partition is a sequence of records with growing offsets. Reading from an offset gives the same records every time.
2. An offset is always the *next* one to read. Offsets may have gaps, so the offset after n is not always n + 1.
3. `assigned_partitions()` are the partitions that this worker may read now. When they change, `generation()` grows, and
   the worker drops a batch that was polled before.
4. Nothing is read from a partition before `seek`.
5. The source does not store how far it was read; the store does.

In this module, a partition is given by the source's number.
"""

from collections.abc import Mapping
from typing import Protocol

from pipeline.errors import OffsetGap
from pipeline.events.chunk import Chunk


class Source(Protocol):
    """Reads events from a source, partition by partition.

    Every implementation keeps the rules of the module's docstring.
    """

    @property
    def name(self) -> str:
        """Name of the source in the store. The same log always has the same name; another log has another name."""
        ...

    def generation(self) -> int:
        """Return a number that grows whenever `assigned_partitions` changes."""
        ...

    def assigned_partitions(self) -> list[int]:
        """Return the partitions that this worker may read now."""
        ...

    def offset_bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """Return the available offsets of each given partition.

        Returns:
            Partition → (first available offset, next offset to be written).
        """
        ...

    def known_ends(self) -> Mapping[int, int]:
        """Return the end of each partition's log, as the last fetch showed it. No request is made.

        Returns:
            Partition → the offset after the last record. A partition of which nothing was fetched yet is left out.
        """
        ...

    def replaced_partitions(self, read: Mapping[int, tuple[int, int]]) -> list[int]:
        """Return the partitions whose log was replaced, so that a record that was read is no longer there.

        Args:
            read: partition → (offset of a record that was read, its append time in microseconds since 1970 UTC).
        """
        ...

    def all_partitions(self) -> list[int]:
        """Return all partitions, including those that are not assigned to this worker."""
        ...

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Make `poll` continue at the given offsets.

        Args:
            offsets: partition → next offset to read.
        """
        ...

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        """Return up to `limit` records, as one chunk for each partition.

        The list is empty if no record arrives within `seconds`.
        """
        ...

    def heartbeat(self) -> None:
        """Tell the broker that this worker still runs, so that it keeps its partitions. Nothing is read.

        The worker calls this once per second while it waits for the store.
        """
        ...

    def positions(self) -> Mapping[int, int]:
        """Return the next offset to read of each partition, as partition → offset.

        If a log ends with offsets that have no record, these are skipped.
        """
        ...

    def report_committed(self, offsets: Mapping[int, int]) -> None:
        """Report how far each partition is stored. The report is only for displays of lag.

        Args:
            offsets: partition → next offset to store.
        """
        ...

    def close(self) -> None:
        """Close connections and delete temporary files of the source."""
        ...


def ends_with_records(source: Source) -> dict[int, int]:
    """Return partition → next offset to be written.

    A partition whose records are all deleted, or that never had one, is left out.
    """
    bounds = source.offset_bounds(source.all_partitions())
    return {number: end for number, (first, end) in bounds.items() if end > first}


def find_offset_gap(source: str, partition: int, wanted: int, first: int, end: int) -> OffsetGap | None:
    """Return an error if reading cannot continue at the offset `wanted`, otherwise None.

    Args:
        source: name of the source.
        partition: source's number of the partition.
        wanted: the next offset to read.
        first: the first available offset.
        end: the next offset to be written.
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
