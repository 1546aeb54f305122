"""What a source of events is.

Laws (tests/integration/test_sources.py runs them over every source):

1. A partition is a sequence of records with growing offsets; reading from an offset gives the same
   records every time.
2. An offset is always the *next* one to read. Offsets may have gaps: compare with <=, never = + 1.
3. `partitions()` is what this worker may read now. When it changes, `generation()` has grown; a batch
   polled before that is dropped by the worker, never written.
4. Nothing is read from a partition before `seek`.
5. The source keeps no truth about progress: the store does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pipeline.errors import OffsetGap
from pipeline.events.chunk import Chunk


class Source(Protocol):
    """A source of events; see the module's laws."""

    @property
    def name(self) -> str:
        """What the store calls it: the same for the same log, another for another log."""
        ...

    def generation(self) -> int:
        """Grows whenever `partitions` changed."""
        ...

    def partitions(self) -> list[int]:
        """The partitions that this worker may read now."""
        ...

    def bounds(self, partitions: list[int]) -> Mapping[int, tuple[int, int]]:
        """First offset still there and next offset to be written, for each partition."""
        ...

    def ends(self) -> Mapping[int, int]:
        """Next offset to be written, of the partitions of which the last answers told; asks nobody."""
        ...

    def replaced(self, read: Mapping[int, tuple[int, int]]) -> list[int]:
        """The partitions whose log is not the one that was read.

        Args:
            read: partition → offset of a record that was read, and its append time in microseconds.
        """
        ...

    def all_partitions(self) -> list[int]:
        """Every partition, whoever reads it."""
        ...

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets."""
        ...

    def poll(self, limit: int, seconds: float) -> list[Chunk]:
        """Up to `limit` records; waits at most `seconds` for the first one."""
        ...

    def keep(self) -> None:
        """Read nothing, but show that this worker lives: called every second while it waits for a slow store."""
        ...

    def positions(self) -> Mapping[int, int]:
        """The next offset to read of each partition, past gaps at the end of the log too."""
        ...

    def done(self, offsets: Mapping[int, int]) -> None:
        """These are safely stored; for displays of lag only."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


def gap(source: str, number: int, wanted: int, first: int, end: int) -> OffsetGap | None:
    """What keeps a partition from being read on at an offset, None if nothing does.

    Args:
        source: its name.
        number: of the partition.
        wanted: the next offset to read.
        first, end: the first offset that is there and the next one to be written.
    """
    where = f"{source}, partition {number}"
    if wanted < first:
        return OffsetGap(
            f"{where}: offsets {wanted} to {first - 1} ({first - wanted} records) are gone "
            "before they were read: retention has passed"
        )
    if wanted > end:
        return OffsetGap(
            f"{where}: the log ends at {end}, but {wanted - end} records beyond it were "
            "read: it was truncated or made anew"
        )
    return None
