"""Voter states in memory, written behind.

A voter's state is a fold of stored votes, so it need not be in every batch's transaction: it is written
every 20 batches or 5 seconds, together with the offset up to which the written states hold. Who takes a
partition over folds the votes after that offset again (`refold`), raising nothing: they were told.

Laws: a state that is not written yet is never let go of; memory is bounded; what is held is forgotten
when partitions change hands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.engine import Connection

from pipeline.alerts import VoterDetector
from pipeline.evidence import Reference
from pipeline.store import history, voter_states
from pipeline.stream.processor import Observed, StateKey, observe_partition

# Written states that stay in memory: about 200 bytes each with their place in the dictionary, so 40 MB.
_HELD = 200_000
_BATCHES, _SECONDS = 20, 5.0

ByVoter = dict[StateKey, dict[int, bytes]]


class States:
    """The states of the voters of owned partitions: those not written yet, and of the others those met lately.

    "Lately" is kept in two halves: when the young half is full it becomes the old one, and what was old is let
    go of. Whoever is met in the old half is young again. That is a queue of least recent use, without its cost.
    """

    def __init__(self, held: int = _HELD) -> None:
        self._half = max(held // 2, 1)
        self._young: ByVoter = {}
        self._old: ByVoter = {}
        self._count = 0  # of the young
        self._unwritten: ByVoter = {}
        self._batches = 0
        self._since = time.monotonic()

    def __len__(self) -> int:
        """States in memory."""
        return sum(len(group) for half in (self._young, self._old, self._unwritten) for group in half.values())

    def get(self, connection: Connection, part: int, detector: str, voters: Sequence[int]) -> list[bytes | None]:
        """The state of each of these voters, None of those without; asks the store for what is not in memory."""
        key = (part, detector)
        unwritten, young, old = (half.get(key, {}) for half in (self._unwritten, self._young, self._old))
        found = [unwritten.get(v) or young.get(v) or old.get(v) for v in voters]
        missing = [v for v, state in zip(voters, found, strict=True) if state is None]
        if missing:
            stored = voter_states.read(connection, part, detector, missing)
            if stored:
                found = [stored.get(v) if state is None else state for v, state in zip(voters, found, strict=True)]
        return found

    def put(self, states: Mapping[StateKey, Mapping[int, bytes]]) -> None:
        """Take in what a committed batch changed."""
        for key, group in states.items():
            self._unwritten.setdefault(key, {}).update(group)
        self._batches += 1

    def due(self) -> bool:
        """Whether it is time to write."""
        waited = time.monotonic() - self._since
        many = sum(map(len, self._unwritten.values())) >= self._half
        return self._batches >= _BATCHES or many or waited >= _SECONDS

    def unwritten(self, more: Mapping[StateKey, Mapping[int, bytes]] | None = None) -> ByVoter:
        """What must still be written, together with the changes of a batch that is not taken in yet."""
        whole = {key: dict(group) for key, group in self._unwritten.items()} if more else self._unwritten
        for key, group in (more or {}).items():
            whole.setdefault(key, {}).update(group)
        return whole

    def written(self) -> None:
        """Everything is in the store: from here on it may be let go of."""
        for key, group in self._unwritten.items():
            young = self._young.setdefault(key, {})
            before = len(young)
            young.update(group)
            self._count += len(young) - before
            if self._count > self._half:
                self._old, self._young, self._count = self._young, {}, 0
        self._unwritten = {}
        self._batches, self._since = 0, time.monotonic()

    def forget(self) -> None:
        """Partitions changed hands: whoever owns them has newer states."""
        self._young, self._old, self._unwritten, self._count = {}, {}, {}, 0
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

    def prior(part: int, detector: str, voters: Sequence[int]) -> list[bytes | None]:
        return states.get(connection, part, detector, voters)

    periods = history.in_force(connection, partition_no)
    for sequence, start, stop in history.within(periods, first, end):
        judged_by = reference(sequence)
        for votes in history.voter_votes(connection, partition_no, start, stop):
            folded: Observed = observe_partition(partition_no, votes, prior, judged_by, detectors, reference)
            states.put(folded.states)
