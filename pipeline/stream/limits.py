"""When a worker stops reading: a bad deploy must not drain a topic into the rejects."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pipeline.errors import TooManyRejects
from pipeline.events import Reject

# Records over which the share of rejects is taken: a healthy stream has bad minutes, not bad hours.
_OVER = 2_000


class RejectLimit:
    """Counts rejects in a row, and their share of the last 2,000 records."""

    def __init__(self, in_a_row: int, ratio: float) -> None:
        """Set the limits.

        Args:
            in_a_row: so many records without a vote among them stop the worker.
            ratio: so does a larger share than this of the last 2,000 records.
        """
        self._limit, self._ratio = in_a_row, ratio
        self._in_a_row = 0
        self._recent: deque[tuple[int, int]] = deque()

    def check(self, read: int, rejects: Sequence[Reject]) -> None:
        """Take in a batch of `read` records.

        Raises:
            TooManyRejects: says what there was too much of.
        """
        before = -1
        for reject in rejects:
            self._in_a_row = self._in_a_row + 1 if reject.position == before + 1 else 1
            before = reject.position
            if self._in_a_row >= self._limit:
                raise TooManyRejects(f"{self._in_a_row} records in a row are no votes")
        if before != read - 1:
            self._in_a_row = 0
        self._recent.append((read, len(rejects)))
        while sum(of for of, _ in self._recent) - self._recent[0][0] >= _OVER:
            self._recent.popleft()
        of, bad = (sum(column) for column in zip(*self._recent, strict=True))
        if of >= _OVER and bad > self._ratio * of:
            raise TooManyRejects(f"{bad} of the last {of} records are no votes")
