"""Stops a worker that rejects too many records, so that a faulty deployment does not reject a whole topic."""

from collections import deque
from collections.abc import Sequence

from pipeline.errors import TooManyRejects
from pipeline.events import Reject
from pipeline.events.record_signature import BAD_SIGNATURE, UNSIGNED

# The share of rejects is taken over this many records: long enough that some bad minutes do not stop a worker.
_WINDOW = 2_000


class RejectLimit:
    """Limits the number of consecutive rejects, and the share of rejects among the last 2,000 records."""

    def __init__(self, consecutive: int, ratio: float) -> None:
        """Set the limits.

        Args:
            consecutive: number of rejects in a row at which the worker stops.
            ratio: share of rejects among the last 2,000 records above which the worker stops.
        """
        self._limit, self._ratio = consecutive, ratio
        self._consecutive = 0
        self._recent: deque[tuple[int, int]] = deque()  # (records, rejects) by batch

    def check(self, read: int, rejects: Sequence[Reject]) -> None:
        """Count the rejects of a batch, and check the limits.

        Rejects for a missing or wrong signature are not counted, since otherwise anybody could stop the worker by
        sending unsigned records.

        Args:
            read: number of records in the batch.
            rejects: the rejected records of the batch, in order of position.

        Raises:
            TooManyRejects: a limit was exceeded. The message names the limit.
        """
        # Records that are not by a known publisher do not stop a worker: anybody could stop it.
        rejects = [reject for reject in rejects if reject.reason not in (UNSIGNED, BAD_SIGNATURE)]
        previous = -1
        for reject in rejects:
            self._consecutive = self._consecutive + 1 if reject.position == previous + 1 else 1
            previous = reject.position
            if self._consecutive >= self._limit:
                raise TooManyRejects(f"{self._consecutive} records in a row are no votes")
        if previous != read - 1:
            self._consecutive = 0
        self._recent.append((read, len(rejects)))
        while sum(records for records, _ in self._recent) - self._recent[0][0] >= _WINDOW:
            self._recent.popleft()
        records, rejected = (sum(column) for column in zip(*self._recent, strict=True))
        if records >= _WINDOW and rejected > self._ratio * records:
            raise TooManyRejects(f"{rejected} of the last {records} records are no votes")
