"""The monitor: merges closed windows of all partitions, in order, once.

A window is closed when the merged watermark has passed its end. One monitor works at a time, by a lease
in the store; its position and what it wrote are one transaction, so a monitor that dies skips nothing
and repeats nothing. `--close` closes every window there is, watermark or not: for a log that has ended.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.settings import Settings
from pipeline.store import Store, windows
from pipeline.stream.windows import WIDTH

# Windows of one transaction: two days of them.
_BATCH = 576
_PAUSE = 1.0


@dataclass
class Monitor:
    """One monitor over one store.

    Attributes:
        store, settings: where from, how.
        owner: who this is, for the lease.
        progress: called after every step with the number of windows closed so far.
    """

    store: Store
    settings: Settings
    owner: str
    progress: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        """Start with nothing closed by this process."""
        self._stopping = False

    def stop(self) -> None:
        """Finish the step in hand, then end."""
        self._stopping = True

    def run(self, *, until_end: bool = False, close: bool = False) -> int:
        """Close windows.

        Args:
            until_end: stop when there is nothing to close.
            close: close windows above the watermark too.

        Returns:
            The number of windows closed.
        """
        closed = 0
        try:
            while not self._stopping:
                step = self._step(close)
                closed += step or 0
                if step:
                    self.progress(closed)
                elif until_end and step is not None:
                    break
                else:
                    time.sleep(_PAUSE)
        finally:
            with self.store.write() as connection:
                windows.drop_lease(connection, "monitor", self.owner)
        return closed

    def _step(self, close: bool) -> int | None:
        """Close the next windows; None while another monitor holds the lease."""
        with self.store.write() as connection:
            now = time.time_ns() // 1000
            if not windows.take_lease(connection, "monitor", self.owner, now, self.settings.lease_seconds):
                return None
            start = windows.position(connection)
            if start is None:
                start = windows.first_start(connection)
            end = windows.last_start(connection)
            if start is None or end is None:
                return 0
            end += WIDTH
            if not close:
                mark = windows.watermark(connection, self.settings.lateness)
                end = min(end, mark - mark % WIDTH) if mark is not None else start
            end = min(end, start + _BATCH * WIDTH)
            if end <= start:
                return 0
            found = windows.between(connection, start, end)
            totals = [
                (at, sum(w.accepted for w in group), sum(w.late for w in group))
                for at, one in itertools.groupby(found, key=lambda w: w.start)
                for group in (list(one),)
            ]
            windows.close(connection, totals, end)
            return max(len(totals), 1)
