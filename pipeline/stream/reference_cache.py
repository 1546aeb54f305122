"""Keeps references in memory: the reference of the newest snapshot, and recently used references of earlier snapshots.

The reference of a snapshot has the models' strengths. Detectors compare votes with these strengths.
"""

from cachetools import LRUCache
from sqlalchemy.engine import Connection

from pipeline.evidence import Reference
from pipeline.store.boards import snapshots
from pipeline.store.boards.reference_codec import read_reference

# Earlier references are for voters who return: a day of hourly refreshes. With 300 models that takes 13 MB.
_EARLIER = 24


class ReferenceCache:
    """Keeps the reference of the newest published snapshot, and up to 24 references of earlier snapshots.

    Attributes:
        sequence: sequence number of the newest snapshot at the last `refresh`, 0 if there was none.
        reference: reference of this snapshot, None if there is none.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.reference: Reference | None = None
        self._earlier: LRUCache[int, Reference] = LRUCache(_EARLIER)

    def refresh(self, connection: Connection) -> None:
        """Load the reference of the newest published snapshot, unless it is in memory."""
        newest = snapshots.newest_sequence(connection)
        if newest != self.sequence:
            self.reference = read_reference(connection, newest)
            self.sequence = newest

    def earlier(self, connection: Connection, sequence: int) -> Reference:
        """Return the reference of an earlier snapshot, from memory or from the store.

        Raises:
            ValueError: the store has no such snapshot.
        """
        found = self._earlier.get(sequence) or read_reference(connection, sequence)
        if found is None:
            raise ValueError(f"expected snapshot {sequence} in the store: stored votes were evaluated by it")
        self._earlier[sequence] = found
        return found
