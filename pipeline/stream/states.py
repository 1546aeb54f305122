"""Voter states in memory, written behind.

A voter's state is a fold of stored votes, so it need not be in every batch's transaction: it is written
every 20 batches or 5 seconds, together with the offset up to which the written states hold. Who takes a
partition over folds the votes after that offset again (`refold`), raising nothing: they were told.

Laws: a state that is not written yet is never let go of; memory is bounded; what is held is forgotten
when partitions change hands.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.alerts import VoterDetector
from pipeline.evidence import Reference
from pipeline.store import history, ingest
from pipeline.stream.processor import Observed, StateKey, observe_partition

# Written states that stay in memory: 300 bytes each with their key, so 60 MB.
_HELD = 200_000
_BATCHES, _SECONDS = 20, 5.0


class States:
    """The states of the voters of owned partitions."""

    def __init__(self, held: int = _HELD) -> None:
        self._held = held
        self._written: OrderedDict[StateKey, bytes] = OrderedDict()
        self._unwritten: dict[StateKey, bytes] = {}
        self._batches = 0
        self._since = time.monotonic()

    def __len__(self) -> int:
        """States in memory."""
        return len(self._written) + len(self._unwritten)

    def get(self, connection: Connection, keys: Iterable[StateKey]) -> dict[StateKey, bytes]:
        """The states of these voters, those that exist; asks the store for what is not in memory."""
        found: dict[StateKey, bytes] = {}
        missing: list[StateKey] = []
        for key in keys:
            state = self._unwritten.get(key) or self._written.get(key)
            if state is None:
                missing.append(key)
            else:
                found[key] = state
        found.update(ingest.read_states(connection, missing))
        return found

    def put(self, states: Mapping[StateKey, bytes]) -> None:
        """Take in what a committed batch changed."""
        self._unwritten.update(states)
        self._batches += 1

    def due(self) -> bool:
        """Whether it is time to write."""
        waited = time.monotonic() - self._since
        return self._batches >= _BATCHES or len(self._unwritten) >= self._held or waited >= _SECONDS

    @property
    def unwritten(self) -> Mapping[StateKey, bytes]:
        """What must still be written."""
        return self._unwritten

    def written(self) -> None:
        """Everything is in the store: from here on it may be let go of."""
        for key, state in self._unwritten.items():
            self._written[key] = state
            self._written.move_to_end(key)
        while len(self._written) > self._held:
            self._written.popitem(last=False)
        self._unwritten = {}
        self._batches, self._since = 0, time.monotonic()

    def forget(self) -> None:
        """Partitions changed hands: whoever owns them has newer states."""
        self._written.clear()
        self._unwritten = {}
        self._batches, self._since = 0, time.monotonic()


def refold(
    connection: Connection,
    states: States,
    partition_no: int,
    first: int,
    end: int,
    detectors: Sequence[VoterDetector],
    reference: Callable[[int], Reference],
) -> None:
    """Fold the stored votes of [first, end) into the states that are written up to `first`.

    Each vote is judged by the snapshot that was in force for it. Nothing is raised.
    """
    periods = history.in_force(connection, partition_no)
    for sequence, start, stop in history.within(periods, first, end):
        judged_by = reference(sequence)
        for votes in history.voter_votes(connection, partition_no, start, stop):
            keys = [(partition_no, d.name, v) for d in detectors for v in np.unique(votes.voter).tolist()]
            known = states.get(connection, keys)
            folded: Observed = observe_partition(partition_no, votes, known, judged_by, detectors, reference)
            states.put(folded.states)
